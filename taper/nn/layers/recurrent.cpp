#include <taper/nn/layers/recurrent.h>

#include <tuple>
#include <utility>

#include <taper/graph/control_flow.h>
#include <taper/nn/hints.h>
#include <taper/ops/composed.h>
#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

using Tensors = std::vector<Tensor>;

RecurrentValues values_of_all(const RecurrentWeights& w) {
  return {value_of(w.weight_ih), value_of(w.weight_hh), value_of(w.bias_ih), value_of(w.bias_hh),
          value_of(w.weight_hr)};
}

/// The size of the projection, for layers that have one.
template <class Options>
int64_t projection(const Options& options) {
  if constexpr (requires { options.proj_size; }) {
    return options.proj_size;
  } else {
    return 0;
  }
}

// Recorded step by step a training step of 100 steps is 1.6 to 2.9 times as fast as in a `scan`,
// whose gradient runs forward once more, one of 4000 steps 1.2 times (hidden size 50, 32
// sequences); a capture takes as long. Beyond, the graph and the operands of one op would grow
// without bounds.
constexpr int64_t most_recorded_steps = 4096;

/// The last states and the outputs of `step(states, x[t])`, which gives both.
template <class Step>
std::pair<Tensors, Tensor> along(const Step& step, Tensors states, const Tensor& x, bool reverse) {
  if (x.size(0) > most_recorded_steps) return scan(step, states, x, {.reverse = reverse});
  const Tensors parts = split(x, 1);
  Tensors outputs(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t t = reverse ? parts.size() - 1 - i : i;
    std::tie(states, outputs[t]) = step(states, squeeze(parts[t], {0}));
  }
  return {std::move(states), stack(outputs)};
}

}  // namespace

// ---------------------------------------------------------------------------------- Recurrent

template <class Derived, class Options>
int64_t Recurrent<Derived, Options>::output_size() const {
  const int64_t projected = projection(this->options());
  return projected > 0 ? projected : this->options().hidden_size.value();
}

template <class Derived, class Options>
std::vector<RecurrentWeights> Recurrent<Derived, Options>::make_weights() {
  const int64_t hidden = this->options().hidden_size;
  const int64_t rows = Derived::gates * hidden;
  std::vector<RecurrentWeights> made;
  for (int64_t layer = 0; layer < this->options().num_layers; ++layer) {
    const int64_t input =
        layer == 0 ? this->options().input_size.value() : directions() * output_size();
    for (int64_t direction = 0; direction < directions(); ++direction) {
      const std::string end = "_l" + std::to_string(layer) + (direction == 1 ? "_reverse" : "");
      const auto cell = [&](bool wanted, const char* name, const Shape& shape) -> Parameter {
        if (!wanted) return {};
        return this->parameter(name + end, init::fan_in_uniform(shape, hidden));
      };
      const bool bias = this->options().bias;
      // In PyTorch's order, which initializers in braces keep.
      made.push_back(RecurrentWeights{.weight_ih = cell(true, "weight_ih", {rows, input}),
                                      .weight_hh = cell(true, "weight_hh", {rows, output_size()}),
                                      .bias_ih = cell(bias, "bias_ih", {rows}),
                                      .bias_hh = cell(bias, "bias_hh", {rows}),
                                      .weight_hr = cell(projection(this->options()) > 0,
                                                        "weight_hr", {output_size(), hidden})});
    }
  }
  return made;
}

template <class Derived, class Options>
Shape Recurrent<Derived, Options>::state_shape(size_t state, const Tensor& x) const {
  Shape shape{this->options().num_layers * directions()};
  if (x.rank() == 3) shape.push_back(x.shape()[this->options().batch_first ? 0 : 1]);
  shape.push_back(state == 0 ? output_size() : this->options().hidden_size.value());
  return shape;
}

template <class Derived, class Options>
void Recurrent<Derived, Options>::check(const Tensor& x, const Tensors& first) const {
  NamedOperands operands{{"x", x}};
  for (size_t i = 0; i < first.size(); ++i) {
    operands.emplace_back(std::string(Derived::states[i]), first[i]);
  }
  const auto refuse = [&](ErrorKind kind, const std::string& rule) {
    report(Derived::function, {kind, rule}, operands);
  };
  if (!x.defined()) refuse(ErrorKind::value, "x is undefined");
  const int64_t input = this->options().input_size;
  const std::string form = this->options().batch_first ? "[N,T," : "[T,N,";
  if ((x.rank() != 2 && x.rank() != 3) || x.shape().back() != input) {
    const std::string size = std::to_string(input) + "]";
    refuse(ErrorKind::shape, "takes x " + form + size + ", or [T," + size + " without a batch");
  }
  if (x.shape()[x.rank() == 3 && this->options().batch_first ? 1 : 0] == 0) {
    refuse(ErrorKind::shape, "a sequence must have a step");
  }
  const DType dtype = weights[0].weight_ih.value().dtype();
  const std::string name(dtype_name(dtype));
  if (x.dtype() != dtype) refuse(ErrorKind::dtype, "x must be " + name + ", as the weights are");
  for (size_t i = 0; i < first.size(); ++i) {
    if (first[i].defined() != first[0].defined()) {
      refuse(ErrorKind::value, std::string(Derived::states[0]) + " and " +
                                   std::string(Derived::states[i]) + " come together");
    }
    const Spec wanted{dtype, x.device(), state_shape(i, x)};
    if (!first[i].defined() || first[i].spec() == wanted) continue;
    refuse(first[i].dtype() == dtype ? ErrorKind::shape : ErrorKind::dtype,
           std::string(Derived::states[i]) + " must be " + to_string(wanted));
  }
}

