// Recurrent layers: the sequence, the layers and the directions are here, what a step does is each
// layer's own.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <taper/nn/init.h>
#include <taper/nn/layer_entry.h>

namespace taper::nn {

/// The cells of one direction of one layer, `weight_ih_l0`, `weight_hh_l0_reverse` and so on: from
/// the input to the gates [gates * hidden, input], from the hidden state to the gates, their
/// biases, and the projection [proj, hidden] of the hidden state. Those that the options leave out
/// have no cell.
struct RecurrentWeights {
  Parameter weight_ih;
  Parameter weight_hh;
  Parameter bias_ih;
  Parameter bias_hh;
  Parameter weight_hr;
};

/// What they hold during a call; undefined without a cell.
struct RecurrentValues {
  Tensor weight_ih;
  Tensor weight_hh;
  Tensor bias_ih;
  Tensor bias_hh;
  Tensor weight_hr;
};

/// The base of layers that step along a sequence. `Derived` says how many blocks of hidden_size
/// rows its weights have, the names of its states, and its step:
///
///   static constexpr int64_t gates = 4;
///   static constexpr std::string_view function = "lstm";               // in errors
///   static constexpr std::array<std::string_view, 2> states{"h_0", "c_0"};
///   /// What all steps get of their inputs x [T,N,input], in one product.
///   static Tensor inputs(const RecurrentValues& w, const Tensor& x);
///   /// The states, each [N,...], behind a step that gets `x` of its input; the first one is the
///   /// output.
///   static std::vector<Tensor> step(const RecurrentValues& w, const std::vector<Tensor>& states,
///                                   const Tensor& x);
template <class Derived, class Options>
class TAPER_API Recurrent : public Layer<Derived, Options> {
 public:
  using Layer<Derived, Options>::Layer;

  /// For each layer, each direction: the forward one first.
  std::vector<RecurrentWeights> weights = make_weights();

 protected:
  /// The output and the last states for x and the first states: zeros where they are undefined.
  /// Throws shape, dtype.
  std::vector<Tensor> run(const Tensor& x, const std::vector<Tensor>& first) const;
  std::string hint_for(const Tensor& x) const;

 private:
  std::vector<RecurrentWeights> make_weights();
  int64_t directions() const { return this->options().bidirectional ? 2 : 1; }
  /// The size of the hidden state, projected if it is.
  int64_t output_size() const;
  Shape state_shape(size_t state, const Tensor& x) const;
  void check(const Tensor& x, const std::vector<Tensor>& first) const;
  /// The last states and the outputs of the direction whose weights and states stand at `place`.
  std::pair<std::vector<Tensor>, Tensor> run_direction(int64_t place, bool reverse,
                                                       const std::vector<Tensor>& states,
                                                       const Tensor& x) const;
};

struct TAPER_API LSTMOptions {
  Required<Positive<int64_t>> input_size;
  Required<Positive<int64_t>> hidden_size;
  Positive<int64_t> num_layers = 1;
  bool bias = true;
  bool batch_first = false;
  Probability dropout = 0;  ///< in training, of the outputs of all layers but the last one
  bool bidirectional = false;
  NonNegative<int64_t> proj_size = 0;  ///< the size of the projected hidden state; 0: none
  /// Throws value unless proj_size is below hidden_size.
  void check(std::string_view owner) const;
};

/// The results of an LSTM; D is 2 if it is bidirectional, P is proj_size, or else hidden_size.
struct LSTMResult {
  Tensor output;  ///< the last layer's hidden states [T,N,D*P], or [N,T,D*P] with batch_first
  Tensor h_n;     ///< the hidden state behind the last step [num_layers*D,N,P]
  Tensor c_n;     ///< that of the cell [num_layers*D,N,hidden_size]
};

/// Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget gate of Gers et al.
/// (2000): for x [T,N,input_size], [N,T,input_size] with `batch_first`, or [T,input_size] without a
/// batch, whose states and outputs then have no axis N,
///
///   i, f, g, o = x_t W_ih^T + b_ih + h W_hh^T + b_hh, in blocks of hidden_size
///   c = sigmoid(f) * c + sigmoid(i) * tanh(g);  h = sigmoid(o) * tanh(c), projected by W_hr
///
/// States that are not given are zero. Weights and biases are uniform within 1 / sqrt(hidden_size).
/// Throws shape, dtype, and value if one of h_0 and c_0 is given.
class TAPER_API LSTM : public Recurrent<LSTM, LSTMOptions> {
 public:
  static constexpr std::array<std::string_view, 3> operands{"x", "h_0", "c_0"};
  static constexpr int64_t gates = 4;
  static constexpr std::string_view function = "lstm";
  static constexpr std::array<std::string_view, 2> states{"h_0", "c_0"};

  using Recurrent::Recurrent;
  LSTMResult forward(const Tensor& x, const Tensor& h_0 = {}, const Tensor& c_0 = {}) const;
  std::string hint(const Tensor& x, const Tensor& h_0 = {}, const Tensor& c_0 = {}) const;

  static Tensor inputs(const RecurrentValues& w, const Tensor& x);
  static std::vector<Tensor> step(const RecurrentValues& w, const std::vector<Tensor>& states,
                                  const Tensor& x);
};

extern template class Recurrent<LSTM, LSTMOptions>;

}  // namespace taper::nn

TAPER_LAYER_TYPE(LSTM)
