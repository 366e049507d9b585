// What a loss is. The losses themselves are in nn/losses.h, their functional forms are ops.
#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <taper/core/factory.h>
#include <taper/nn/layer.h>
#include <taper/nn/operands.h>
#include <taper/ops/ops.h>

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

/// The options of most losses.
struct TAPER_API LossOptions {
  Reduction reduction = Reduction::mean;
};

/// What a loss takes its operands for: a member `static constexpr LossMeaning meaning` of its type.
struct LossMeaning {
  OutputScale input = OutputScale::values;
  /// The input is [N,C,...], the target [N,...] the number of a class; else both have one shape.
  bool class_numbers = false;
  size_t outputs = 1;               ///< how many of its operands, the first, the model gives
  bool mean_of_squares = false;     ///< its root is an error in the target's unit
  std::string_view of_logits = {};  ///< the loss of the same kind that takes logits
  bool mean_of_elements = true;     ///< what `mean` gives is no more than the mean of its elements
};

/// A target that a loss cannot take.
struct TargetFault {
  size_t target = 0;    ///< which of the loss's targets
  int64_t element = 0;  ///< of its elements, row-major
  std::string what;     ///< "label 7"
  std::string why;      ///< "is out of range for 5 classes; labels count from 0"
};

/// The first label that is no class of so many.
TAPER_API std::optional<TargetFault> label_fault(const Tensor& labels, int64_t classes);

namespace detail {
/// input, target
TAPER_API std::span<const std::string_view> loss_operands();
}  // namespace detail

/// What a loss must be: a callable of (input, target), or more tensors, that gives a tensor. A
/// layer is none.
template <class L>
concept TensorLoss = detail::gives_one_tensor<L>() && !detail::takes<L, 1>;

/// Any loss, its type erased: a module or any callable of (input, target, ...).
class TAPER_API AnyLoss {
 public:
  template <class L>
    requires(!std::same_as<std::remove_cvref_t<L>, AnyLoss> && TensorLoss<L>)
  AnyLoss(L loss);  // NOLINT: implicit on purpose

  Tensor operator()(const Tensor& input, const Tensor& target) const {
    const Tensor operands[] = {input, target};
    return inner_->call(operands);
  }
  /// Throws value for a number of operands that it does not take.
  Tensor operator()(std::span<const Tensor> operands) const { return inner_->call(operands); }
  /// Their names: those of `static constexpr std::array<std::string_view, n> operands` of its type,
  /// else input, target, x2, ...; and how many must be given.
  Operands operands() const { return inner_->operands(); }

  /// The registered name; empty for a loss of your own.
  std::string_view type() const { return inner_->type(); }
  /// What it takes its operands for; nothing for a loss of your own that does not say.
  std::optional<LossMeaning> meaning() const { return inner_->meaning(); }
  /// The first target whose value it cannot take for such outputs; nothing if there is none or the
  /// loss does not say it. A loss says it by a member
  /// `std::optional<TargetFault> find_fault(const Spec& output, std::span<const Tensor> targets)`.
  std::optional<TargetFault> find_fault(const Spec& output, std::span<const Tensor> targets) const {
    return inner_->find_fault(output, targets);
  }
  /// The same loss for each element, not yet averaged; nothing for a loss of your own, whose
  /// reduction is not known.
  std::optional<AnyLoss> unreduced() const { return inner_->unreduced(); }
  /// The options that it was made with; none for a loss of your own.
  Fields options() const { return inner_->options(); }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual Tensor call(std::span<const Tensor> operands) = 0;
    virtual Operands operands() const = 0;
    virtual std::string_view type() const = 0;
    virtual std::optional<LossMeaning> meaning() const = 0;
    virtual std::optional<TargetFault> find_fault(const Spec& output,
                                                  std::span<const Tensor> targets) const = 0;
    virtual std::optional<AnyLoss> unreduced() const = 0;
    virtual Fields options() const = 0;
  };
  template <class L>
  struct Model final : Concept {
    explicit Model(L held) : loss(std::move(held)) {}
    Tensor call(std::span<const Tensor> operands) override {
      constexpr auto as_it_is = [](Tensor value) { return value; };
      return detail::call_with_list<as_it_is>(loss, operands, [&] {
        const std::string who = type().empty() ? "the loss" : std::string(type());
        detail::fail_count(who, this->operands(), operands.size());
      });
    }
    Operands operands() const override {
      return detail::operands_of(loss, detail::loss_operands());
    }
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
    std::optional<TargetFault> find_fault(const Spec& output,
                                          std::span<const Tensor> targets) const override {
      if constexpr (requires { loss.find_fault(output, targets); }) {
        return loss.find_fault(output, targets);
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

/// Registered losses, by name.
using LossFactory = Factory<AnyLoss>;

}  // namespace taper::nn

// A loss enters the library as a layer does (nn/layer_entry.h): by `TAPER_LOSS_TYPE(MSELoss)`
// behind its class and `TAPER_LOSS(MSELoss, "The mean squared difference.")` behind its formula.

#define TAPER_LOSS_TYPE(Name) TAPER_PART_TYPE(AnyLoss, Name)
#define TAPER_LOSS(Name, doc) TAPER_PART(AnyLoss, Name, doc)