template <class Derived, class Options>
Tensors Recurrent<Derived, Options>::run(const Tensor& x, const Tensors& first) const {
  check(x, first);
  const Options& options = this->options();
  const bool batched = x.rank() == 3;
  const bool turned = batched && options.batch_first;
  const auto with_batch = [&](const Tensor& t) { return batched ? t : expand_dims(t, 1); };
  const auto without_batch = [&](const Tensor& t) { return batched ? t : squeeze(t, {1}); };
  Tensors states;
  for (size_t i = 0; i < first.size(); ++i) {
    const bool given = first[i].defined();
    states.push_back(with_batch(given ? first[i] : zeros(state_shape(i, x), x.dtype())));
  }
  Tensor sequence = turned ? permute_dims(x, {1, 0, 2}) : with_batch(x);
  std::vector<Tensors> last(first.size());
  for (int64_t layer = 0; layer < options.num_layers; ++layer) {
    if (layer > 0) sequence = dropout(sequence, options.dropout, this->training());
    Tensors outputs;
    for (int64_t direction = 0; direction < directions(); ++direction) {
      auto [after, output] =
          run_direction(layer * directions() + direction, direction == 1, states, sequence);
      outputs.push_back(output);
      for (size_t i = 0; i < after.size(); ++i) last[i].push_back(after[i]);
    }
    sequence = outputs.size() == 1 ? outputs[0] : concat(outputs, -1);
  }
  Tensors results{turned ? permute_dims(sequence, {1, 0, 2}) : without_batch(sequence)};
  for (const Tensors& each : last) results.push_back(without_batch(stack(each)));
  return results;
}

template <class Derived, class Options>
std::pair<Tensors, Tensor> Recurrent<Derived, Options>::run_direction(int64_t place, bool reverse,
                                                                      const Tensors& states,
                                                                      const Tensor& x) const {
  const RecurrentValues w = values_of_all(weights[static_cast<size_t>(place)]);
  Tensors first;
  for (const Tensor& each : states) {
    first.push_back(squeeze(slice(each, 0, place, place + 1), {0}));
  }
  const auto step = [&](const Tensors& before, const Tensor& now) {
    Tensors after = Derived::step(w, before, now);
    const Tensor output = after[0];
    return std::pair(std::move(after), output);
  };
  return along(step, std::move(first), Derived::inputs(w, x), reverse);
}

template <class Derived, class Options>
std::string Recurrent<Derived, Options>::hint_for(const Tensor& x) const {
  if (!x.defined() || x.rank() == 0) return {};
  const int64_t input = this->options().input_size;
  if (x.shape().back() == input) {
    return hint_for_dtype("x", x, weights[0].weight_ih.value().dtype());
  }
  if (input == 1 && x.rank() <= 2) return "expand_dims(x, -1) would fit";
  if (x.rank() != 2 && x.rank() != 3) return {};
  return std::string(Derived::type_name) + "(" + std::to_string(x.shape().back()) + ", " +
         std::to_string(this->options().hidden_size.value()) + ") would fit";
}

// ---------------------------------------------------------------------------------- LSTM

void LSTMOptions::check(std::string_view owner) const {
  check_rule(proj_size < hidden_size.value(), owner, "`proj_size` must be below hidden_size",
             proj_size.value());
}

Tensor LSTM::inputs(const RecurrentValues& w, const Tensor& x) {
  const Tensor bias = w.bias_ih.defined() ? w.bias_ih + w.bias_hh : Tensor();
  return linear(x, w.weight_ih, bias);
}

Tensors LSTM::step(const RecurrentValues& w, const Tensors& states, const Tensor& x) {
  const Tensor gates = x + linear(states[0], w.weight_hh);
  const Tensors blocks = split(gates, gates.size(-1) / 4, -1);
  const Tensor kept = sigmoid(blocks[1]) * states[1];
  const Tensor cell = kept + sigmoid(blocks[0]) * tanh(blocks[2]);
  const Tensor hidden = sigmoid(blocks[3]) * tanh(cell);
  return {w.weight_hr.defined() ? linear(hidden, w.weight_hr) : hidden, cell};
}

LSTMResult LSTM::forward(const Tensor& x, const Tensor& h_0, const Tensor& c_0) const {
  Tensors results = run(x, {h_0, c_0});
  return {std::move(results[0]), std::move(results[1]), std::move(results[2])};
}

std::string LSTM::hint(const Tensor& x, const Tensor& /*h_0*/, const Tensor& /*c_0*/) const {
  return hint_for(x);
}

template class Recurrent<LSTM, LSTMOptions>;

}  // namespace taper::nn

TAPER_LAYER(LSTM, "Long short-term memory along a sequence.")
