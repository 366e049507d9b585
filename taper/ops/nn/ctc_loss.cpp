#include <taper/backend/cpu/ctc.h>

#include <limits>

#include <taper/ops/nn/loss_reduction.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// `ctc_loss` is made of `ctc_nll`, the losses of the sequences, whose kernel and that of its
// gradient run in logarithms and keep O(T S). The expansions say the same in ops, frame by frame:
// they are the oracle, and give the second derivative.

namespace taper {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

struct NllAttrs {
  int64_t blank = 0;
};

struct CtcAttrs {
  int64_t blank = 0;
  Reduction reduction = Reduction::mean;
  bool zero_infinity = false;
};

// ---------------------------------------------------------------------------------- the rules

void check_dtypes(const InSpecs& in) {
  if (!is_float(in[0].dtype)) {
    violate(ErrorKind::dtype, "log_probs must be floating; convert with astype");
  }
  for (size_t i = 1; i < 4; ++i) {
    if (!is_integer(in[i].dtype)) {
      violate(ErrorKind::dtype, "targets and lengths must be integers; convert with astype");
    }
  }
}

/// Of [T,N,C], or [T,C] and one sequence of targets.
void check_shapes(const InSpecs& in) {
  const Shape& log_probs = in[0].shape;
  const Shape& targets = in[1].shape;
  const bool single = log_probs.rank() == 2;
  const int64_t batch = single ? 1 : log_probs[1];
  if (single ? targets.rank() != 1
             : targets.rank() != 1 && (targets.rank() != 2 || targets[0] != batch)) {
    violate(ErrorKind::shape, single ? std::string("targets must be [S]")
                                     : "targets must be [" + std::to_string(batch) +
                                           ",S], or one behind the other in one axis");
  }
  for (size_t i = 2; i < 4; ++i) {
    const Shape& lengths = in[i].shape;
    if (lengths.numel() != batch || lengths.rank() > 1 || (!single && lengths.rank() == 0)) {
      violate(ErrorKind::shape,
              "input_lengths and target_lengths must be [" + std::to_string(batch) + "]");
    }
  }
}

void check_blank(int64_t blank, int64_t classes) {
  if (blank >= 0 && blank < classes) return;
  violate(ErrorKind::value,
          "blank must be in [0, " + std::to_string(classes) + "), got " + std::to_string(blank));
}

Specs infer_nll(const InSpecs& in, const NllAttrs& attrs) {
  check_dtypes(in);
  if (in[0].shape.rank() != 3) violate(ErrorKind::shape, "log_probs must be [T,N,C]");
  check_shapes(in);
  check_blank(attrs.blank, in[0].shape[2]);
  return loss_spec(in[0], {in[0].shape[1]}, Reduction::none);
}

Specs infer_nll_grad(const InSpecs& in, const NllAttrs& attrs) {
  const Specs losses = infer_nll(in, attrs);
  if (in[4] != losses[0]) violate(ErrorKind::shape, "grad must be like the losses");
  return in[0];
}

Specs infer_ctc(const InSpecs& in, const CtcAttrs& attrs) {
  check_dtypes(in);
  const Shape& log_probs = in[0].shape;
  if (log_probs.rank() != 2 && log_probs.rank() != 3) {
    violate(ErrorKind::shape, "log_probs must be [T,N,C], or [T,C] of one sequence");
  }
  check_shapes(in);
  check_blank(attrs.blank, log_probs[-1]);
  const Shape losses = log_probs.rank() == 2 ? Shape{} : Shape{log_probs[1]};
  return loss_spec(in[0], losses, attrs.reduction);
}

// ---------------------------------------------------------------------------------- expansions

/// The states of all sequences: labels with a blank in front, behind and between them.
struct States {
  Tensor labels;  // [N,L], blank behind a sequence's own
  Tensor skips;   // [N,L]: may follow the state two before
  Tensor used;    // [N,L]: are the sequence's own
  Tensor ends;    // [N,L]: an alignment may end there
  Tensor frames;  // [N,1]
};

/// Labels [N,S], of any value behind a sequence's own.
Tensor padded_targets(const Tensor& targets, const Tensor& lengths) {
  if (targets.rank() == 2) return astype(targets, DType::i64);
  const Tensor order = arange(lengths.size(0));
  const Tensor before = less(expand_dims(order, 0), expand_dims(order, 1));
  const Tensor first = sum(where(before, expand_dims(lengths, 0), 0), 1, true);
  const int64_t count = targets.size(0);
  return take(astype(targets, DType::i64), clip(first + arange(count), 0, count - 1));
}

States states_of(const Inputs& in, int64_t blank) {
  const int64_t batch = in[0].size(1);
  const Tensor lengths = astype(in[3], DType::i64);
  const Tensor count = expand_dims(lengths, 1);
  const Tensor given = padded_targets(in[1], lengths);
  const int64_t most = given.size(1);
  const Tensor targets = where(less(arange(most), count), given, blank);
  const Tensor blanks = full({batch, most}, blank, DType::i64);
  const Tensor pairs = reshape(stack({blanks, targets}, 2), {batch, 2 * most});
  const Tensor labels = pad(pairs, {0, 0, 0, 1}, blank);
  const Tensor two_before = slice(pad(labels, {0, 0, 2, 0}, blank), 1, 0, 2 * most + 1);
  const Tensor places = expand_dims(arange(2 * most + 1), 0);
  const Tensor last = count * 2;
  return {.labels = labels,
          .skips = not_equal(labels, two_before),
          .used = less_equal(places, last),
          .ends = logical_and(less_equal(places, last), greater_equal(places, last - 1)),
          .frames = expand_dims(astype(in[2], DType::i64), 1)};
}

/// log sum exp along an axis, -infinity of nothing but these; the largest term only scales it.
Tensor log_sum(const Tensor& x, int64_t axis) {
  Tensor largest = max(x, axis, true).detach();
  largest = where(equal(largest, -infinity), 0, largest);
  const Tensor total = sum(exp(x - largest), axis, true);
  const Tensor none = equal(total, 0);
  return squeeze(where(none, -infinity, log(where(none, 1, total)) + largest), axis);
}

/// Each state's number moved `by` states on, or back.
Tensor moved(const Tensor& x, int64_t by) {
  const int64_t states = x.size(1);
  if (by > 0) return slice(pad(x, {0, 0, by, 0}, -infinity), 1, 0, states);
  return slice(pad(x, {0, 0, 0, -by}, -infinity), 1, -by, states - by);
}

/// The log probability of each state's label in a frame.
Tensor emissions(const Tensor& log_probs, const States& s, int64_t frame) {
  const Tensor one = squeeze(slice(log_probs, 0, frame, frame + 1), 0);
  return take_along_axis(one, s.labels, 1, false);
}

/// For each frame log of the probability of all ways to a state; behind a sequence's last frame as
/// in that.
std::vector<Tensor> alphas_of(const Tensor& log_probs, const States& s) {
  const Tensor places = expand_dims(arange(s.labels.size(1)), 0);
  const Tensor nothing = zeros(s.labels.shape(), log_probs.dtype());
  std::vector<Tensor> alphas;
  for (int64_t t = 0; t < log_probs.size(0); ++t) {
    if (t == 0) {
      alphas.push_back(where(less(places, 2), nothing, -infinity) + emissions(log_probs, s, t));
      continue;
    }
    const Tensor before = alphas.back();
    const Tensor skipped = where(s.skips, moved(before, 2), -infinity);
    const Tensor ways = log_sum(stack({before, moved(before, 1), skipped}), 0);
    alphas.push_back(where(greater(s.frames, t), ways + emissions(log_probs, s, t), before));
  }
  return alphas;
}

/// For each frame log of the probability of all that follows a state.
std::vector<Tensor> betas_of(const Tensor& log_probs, const States& s) {
  const int64_t frames = log_probs.size(0);
  const Tensor nothing = zeros(s.labels.shape(), log_probs.dtype());
  const Tensor end = where(s.ends, nothing, -infinity);
  std::vector<Tensor> betas(static_cast<size_t>(frames));
  for (int64_t t = frames - 1; t >= 0; --t) {
    Tensor beta = nothing - infinity;
    if (t + 1 < frames) {
      const Tensor way = betas[static_cast<size_t>(t + 1)] + emissions(log_probs, s, t + 1);
      const Tensor skipped = moved(where(s.skips, way, -infinity), -2);
      beta = log_sum(stack({way, moved(way, -1), skipped}), 0);
    }
    betas[static_cast<size_t>(t)] = where(equal(s.frames, t + 1), end, beta);
  }
  return betas;
}

Tensor nll_of(const std::vector<Tensor>& alphas, const States& s, DType dtype) {
  const Tensor first = slice(s.ends, 1, 0, 1);  // there are no labels: the first state is the end
  const Tensor without =
      squeeze(where(first, zeros(first.shape(), dtype), infinity), 1);  // of no frames
  if (alphas.empty()) return without;
  const Tensor nll = -log_sum(where(s.ends, alphas.back(), -infinity), 1);
  return where(equal(squeeze(s.frames, 1), 0), without, nll);
}

Results expand_nll(const Inputs& in, const NllAttrs& attrs) {
  const States s = states_of(in, attrs.blank);
  return one_result(nll_of(alphas_of(in[0], s), s, in[0].dtype()));
}

/// Minus the share that each class has in a frame of the probability of all alignments. In f64: in
/// the second derivative large terms cancel.
Results expand_nll_grad(const Inputs& in, const NllAttrs& attrs) {
  if (in[0].size(0) == 0) return one_result(zeros_like(in[0]));
  const Tensor log_probs = astype(in[0], DType::f64);
  const States s = states_of(in, attrs.blank);
  const std::vector<Tensor> alphas = alphas_of(log_probs, s);
  const std::vector<Tensor> betas = betas_of(log_probs, s);
  const Tensor nll = expand_dims(nll_of(alphas, s, log_probs.dtype()), 1);
  const Tensor infinite = equal(nll, infinity);
  const Tensor scale = where(infinite, 0, nll);
  const Tensor grad = expand_dims(astype(in[4], DType::f64), 1);
  const Tensor of_infinite =
      where(logical_and(infinite, not_equal(grad, 0)), not_a_number, grad * 0);
  const Tensor hot = one_hot(s.labels, log_probs.size(2), DType::boolean);
  std::vector<Tensor> grads;
  for (size_t t = 0; t < alphas.size(); ++t) {
    const Tensor share = where(s.used, exp(alphas[t] + betas[t] + scale), 0);
    const Tensor shares = sum(where(hot, expand_dims(share, 2), 0), 1);
    const Tensor all = where(infinite, of_infinite, -(shares * grad));
    grads.push_back(where(greater(s.frames, static_cast<int64_t>(t)), all, 0));
  }
  return one_result(astype(stack(grads), in[0].dtype()));
}

// ---------------------------------------------------------------------------------- the rows

CtcOperands operands_of(const Kernel& k, const NllAttrs& attrs) {
  return {k.in(0), k.in(1), k.in(2), k.in(3), attrs.blank};
}
void cpu_nll(const Kernel& k, const NllAttrs& attrs) {
  ctc_nll(k.context, operands_of(k, attrs), k.out());
}
void cpu_nll_grad(const Kernel& k, const NllAttrs& attrs) {
  ctc_nll_grad(k.context, operands_of(k, attrs), k.in(4), k.out());
}

/// Six frames of two sequences, five classes, up to three labels.
std::vector<SampleInput> batch_of_two(double least_frames = 5) {
  return {{.shape = {6, 2, 5}, .low = -3, .high = 0},
          {.shape = {2, 3}, .low = 1, .high = 5, .dtype = DType::i64},
          {.shape = {2}, .low = least_frames, .high = 7, .dtype = DType::i64},
          {.shape = {2}, .low = 1, .high = 4, .dtype = DType::i32}};
}

/// The first operands with another one.
std::vector<SampleInput> with(std::vector<SampleInput> inputs, size_t place,
                              const SampleInput& other) {
  inputs[place] = other;
  return inputs;
}

/// One sequence: of several, the labels in one axis are as many as the lengths say together, which
/// no other size fits.
std::vector<SampleInput> label_in_one_axis() {
  return {{.shape = {6, 1, 5}, .low = -3, .high = 0},
          {.shape = {1}, .low = 1, .high = 5, .dtype = DType::i32},
          {.shape = {1}, .low = 6, .high = 7, .dtype = DType::i64},
          {.shape = {1}, .low = 1, .high = 2, .dtype = DType::i64}};
}

std::vector<Sample<NllAttrs>> nll_samples() {
  const SampleInput zeros_and_more{.shape = {2, 3}, .low = 0, .high = 4, .dtype = DType::i64};
  return {
      {.inputs = batch_of_two()},
      {.inputs = label_in_one_axis()},
      {.inputs = with(batch_of_two(), 1, zeros_and_more), .attrs = {4}},
      {.inputs = with(batch_of_two(), 0, {.shape = {6, 5}}), .error = "log_probs must be [T,N,C]"},
      {.inputs = with(batch_of_two(), 1, zeros_and_more),
       .attrs = {3},
       .error = "targets must be classes in [0, 5) other than the blank 3, got 3"}};
}

/// The first operands with a gradient of the losses.
std::vector<SampleInput> with_grad(std::vector<SampleInput> inputs, int64_t batch) {
  inputs.push_back({.shape = {batch}, .low = 0.5, .high = 2});
  return inputs;
}

std::vector<Sample<NllAttrs>> nll_grad_samples() {
  const std::vector<SampleInput> two = with_grad(batch_of_two(), 2);
  return {{.inputs = two},
          {.inputs = with_grad(label_in_one_axis(), 1)},
          {.inputs = with(two, 1, {.shape = {2, 3}, .low = 0, .high = 4, .dtype = DType::i64}),
           .attrs = {4}},
          {.inputs = with(two, 4, {.shape = {3}}), .error = "grad must be like the losses"},
          {.inputs = with(two, 2, {.shape = {2}, .low = 7, .high = 8, .dtype = DType::i64}),
           .error = "input_lengths must be in [0, 6], got 7 at position 0"}};
}

const Op<NllAttrs> nll_grad_op{
    {.name = "ctc_nll_grad",
     .doc = "The gradient of ctc_nll in log_probs.",
     .internal = true,
     .inputs = {"log_probs", "targets", "input_lengths", "target_lengths", "grad"},
     .infer = infer_nll_grad,
     .expand = expand_nll_grad,
     .grad = through_expansion{},
     .refuses_values = true,
     .kernels = {.cpu = cpu_nll_grad},
     .no_golden = golden_in_its_row,
     .samples = nll_grad_samples}};

Grads nll_vjp(const Saved& s, const NllAttrs& attrs) {
  return {nll_grad_op({s.in(0), s.in(1), s.in(2), s.in(3), s.grad()}, attrs), {}, {}, {}};
}

const Op<NllAttrs> nll_op{
    {.name = "ctc_nll",
     .doc = "-log of the probability of each sequence's labels, for ctc_loss.",
     .internal = true,
     .inputs = {"log_probs", "targets", "input_lengths", "target_lengths"},
     .outputs = {"losses"},
     .infer = infer_nll,
     .expand = expand_nll,
     .grad = {nll_vjp, Saves::inputs},
     .refuses_values = true,
     .kernels = {.cpu = cpu_nll},
     .no_golden = golden_in_its_row,
     .samples = nll_samples}};

Results expand_ctc(const Inputs& in, const CtcAttrs& attrs) {
  const bool single = in[0].rank() == 2;
  const Tensor log_probs = single ? expand_dims(in[0], 1) : in[0];
  const Tensor targets = single ? expand_dims(in[1], 0) : in[1];
  const Tensor input_lengths = single ? reshape(in[2], {1}) : in[2];
  const Tensor target_lengths = single ? reshape(in[3], {1}) : in[3];
  Tensor losses = nll_op({log_probs, targets, input_lengths, target_lengths}, {attrs.blank});
  if (attrs.zero_infinity) losses = where(equal(losses, infinity), 0, losses);
  if (attrs.reduction == Reduction::mean) {
    losses = losses / astype(maximum(target_lengths, 1), losses.dtype());
  }
  const bool drops_axis = single && attrs.reduction == Reduction::none;
  return one_result(drops_axis ? squeeze(losses, 0) : reduce_loss(losses, attrs.reduction));
}

std::vector<Sample<CtcAttrs>> ctc_samples() {
  const SampleInput one{.shape = {6, 5}, .low = -3, .high = 0};
  const SampleInput labels{.shape = {3}, .low = 1, .high = 5, .dtype = DType::i64};
  const SampleInput six{.shape = {1}, .low = 6, .high = 7, .dtype = DType::i64};
  const SampleInput three{.shape = {}, .low = 3, .high = 4, .dtype = DType::i64};
  const std::vector<SampleInput> two = batch_of_two();
  return {{.inputs = two},
          {.inputs = label_in_one_axis(), .attrs = {.reduction = Reduction::sum}},
          {.inputs = two, .attrs = {.reduction = Reduction::none}},
          {.inputs = with(two, 1, {.shape = {2, 3}, .low = 0, .high = 4, .dtype = DType::i64}),
           .attrs = {.blank = 4}},
          {.inputs = with(two, 2, {.shape = {2}, .low = 0, .high = 1, .dtype = DType::i64}),
           .attrs = {.zero_infinity = true}},
          {.inputs = {one, labels, six, three}},
          {.inputs = {one, labels, six, three}, .attrs = {.reduction = Reduction::none}},
          {.inputs = with(two, 0, {.shape = {6, 2, 5}, .dtype = DType::i64}),
           .error = "log_probs must be floating"},
          {.inputs = with(two, 3, {.shape = {2}}), .error = "lengths must be integers"},
          {.inputs = with(two, 0, {.shape = {5}}), .error = "log_probs must be [T,N,C], or [T,C]"},
          {.inputs = with(two, 1, {.shape = {3, 3}, .low = 1, .high = 5, .dtype = DType::i64}),
           .error = "targets must be [2,S], or one behind the other"},
          {.inputs = with(two, 2, {.shape = {3}, .low = 6, .high = 7, .dtype = DType::i64}),
           .error = "input_lengths and target_lengths must be [2]"},
          {.inputs = two, .attrs = {.blank = 5}, .error = "blank must be in [0, 5), got 5"},
          {.inputs = with(two, 1, {.shape = {2, 3}, .low = 5, .high = 6, .dtype = DType::i64}),
           .error = "got 5 as label 0 of sequence 0"},
          {.inputs = with(two, 3, {.shape = {2}, .low = 4, .high = 5, .dtype = DType::i64}),
           .error = "target_lengths must be in [0, 3], got 4 at position 0"},
          {.inputs = with(label_in_one_axis(), 1,
                          {.shape = {4}, .low = 1, .high = 5, .dtype = DType::i64}),
           .error = "target_lengths must sum to the size of targets, 4, got 1"}};
}

const Op<CtcAttrs> ctc_op{
    {.name = "ctc_loss",
     .doc =
         "-log of the probability that frames give the targets, over all alignments with blanks.",
     .inlined = true,
     .attributes = {{"blank", "The class that stands between labels."},
                    reduction_line,
                    {"zero_infinity", "Whether the loss without an alignment is 0."}},
     .inputs = {"log_probs", "targets", "input_lengths", "target_lengths"},
     .outputs = {"loss"},
     .infer = infer_ctc,
     .expand = expand_ctc,
     .grad = through_expansion{},
     .refuses_values = true,
     .samples = ctc_samples}};

}  // namespace

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, int64_t blank, Reduction reduction,
                bool zero_infinity) {
  return ctc_op({log_probs, targets, input_lengths, target_lengths},
                {blank, reduction, zero_infinity});
}

}  // namespace taper
