#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <optional>
#include <string_view>

#include <taper/core/factory.h>
#include <taper/core/parse_fields.h>
#include <taper/nn/module.h>
#include <taper/ops/ops.h>

// The losses as modules, with PyTorch's names and defaults; functional forms are the ops.

namespace taper {

/// What the numbers that a model gives to its loss are.
enum class OutputScale : uint8_t {
  values,         ///< what they are, as in a regression
  logits,         ///< softmax or sigmoid makes probabilities of them
  probabilities,  ///< in [0, 1]
};
template <>
struct EnumNames<OutputScale> {
  static constexpr std::array<std::string_view, 3> names{"values", "logits", "probabilities"};
};

}  // namespace taper

namespace taper::nn {

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// What a loss takes its operands for. A loss of your own may have one, too, as a member `meaning`.
struct LossMeaning {
  OutputScale input = OutputScale::values;
  /// The input is [N,C,...], the target [N,...] the number of a class; else both have one shape.
  bool class_numbers = false;
  std::string_view of_logits = {};  ///< the loss of the same kind that takes logits
};

#define TAPER_LOSS(Name, ...)                                                        \
  class TAPER_API Name : public Layer<Name> {                                        \
   public:                                                                           \
    static constexpr std::string_view type_name = #Name;                             \
    static constexpr LossMeaning meaning = __VA_ARGS__;                              \
    explicit Name(LossOptions options = {}) : options_(options) { set_name(#Name); } \
    Tensor forward(const Tensor& input, const Tensor& target) const;                 \
    const LossOptions& options() const { return options_; }                          \
                                                                                     \
   private:                                                                          \
    LossOptions options_;                                                            \
  };
/// Of logits [N,C,...] and class indices [N,...].
TAPER_LOSS(CrossEntropyLoss, {.input = OutputScale::logits, .class_numbers = true})
/// Of probabilities and targets of one shape.
TAPER_LOSS(BCELoss, {.input = OutputScale::probabilities, .of_logits = "BCEWithLogitsLoss"})
/// Of logits and targets of one shape.
TAPER_LOSS(BCEWithLogitsLoss, {.input = OutputScale::logits})
TAPER_LOSS(MSELoss, {.input = OutputScale::values})
#undef TAPER_LOSS

/// What a loss must be: a callable of (input, target) that gives a tensor. A layer is none.
template <class L>
concept TensorLoss = requires(L& loss, const Tensor& input, const Tensor& target) {
  { loss(input, target) } -> std::convertible_to<Tensor>;
};

/// Any loss, its type erased: a module or any callable of (input, target).
class TAPER_API AnyLoss {
 public:
  template <class L>
    requires(!std::same_as<std::remove_cvref_t<L>, AnyLoss> && TensorLoss<L>)
  AnyLoss(L loss);  // NOLINT: implicit on purpose

  Tensor operator()(const Tensor& input, const Tensor& target) const {
    return inner_->call(input, target);
  }
  /// The registered name; empty for a loss of your own.
  std::string_view type() const { return inner_->type(); }
  /// What it takes its operands for; nothing for a loss of your own that does not say.
  std::optional<LossMeaning> meaning() const { return inner_->meaning(); }
  /// The same loss for each element, not yet averaged; nothing for a loss of your own, whose
  /// reduction is not known.
  std::optional<AnyLoss> unreduced() const { return inner_->unreduced(); }
  /// The options that it was made with; none for a loss of your own.
  Fields options() const { return inner_->options(); }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual Tensor call(const Tensor& input, const Tensor& target) = 0;
    virtual std::string_view type() const = 0;
    virtual std::optional<LossMeaning> meaning() const = 0;
    virtual std::optional<AnyLoss> unreduced() const = 0;
    virtual Fields options() const = 0;
  };
  template <class L>
  struct Model final : Concept {
    explicit Model(L held) : loss(std::move(held)) {}
    Tensor call(const Tensor& input, const Tensor& target) override { return loss(input, target); }
    std::string_view type() const override {
      if constexpr (requires { L::type_name; }) {
        return L::type_name;
      } else {
        return {};
      }
    }
    std::optional<LossMeaning> meaning() const override {
      if constexpr (requires { LossMeaning(L::meaning); }) {
        return L::meaning;
      } else {
        return {};
      }
    }
    std::optional<AnyLoss> unreduced() const override;
    Fields options() const override {
      if constexpr (requires {
                      L::type_name;
                      to_fields(loss.options());
                    }) {
        return to_fields(loss.options());
      } else {
        return {};
      }
    }
    L loss;
  };

  std::shared_ptr<Concept> inner_;
};

template <class L>
  requires(!std::same_as<std::remove_cvref_t<L>, AnyLoss> && TensorLoss<L>)
AnyLoss::AnyLoss(L loss) : inner_(std::make_shared<Model<L>>(std::move(loss))) {}

template <class L>
std::optional<AnyLoss> AnyLoss::Model<L>::unreduced() const {
  if constexpr (requires { loss.options().reduction; }) {
    auto options = loss.options();
    options.reduction = Reduction::none;
    return AnyLoss(L(options));
  } else {
    return {};
  }
}

extern template AnyLoss::AnyLoss(CrossEntropyLoss);
extern template AnyLoss::AnyLoss(BCELoss);
extern template AnyLoss::AnyLoss(BCEWithLogitsLoss);
extern template AnyLoss::AnyLoss(MSELoss);

/// Registered losses, by name.
using LossFactory = Factory<AnyLoss>;

}  // namespace taper::nn
