#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include <taper/train/fit/callback.h>

namespace taper {

/// What is called when; what is empty is not called.
struct TAPER_API LambdaCallbackOptions {
  std::function<void(Trainer&)> on_train_begin = {};
  std::function<void(Trainer&)> on_train_end = {};
  std::function<void(Trainer&, int64_t epoch)> on_epoch_begin = {};
  std::function<void(Trainer&, const Logs&)> on_epoch_end = {};
  std::function<void(Trainer&, const Logs&)> on_batch_end = {};
};
/// A callback of functions. To stop the training from one, derive from Callback instead.
class TAPER_API LambdaCallback final : public Callback {
 public:
  explicit LambdaCallback(LambdaCallbackOptions options) : options_(std::move(options)) {}
  void on_train_begin(Trainer& trainer) override;
  void on_train_end(Trainer& trainer) override;
  void on_epoch_begin(Trainer& trainer, int64_t epoch) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_batch_end(Trainer& trainer, const Logs& logs) override;

 private:
  LambdaCallbackOptions options_;
};

}  // namespace taper
