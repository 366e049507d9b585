#include "interpreter.h"

#include <functional>
#include <optional>
#include <stdexcept>

#include <taper/taper.h>

namespace taper::fuzz {
namespace {

std::optional<int64_t> optional_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<int64_t>());
}

Number number_of_json(const Json& json) {
  return json.is_number_float() ? Number(json.get<double>()) : Number(json.get<int64_t>());
}

std::optional<Number> bound_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(number_of_json(json));
}

Shape shape_of(const Json& json) { return Shape(json.get<std::vector<int64_t>>()); }

Axes axes_of(const Json& json) {
  if (json.is_null()) return {};
  return json.is_array() ? Axes(shape_of(json)) : Axes(json.get<int64_t>());
}

/// A step and the variables that it reads.
class Call {
 public:
  Call(const Json& step, Slots& slots) : step_(step), slots_(slots) {
    for (const Json& each : step.at("in")) {
      if (each.is_object() && each.contains("literal")) literals_.push_back(each.at("literal"));
    }
    for (Json& each : literals_) made_.push_back(tensor_of(each));
  }

  const Json& at(const char* name) const { return step_.at(name); }
  int64_t integer(const char* name) const { return at(name).get<int64_t>(); }
  std::optional<int64_t> optional(const char* name) const { return optional_of(at(name)); }
  bool keepdims() const { return at("keepdims").get<bool>(); }
  size_t count() const { return at("in").size(); }

  const Tensor& tensor(size_t i) const { return slots_.at(at("in")[i].at("v").get<int>()); }
  /// A variable, a number or a new tensor.
  Operand operand(size_t i) const {
    const Json& json = at("in")[i];
    if (json.is_number()) return number_of_json(json);
    return json.contains("literal") ? Operand(made_[0]) : Operand(tensor(i));
  }
  std::vector<Tensor> tensors() const {
    std::vector<Tensor> all;
    for (size_t i = 0; i < count(); ++i) all.push_back(tensor(i));
    return all;
  }
  /// The variable that is changed in place.
  Tensor& target() const { return slots_.at(at("out").get<int>()); }

  std::vector<IndexItem> items(const char* name) const {
    std::vector<IndexItem> items;
    for (const Json& json : at(name)) items.push_back(item_of(json));
    return items;
  }

 private:
  IndexItem item_of(const Json& json) const {
    if (json.is_number()) return json.get<int64_t>();
    if (json == "...") return ellipsis;
    if (json == "newaxis") return newaxis;
    if (json.contains("v")) return slots_.at(json.at("v").get<int>());
    if (!json.contains("slice")) return tensor_of(json);
    const Json& slice = json.at("slice");
    return Slice(optional_of(slice[0]), optional_of(slice[1]), optional_of(slice[2]));
  }

  const Json& step_;
  Slots& slots_;
  std::vector<Json> literals_;
  std::vector<Tensor> made_;
};

using Step = std::function<Tensor(const Call&)>;

Step unary(Tensor (*function)(const Tensor&)) {
  return [=](const Call& call) { return function(call.tensor(0)); };
}
Step binary(Tensor (*function)(const Operand&, const Operand&)) {
  return [=](const Call& call) { return function(call.operand(0), call.operand(1)); };
}
Step product(Tensor (*function)(const Tensor&, const Tensor&)) {
  return [=](const Call& call) { return function(call.tensor(0), call.tensor(1)); };
}
Step reduction(Tensor (*function)(const Tensor&, const Axes&, bool)) {
  return [=](const Call& call) {
    return function(call.tensor(0), axes_of(call.at("axis")), call.keepdims());
  };
}
Step spread(Tensor (*function)(const Tensor&, const Axes&, double, bool)) {
  return [=](const Call& call) {
    return function(call.tensor(0), axes_of(call.at("axis")), call.at("correction").get<double>(),
                    call.keepdims());
  };
}
Step place(Tensor (*function)(const Tensor&, std::optional<int64_t>, bool)) {
  return [=](const Call& call) {
    return function(call.tensor(0), call.optional("axis"), call.keepdims());
  };
}
/// x op= y for the variable itself.
Step update(Tensor& (*function)(Tensor&, const Operand&)) {
  return [=](const Call& call) { return function(call.target(), call.operand(1)); };
}

using Steps = std::map<std::string, Step>;

