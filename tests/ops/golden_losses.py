"""Cases of make_golden.py: losses whose numbers are drawn behind all others."""

import numpy as np
import torch
import torch.nn.functional as F

from golden_format import uniform


def huber(golden):
    x, far = uniform(3, 4), 2 * uniform(3, 4)
    for reduction in "none", "mean", "sum":
        for delta in 0.5, 1.0:
            attrs = {"reduction": reduction, "delta": delta}
            golden.torch("huber_loss", lambda x, t: F.huber_loss(x, t, **attrs), (x, far), "f32",
                         attrs)


def ctc_loss(log_probs, *others, blank=0, reduction="mean", zero_infinity=False):
    """PyTorch's loss. Its gradient supposes normalized log probabilities, so exp(log_probs) is
    taken off, which that adds to the derivative."""
    single = log_probs.dim() == 2
    targets, frames, lengths = (others[0], *(x.reshape(-1) for x in others[1:]))
    if single:
        log_probs, targets = log_probs[:, None], targets[None]
    losses = F.ctc_loss(log_probs, targets, frames, lengths, blank=blank, reduction="none",
                        zero_infinity=zero_infinity)
    within = (torch.arange(log_probs.shape[0])[:, None] < frames) & losses.isfinite()
    within &= (losses != 0) | (not zero_infinity)
    mass = torch.where(within, log_probs.exp().sum(2), 0).sum(0)
    losses = losses - (mass - mass.detach())
    if reduction == "mean":
        losses = losses / lengths.clamp(min=1)
    if reduction == "none":
        return losses[0] if single else losses
    return losses.mean() if reduction == "mean" else losses.sum()


def alignments(golden):
    logits = 2 * uniform(7, 4, 5)
    log_probs = torch.log_softmax(torch.tensor(logits), 2).numpy()
    # Repeated labels, one label, none, and what has no alignment in its frames.
    targets = np.array([[2, 2, 1], [3, 0, 0], [0, 0, 0], [1, 2, 3]])
    frames, lengths = np.array([7, 5, 4, 3]), np.array([3, 1, 0, 3])
    too_short = np.array([3, 5, 4, 2])
    for attrs in ({}, {"reduction": "sum"}, {"reduction": "none"}):
        golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **attrs),
                     (log_probs, targets, frames, lengths), "f64", attrs, ulps=64)
        golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **attrs),
                     (log_probs, np.array([2, 2, 1, 3, 1, 2, 3], dtype=np.int32),
                      frames.astype(np.int32), lengths.astype(np.int32)), "f32", attrs)
        zero = {**attrs, "zero_infinity": True}
        golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **zero),
                     (log_probs, targets, too_short, lengths), "f64", zero, ulps=64)
        golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **attrs),
                     (log_probs, targets, too_short, lengths), "f64", attrs, ulps=64, grad=False)
        golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **attrs),
                     (log_probs[:, 0], targets[0], frames[0], lengths[0]), "f64", attrs, ulps=64)
    last = {"blank": 4}
    golden.torch("ctc_loss", lambda *x: ctc_loss(*x, **last),
                 (log_probs, targets, frames, lengths), "f64", last, ulps=64)


FAMILIES = huber, alignments
