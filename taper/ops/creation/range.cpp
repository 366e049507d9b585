#include <algorithm>
#include <cmath>

#include <taper/backend/cpu/fill.h>
#include <taper/ops/creation/create.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

// Numbers in equal steps, and the identity matrix.

namespace taper {
namespace {

// ---------------------------------------------------------------------------------- arange

struct RangeAttrs {
  Number start = 0;
  Required<Number> stop;
  Number step = 1;
  std::optional<DType> dtype = {};
  Device device = {};
};

bool is_whole(const Number& number) { return !is_inexact(number.dtype); }

bool of_integers(const RangeAttrs& attrs) {
  return is_whole(attrs.start) && is_whole(attrs.stop) && is_whole(attrs.step);
}

/// An integer, exactly.
__int128 whole(const Number& number) {
  return number.above_integers ? __int128{static_cast<uint64_t>(number.integer)} : number.integer;
}

/// Element i, exactly for integers.
Number element(const RangeAttrs& attrs, int64_t i) {
  if (!of_integers(attrs)) return attrs.start.real + static_cast<double>(i) * attrs.step.real;
  const __int128 value = whole(attrs.start) + i * whole(attrs.step);
  return value > INT64_MAX ? Number(static_cast<uint64_t>(value))
                           : Number(static_cast<int64_t>(value));
}

/// How many elements there are, in arithmetic that holds all of them; -1 for no finite range.
int64_t count_of(const RangeAttrs& attrs) {
  constexpr double most = 1e15;
  if (!of_integers(attrs)) {
    const double count = std::ceil((attrs.stop->real - attrs.start.real) / attrs.step.real);
    if (attrs.step.real == 0 || !(std::abs(count) < most)) return -1;
    return count > 0 ? static_cast<int64_t>(count) : 0;
  }
  const __int128 step = whole(attrs.step);
  if (step == 0) return -1;
  const __int128 distance = whole(attrs.stop) - whole(attrs.start);
  const __int128 count = (distance + step + (step > 0 ? -1 : 1)) / step;
  if (count > static_cast<__int128>(most)) return -1;
  return count > 0 ? static_cast<int64_t>(count) : 0;
}

Specs infer_range(const InSpecs&, const RangeAttrs& attrs) {
  const Number* const numbers[] = {&attrs.start, &attrs.stop.value(), &attrs.step};
  const bool any_complex =
      std::ranges::any_of(numbers, [](const Number* number) { return is_complex(number->dtype); });
  if (any_complex || (attrs.dtype && is_complex(*attrs.dtype))) {
    violate(ErrorKind::dtype, "makes no complex numbers, which have no order");
  }
  const int64_t count = count_of(attrs);
  if (count < 0) {
    violate(ErrorKind::value, "from " + to_string(attrs.start) + " to " + to_string(attrs.stop) +
                                  " in steps of " + to_string(attrs.step) + " is no finite range");
  }
  const DType dtype = attrs.dtype.value_or(of_integers(attrs) ? DType::i64 : DType::f32);
  for (int64_t i : {int64_t{0}, count - 1}) {  // the ends are the extremes
    if (count > 0 && !fits(element(attrs, i), dtype)) {
      violate(ErrorKind::value, misfit(element(attrs, i), dtype));
    }
  }
  return created(dtype, attrs.device, {count});
}

void range_cpu(const Kernel& kernel, const RangeAttrs& attrs) {
  const View& out = kernel.out();
  const bool whole = of_integers(attrs);
  const auto start = static_cast<uint64_t>(attrs.start.integer);
  const auto step = static_cast<uint64_t>(attrs.step.integer);
  visit_dtype(out.dtype(), [&]<class T>() {
    T* const to = out.as<T>();
    for (int64_t i = 0; i < out.numel(); ++i) {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (whole) {  // the rule has checked the ends
          to[i] = static_cast<T>(start + static_cast<uint64_t>(i) * step);
          continue;
        }
      } else if constexpr (std::is_floating_point_v<T>) {
        if (!whole) {
          to[i] = static_cast<T>(attrs.start.real + static_cast<double>(i) * attrs.step.real);
          continue;
        }
      }
      to[i] = convert(element(attrs, i), out.dtype(), "arange").template as<T>();
    }
  });
}

Results range_reference(const Inputs& in, const RangeAttrs& attrs) {
  const int64_t count = infer_range(in.specs(), attrs)[0].shape.numel();
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(attrs.start.real + static_cast<double>(i) * attrs.step.real);
  }
  return {{from_values({count}, values)}};
}