void add_pointwise(Steps& steps) {
  steps["exp"] = unary(exp);
  steps["expm1"] = unary(expm1);
  steps["log"] = unary(log);
  steps["log1p"] = unary(log1p);
  steps["sqrt"] = unary(sqrt);
  steps["rsqrt"] = unary(rsqrt);
  steps["sin"] = unary(sin);
  steps["cos"] = unary(cos);
  steps["tanh"] = unary(tanh);
  steps["erf"] = unary(erf);
  steps["sigmoid"] = unary(sigmoid);
  steps["softplus"] = unary(softplus);
  steps["silu"] = unary(silu);
  steps["gelu"] = unary(gelu);
  steps["negative"] = unary(negative);
  steps["abs"] = unary(abs);
  steps["relu"] = unary(relu);
  steps["floor"] = unary(floor);
  steps["round"] = unary(round);
  steps["sign"] = unary(sign);
  steps["square"] = unary(square);
  steps["reciprocal"] = unary(reciprocal);
  steps["logical_not"] = unary(logical_not);
  steps["bitwise_invert"] = unary(bitwise_invert);
  steps["add"] = binary(add);
  steps["subtract"] = binary(subtract);
  steps["multiply"] = binary(multiply);
  steps["divide"] = binary(divide);
  steps["remainder"] = binary(remainder);
  steps["pow"] = binary(pow);
  steps["maximum"] = binary(maximum);
  steps["minimum"] = binary(minimum);
  steps["equal"] = binary(equal);
  steps["not_equal"] = binary(not_equal);
  steps["less"] = binary(less);
  steps["less_equal"] = binary(less_equal);
  steps["greater"] = binary(greater);
  steps["greater_equal"] = binary(greater_equal);
  steps["bitwise_and"] = binary(bitwise_and);
  steps["bitwise_or"] = binary(bitwise_or);
  steps["bitwise_xor"] = binary(bitwise_xor);
  steps["logical_and"] = binary(logical_and);
  steps["logical_or"] = binary(logical_or);
  steps["where"] = [](const Call& call) {
    return where(call.tensor(0), call.operand(1), call.operand(2));
  };
  steps["clip"] = [](const Call& call) {
    return clip(call.tensor(0), bound_of(call.at("low")), bound_of(call.at("high")));
  };
  steps["astype"] = [](const Call& call) {
    return astype(call.tensor(0), parse_dtype(call.at("dtype").get<std::string>()));
  };
}

void add_reductions_and_products(Steps& steps) {
  steps["sum"] = reduction(sum);
  steps["mean"] = reduction(mean);
  steps["max"] = reduction(max);
  steps["min"] = reduction(min);
  steps["any"] = reduction(any);
  steps["all"] = reduction(all);
  steps["var"] = spread(var);
  steps["std"] = spread(taper::std);
  steps["argmax"] = place(argmax);
  steps["argmin"] = place(argmin);
  steps["matmul"] = product(matmul);
  steps["linear"] = [](const Call& call) {
    return linear(call.tensor(0), call.tensor(1), call.count() > 2 ? call.tensor(2) : Tensor());
  };
  steps["softmax"] = [](const Call& call) { return softmax(call.tensor(0), call.integer("axis")); };
  steps["log_softmax"] = [](const Call& call) {
    return log_softmax(call.tensor(0), call.integer("axis"));
  };
}

void add_views(Steps& steps) {
  steps["copy"] = [](const Call& call) { return call.tensor(0); };
  steps["contiguous"] = unary(contiguous);
  steps["matrix_transpose"] = unary(matrix_transpose);
  steps["reshape"] = [](const Call& call) {
    return reshape(call.tensor(0), shape_of(call.at("shape")));
  };
  steps["broadcast_to"] = [](const Call& call) {
    return broadcast_to(call.tensor(0), shape_of(call.at("shape")));
  };
  steps["permute_dims"] = [](const Call& call) {
    return permute_dims(call.tensor(0), shape_of(call.at("axes")));
  };
  steps["flatten"] = [](const Call& call) {
    return flatten(call.tensor(0), call.integer("start"), call.integer("end"));
  };
  steps["expand_dims"] = [](const Call& call) {
    return expand_dims(call.tensor(0), call.integer("axis"));
  };
  steps["squeeze"] = [](const Call& call) { return squeeze(call.tensor(0), call.integer("axis")); };
  steps["flip"] = [](const Call& call) { return flip(call.tensor(0), call.integer("axis")); };
  steps["slice"] = [](const Call& call) {
    return slice(call.tensor(0), call.integer("axis"), call.optional("start"),
                 call.optional("stop"), call.integer("step"));
  };
}

