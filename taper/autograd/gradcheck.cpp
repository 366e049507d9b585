#include <taper/autograd/gradcheck.h>

#include <cmath>
#include <random>
#include <utility>

#include <taper/ops/ops.h>

namespace taper {
namespace {

using Numbers = std::vector<double>;
/// A function of several inputs with several outputs: the gradients of a function are one.
using Functions = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

std::string place(const Shape& shape, size_t element) {
  auto number = static_cast<int64_t>(element);
  std::string text;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    text = std::to_string(number % shape[axis]) + (text.empty() ? "" : "," + text);
    number /= shape[axis];
  }
  return "[" + text + "]";
}

Numbers random_numbers(size_t count, std::mt19937_64& engine) {
  // By hand: what a distribution of the standard library gives is not fixed.
  Numbers numbers;
  for (size_t i = 0; i < count; ++i) {
    numbers.push_back(std::ldexp(static_cast<double>(engine() >> 11), -52) - 1);
  }
  return numbers;
}

/// `x + by * direction` as new tensor.
Tensor moved(const Tensor& x, const Numbers& direction, double by) {
  Numbers values = x.to_vector<double>();
  for (size_t i = 0; i < values.size(); ++i) values[i] += by * direction[i];
  return from_values(x.shape(), values);
}

double dot(const Numbers& a, const Numbers& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

class Check {
 public:
  Check(const char* name, const Functions& f, const std::vector<Tensor>& inputs,
        const std::vector<std::string>& input_names, const GradcheckOptions& options)
      : name_(name),
        f_(f),
        inputs_(inputs),
        input_names_(input_names),
        options_(options),
        engine_(options.seed) {}

  bool run() {
    const enable_grad on;
    for (Tensor& input : inputs_) {
      refuse_complex(input);
      if (input.defined()) input = input.detach();
      if (input.defined() && is_float(input.dtype())) input.set_requires_grad();
    }
    outputs_ = f_(inputs_);
    for (const Tensor& output : outputs_) refuse_complex(output);
    for (size_t output = 0; output < outputs_.size(); ++output) {
      if (!outputs_[output].defined() || !is_float(outputs_[output].dtype())) continue;
      for (size_t input = 0; input < inputs_.size(); ++input) {
        if (!inputs_[input].defined() || !inputs_[input].requires_grad()) continue;
        const bool good =
            options_.fast_mode ? check_direction(output, input) : check_elements(output, input);
        if (!good) return false;
      }
    }
    return true;
  }

 private:
  static size_t count(const Tensor& x) { return static_cast<size_t>(x.numel()); }

  /// To leave them out would say that they are right.
  void refuse_complex(const Tensor& x) const {
    if (!x.defined() || !is_complex(x.dtype())) return;
    fail(ErrorKind::unsupported, std::string(name_) +
                                     ": complex tensors are not checked yet; make them of their "
                                     "parts in the function (" +
                                     to_string(x.spec()) + ")");
  }

  Numbers gradient(size_t output, size_t input, const Numbers& weights) const {
    const Tensor& y = outputs_[output];
    if (!y.requires_grad()) return Numbers(count(inputs_[input]));
    const Tensor start = astype(from_values(y.shape(), weights), y.dtype());
    const Tensor found = gradients(y, std::span(&inputs_[input], 1), false, start, true)[0];
    return found.defined() ? found.to_vector<double>() : Numbers(count(inputs_[input]));
  }

  /// The change of an output along a direction of an input, per unit of it.
  Numbers difference(size_t output, size_t input, const Numbers& direction) const {
    std::vector<Tensor> inputs = inputs_;
    Numbers change;
    for (double sign : {1.0, -1.0}) {
      inputs[input] = moved(inputs_[input], direction, sign * options_.eps);
      inputs[input].set_requires_grad();  // f may be a gradient itself
      const Numbers values = f_(inputs)[output].to_vector<double>();
      if (change.empty()) change.resize(values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        change[i] += sign * values[i] / (2 * options_.eps);
      }
    }
    return change;
  }

  bool check_elements(size_t output, size_t input) {
    const size_t rows = count(outputs_[output]);
    const size_t columns = count(inputs_[input]);
    std::vector<Numbers> analytical;
    for (size_t row = 0; row < rows; ++row) {
      Numbers one(rows);
      one[row] = 1;
      analytical.push_back(gradient(output, input, one));
    }
    for (size_t column = 0; column < columns; ++column) {
      Numbers one(columns);
      one[column] = 1;
      const Numbers numerical = difference(output, input, one);
      for (size_t row = 0; row < rows; ++row) {
        const std::string by = " at " + place(inputs_[input].shape(), column);
        const std::string of = place(outputs_[output].shape(), row);
        if (!agree(analytical[row][column], numerical[row], output, of, input, by)) return false;
      }
    }
    return true;
  }

  bool check_direction(size_t output, size_t input) {
    const Numbers weights = random_numbers(count(outputs_[output]), engine_);
    const Numbers direction = random_numbers(count(inputs_[input]), engine_);
    return agree(dot(gradient(output, input, weights), direction),
                 dot(weights, difference(output, input, direction)), output, "", input,
                 " along a random direction");
  }

  bool agree(double analytical, double numerical, size_t output, const std::string& of,
             size_t input, const std::string& by) const {
    const double bound = options_.atol + options_.rtol * std::abs(numerical);
    if (std::abs(analytical - numerical) <= bound) return true;
    if (!options_.raise_exception) return false;
    const std::string which = outputs_.size() > 1 ? " " + std::to_string(output) : "";
    fail(ErrorKind::value, std::string(name_) + ": the gradient of output" + which + of + " by " +
                               input_names_[input] + by + " is " + print_real(analytical) +
                               ", differences give " + print_real(numerical) + " (" +
                               input_names_[input] + " " + to_string(inputs_[input].spec()) + ")");
  }

  const char* name_;
  const Functions& f_;
  std::vector<Tensor> inputs_;
  const std::vector<std::string>& input_names_;
  const GradcheckOptions& options_;
  std::mt19937_64 engine_;
  std::vector<Tensor> outputs_;
};

std::vector<std::string> names_of(const char* name, const std::vector<Tensor>& inputs,
                                  bool needed = true) {
  std::vector<std::string> names;
  bool any = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("input " + std::to_string(i));
    const Tensor& input = inputs[i];
    if (!input.defined() || !is_float(input.dtype())) continue;
    any = true;
    if (input.dtype() == DType::f64) continue;
    fail(ErrorKind::dtype, std::string(name) + ": " + names.back() +
                               " must be float64, since differences need the digits; convert with "
                               "astype (" +
                               names.back() + " " + to_string(input.spec()) + ")");
  }
  if (!any && needed)
    fail(ErrorKind::value, std::string(name) + ": there is no floating input to check");
  return names;
}

Tensor defined_output(const char* name, Tensor output) {
  if (!output.defined()) {
    fail(ErrorKind::value, std::string(name) + ": the function gave an undefined tensor");
  }
  return output;
}

/// Gives cells other values, leaves and all, until the end of the scope.
class GivenValues {
 public:
  GivenValues(const std::vector<State>& cells, const std::vector<Tensor>& values) : cells_(cells) {
    for (size_t i = 0; i < cells_.size(); ++i) {
      before_.push_back(std::exchange(cells_[i].impl()->value, values[i]));
    }
  }
  ~GivenValues() {
    for (size_t i = 0; i < cells_.size(); ++i) cells_[i].impl()->hold(before_[i]);
  }
  GivenValues(const GivenValues&) = delete;
  GivenValues& operator=(const GivenValues&) = delete;

