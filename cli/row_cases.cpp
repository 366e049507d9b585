#include "row_cases.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

namespace taper::cli {
namespace {

constexpr CaseLayout layouts[] = {CaseLayout::contiguous, CaseLayout::transposed,
                                  CaseLayout::strided};
constexpr int64_t trial_size = 7;  // of the calls that tell whether a row takes a case

/// How many operands have two axes, which weigh more, or more axes, which a row may do without.
int matrices(const AnySample& sample) {
  int count = 0;
  for (const SampleInput& input : sample.inputs) {
    if (input.absent) continue;
    count += input.shape.rank() == 2 ? 8 : input.shape.rank() > 2;
  }
  return count;
}

/// The good samples with matrices, those with the most first.
std::vector<AnySample> samples_of_matrices(std::vector<AnySample> samples) {
  std::erase_if(samples, [](const AnySample& sample) {
    return !sample.error.empty() || matrices(sample) == 0;
  });
  std::ranges::stable_sort(samples, std::greater(), matrices);
  return samples;
}

/// The dtype whose operands change together: floats, or that of the first operand.
DType leading_dtype(const AnySample& sample) {
  for (const SampleInput& input : sample.inputs) {
    if (!input.absent && is_float(input.dtype)) return input.dtype;
  }
  return sample.inputs[0].dtype;
}

/// What operand `i` holds as an integer: as in a sample where it is one.
std::pair<double, double> integer_range(const std::vector<AnySample>& samples, size_t i) {
  for (const AnySample& sample : samples) {
    if (!sample.error.empty() || i >= sample.inputs.size()) continue;
    const SampleInput& input = sample.inputs[i];
    if (!input.absent && is_integer(input.dtype)) return {input.low, input.high};
  }
  return {-4, 4};
}

CaseOperand make_operand(const std::vector<AnySample>& samples, const SampleInput& input, size_t i,
                         DType dtype, CaseLayout layout, int64_t size) {
  CaseOperand made{{}, dtype, CaseLayout::contiguous, input.low, input.high};
  while (made.shape.rank() < std::min(input.shape.rank(), 2)) made.shape.push_back(size);
  if (made.shape.rank() == 2) made.layout = layout;
  if (is_bool(dtype)) {
    made.low = 0;
    made.high = 2;
  } else if (is_integer(dtype)) {
    std::tie(made.low, made.high) = integer_range(samples, i);
    if (!is_signed(dtype)) made.low = std::max(made.low, 0.0);
    if (made.high <= made.low) made.high = made.low + 4;
  }
  return made;
}

/// What the attributes may be: each axis of a matrix, none if that is the default, each dtype.
std::vector<Fields> attribute_choices(const OpBase& op, const AnySample& sample) {
  std::vector<Fields> all = {op.attrs_to_fields(sample.attrs.get())};
  for (const FieldInfo& attribute : op.describe_attrs()) {
    std::vector<Value> values;
    const bool listed = attribute.type == FieldType::axes;
    if (listed || attribute.type == FieldType::axis) {
      if (!attribute.is_required && attribute.default_value.is_none()) values.emplace_back();
      for (const int64_t axis : {0, 1}) {
        values.push_back(listed ? Value(Value::Integers{axis}) : Value(axis));
      }
    } else if (attribute.type == FieldType::dtype) {
      for (const DType dtype : all_dtypes) values.emplace_back(dtype_name(dtype));
    } else {
      continue;
    }
    std::vector<Fields> more;
    for (const Fields& fields : all) {
      for (const Value& value : values) {
        more.push_back(fields);
        for (auto& [name, old] : more.back()) {
          if (name == attribute.name) old = value;
        }
      }
    }
    all = std::move(more);
  }
  return all;
}

RowCase make_case(const OpBase& op, const AnySample& sample, const Fields& attrs, DType dtype,
                  CaseLayout layout, int64_t size) {
  const std::vector<AnySample> samples = op.samples();
  const DType leading = leading_dtype(sample);
  const bool are_alike = op.inputs[0].ends_with('*');
  RowCase made{&op, attrs, {}};
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const SampleInput& input = sample.inputs[i];
    if (input.absent) {
      made.operands.emplace_back();
      continue;
    }
    const bool changes = are_alike || input.dtype == leading;
    made.operands.push_back(
        make_operand(samples, input, i, changes ? dtype : input.dtype, layout, size));
    if (!changes && is_integer(input.dtype) && op.refuses_values) {  // places along an axis
      made.operands.back()->low = 0;
      made.operands.back()->high = static_cast<double>(size);
    }
  }
  return made;
}

/// Whether the row takes a small one of this form and gives no more than a few matrices.
bool is_taken(const RowCase& each) {
  const std::vector<Tensor> operands = make_operands(each);
  const std::vector<Arg> args(operands.begin(), operands.end());
  try {
    const auto attrs = each.op->attrs_from_fields(each.attrs);
    for (const Tensor& output : call(*each.op, attrs.get(), args).tensor) {
      if (output.defined() && output.numel() > 4 * trial_size * trial_size) return false;
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The samples to try for floats, which are of floats if there is one, or for other dtypes.
std::vector<AnySample> samples_for(const OpBase& op, bool of_floats) {
  std::vector<AnySample> samples = samples_of_matrices(op.samples());
  const auto is_of_floats = [](const AnySample& sample) { return is_float(leading_dtype(sample)); };
  if (of_floats && std::ranges::any_of(samples, is_of_floats)) {
    std::erase_if(samples, std::not_fn(is_of_floats));
  }
  return samples;
}

void add_cases(const OpBase& op, const AnySample& sample, bool of_floats, int64_t size,
               std::vector<RowCase>& cases) {
  if (!op.graphs(sample.attrs.get()).empty()) return;  // what a function costs is its own
  for (const Fields& attrs : attribute_choices(op, sample)) {
    for (const DType dtype : all_dtypes) {
      if (is_inexact(dtype) != of_floats ||
          !is_taken(make_case(op, sample, attrs, dtype, layouts[0], trial_size))) {
        continue;
      }
      for (const CaseLayout layout : layouts) {
        cases.push_back(make_case(op, sample, attrs, dtype, layout, size));
      }
    }
  }
}

const Value& field(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) fail(ErrorKind::value, "a call needs `" + std::string(name) + "`");
  return *value;
}

Tensor make_tensor(const CaseOperand& operand) {
  Shape shape = operand.shape;
  const bool is_matrix = shape.rank() == 2;
  if (is_matrix && operand.layout == CaseLayout::transposed) std::swap(shape[0], shape[1]);
  if (is_matrix && operand.layout == CaseLayout::strided) shape[1] *= 2;
  const Tensor x = astype(uniform(shape, operand.low, operand.high), operand.dtype);
  if (is_matrix && operand.layout == CaseLayout::transposed) return permute_dims(x, {1, 0});
  return is_matrix && operand.layout == CaseLayout::strided ? slice(x, 1, {}, {}, 2) : x;
}

}  // namespace

std::vector<RowCase> row_cases(const OpBase& op, int64_t size) {
  std::vector<RowCase> cases;
  for (const bool of_floats : {true, false}) {
    const size_t before = cases.size();
    for (const AnySample& sample : samples_for(op, of_floats)) {
      add_cases(op, sample, of_floats, size, cases);
      if (cases.size() > before) break;
    }
  }
  return cases;
}

Value to_value(const RowCase& each) {
  Value::List inputs;
  for (const auto& operand : each.operands) {
    inputs.push_back(operand ? Value(to_fields(*operand)) : Value());
  }
  return Value(Fields{{"op", Value(each.op->name)},
                      {"attrs", Value(each.attrs)},
                      {"inputs", Value(std::move(inputs))}});
}

RowCase parse_case(const std::string& text) {
  const Value value = parse_json(text);
  RowCase each{};
  each.op = &Registry<OpBase>::get(FieldCodec<std::string>::from_value(field(value, "op")), "op");
  if (const Fields* attrs = field(value, "attrs").get_if<Fields>()) each.attrs = *attrs;
  for (const Value& input : detail::read_list(field(value, "inputs"), "list of operands")) {
    each.operands.emplace_back();
    const Fields* operand = input.get_if<Fields>();
    if (operand != nullptr) each.operands.back() = parse_fields<CaseOperand>("operand", *operand);
  }
  return each;
}

std::string label(const RowCase& each) {
  std::string text(each.op->name);
  const auto shown = std::ranges::find_if(each.operands, [](const auto& operand) {
    return operand && operand->shape.rank() == 2 && !is_bool(operand->dtype);
  });
  const auto& operand = shown == each.operands.end() ? each.operands[0] : *shown;
  text += " " + std::string(dtype_name(operand->dtype)) + " " +
          std::string(EnumNames<CaseLayout>::names[static_cast<size_t>(operand->layout)]);
  for (const auto& [name, value] : each.attrs) text += " " + name + "=" + value.print();
  return text;
}

std::vector<Tensor> make_operands(const RowCase& each) {
  std::vector<Tensor> tensors;
  for (const auto& operand : each.operands) {
    tensors.push_back(operand ? make_tensor(*operand) : Tensor());
  }
  return tensors;
}

}  // namespace taper::cli