std::vector<Sample<RangeAttrs>> range_samples() {
  return {
      {.inputs = {}, .attrs = {2, 9}},
      {.inputs = {}, .attrs = {9, -3, -5}},
      {.inputs = {}, .attrs = {0, 1, 0.25, DType::f64}},
      {.inputs = {}, .attrs = {5, 5}},
      {.inputs = {}, .attrs = {0, 300, 50, DType::u8}},
      {.inputs = {}, .attrs = {0, 3, 0}, .error = "from 0 to 3 in steps of 0 is no finite"},
      {.inputs = {}, .attrs = {0, 3, 1, DType::c64}, .error = "makes no complex numbers"},
      {.inputs = {}, .attrs = {0, 300, 1, DType::u8}, .error = "299 is out of the range of u8"}};
}

const Op<RangeAttrs> range_op{
    {.name = "arange",
     .doc = "start, start + step, ... below stop, or above it if step < 0.",
     .attributes = {{"start", "The first number."},
                    {"stop", "The end, which is not in the result."},
                    {"step", "The distance of neighbours."},
                    {"dtype", "The dtype; none: i64 of integers, else f32."},
                    device_line},
     .infer = infer_range,
     .reference = range_reference,
     .grad = not_differentiable{"it has no operands"},
     .kernels = {.cpu = range_cpu},
     .samples = range_samples}};

// ---------------------------------------------------------------------------------- linspace

struct LinspaceAttrs {
  Required<double> start;
  Required<double> stop;
  Required<int64_t> num;
  DType dtype = DType::f32;
  bool endpoint = true;
  Device device = {};
};

/// The distance of neighbours; 0 where there are none.
double step_of(const LinspaceAttrs& attrs) {
  const auto steps = static_cast<double>(attrs.num - (attrs.endpoint ? 1 : 0));
  return steps < 1 ? 0 : (attrs.stop - attrs.start) / steps;
}

double element(const LinspaceAttrs& attrs, double step, int64_t i) {
  if (i == 0) return attrs.start;
  if (attrs.endpoint && i == attrs.num - 1) return attrs.stop;
  if (std::isfinite(step)) return attrs.start + static_cast<double>(i) * step;
  // Further apart than the largest number.
  const double part = static_cast<double>(i) / static_cast<double>(attrs.num - attrs.endpoint);
  return attrs.start * (1 - part) + attrs.stop * part;
}

Specs infer_linspace(const InSpecs&, const LinspaceAttrs& attrs) {
  if (attrs.num < 0) {
    violate(ErrorKind::value, "num must be at least 0, got " + std::to_string(attrs.num.value()));
  }
  if (!is_float(attrs.dtype)) {
    violate(ErrorKind::dtype,
            "makes floating tensors, not " + std::string(dtype_name(attrs.dtype)));
  }
  return created(attrs.dtype, attrs.device, {attrs.num});
}

void linspace_cpu(const Kernel& kernel, const LinspaceAttrs& attrs) {
  const View& out = kernel.out();
  const double step = step_of(attrs);
  visit_dtype(out.dtype(), [&]<class T>() {
    T* const to = out.as<T>();
    for (int64_t i = 0; i < out.numel(); ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        to[i] = static_cast<T>(element(attrs, step, i));
      } else {
        to[i] = convert(element(attrs, step, i), out.dtype(), "linspace").template as<T>();
      }
    }
  });
}

Results linspace_reference(const Inputs&, const LinspaceAttrs& attrs) {
  const double step = step_of(attrs);
  std::vector<double> values;
  for (int64_t i = 0; i < attrs.num; ++i) values.push_back(element(attrs, step, i));
  return {{from_values({attrs.num}, values)}};
}

std::vector<Sample<LinspaceAttrs>> linspace_samples() {
  return {
      {.inputs = {}, .attrs = {-1, 2, 7}},
      {.inputs = {}, .attrs = {0, 1, 5, DType::f64, false}},
      {.inputs = {}, .attrs = {-1e308, 1.5e308, 6, DType::f64}},
      {.inputs = {}, .attrs = {3, 4, 1}},
      {.inputs = {}, .attrs = {3, 4, 0}},
      {.inputs = {}, .attrs = {0, 1, -2}, .error = "num must be at least 0, got -2"},
      {.inputs = {}, .attrs = {0, 1, 3, DType::i32}, .error = "makes floating tensors, not i32"}};
}

