#pragma once

#include <concepts>

#include <taper/core/factory.h>
#include <taper/nn/module.h>

namespace taper::nn {

/// Modules that map one tensor to one.
template <class M>
concept TensorModule = std::derived_from<M, Module> && requires(M& module, const Tensor& x) {
  { module(x) } -> std::convertible_to<Tensor>;
};

/// Any module that maps a tensor to a tensor, its type erased: what Sequential holds and what the
/// registry makes. A copy shares the module, as with every handle.
class TAPER_API AnyModule : public Module {
 public:
  template <TensorModule M>
    requires(!std::same_as<std::remove_cvref_t<M>, AnyModule>)
  AnyModule(M module);  // NOLINT: implicit on purpose
  AnyModule(const AnyModule& other);
  // NOLINTNEXTLINE(performance-move-constructor-init,bugprone-use-after-move): a move is a copy
  AnyModule(AnyModule&& other) noexcept : Module(std::move(other)), inner_(other.inner_) {}
  /// Another module for a handle of one's own. Throws value for a child: see `replace`.
  AnyModule& operator=(AnyModule other);
  ~AnyModule() = default;

  Tensor operator()(const Tensor& x) const {
    if (!state()->plain) [[unlikely]]
      detail::ModuleCall::look_at(*this);
    return inner_->call(x);
  }

  /// The registered name, empty for a module that no registry knows.
  std::string_view type() const { return inner_->type(); }
  /// True if `config` can describe it: registered modules and what is made of them.
  bool is_described() const;
  /// {"type": ..., "options": {...}}, from which `module_from_config` makes an equal module with
  /// new values. Throws unsupported for a module that no registry knows.
  Value config() const;

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual Tensor call(const Tensor& x) = 0;
    virtual std::shared_ptr<Concept> copy() const = 0;
    virtual std::string_view type() const = 0;
    virtual Value config() const = 0;
  };
  template <class M>
  struct Model final : Concept {
    explicit Model(M held) : module(std::move(held)) {}
    Tensor call(const Tensor& x) override { return module(x); }
    std::shared_ptr<Concept> copy() const override { return std::make_shared<Model>(module); }
    std::string_view type() const override {
      if constexpr (requires { M::type_name; }) {
        return M::type_name;
      } else {
        return {};
      }
    }
    Value config() const override {
      if constexpr (requires { module.config(); }) {
        return module.config();
      } else if constexpr (requires { module.options(); }) {
        return Value(
            Fields{{"type", Value(type())}, {"options", Value(to_fields(module.options()))}});
      } else {
        return {};
      }
    }
    M module;
  };

  std::shared_ptr<Concept> inner_;
};

template <TensorModule M>
  requires(!std::same_as<std::remove_cvref_t<M>, AnyModule>)
AnyModule::AnyModule(M module) : inner_(std::make_shared<Model<M>>(std::move(module))) {
  share(static_cast<const Model<M>&>(*inner_).module);
}

/// Registered modules, by name.
using ModuleFactory = Factory<AnyModule>;

/// The module that `config` describes. Throws value or not_found naming the module's path, which
/// begins with `path`: "Conv2d: `in_channels` is required, in model.2".
TAPER_API AnyModule module_from_config(const Value& config, const std::string& path = "model");

}  // namespace taper::nn
