#include <taper/nn/any_module.h>

#include <taper/nn/sequential.h>

namespace taper::nn {

AnyModule::AnyModule(const AnyModule& other) : Module(other), inner_(other.inner_) {
  if (!CloneScope::active()) return;
  if (auto copy = CloneScope::find(other.inner_.get())) {
    inner_ = std::static_pointer_cast<Concept>(copy);
  } else {
    inner_ = other.inner_->copy();
    CloneScope::remember(other.inner_.get(), inner_);
  }
}

AnyModule& AnyModule::operator=(AnyModule other) {
  if (is_child()) {
    fail(ErrorKind::value, "module: the child `" + name() +
                               "` cannot be assigned, since its parent would go on with the old "
                               "one: nn::replace(child, module) renews both");
  }
  stand_for(other);
  inner_ = std::move(other.inner_);
  return *this;
}

bool AnyModule::is_described() const {
  try {
    config();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    return false;
  }
}

Value AnyModule::config() const {
  Value config = inner_->config();
  if (config.is_none()) {
    fail(ErrorKind::unsupported, "config: `" + name() +
                                     "` is a module of your own; only registered modules can be " +
                                     "described (save its values with state_dict)");
  }
  return config;
}

AnyModule module_from_config(const Value& config) {
  const Value* type = config.find("type");
  const std::string* name = type != nullptr ? type->get_if<std::string>() : nullptr;
  if (name == nullptr) {
    fail(ErrorKind::value, "a module needs a `type`, got " + config.print());
  }
  for (const auto& [key, value] : *config.get_if<Fields>()) {
    if (key != "type" && key != "options" && key != "layers") {
      fail(ErrorKind::value, *name + " has an unknown entry `" + key + "`");
    }
  }
  if (*name == Sequential::type_name) return Sequential::from_config(config);
  const Value* options = config.find("options");
  const Fields* fields = options != nullptr ? options->get_if<Fields>() : nullptr;
  if (options != nullptr && fields == nullptr) {
    fail(ErrorKind::value, "the options of " + *name + " must be an object");
  }
  return ModuleFactory::get(*name, "module").make(fields != nullptr ? *fields : Fields{});
}

}  // namespace taper::nn
