#pragma once

#include <concepts>
#include <memory>
#include <optional>

#include <taper/core/factory.h>
#include <taper/nn/module.h>
#include <taper/ops/ops.h>

// The losses as modules, with PyTorch's names and defaults; functional forms are the ops.

namespace taper::nn {

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

#define TAPER_LOSS(Name)                                                             \
  class TAPER_API Name : public Layer<Name> {                                        \
   public:                                                                           \
    static constexpr std::string_view type_name = #Name;                             \
    explicit Name(LossOptions options = {}) : options_(options) { set_name(#Name); } \
    Tensor forward(const Tensor& input, const Tensor& target) const;                 \
    const LossOptions& options() const { return options_; }                          \
                                                                                     \
   private:                                                                          \
    LossOptions options_;                                                            \
  };
/// Of logits [N,C,...] and class indices [N,...].
TAPER_LOSS(CrossEntropyLoss)
/// Of probabilities and targets of one shape.
TAPER_LOSS(BCELoss)
/// Of logits and targets of one shape.
TAPER_LOSS(BCEWithLogitsLoss)
TAPER_LOSS(MSELoss)
#undef TAPER_LOSS

/// What a loss must be: a callable of (input, target) that gives a tensor. A layer is none.
template <class L>
concept TensorLoss = requires(L& loss, const Tensor& input, const Tensor& target) {
  { loss(input, target) } -> std::convertible_to<Tensor>;
};

/// Any loss, its type erased: a module or any callable of (input, target).
class TAPER_API AnyLoss {
 public:
  template <class L>
    requires(!std::same_as<std::remove_cvref_t<L>, AnyLoss> && TensorLoss<L>)
  AnyLoss(L loss) : inner_(std::make_shared<Model<L>>(std::move(loss))) {}  // NOLINT

  Tensor operator()(const Tensor& input, const Tensor& target) const {
    return inner_->call(input, target);
  }
  /// The registered name; empty for a loss of your own.
  std::string_view type() const { return inner_->type(); }
  /// The same loss for each element, not yet averaged; nothing for a loss of your own, whose
  /// reduction is not known.
  std::optional<AnyLoss> unreduced() const { return inner_->unreduced(); }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual Tensor call(const Tensor& input, const Tensor& target) = 0;
    virtual std::string_view type() const = 0;
    virtual std::optional<AnyLoss> unreduced() const = 0;
  };
  template <class L>
  struct Model final : Concept {
    explicit Model(L held) : loss(std::move(held)) {}
    Tensor call(const Tensor& input, const Tensor& target) override { return loss(input, target); }
    std::string_view type() const override {
      if constexpr (requires { L::type_name; }) {
        return L::type_name;
      } else {
        return {};
      }
    }
    std::optional<AnyLoss> unreduced() const override;
    L loss;
  };

  std::shared_ptr<Concept> inner_;
};

template <class L>
std::optional<AnyLoss> AnyLoss::Model<L>::unreduced() const {
  if constexpr (requires { loss.options().reduction; }) {
    auto options = loss.options();
    options.reduction = Reduction::none;
    return AnyLoss(L(options));
  } else {
    return {};
  }
}

/// Registered losses, by name.
using LossFactory = Factory<AnyLoss>;

}  // namespace taper::nn
