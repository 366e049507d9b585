#include <taper/optim/update_op.h>

#include <cctype>

namespace taper::optim::detail {

void check_update(const InSpecs& in, size_t slots, size_t options) {
  const size_t end = first_slot + slots;
  if (in.size() != end && (in.size() != end + 1 || options == 0)) {
    violate(ErrorKind::value, "these options keep " + std::to_string(slots) + " slots");
  }
  if (!is_float(in[0].dtype)) violate(ErrorKind::dtype, "p must be floating");
  for (size_t i = 1; i < end; ++i) {
    if ((i > 1 && i < first_slot) || in[i] == in[0]) continue;
    violate(in[i].shape == in[0].shape ? ErrorKind::dtype : ErrorKind::shape,
            "p, its gradient and its slots must have one shape and dtype");
  }
  if (!is_float(in[2].dtype) || in[2].shape.rank() != 0) {
    violate(ErrorKind::shape, "lr must be one floating number");
  }
  for (const size_t i : {3, 4}) {
    if (in[i] != Spec{DType::i64, in[i].device, {}}) {
      violate(ErrorKind::shape, "steps and missed must be i64[]");
    }
  }
  const auto count = static_cast<int64_t>(options);
  if (in.size() > end && !(is_float(in[end].dtype) && in[end].shape == Shape{count})) {
    violate(ErrorKind::shape,
            "the changed options must be " + std::to_string(count) + " floating numbers");
  }
}

std::vector<double> numbers_in(const View& view) {
  std::vector<double> numbers;
  const int64_t stride = (*view.strides)[0];
  visit_dtype(view.dtype(), [&]<class T>() {
    for (int64_t i = 0; i < view.numel(); ++i) {
      numbers.push_back(static_cast<double>(view.as<T>()[i * stride]));
    }
  });
  return numbers;
}

StepNumbers step_numbers(const Kernel& kernel) {
  const View& lr = kernel.in(2);
  const int64_t count = *kernel.in(3).as<int64_t>() - *kernel.in(4).as<int64_t>();
  return {visit_dtype(lr.dtype(), [&]<class T>() { return static_cast<double>(*lr.as<T>()); }),
          static_cast<double>(count)};
}

StepNumbers step_numbers(const Inputs& in) {
  return {in[2].item(), static_cast<double>(in[3].item<int64_t>() - in[4].item<int64_t>())};
}

void run_update(const TileSet& tiles, const void* functor, const Kernel& kernel, size_t end) {
  std::array<View, 2 + most_kept> operands{kernel.in(0), kernel.in(1)};
  size_t count = 2;
  for (size_t i = first_slot; i < end; ++i) operands[count++] = kernel.in(i);
  run_pointwise(tiles, functor, std::span(operands).first(count), kernel.outputs,
                taper::detail::pointwise_grain);
}

std::string update_name(std::string_view optimizer) {
  std::string name;
  for (const char letter : optimizer) {
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return name + "_update";
}

namespace {

/// Another value of a field, which most bounds take.
Value other_value(const Value& value) {
  if (const bool* flag = value.get_if<bool>()) return !*flag;
  if (const double* number = value.get_if<double>()) return *number == 0 ? 0.25 : *number * 0.75;
  if (const auto* numbers = value.get_if<Value::Reals>()) {
    Value::Reals smaller;
    for (const double number : *numbers) smaller.push_back(number * 0.75);
    return smaller;
  }
  return value;
}

}  // namespace

std::vector<Fields> varied_options(const std::vector<FieldInfo>& infos) {
  std::vector<Fields> all{{}};
  Fields together;
  for (const FieldInfo& info : infos) {
    const Value value = other_value(info.default_value);
    if (value == info.default_value) continue;
    all.push_back({{std::string(info.name), value}});
    together.emplace_back(info.name, value);
    all.push_back(together);
  }
  // Two at a time, for those that another one needs.
  const size_t alone = all.size();
  for (size_t i = 1; i < alone; i += 2) {
    for (size_t j = i + 2; j < alone; j += 2) all.push_back({all[i][0], all[j][0]});
  }
  return all;
}

std::vector<SampleInput> update_operands(size_t slots) {
  std::vector<SampleInput> inputs(2, SampleInput{.shape = {3, 5}});
  inputs.push_back({.shape = {}, .low = 0.1, .high = 0.2});
  inputs.push_back({.shape = {}, .low = 5, .high = 9, .dtype = DType::i64});
  inputs.push_back({.shape = {}, .low = 0, .high = 4, .dtype = DType::i64});
  // Positive as squares are, and each smaller than the one before, as a mean is beside its square.
  for (size_t i = 0; i < slots; ++i) {
    const double high = 1 / static_cast<double>(i + 1);
    inputs.push_back({.shape = {3, 5}, .low = 0.8 * high, .high = high});
  }
  return inputs;
}

std::vector<Reuse> update_reuse(size_t slots) {
  std::vector<Reuse> reuse{{0, 0}};
  for (size_t i = 0; i < slots; ++i) {
    reuse.push_back({static_cast<uint8_t>(i + 1), static_cast<uint8_t>(first_slot + i)});
  }
  return reuse;
}

void apply_update(const OpBase& op, const void* rule, const State& parameter, const Tensor& grad,
                  std::span<const State> slots, std::span<const Tensor> numbers) {
  std::array<const State*, 1 + most_kept> cells{&parameter};
  for (size_t i = 0; i < slots.size(); ++i) cells[i + 1] = &slots[i];
  taper::update(std::span(cells).first(slots.size() + 1), [&](std::span<Tensor* const> old) {
    std::array<Arg, first_slot + most_kept + 1> args{donate(*old[0]), grad, numbers[0], numbers[1],
                                                     numbers[2]};
    size_t count = first_slot;
    for (size_t i = 1; i < old.size(); ++i) args[count++] = donate(*old[i]);
    if (numbers[3].defined()) args[count++] = numbers[3];
    return call(op, rule, std::span(args).first(count));
  });
}

}  // namespace taper::optim::detail
