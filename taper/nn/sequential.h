#pragma once

#include <vector>

#include <taper/nn/any_module.h>

namespace taper::nn {

/// Modules run one after the other; their paths are `0`, `1`, ... Each takes the output of the one
/// before; of several outputs the first ones, as many as it needs: an LSTM behind an LSTM takes the
/// sequence, not the states.
class TAPER_API Sequential : public Layer<Sequential> {
 public:
  static constexpr std::string_view type_name = "Sequential";

  Sequential() = default;
  template <TensorModule... M>
    requires(sizeof...(M) > 0 &&
             !(sizeof...(M) == 1 && (std::same_as<std::remove_cvref_t<M>, Sequential> && ...)))
  explicit(sizeof...(M) == 1) Sequential(M... modules) {
    (append(std::move(modules)), ...);
  }
  explicit Sequential(std::vector<AnyModule> modules);

  /// Copies made before throw at their next call.
  Sequential& append(AnyModule module);
  size_t size() const { return layers().size(); }
  /// Throws index. `replace(net[4], Linear(84, 2))` puts another layer in its place.
  AnyModule& operator[](size_t i) { return layers_[checked(i)]; }
  const AnyModule& operator[](size_t i) const { return layers_[checked(i)]; }
  const std::vector<AnyModule>& layers() const {
    if (interpreter != nullptr) [[unlikely]]
      detail::depend_on_version(state());
    return layers_;
  }

  /// The output, the first one if there are several.
  Tensor forward(const Tensor& x) const;
  /// All outputs of the last module for all operands of the first one.
  std::vector<Tensor> forward(std::span<const Tensor> operands) const;
  /// Those of the first module.
  Operands operands() const;
  size_t required_operands() const {
    return layers_.empty() ? 1 : layers_.front().required_operands();
  }
  /// The names of the last module's outputs.
  std::vector<std::string> outputs() const;
  /// {"type": "Sequential", "layers": [...]}
  Value config() const;
  /// Errors name the module's path, which begins with `path`.
  static Sequential from_config(const Value& config, const std::string& path = "model");

 private:
  size_t checked(size_t i) const;

  std::vector<AnyModule> layers_;
};

extern template AnyModule::AnyModule(Sequential);

}  // namespace taper::nn