void add_indexing_and_joins(Steps& steps) {
  steps["index"] = [](const Call& call) { return index(call.tensor(0), call.items("items")); };
  steps["take"] = [](const Call& call) {
    return take(call.tensor(0), tensor_of(call.at("indices")), call.integer("axis"));
  };
  steps["take_along_axis"] = [](const Call& call) {
    return take_along_axis(call.tensor(0), tensor_of(call.at("indices")), call.integer("axis"));
  };
  steps["one_hot"] = [](const Call& call) {
    return one_hot(call.tensor(0), call.integer("classes"),
                   parse_dtype(call.at("dtype").get<std::string>()));
  };
  steps["concat"] = [](const Call& call) { return concat(call.tensors(), call.integer("axis")); };
  steps["stack"] = [](const Call& call) { return stack(call.tensors(), call.integer("axis")); };
  steps["pad"] = [](const Call& call) {
    return pad(call.tensor(0), call.at("widths").get<std::vector<int64_t>>(),
               number_of_json(call.at("value")));
  };
}

/// `x[...]`, for as many items as there are: the operator takes a braced list only.
template <class Base>
Selection selection(Base&& x, const std::vector<IndexItem>& items) {
  switch (items.size()) {
    case 0:
      return std::forward<Base>(x)[ellipsis];
    case 1:
      return std::forward<Base>(x)[items[0]];
    case 2:
      return std::forward<Base>(x)[{items[0], items[1]}];
    case 3:
      return std::forward<Base>(x)[{items[0], items[1], items[2]}];
    case 4:
      return std::forward<Base>(x)[{items[0], items[1], items[2], items[3]}];
    case 5:
      return std::forward<Base>(x)[{items[0], items[1], items[2], items[3], items[4]}];
    default:
      throw std::runtime_error("an index of more items than the interpreter writes");
  }
}

/// `x[items] = values` and the like, on the variable itself, whose new value is returned.
template <class Change>
Step assignment(Change change) {
  return [=](const Call& call) {
    change(selection(call.target(), call.items("items")), call.operand(1));
    return call.target();
  };
}

void add_updates(Steps& steps) {
  steps["+="] = update(operator+=);
  steps["-="] = update(operator-=);
  steps["*="] = update(operator*=);
  steps["/="] = update(operator/=);
  steps["assign"] = assignment([](Selection&& part, const Operand& y) { std::move(part) = y; });
  steps["assign+="] = assignment([](Selection&& part, const Operand& y) { std::move(part) += y; });
  steps["assign-="] = assignment([](Selection&& part, const Operand& y) { std::move(part) -= y; });
  steps["assign*="] = assignment([](Selection&& part, const Operand& y) { std::move(part) *= y; });
  steps["assign/="] = assignment([](Selection&& part, const Operand& y) { std::move(part) /= y; });
  steps["assign_within"] = [](const Call& call) {
    selection(selection(call.target(), call.items("items")), call.items("more")) = call.operand(1);
    return call.target();
  };
  steps["index_update"] = [](const Call& call) {
    return index_update(call.tensor(0), call.items("items"), call.operand(1));
  };
  steps["slice_update"] = [](const Call& call) {
    return slice_update(call.tensor(0), call.tensor(1), call.integer("axis"),
                        call.optional("start"), call.optional("stop"), call.integer("step"));
  };
}

const Steps& all_steps() {
  static const Steps all = [] {
    Steps steps;
    add_pointwise(steps);
    add_reductions_and_products(steps);
    add_views(steps);
    add_indexing_and_joins(steps);
    add_updates(steps);
    return steps;
  }();
  return all;
}

}  // namespace

std::vector<double> doubles_of(const Json& values) {
  std::vector<double> numbers;
  for (const Json& value : values) {
    if (value.is_string()) {
      numbers.push_back(std::stod(value.get<std::string>()));
    } else {
      numbers.push_back(value.is_boolean() ? value.get<bool>() : value.get<double>());
    }
  }
  return numbers;
}

Tensor tensor_of(const Json& json) {
  const DType dtype = parse_dtype(json.at("dtype").get<std::string>());
  const Shape shape = shape_of(json.at("shape"));
  if (is_float(dtype)) return from_values(shape, doubles_of(json.at("values")), dtype);
  if (dtype == DType::u64) {
    return from_values(shape, json.at("values").get<std::vector<uint64_t>>(), dtype);
  }
  std::vector<int64_t> values;
  for (const Json& value : json.at("values")) {
    values.push_back(value.is_boolean() ? value.get<bool>() : value.get<int64_t>());
  }
  return from_values(shape, values, dtype);
}

void run_step(const Json& step, Slots& slots) {
  const auto op = step.at("op").get<std::string>();
  const int out = step.at("out").get<int>();
  if (op == "drop") {
    slots.erase(out);
    return;
  }
  Tensor result = all_steps().at(op)(Call(step, slots));
  slots[out] = std::move(result);
}

}  // namespace taper::fuzz
