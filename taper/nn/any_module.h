#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <taper/core/factory.h>
#include <taper/nn/layer.h>
#include <taper/nn/operands.h>

namespace taper::nn {

/// Modules that map tensors to tensors: `forward` takes up to eight of them (those with a default
/// need not be given) or, with a member `Operands operands() const`, a span of them, and gives a
/// tensor, or several as a vector, tuple or struct of tensors. A loss is none.
template <class M>
concept TensorModule =
    std::derived_from<M, Module> && detail::maps_tensors<M>() && !requires { M::meaning; };

/// Any module that maps tensors to tensors, its type erased: what Sequential holds and what the
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

  /// The output, the first one if there are several. Throws value if it needs more operands.
  Tensor operator()(const Tensor& x) const {
    if (!state()->plain) [[unlikely]]
      detail::ModuleCall::look_at(*this);
    return inner_->call(x);
  }
  /// All outputs. Throws value for a number of operands that it does not take.
  std::vector<Tensor> operator()(std::span<const Tensor> operands) const;

  /// The names of its operands: those of `static constexpr std::array<std::string_view, n>
  /// operands` of its type, else x, x1, ...; and how many must be given.
  Operands operands() const { return inner_->operands(); }
  size_t required_operands() const { return inner_->required_operands(); }
  /// The names of its outputs, if it gives a struct of tensors.
  std::vector<std::string> outputs() const { return inner_->outputs(); }

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
    virtual std::vector<Tensor> call(std::span<const Tensor> operands) = 0;
    virtual Operands operands() const = 0;
    virtual size_t required_operands() const = 0;
    virtual std::vector<std::string> outputs() const = 0;
    virtual std::shared_ptr<Concept> copy() const = 0;
    virtual std::string_view type() const = 0;
    virtual Value config() const = 0;
  };
  template <class M>
  struct Model final : Concept {
    explicit Model(M held) : module(std::move(held)) {}
    Tensor call(const Tensor& x) override {
      if constexpr (requires {
                      { module(x) } -> std::convertible_to<Tensor>;
                    }) {
        return module(x);
      } else {
        return detail::first(call(std::span(&x, 1)));
      }
    }
    std::vector<Tensor> call(std::span<const Tensor> operands) override {
      return detail::call_with_list<detail::to_tensors>(
          module, operands, [&] { refuse(*this, module, operands.size()); });
    }
    Operands operands() const override { return detail::operands_of(module); }
    size_t required_operands() const override { return detail::required_operands(module); }
    std::vector<std::string> outputs() const override {
      if constexpr (requires { module.outputs(); }) {
        return module.outputs();
      } else {
        return detail::output_names<M>();
      }
    }
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

  [[noreturn]] static void refuse(const Concept& type, const Module& module, size_t operands);

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
