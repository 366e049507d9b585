#include <taper/backend/cpu/ctc.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <taper/backend/cpu/indices.h>

namespace taper {
namespace {

constexpr double impossible = -std::numeric_limits<double>::infinity();

double log_add(double a, double b, double c) {
  if (a < b) std::swap(a, b);
  if (a < c) std::swap(a, c);
  if (a == impossible) return impossible;
  constexpr double nothing = -40;  // below half a digit of a double beside 1
  const double two = b - a < nothing ? 0 : std::exp(b - a);
  const double three = c - a < nothing ? 0 : std::exp(c - a);
  return two + three == 0 ? a : a + std::log(1 + two + three);
}

/// Integers in [0, most].
Indices lengths_of(const KernelContext& context, const View& view, int64_t most, const char* name) {
  return checked_indices(context, view, 0, most + 1, [&](int64_t value, int64_t position) {
    return std::string(name) + " must be in [0, " + std::to_string(most) + "], got " +
           std::to_string(value) + " at position " + std::to_string(position);
  });
}

/// A sequence's states and frames.
struct Sequence {
  int64_t frames = 0;
  std::vector<int64_t> labels;  // of its states
  std::vector<bool> skips;      // whether a state may follow the one two before it
  int64_t states() const { return static_cast<int64_t>(labels.size()); }
};

/// The operands, checked and counted.
class Sequences {
 public:
  Sequences(const KernelContext& context, const CtcOperands& operands)
      : operands_(operands),
        batch_(operands.log_probs.shape()[1]),
        classes_(operands.log_probs.shape()[2]),
        frames_(lengths_of(context, operands.input_lengths, operands.log_probs.shape()[0],
                           "input_lengths")),
        lengths_(lengths_of(context, operands.target_lengths, operands.targets.shape()[-1],
                            "target_lengths")) {
    place_targets();
    visit<kinds::integer>(operands.targets.dtype(), [&]<class T>() { read_labels<T>(); });
  }

  int64_t batch() const { return batch_; }
  int64_t classes() const { return classes_; }

  Sequence operator[](int64_t n) const {
    Sequence made;
    made.frames = frames_[n];
    const int64_t count = lengths_[n];
    made.labels.assign(static_cast<size_t>(2 * count + 1), operands_.blank);
    made.skips.assign(made.labels.size(), false);
    const int64_t* labels = labels_.data() + firsts_[static_cast<size_t>(n)];
    for (int64_t i = 0; i < count; ++i) {
      const auto state = static_cast<size_t>(2 * i + 1);
      made.labels[state] = labels[i];
      made.skips[state] = i > 0 && labels[i] != labels[i - 1];
    }
    return made;
  }

  /// Sequences whose recursion is worth a thread.
  int64_t grain() const {
    constexpr int64_t states_a_thread = 1000;
    const int64_t states = 2 * operands_.targets.numel() / std::max<int64_t>(1, batch_) + 1;
    const int64_t each = operands_.log_probs.shape()[0] * states;
    return std::max<int64_t>(1, states_a_thread / std::max<int64_t>(1, each));
  }

 private:
  void place_targets() {
    const bool together = operands_.targets.rank() == 1;
    int64_t next = 0;
    for (int64_t n = 0; n < batch_; ++n) {
      firsts_.push_back(together ? next : n * operands_.targets.shape()[1]);
      next += lengths_[n];
    }
    if (together && next != operands_.targets.numel()) {
      violate(ErrorKind::index, "target_lengths must sum to the size of targets, " +
                                    std::to_string(operands_.targets.numel()) + ", got " +
                                    std::to_string(next));
    }
  }

  /// Those within the lengths are checked; what stands behind them is never used.
  template <class T>
  void read_labels() {
    const T* given = operands_.targets.as<T>();
    labels_.resize(static_cast<size_t>(operands_.targets.numel()));
    for (int64_t n = 0; n < batch_; ++n) {
      for (int64_t i = 0; i < lengths_[n]; ++i) {
        const int64_t at = firsts_[static_cast<size_t>(n)] + i;
        const int64_t label = as_index(given[at]);
        if (label < 0 || label >= classes_ || label == operands_.blank) refuse(label, n, i);
        labels_[static_cast<size_t>(at)] = label;
      }
    }
  }

