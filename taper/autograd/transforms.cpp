#include <memory>
#include <string>

#include <taper/autograd/autograd.h>
#include <taper/autograd/gradients_until.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

struct Differentiated {
  Tensor value;
  std::vector<Tensor> grads;
};

Differentiated differentiate(const TensorFunction& f, const std::vector<Tensor>& inputs,
                             const std::vector<size_t>& argnums, const char* transform) {
  const bool outer_tape = tape_on;
  const enable_grad on;
  std::vector<Tensor> operands = inputs;
  std::vector<Tensor> wanted;
  for (size_t argnum : argnums) {
    if (argnum >= inputs.size()) {
      fail(ErrorKind::index, std::string(transform) + ": operand " + std::to_string(argnum) +
                                 " was asked for, the function was called with " +
                                 std::to_string(inputs.size()));
    }
    const Tensor& operand = inputs[argnum];
    if (!is_inexact(operand.dtype())) {
      fail(ErrorKind::dtype, std::string(transform) + ": only floating tensors have gradients (" +
                                 "operand " + std::to_string(argnum) + " " +
                                 to_string(operand.spec()) + ")");
    }
    operands[argnum] = own_operand(inputs[argnum], outer_tape, transform);
  }
  for (size_t argnum : argnums) wanted.push_back(operands[argnum]);
  Tensor value = f(operands);
  if (!value.defined()) {
    fail(ErrorKind::value, std::string(transform) + ": the function gave no tensor");
  }
  if (value.numel() != 1) {
    fail(ErrorKind::shape, std::string(transform) +
                               ": the function must give one element; sum it (result " +
                               to_string(value.spec()) + ")");
  }
  TransformGradients found = transform_gradients(value, wanted, outer_tape);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!found.grads[i].defined()) found.grads[i] = zeros_like(wanted[i]);
  }
  return {found.on_tape ? std::move(value) : value.detach(), std::move(found.grads)};
}

}  // namespace

namespace {

void check_function(const TensorFunction& f, const char* transform) {
  if (!f) fail(ErrorKind::value, std::string(transform) + ": the function is empty");
}

}  // namespace

TensorFunction detail::grad_of_list(TensorFunction f, size_t argnum) {
  check_function(f, "grad");
  return [f = std::move(f), argnum](const std::vector<Tensor>& inputs) {
    return differentiate(f, inputs, {argnum}, "grad").grads[0];
  };
}

std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)>
detail::value_and_grad_of_list(TensorFunction f, std::vector<size_t> argnums) {
  check_function(f, "value_and_grad");
  return [f = std::move(f), argnums = std::move(argnums)](const std::vector<Tensor>& inputs) {
    Differentiated result = differentiate(f, inputs, argnums, "value_and_grad");
    return std::pair(std::move(result.value), std::move(result.grads));
  };
}

}  // namespace taper
