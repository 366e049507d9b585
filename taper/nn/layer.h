// The bases of modules, and how a module is called.
#pragma once

#include <algorithm>
#include <concepts>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <taper/core/options.h>
#include <taper/nn/module.h>
#include <taper/nn/operands.h>

namespace taper::nn {

namespace detail {

/// Throws value if a hook changed the number of inputs.
TAPER_API void call_hooks_before(const Module& module, std::vector<Tensor>& inputs);
/// Throws value if a hook changed the number of outputs.
TAPER_API std::vector<Tensor> call_hooks_after(const Module& module,
                                               const std::vector<Tensor>& inputs,
                                               std::vector<Tensor> outputs);
[[noreturn]] TAPER_API void fail_hook_result(const Module& module);

template <class Arg>
concept TensorArg = std::same_as<std::remove_cvref_t<Arg>, Tensor> ||
                    std::same_as<std::remove_cvref_t<Arg>, Selection>;  // `net(x[0])`

template <class Arg>
concept TensorList = std::same_as<std::remove_cvref_t<Arg>, std::span<const Tensor>>;

/// A tensor operand is copied, so that a hook can replace it, as are those of a list; any other is
/// passed on.
template <class Arg>
using HookedArg =
    std::conditional_t<TensorArg<Arg>, Tensor,
                       std::conditional_t<TensorList<Arg>, std::vector<Tensor>, Arg&&>>;

template <class Arg>
decltype(auto) to_hold(Arg&& arg) {
  if constexpr (TensorList<Arg>) {
    return std::vector<Tensor>(arg.begin(), arg.end());
  } else {
    return std::forward<Arg>(arg);
  }
}

/// Appends the tensors of an operand that was held.
template <class Held>
void append_tensors(std::vector<Tensor>& tensors, const Held& held) {
  if constexpr (std::same_as<Held, Tensor>) {
    tensors.push_back(held);
  } else if constexpr (std::same_as<Held, std::vector<Tensor>>) {
    tensors.insert(tensors.end(), held.begin(), held.end());
  }
}

/// Puts the next tensors in their place, where it can be changed.
template <class Held>
void replace_tensors(Held& held, const Tensor*& next) {
  if constexpr (std::same_as<Held, Tensor>) {
    held = *next++;
  } else if constexpr (std::same_as<Held, std::vector<Tensor>>) {
    for (Tensor& each : held) each = *next++;
  } else if constexpr (std::same_as<Held, const std::vector<Tensor>>) {
    next += held.size();
  }
}

/// An operand that was held, as `forward` takes it.
template <class Arg, class Held>
decltype(auto) passed(Held& held) {
  if constexpr (std::same_as<std::remove_cvref_t<Arg>, Selection>) {
    return static_cast<Tensor&>(held);
  } else if constexpr (TensorList<Arg>) {
    return std::span<const Tensor>(held);
  } else {
    return static_cast<Arg&&>(held);
  }
}

/// `module.forward(args...)`, whose refusal of the operands says what would fit.
template <class M, class... Args>
decltype(auto) forward_explained(M& module, Args&&... args) {
  if constexpr (requires { module.hint(std::as_const(args)...); }) {
    try {
      return module.forward(std::forward<Args>(args)...);
    } catch (const Error& error) {
      const bool of_operands = error.kind() == ErrorKind::shape || error.kind() == ErrorKind::dtype;
      if (!of_operands) throw;
      throw with_hint(error, module.hint(std::as_const(args)...));
    }
  } else {
    return module.forward(std::forward<Args>(args)...);
  }
}

/// What `forward` gives, as a value.
template <class M, class... Args>
using ForwardResult =
    std::remove_cvref_t<decltype(std::declval<M&>().forward(std::declval<Args>()...))>;

template <class M, class... Args>
ForwardResult<M, Args...> call_with_hooks(M& module, HookedArg<Args>... held) {
  using Result = ForwardResult<M, Args...>;
  std::vector<Tensor> inputs;
  (append_tensors(inputs, std::as_const(held)), ...);
  call_hooks_before(module, inputs);
  [[maybe_unused]] const Tensor* next = inputs.data();
  (replace_tensors(held, next), ...);
  if constexpr (std::is_void_v<Result>) {
    forward_explained(module, passed<Args>(held)...);
  } else {
    Result result = forward_explained(module, passed<Args>(held)...);
    if (module.state()->hooks->after.empty()) return result;
    if constexpr (assignable_tensors<Result>()) {
      assign_tensors(result, call_hooks_after(module, inputs, to_tensors(result)));
    } else {
      fail_hook_result(module);
    }
    return result;
  }
}

/// A call of a module.
struct ModuleCall {
  template <class M, class... Args>
  static ForwardResult<M, Args...> run(M& module, Args&&... args) {
    const LayerScope scope(module.name());
    if (static_cast<const Module&>(module).is_behind()) [[unlikely]]
      fail_behind(module);
    if (interpreter != nullptr || !module.state()->plain) [[unlikely]] {
      look_at(module);
      if (module.state()->hooks != nullptr) {
        return call_with_hooks<M, Args...>(module, to_hold<Args>(std::forward<Args>(args))...);
      }
    }
    return forward_explained(module, std::forward<Args>(args)...);
  }
  /// Lets a capture depend on the module's version. Throws value for a handle that is out of date.
  TAPER_API static void look_at(const Module& module);
  [[noreturn]] TAPER_API static void fail_behind(const Module& module);
};

}  // namespace detail

/// Modules whose `forward` takes these operands.
template <class M, class... Args>
concept ForwardTakes =
    requires(M& module, Args&&... args) { module.forward(std::forward<Args>(args)...); };

template <class Derived, class Options = void>
class Layer;

/// The base of every module: `struct Net : Layer<Net>` with a `forward` of any operands and result.
/// Calling the module names it in errors and runs `forward`. Where that refuses the operands'
/// shapes or dtypes, the message ends in what `std::string hint(...)` of the same operands says
/// would fit, if the module has it.
template <class Derived>
class TAPER_API Layer<Derived, void> : public Module {
 public:
  Layer() { state()->type = taper::detail::class_name<Derived>(); }