 private:
  const std::vector<State>& cells_;
  std::vector<Tensor> before_;
};

bool check_gradients(const char* name, const TensorFunction& f, const std::vector<Tensor>& inputs,
                     const std::vector<std::string>& names, const GradcheckOptions& options) {
  const Functions all = [&](const std::vector<Tensor>& at) {
    return std::vector<Tensor>{defined_output(name, f(at))};
  };
  return Check(name, all, inputs, names, options).run();
}

bool check_second_gradients(const char* name, const TensorFunction& f,
                            const std::vector<Tensor>& inputs, std::vector<std::string> names,
                            const GradcheckOptions& options) {
  const Tensor sample = defined_output(name, f(inputs));
  std::mt19937_64 engine(options.seed + 1);
  std::vector<Tensor> all_inputs = inputs;
  all_inputs.push_back(
      from_values(sample.shape(), random_numbers(static_cast<size_t>(sample.numel()), engine)));
  names.emplace_back("the gradient of the output");
  const Functions first = [&](const std::vector<Tensor>& at) {
    const std::vector<Tensor> operands(at.begin(), at.end() - 1);
    std::vector<Tensor> wanted;
    for (const Tensor& operand : operands) {
      if (operand.defined() && operand.requires_grad()) wanted.push_back(operand);
    }
    const Tensor y = f(operands);
    if (!y.requires_grad())
      return std::vector<Tensor>(wanted.size());  // it depends on none of them
    return gradients(y, std::span<const Tensor>(wanted), true, at.back());
  };
  return Check(name, first, all_inputs, names, options).run();
}

/// A function of inputs and cells as one of inputs alone: values for the cells that need gradients
/// follow its own inputs.
struct OfValues {
  OfValues(const char* name, TensorFunction f, const std::vector<Tensor>& operands,
           const std::vector<State>& cells)
      : function(std::move(f)),
        count(static_cast<std::ptrdiff_t>(operands.size())),
        inputs(operands),
        names(names_of(name, operands, cells.empty())) {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (!cells[i] || !cells[i].value().defined()) {
        fail(ErrorKind::value, std::string(name) + ": cell " + std::to_string(i) + " is empty");
      }
      Tensor value = cells[i].value().detach();
      if (is_float(value.dtype())) value = astype(value, DType::f64);
      if (!cells[i].requires_grad()) {
        kept.push_back(cells[i]);
        fixed.push_back(value);
        continue;
      }
      checked.push_back(cells[i]);
      inputs.push_back(value);
      names.push_back("`" + cells[i].name() + "` (cell " + std::to_string(i) + ")");
    }
  }

