#include <taper/nn/any_module.h>

#include <algorithm>

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

std::vector<Tensor> AnyModule::operator()(std::span<const Tensor> operands) const {
  if (!state()->plain) [[unlikely]]
    detail::ModuleCall::look_at(*this);
  return inner_->call(operands);
}

void AnyModule::refuse(const Concept& type, const Module& module, size_t operands) {
  std::string who(type.type());
  if (who.empty()) who = module.name().empty() ? "the module" : "module `" + module.name() + "`";
  detail::fail_count(who, type.operands(), operands);
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

namespace {

/// The registered name, or that of what is made of modules. Throws value or not_found.
const std::string& type_of(const Value& config) {
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
  if (*name == Sequential::type_name || ModuleFactory::find(*name) != nullptr) return *name;
  std::vector<std::string_view> known{Sequential::type_name};
  for (const ModuleFactory* entry : ModuleFactory::all()) known.push_back(entry->name);
  std::ranges::sort(known);
  taper::detail::fail_unknown("module", *name, known);
}

AnyModule make_from_options(const std::string& name, const Value* options) {
  const Fields* fields = options != nullptr ? options->get_if<Fields>() : nullptr;
  if (options != nullptr && fields == nullptr) {
    fail(ErrorKind::value, "the options of " + name + " must be an object");
  }
  return ModuleFactory::get(name, "module").make(fields != nullptr ? *fields : Fields{});
}

/// Runs `action`; its errors name the path.
template <class Action>
decltype(auto) in_layer(const std::string& path, Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (const Error& error) {
    throw Error(error.kind(), std::string(error.what()) + ", in " + path);
  }
}

}  // namespace

AnyModule module_from_config(const Value& config, const std::string& path) {
  const std::string& name = in_layer(path, [&]() -> const std::string& { return type_of(config); });
  if (name == Sequential::type_name) return Sequential::from_config(config, path);
  return in_layer(path, [&] { return make_from_options(name, config.find("options")); });
}

}  // namespace taper::nn