  // The result's type is said, so that asking for it does not instantiate the call.
  template <class... Args, class M = Derived>
    requires ForwardTakes<M, Args...>
  auto operator()(Args&&... args) -> detail::ForwardResult<M, Args...> {
    return detail::ModuleCall::run(static_cast<M&>(*this), std::forward<Args>(args)...);
  }
  template <class... Args, class M = const Derived>
    requires ForwardTakes<M, Args...>
  auto operator()(Args&&... args) const -> detail::ForwardResult<M, Args...> {
    return detail::ModuleCall::run(static_cast<M&>(*this), std::forward<Args>(args)...);
  }
};

/// The base of a module that a registry makes from its options. `forward` is its formula, and its
/// cells are members with initial values, which may use `options()`:
///
///   class Scale : public Layer<Scale, ScaleOptions> {
///    public:
///     using Layer::Layer;
///     Tensor forward(const Tensor& x) const { return x * weight.value(); }
///     Parameter weight = parameter("weight", full({options().features}, options().first));
///   };
template <class Derived, class Options>
class TAPER_API Layer : public WithOptions<Derived, Layer<Derived>, Options> {
 public:
  using WithOptions<Derived, Layer<Derived>, Options>::WithOptions;
};

}  // namespace taper::nn

// What a layer or loss of the library would make each program compile, and its entry in the
// registry of `Any`: see nn/layer_entry.h and nn/loss.h.

#define TAPER_PART_TYPE(Any, Name)                                                     \
  namespace taper {                                                                    \
  extern template class WithOptions<nn::Name, nn::Layer<nn::Name>, nn::Name::Options>; \
  namespace nn {                                                                       \
  extern template Any::Any(Name);                                                      \
  }                                                                                    \
  }

#define TAPER_PART(Any, Name, doc)                                              \
  namespace taper {                                                             \
  template class WithOptions<nn::Name, nn::Layer<nn::Name>, nn::Name::Options>; \
  namespace nn {                                                                \
  template Any::Any(Name);                                                      \
  static const FactoryFor<Any, Name> Name##_entry{doc};                         \
  }                                                                             \
  }