  Tensor operator()(const std::vector<Tensor>& at) const {
    const auto middle = at.begin() + count;
    const GivenValues values(checked, {middle, at.end()});
    const GivenValues others(kept, fixed);
    return function({at.begin(), middle});
  }

  TensorFunction function;
  std::ptrdiff_t count;
  std::vector<Tensor> inputs;
  std::vector<std::string> names;
  std::vector<State> checked;
  std::vector<State> kept;
  std::vector<Tensor> fixed;
};

}  // namespace

bool gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
               const GradcheckOptions& options) {
  return check_gradients("gradcheck", f, inputs, names_of("gradcheck", inputs), options);
}

bool gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                   const GradcheckOptions& options) {
  return check_second_gradients("gradgradcheck", f, inputs, names_of("gradgradcheck", inputs),
                                options);
}

bool gradcheck_cells(const TensorFunction& f, const std::vector<Tensor>& inputs,
                     const std::vector<State>& cells, const GradcheckOptions& options) {
  const OfValues all("gradcheck", f, inputs, cells);
  return check_gradients("gradcheck", all, all.inputs, all.names, options);
}

bool gradgradcheck_cells(const TensorFunction& f, const std::vector<Tensor>& inputs,
                         const std::vector<State>& cells, const GradcheckOptions& options) {
  const OfValues all("gradgradcheck", f, inputs, cells);
  return check_second_gradients("gradgradcheck", all, all.inputs, all.names, options);
}

}  // namespace taper
