#include <taper/train/batch/fields.h>

#include <taper/core/error.h>

namespace taper {
namespace {

std::string braced(const std::vector<std::string>& names, const std::string& last = "") {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return "{" + text + last + "}";
}

}  // namespace

FieldRoles::FieldRoles(const nn::AnyModule& model, const nn::AnyLoss& loss)
    : inputs_(model.required_operands()) {
  const auto meaning = loss.meaning();
  if (meaning) outputs_ = meaning->outputs;
  if (inputs_ == 1) {
    names_.emplace_back("input");  // what is wrong with the number is said of other fields
  } else {
    names_ = model.operands().names;
    names_.resize(inputs_);
  }
  const nn::Operands operands = loss.operands();
  names_.insert(names_.end(), operands.names.begin() + static_cast<std::ptrdiff_t>(outputs_),
                operands.names.begin() + static_cast<std::ptrdiff_t>(operands.required));
}

void FieldRoles::check(size_t fields, std::string_view pass, const std::string& what) const {
  if (fields == names_.size() || fields == names_.size() + 1) return;
  fail(ErrorKind::value, std::string(pass) + ": examples must be " + braced(names_) + " or " +
                             braced(names_, ", weight") + ", the " + what + "'s have " +
                             std::to_string(fields) + (fields == 1 ? " field" : " fields"));
}

BatchParts FieldRoles::parts(std::span<const Tensor> fields) const {
  const auto end = fields.begin() + static_cast<std::ptrdiff_t>(names_.size());
  const auto targets = fields.begin() + static_cast<std::ptrdiff_t>(inputs_);
  return {.inputs = {fields.begin(), targets},
          .targets = {targets, end},
          .weight = weighted(fields.size()) ? *end : Tensor()};
}

std::vector<Tensor> FieldRoles::loss_operands(std::string_view pass,
                                              const std::vector<Tensor>& outputs,
                                              const std::vector<Tensor>& targets) const {
  if (outputs.size() < outputs_) {
    fail(ErrorKind::value, std::string(pass) + ": the loss takes " + std::to_string(outputs_) +
                               " outputs of the model, it gave " + std::to_string(outputs.size()));
  }
  std::vector<Tensor> operands(outputs.begin(),
                               outputs.begin() + static_cast<std::ptrdiff_t>(outputs_));
  operands.insert(operands.end(), targets.begin(), targets.end());
  return operands;
}

}  // namespace taper
