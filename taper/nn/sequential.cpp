#include <taper/nn/sequential.h>

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
  Tensor y = x;
  for (const AnyModule& layer : layers_) y = layer(y);
  return y;
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