const Op<LinspaceAttrs> linspace_op{
    {.name = "linspace",
     .doc = "`num` numbers in equal steps from start to stop.",
     .attributes = {{"start", "The first number."},
                    {"stop", "The last number, or the one behind it if `endpoint` is false."},
                    {"num", "How many there are."},
                    {"dtype", "The floating dtype of the result."},
                    {"endpoint", "Whether stop is the last number."},
                    device_line},
     .infer = infer_linspace,
     .reference = linspace_reference,
     .grad = not_differentiable{"it has no operands"},
     .kernels = {.cpu = linspace_cpu},
     .samples = linspace_samples}};

// ---------------------------------------------------------------------------------- eye

struct EyeAttrs {
  Required<int64_t> n_rows;
  std::optional<int64_t> n_cols = {};
  int64_t k = 0;
  DType dtype = DType::f32;
  Device device = {};
};

Specs infer_eye(const InSpecs&, const EyeAttrs& attrs) {
  return created(attrs.dtype, attrs.device, {attrs.n_rows, attrs.n_cols.value_or(attrs.n_rows)});
}

/// Calls `visit(flat index)` for each element of the diagonal.
template <class Visit>
void for_diagonal(const Shape& shape, int64_t k, Visit&& visit) {
  for (int64_t row = std::max<int64_t>(0, k < -shape[0] ? shape[0] : -k); row < shape[0]; ++row) {
    if (k >= shape[1] - row) return;
    visit(row * shape[1] + row + k);
  }
}

void eye_cpu(const Kernel& kernel, const EyeAttrs& attrs) {
  const View& out = kernel.out();
  fill(out, convert(0, out.dtype(), "eye"));
  visit<kinds::every>(out.dtype(), [&]<class T>() {
    const T one = convert(1, out.dtype(), "eye").template as<T>();
    for_diagonal(out.shape(), attrs.k, [&](int64_t i) { out.as<T>()[i] = one; });
  });
}

Results eye_reference(const Inputs& in, const EyeAttrs& attrs) {
  const Shape shape = infer_eye(in.specs(), attrs)[0].shape;
  std::vector<double> values;
  for (int64_t i = 0; i < shape[0]; ++i) {
    for (int64_t j = 0; j < shape[1]; ++j) values.push_back(j - i == attrs.k ? 1 : 0);
  }
  return {{from_values(shape, values)}};
}

std::vector<Sample<EyeAttrs>> eye_samples() {
  return {{.inputs = {}, .attrs = {3}},
          {.inputs = {}, .attrs = {3, 5, 1, DType::f64}},
          {.inputs = {}, .attrs = {4, 2, -2, DType::boolean}},
          {.inputs = {}, .attrs = {2, 3, 7}},
          {.inputs = {}, .attrs = {2, 3, INT64_MIN}},
          {.inputs = {}, .attrs = {-1}, .error = "no negative sizes"}};
}

const Op<EyeAttrs> eye_op{{.name = "eye",
                           .doc = "Ones on a diagonal, zeros elsewhere.",
                           .attributes = {{"n_rows", "The number of rows."},
                                          {"n_cols", "The number of columns; none: that of rows."},
                                          {"k", "The diagonal: above the main one if positive."},
                                          {"dtype", "The dtype of the result."},
                                          device_line},
                           .infer = infer_eye,
                           .reference = eye_reference,
                           .grad = not_differentiable{"it has no operands"},
                           .kernels = {.cpu = eye_cpu},
                           .onnx = {"EyeLike", 9, {{"n_rows", ""}, {"n_cols", ""}}},
                           .samples = eye_samples}};

}  // namespace

Tensor arange(const Number& start, const Number& stop, const Number& step,
              std::optional<DType> dtype, Device device) {
  return range_op({}, {start, stop, step, dtype, device});
}
Tensor arange(const Number& stop, std::optional<DType> dtype) { return arange(0, stop, 1, dtype); }
Tensor linspace(double start, double stop, int64_t num, DType dtype, bool endpoint, Device device) {
  return linspace_op({}, {start, stop, num, dtype, endpoint, device});
}
Tensor eye(int64_t n_rows, std::optional<int64_t> n_cols, int64_t k, DType dtype, Device device) {
  return eye_op({}, {n_rows, n_cols, k, dtype, device});
}

}  // namespace taper
