#pragma once

#include <taper/core/view.h>

// Connectionist temporal classification: Graves et al. (2006), in logarithms. The states of a
// sequence are its labels with a blank in front, behind and between them.

namespace taper {

/// Row-major operands: log probabilities [T,N,C], labels [N,S] or those of all sequences behind
/// each other, lengths [N]. What is out of range throws Violation(index) before anything is
/// written.
struct CtcOperands {
  View log_probs;
  View targets;
  View input_lengths;
  View target_lengths;
  int64_t blank;
};

/// -log of the probability of each sequence's labels, infinite where no alignment exists.
void ctc_nll(const KernelContext& context, const CtcOperands& operands, const View& out);

/// Its gradient in the log probabilities for a gradient [N] of the losses: zeros where that is 0,
/// NaN in the frames of an infinite loss.
void ctc_nll_grad(const KernelContext& context, const CtcOperands& operands, const View& grad,
                  const View& out);

}  // namespace taper