  [[noreturn]] void refuse(int64_t label, int64_t n, int64_t i) const {
    violate(ErrorKind::index, "targets must be classes in [0, " + std::to_string(classes_) +
                                  ") other than the blank " + std::to_string(operands_.blank) +
                                  ", got " + std::to_string(label) + " as label " +
                                  std::to_string(i) + " of sequence " + std::to_string(n));
  }

  const CtcOperands& operands_;
  int64_t batch_;
  int64_t classes_;
  Indices frames_;
  Indices lengths_;
  std::vector<int64_t> firsts_;
  std::vector<int64_t> labels_;
};

/// The log probabilities of one sequence.
template <class T>
struct Frames {
  const T* first;
  int64_t step;  // from frame to frame
  double at(int64_t frame, int64_t label) const {
    return static_cast<double>(first[frame * step + label]);
  }
};

/// The next frame's alpha from the one before: log of the probability of all ways to a state.
template <class T>
void step_forward(const Sequence& s, const Frames<T>& frames, int64_t frame, const double* before,
                  double* alpha) {
  for (int64_t i = 0; i < s.states(); ++i) {
    const auto state = static_cast<size_t>(i);
    const double one = i > 0 ? before[i - 1] : impossible;
    const double two = s.skips[state] ? before[i - 2] : impossible;
    alpha[i] = log_add(before[i], one, two) + frames.at(frame, s.labels[state]);
  }
}

/// A way begins with the first blank or the first label.
template <class T>
void begin_forward(const Sequence& s, const Frames<T>& frames, double* alpha) {
  for (int64_t i = 0; i < s.states(); ++i) {
    const double begin = i < 2 ? 0 : impossible;
    alpha[i] = begin + frames.at(0, s.labels[static_cast<size_t>(i)]);
  }
}

/// -log of the sum over both ends: the last label and the blank behind it.
double nll_of(const Sequence& s, const double* alpha) {
  const int64_t last = s.states() - 1;
  return -log_add(alpha[last], last > 0 ? alpha[last - 1] : impossible, impossible);
}

double nll_without_frames(const Sequence& s) { return s.states() == 1 ? 0 : -impossible; }

template <class T>
double forward(const Sequence& s, const Frames<T>& frames, std::vector<double>& memory) {
  if (s.frames == 0) return nll_without_frames(s);
  memory.resize(static_cast<size_t>(2 * s.states()));
  double* alpha = memory.data();
  double* before = alpha + s.states();
  begin_forward(s, frames, alpha);
  for (int64_t t = 1; t < s.frames; ++t) {
    std::swap(alpha, before);
    step_forward(s, frames, t, before, alpha);
  }
  return nll_of(s, alpha);
}

/// beta of a frame from the one behind it: log of the probability of what follows a state.
template <class T>
void step_back(const Sequence& s, const Frames<T>& frames, int64_t behind, const double* after,
               double* beta) {
  const auto way = [&](int64_t i) {
    return after[i] + frames.at(behind, s.labels[static_cast<size_t>(i)]);
  };
  for (int64_t i = 0; i < s.states(); ++i) {
    const double one = i + 1 < s.states() ? way(i + 1) : impossible;
    const bool skips = i + 2 < s.states() && s.skips[static_cast<size_t>(i + 2)];
    beta[i] = log_add(way(i), one, skips ? way(i + 2) : impossible);
  }
}

/// Memory of one sequence's gradient.
struct Scratch {
  std::vector<double> alphas;  // [frames, states]
  std::vector<double> betas;   // of two frames
  std::vector<double> shares;  // of each class in a frame
};

/// What the states' classes have of the probability of all alignments, frame by frame from the
/// end: visit(frame, shares).
template <class T, class Visit>
void for_shares(const Sequence& s, const Frames<T>& frames, double nll, Scratch& memory,
                Visit&& visit) {
  const int64_t states = s.states();
  memory.betas.assign(static_cast<size_t>(2 * states), impossible);
  double* beta = memory.betas.data();
  double* after = beta + states;
  for (int64_t i = std::max<int64_t>(0, states - 2); i < states; ++i) beta[i] = 0;
  for (int64_t t = s.frames - 1; t >= 0; --t) {
    if (t + 1 < s.frames) {
      std::swap(beta, after);
      step_back(s, frames, t + 1, after, beta);
    }
    const double* alpha = memory.alphas.data() + t * states;
    std::ranges::fill(memory.shares, 0.0);
    for (int64_t i = 0; i < states; ++i) {
      const auto label = static_cast<size_t>(s.labels[static_cast<size_t>(i)]);
      memory.shares[label] += std::exp(alpha[i] + beta[i] + nll);
    }
    visit(t, memory.shares);
  }
}

template <class T>
double all_alphas(const Sequence& s, const Frames<T>& frames, std::vector<double>& alphas) {
  if (s.frames == 0) return nll_without_frames(s);
  alphas.resize(static_cast<size_t>(s.frames * s.states()));
  begin_forward(s, frames, alphas.data());
  for (int64_t t = 1; t < s.frames; ++t) {
    double* alpha = alphas.data() + t * s.states();
    step_forward(s, frames, t, alpha - s.states(), alpha);
  }
  return nll_of(s, alphas.data() + (s.frames - 1) * s.states());
}

/// One sequence's gradient into zeros.
template <class T>
void add_gradient(const Sequence& s, const Frames<T>& frames, double grad, Scratch& memory,
                  T* out) {
  const double nll = all_alphas(s, frames, memory.alphas);
  if (nll == -impossible) {  // no direction leads to an alignment
    for (int64_t t = 0; t < s.frames; ++t) {
      std::fill_n(out + t * frames.step, memory.shares.size(), static_cast<T>(NAN));
    }
    return;
  }
  for_shares(s, frames, nll, memory, [&](int64_t t, const std::vector<double>& shares) {
    for (size_t c = 0; c < shares.size(); ++c) {
      out[t * frames.step + static_cast<int64_t>(c)] = static_cast<T>(-grad * shares[c]);
    }
  });
}

}  // namespace

void ctc_nll(const KernelContext& context, const CtcOperands& operands, const View& out) {
  const Sequences sequences(context, operands);
  const int64_t step = sequences.batch() * sequences.classes();
  visit<kinds::floating>(out.dtype(), [&]<class T>() {
    parallel_for(sequences.batch(), sequences.grain(), [&](int64_t begin, int64_t end) {
      std::vector<double> memory;
      for (int64_t n = begin; n < end; ++n) {
        const T* first = operands.log_probs.as<T>() + n * sequences.classes();
        const double nll = forward(sequences[n], Frames<T>{first, step}, memory);
        out.as<T>()[n] = static_cast<T>(nll);
      }
    });
  });
}

void ctc_nll_grad(const KernelContext& context, const CtcOperands& operands, const View& grad,
                  const View& out) {
  const Sequences sequences(context, operands);
  const int64_t classes = sequences.classes();
  const int64_t step = sequences.batch() * classes;
  visit<kinds::floating>(out.dtype(), [&]<class T>() {
    std::fill_n(out.as<T>(), out.numel(), T(0));
    parallel_for(sequences.batch(), sequences.grain(), [&](int64_t begin, int64_t end) {
      Scratch memory;
      memory.shares.resize(static_cast<size_t>(classes));
      for (int64_t n = begin; n < end; ++n) {
        const auto given = static_cast<double>(grad.as<T>()[n]);
        if (given == 0) continue;
        const T* first = operands.log_probs.as<T>() + n * classes;
        add_gradient(sequences[n], Frames<T>{first, step}, given, memory,
                     out.as<T>() + n * classes);
      }
    });
  });
}

}  // namespace taper
