#include <taper/train/callbacks/lambda_callback.h>

namespace taper {

void LambdaCallback::on_train_begin(Trainer& trainer) {
  if (options_.on_train_begin) options_.on_train_begin(trainer);
}

void LambdaCallback::on_train_end(Trainer& trainer) {
  if (options_.on_train_end) options_.on_train_end(trainer);
}

void LambdaCallback::on_epoch_begin(Trainer& trainer, int64_t epoch) {
  if (options_.on_epoch_begin) options_.on_epoch_begin(trainer, epoch);
}

void LambdaCallback::on_epoch_end(Trainer& trainer, const Logs& logs) {
  if (options_.on_epoch_end) options_.on_epoch_end(trainer, logs);
}

void LambdaCallback::on_batch_end(Trainer& trainer, const Logs& logs) {
  if (options_.on_batch_end) options_.on_batch_end(trainer, logs);
}

}  // namespace taper
