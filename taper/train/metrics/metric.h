// What a metric is: a number of a model's outputs and their targets, gathered batch by batch.
//
//   struct BiasSums { double sum = 0; int64_t count = 0; };
//
//   class Bias final : public MetricWith<Bias, NoOptions, BiasSums> {
//    public:
//     using MetricWith::MetricWith;
//     static constexpr std::string_view type_name = "bias";
//     std::string refusal(const OutputMeaning& meaning) const override {
//       return unless_regression(meaning);
//     }
//     void update(const Measured& batch) override {
//       for (size_t i = 0; i < batch.values().size(); ++i) {
//         sums().sum += batch.values()[i] - batch.targets()[i];
//         sums().count += 1;
//       }
//     }
//     double value() const override { return ratio(sums().sum, sums().count); }
//   };
//   static const FactoryFor<Metric, Bias> bias_entry{"The mean difference from the targets."};
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/tensor.h>
#include <taper/train/metrics/confusion.h>
#include <taper/train/metrics/outputs.h>

namespace taper {

/// A batch as metrics see it. What several of them need is computed once.
class TAPER_API Measured {
 public:
  /// `target` has the output's shape, or lacks its axis of classes.
  Measured(const OutputMeaning& meaning, Tensor output, Tensor target)
      : meaning_(meaning), output_(std::move(output)), target_(std::move(target)) {}

  const OutputMeaning& meaning() const { return meaning_; }
  const Tensor& output() const { return output_; }
  const Tensor& target() const { return target_; }

  /// How many classes or labels there are; 2 of a binary task.
  int64_t classes() const;
  /// Of classes and binary tasks, for each example: its class and the one that is predicted. Throw
  /// unsupported for labels and regression, index for a label that is no class.
  const std::vector<int64_t>& truth() const;
  const std::vector<int64_t>& predicted() const;
  /// Rows of one probability for each class or label, f64: [examples, classes()]. Throws
  /// unsupported for a regression.
  const std::vector<double>& probabilities() const;
  /// Rows of the labels that are right, 0 or 1: [examples, classes()], of classes one of them.
  const std::vector<uint8_t>& labels() const;
  /// Outputs and targets of a regression, f64: [examples, columns()].
  const std::vector<double>& values() const;
  const std::vector<double>& targets() const;
  int64_t columns() const;

 private:
  OutputMeaning meaning_;
  Tensor output_;
  Tensor target_;
  mutable std::vector<int64_t> truth_;
  mutable std::vector<int64_t> predicted_;
  mutable std::vector<double> probabilities_;
  mutable std::vector<uint8_t> labels_;
  mutable std::vector<double> values_;
  mutable std::vector<double> targets_;
};

/// A number of outputs and targets. It is gathered by `update` and computed by `value`, so that one
/// over many classes costs little until somebody asks. Of equal type and options two can be merged,
/// as those of two parts of the data.
class TAPER_API Metric {
 public:
  virtual ~Metric() = default;

  /// Its name in the history: the registered one unless an option is a part of it.
  virtual std::string name() const = 0;
  /// Whether a larger number is better.
  virtual bool larger_is_better() const { return true; }
  /// What it needs and these outputs are not, such as "classes"; empty if it can measure them.
  virtual std::string refusal(const OutputMeaning& meaning) const = 0;

  virtual void update(const Measured& batch) = 0;
  /// 0 of no examples.
  virtual double value() const = 0;
  virtual void reset() = 0;
  /// Throws value for one of another type or with other options.
  virtual void merge(const Metric& other) = 0;
  /// What was gathered, for checkpoints.
  virtual Fields state() const = 0;
  /// Goes on from there. Throws value if it is not what `state` gave.
  virtual void load_state(const Fields& state) = 0;
  /// One of the same type and options that has seen nothing.
  virtual std::shared_ptr<Metric> fresh() const = 0;
};

/// Registered metrics, by name.
using MetricFactory = Factory<Metric>;

/// A metric as an option: by its name, or made from a typed one. Throws not_found naming the
/// metrics that there are.
class TAPER_API AnyMetric {
 public:
  AnyMetric(const char* name) : AnyMetric(std::string_view(name)) {}         // NOLINT
  AnyMetric(const std::string& name) : AnyMetric(std::string_view(name)) {}  // NOLINT
  AnyMetric(std::string_view name, const Fields& options = {});              // NOLINT
  template <std::derived_from<Metric> M>
  AnyMetric(M metric) : inner_(std::make_shared<M>(std::move(metric))) {}  // NOLINT

