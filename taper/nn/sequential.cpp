#include <taper/nn/sequential.h>

#include <algorithm>

namespace taper::nn {

Sequential::Sequential(std::vector<AnyModule> modules) {
  for (AnyModule& module : modules) append(std::move(module));
}

Sequential& Sequential::append(AnyModule module) {
  add_child(std::to_string(layers_.size()), module);
  layers_.push_back(std::move(module));
  return *this;
}

size_t Sequential::checked(size_t i) const {
  if (i < size()) return i;
  fail(ErrorKind::index, "Sequential: layer " + std::to_string(i) + " was asked for, there are " +
                             std::to_string(size()));
}

Tensor Sequential::forward(const Tensor& x) const {
  const auto needs_more = [](const AnyModule& layer) { return layer.required_operands() > 1; };
  if (std::ranges::any_of(layers_, needs_more)) return detail::first(forward(std::span(&x, 1)));
  Tensor y = x;
  for (const AnyModule& layer : layers_) y = layer(y);
  return y;
}

std::vector<Tensor> Sequential::forward(std::span<const Tensor> operands) const {
  std::vector<Tensor> values(operands.begin(), operands.end());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const size_t needed = layers_[i].required_operands();
    if (i > 0 && values.size() > needed) values.resize(needed);
    values = layers_[i](std::span<const Tensor>(values));
  }
  return values;
}

Operands Sequential::operands() const {
  return layers_.empty() ? Operands{.names = {"x"}} : layers_.front().operands();
}

std::vector<std::string> Sequential::outputs() const {
  return layers_.empty() ? std::vector<std::string>() : layers_.back().outputs();
}

Value Sequential::config() const {
  Value::List layers;
  for (const AnyModule& layer : layers_) layers.push_back(layer.config());
  return Value(Fields{{"type", Value(type_name)}, {"layers", Value(std::move(layers))}});
}

Sequential Sequential::from_config(const Value& config, const std::string& path) {
  const Value* layers = config.find("layers");
  if (layers == nullptr || !layers->is_list() ||
      (layers->size() > 0 && layers->get_if<Value::List>() == nullptr)) {
    fail(ErrorKind::value, "Sequential needs a list `layers` of modules, in " + path);
  }
  Sequential made;
  if (layers->size() == 0) return made;
  for (const Value& layer : *layers->get_if<Value::List>()) {
    made.append(module_from_config(layer, path + "." + std::to_string(made.size())));
  }
  return made;
}

template AnyModule::AnyModule(Sequential);

}  // namespace taper::nn
