#include <taper/autograd/anomaly.h>

#include <cmath>
#include <optional>

#include <taper/autograd/anomaly_check.h>
#include <taper/autograd/eager_interpreter.h>
#include <taper/ops/node_extra.h>

namespace taper {
namespace {

constinit thread_local bool mode_on = false;
constinit thread_local bool aside_now = false;

/// The first NaN and the first infinity of a tensor, as numbers of elements in row-major order.
struct Bad {
  std::optional<int64_t> nan;
  std::optional<int64_t> infinity;
  bool negative = false;
};

/// The element; of a complex one a part that is not finite, if there is one.
template <class T>
double worst_part(T element) {
  if constexpr (is_complex_type<T>) {
    return std::isnan(element.re) || std::isfinite(element.im) ? element.re : element.im;
  } else {
    return static_cast<double>(element);
  }
}

Bad find_bad(const Tensor& tensor) {
  Bad bad;
  if (!tensor.defined() || !tensor.impl()->storage || !is_inexact(tensor.dtype())) return bad;
  visit<kinds::inexact>(tensor.dtype(), [&]<class S>() {
    const auto* base = reinterpret_cast<const S*>(tensor.raw());
    int64_t number = 0;
    for_each_offset(tensor.shape(), tensor.strides(), [&](int64_t offset) {
      const double value = worst_part(base[offset]);
      if (!std::isfinite(value)) [[unlikely]] {
        if (std::isnan(value)) {
          if (!bad.nan) bad.nan = number;
        } else if (!bad.infinity) {
          bad.infinity = number;
          bad.negative = value < 0;
        }
      }
      ++number;
    });
  });
  return bad;
}

std::string index_text(const Shape& shape, int64_t number) {
  std::string text;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    text = std::to_string(number % shape[axis]) + (text.empty() ? "" : "," + text);
    number /= shape[axis];
  }
  return "[" + text + "]";
}

/// `nan at [3]`: a NaN before an infinity; empty if all is finite.
std::string describe(const Bad& bad, const Shape& shape) {
  if (bad.nan) return "nan at " + index_text(shape, *bad.nan);
  if (!bad.infinity) return {};
  return (bad.negative ? "-inf at " : "inf at ") + index_text(shape, *bad.infinity);
}

/// `, x has nan already` for the first operand that is bad; empty if none is.
std::string bad_operand(const OpBase& op, std::span<const Arg> args) {
  for (size_t i = 0; i < args.size(); ++i) {
    const Tensor& operand = *args[i].tensor;
    const std::string found = find_not_finite(operand);
    if (found.empty()) continue;
    return ", " + operand_name(op, i) + " has " + found.substr(0, found.find(' ')) + " already";
  }
  return {};
}

void check_outputs(const OpBase& op, std::span<const Arg> args, const Results& results, int count) {
  for (int i = 0; i < count; ++i) {
    const Tensor& output = results[i];
    const Bad bad = find_bad(output);
    if (!bad.nan && !bad.infinity) continue;
    const std::string before = bad_operand(op, args);
    if (!bad.nan && !before.empty()) continue;
    const std::string which = count > 1 ? " " + output_name(op, static_cast<size_t>(i)) : "";
    violate(ErrorKind::value, "output" + which + " has " + describe(bad, output.shape()) + before);
  }
}

}  // namespace

struct detect_anomaly::Checker final : EagerInterpreter {
  Checker() : paths_before(std::exchange(keep_layer_paths, true)) {}
  ~Checker() override { keep_layer_paths = paths_before; }
  Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
               const Specs& specs) override {
    Results results = EagerInterpreter::call(op, attrs, args, specs);
    if (!args.empty() && mode_on && !aside_now) check_outputs(op, args, results, specs.count);
    return results;
  }
  bool paths_before;
};

detect_anomaly::detect_anomaly(bool on)
    : before_(std::exchange(mode_on, on)), checker_(on ? std::make_unique<Checker>() : nullptr) {}
detect_anomaly::~detect_anomaly() { mode_on = before_; }

bool anomaly_mode_on() { return mode_on; }

std::string find_not_finite(const Tensor& tensor) {
  return tensor.defined() ? describe(find_bad(tensor), tensor.shape()) : "";
}

AnomalyAside::AnomalyAside() : before_(std::exchange(aside_now, true)) {}
AnomalyAside::~AnomalyAside() { aside_now = before_; }

}  // namespace taper