  const Metric* operator->() const { return inner_.get(); }
  const Metric& operator*() const { return *inner_; }

 private:
  std::shared_ptr<const Metric> inner_;
};

namespace detail {

[[noreturn]] TAPER_API void fail_merge(std::string_view name);

inline void add_to(double& sum, double more) { sum += more; }
inline void add_to(int64_t& sum, int64_t more) { sum += more; }
template <class T>
void add_to(std::vector<T>& sums, const std::vector<T>& more) {
  if (sums.size() < more.size()) sums.resize(more.size());
  for (size_t i = 0; i < more.size(); ++i) sums[i] += more[i];
}

}  // namespace detail

/// A metric with one struct of options and one of what it gathers, whose fields are sums: two are
/// merged by adding them, vectors element by element, unless `Derived` has a
/// `static void join(Sums& sums, const Sums& more)` of its own. What is read from a file is asked
/// for its rules, `void check(std::string_view owner) const` of the sums, if they have any.
template <class Derived, class OptionsOf, class SumsOf>
class TAPER_API MetricWith : public WithOptions<Derived, Metric, OptionsOf> {
 public:
  using Sums = SumsOf;
  using WithOptions<Derived, Metric, OptionsOf>::WithOptions;

  std::string name() const override;
  void reset() override;
  void merge(const Metric& other) override;
  Fields state() const override;
  void load_state(const Fields& state) override;
  std::shared_ptr<Metric> fresh() const override;

 protected:
  Sums& sums() { return sums_; }
  const Sums& sums() const { return sums_; }

 private:
  Sums sums_;
};

// Not inline: the library has those of its own classes.
template <class Derived, class Options, class Sums>
std::string MetricWith<Derived, Options, Sums>::name() const {
  return std::string(Derived::type_name);
}

template <class Derived, class Options, class Sums>
void MetricWith<Derived, Options, Sums>::reset() {
  sums_ = {};
}

template <class Derived, class Options, class Sums>
void MetricWith<Derived, Options, Sums>::merge(const Metric& other) {
  const auto* same = dynamic_cast<const MetricWith*>(&other);
  if (same == nullptr || !fields_equal(this->options(), same->options())) {
    detail::fail_merge(Derived::type_name);
  }
  if constexpr (requires { Derived::join(sums_, same->sums_); }) {
    Derived::join(sums_, same->sums_);
  } else {
    with_fields(sums_, [&](auto&... ours) {
      with_fields(same->sums_, [&](const auto&... theirs) { (detail::add_to(ours, theirs), ...); });
    });
  }
}

template <class Derived, class Options, class Sums>
Fields MetricWith<Derived, Options, Sums>::state() const {
  return to_fields(sums_);
}

template <class Derived, class Options, class Sums>
void MetricWith<Derived, Options, Sums>::load_state(const Fields& state) {
  sums_ = parse_fields<Sums>(Derived::type_name, state);
}

template <class Derived, class Options, class Sums>
std::shared_ptr<Metric> MetricWith<Derived, Options, Sums>::fresh() const {
  return std::make_shared<Derived>(this->options());
}

/// For `refusal`.
TAPER_API std::string unless_classes(const OutputMeaning& meaning);     // classes, binary
TAPER_API std::string unless_labels(const OutputMeaning& meaning);      // those, or labels
TAPER_API std::string unless_regression(const OutputMeaning& meaning);  // numbers

}  // namespace taper

// Behind a metric of the library, outside of namespaces: what it would make each program compile.
// Its source (metric_entry.h) makes that, and the entry.
#ifndef TAPER_METRIC
#define TAPER_METRIC(Name, doc)                                                                 \
  namespace taper {                                                                             \
  extern template class WithOptions<metrics::Name, Metric, metrics::Name::Options>;             \
  extern template class MetricWith<metrics::Name, metrics::Name::Options, metrics::Name::Sums>; \
  }
#endif
