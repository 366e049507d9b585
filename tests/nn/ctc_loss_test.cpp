// CTC beside its golden numbers: its definition, its edges, its errors, and what it is for.

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <taper/taper.h>

#include "../core/error_testing.h"

namespace taper::nn {
namespace {

using testing::thrown_text;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// What a path of one class for each frame says: equal neighbours are one, blanks none.
std::vector<int64_t> collapsed(const std::vector<int64_t>& path, int64_t blank = 0) {
  std::vector<int64_t> labels;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != blank && (i == 0 || path[i] != path[i - 1])) labels.push_back(path[i]);
  }
  return labels;
}

/// By definition: the sum over all paths that say the labels.
double nll_of_all_paths(const Tensor& log_probs, const std::vector<int64_t>& labels,
                        int64_t blank) {
  const int64_t frames = log_probs.size(0);
  const int64_t classes = log_probs.size(1);
  const std::vector<double> values = log_probs.to_vector<double>();
  std::vector<int64_t> path(static_cast<size_t>(frames), 0);
  double total = 0;
  const auto count = static_cast<int64_t>(std::pow(classes, frames));
  for (int64_t number = 0; number < count; ++number) {
    double log_p = 0;
    int64_t rest = number;
    for (int64_t t = 0; t < frames; ++t, rest /= classes) {
      path[static_cast<size_t>(t)] = rest % classes;
      log_p += values[static_cast<size_t>(t * classes + rest % classes)];
    }
    if (collapsed(path, blank) == labels) total += std::exp(log_p);
  }
  return -std::log(total);
}

Tensor of(const std::vector<int64_t>& labels) { return tensor(labels, DType::i64); }
Tensor length(int64_t size) { return tensor({size}, DType::i32); }

Tensor some_log_probs(int64_t frames, int64_t classes) {
  Generator generator(4);
  return log_softmax(normal({frames, classes}, 0, 2, DType::f64, &generator), 1);
}

TEST(CTCLoss, IsTheSumOverAllPaths) {
  const Tensor log_probs = some_log_probs(5, 4);
  for (int64_t blank : {0, 3}) {
    const int64_t a = blank == 0 ? 3 : 0;
    const std::vector<std::vector<int64_t>> targets{{},        {1},       {1, 2},    {1, 1},
                                                    {a, a, 1}, {a, 1, a}, {1, 1, 1}, {1, 2, a, 1}};
    for (const std::vector<int64_t>& labels : targets) {
      const Tensor loss = ctc_loss(log_probs, of(labels), length(5), length(std::ssize(labels)),
                                   blank, Reduction::sum);
      EXPECT_NEAR(loss.item(), nll_of_all_paths(log_probs, labels, blank), 1e-12);
    }
  }
}

TEST(CTCLoss, HasThePathsThatAreLeftWhereClassesAreImpossible) {
  std::vector<double> values = some_log_probs(5, 4).to_vector<double>();
  for (size_t place : {1, 4, 6, 15, 18}) values[place] = -infinity;
  const Tensor log_probs = from_values({5, 4}, values).set_requires_grad();
  const std::vector<int64_t> labels{1, 2};
  const Tensor loss = ctc_loss(log_probs, of(labels), length(5), length(2), 0, Reduction::sum);
  EXPECT_NEAR(loss.item(), nll_of_all_paths(log_probs.detach(), labels, 0), 1e-12);
  const std::vector<double> grad = gradients(loss, std::vector{log_probs})[0].to_vector<double>();
  for (size_t t = 0; t < 5; ++t) {
    double total = 0;
    for (size_t c = 0; c < 4; ++c) {
      EXPECT_LE(grad[t * 4 + c], 0);
      total += grad[t * 4 + c];
      if (values[t * 4 + c] == -infinity) {
        EXPECT_EQ(grad[t * 4 + c], 0);
      }
    }
    EXPECT_NEAR(total, -1, 1e-12);  // every path has one class in each frame
  }
}

TEST(CTCLoss, IsInfiniteWithoutAnAlignmentAndZeroIfAsked) {
  const Tensor log_probs = some_log_probs(3, 4).set_requires_grad();
  const auto loss = [&](bool zero) {
    return ctc_loss(log_probs, of({1, 1, 2}), length(3), length(3), 0, Reduction::mean, zero);
  };
  EXPECT_EQ(loss(false).item(), infinity);
  EXPECT_EQ(loss(true).item(), 0);
  const Tensor grad = gradients(loss(true), std::vector{log_probs})[0];
  EXPECT_EQ(grad.to_vector<double>(), std::vector<double>(12, 0.0));
}

TEST(CTCLoss, TakesNoFramesAndNoLabels) {
  const Tensor none = zeros({0, 4}, DType::f64);
  const Tensor empty_labels = of({});
  EXPECT_EQ(ctc_loss(none, empty_labels, length(0), length(0)).item(), 0);
  EXPECT_EQ(ctc_loss(none, of({1}), length(0), length(1)).item(), infinity);
  const Tensor log_probs = some_log_probs(2, 3);
  const double blanks = log_probs.to_vector<double>()[0] + log_probs.to_vector<double>()[3];
  EXPECT_NEAR(ctc_loss(log_probs, empty_labels, length(2), length(0)).item(), -blanks, 1e-14);
}

TEST(CTCLoss, GradientsOfBothOrdersAgreeWithDifferences) {
  const Tensor logits = some_log_probs(5, 4) * 1.5;
  const auto loss = [](const std::vector<Tensor>& x) {
    return ctc_loss(log_softmax(x[0], 1), of({1, 1, 3}), length(5), length(3));
  };
  gradcheck(loss, {logits});
  gradgradcheck(loss, {logits});
}

TEST(CTCLoss, TakesLabelsOfAllSequencesBehindEachOther) {
  Generator generator(6);
  const Tensor log_probs = log_softmax(normal({9, 3, 5}, 0, 1, DType::f32, &generator), 2);
  const Tensor padded = tensor({{4, 4, 1}, {2, -1, 99}, {3, 1, -7}}, DType::i32);
  const Tensor together = tensor({4, 4, 1, 2, 3, 1}, DType::u8);
  const Tensor frames = tensor({9, 4, 7}, DType::i32);
  const Tensor lengths = tensor({3, 1, 2});
  const auto outcome = [&](const Tensor& targets) {
    const Tensor x = log_probs.detach().set_requires_grad();
    const Tensor losses = ctc_loss(x, targets, frames, lengths, 0, Reduction::none);
    const Tensor grad = gradients(losses, std::vector{x}, false, ones({3}))[0];
    return std::pair(losses.to_vector<float>(), grad.to_vector<float>());
  };
  EXPECT_EQ(outcome(padded), outcome(together));
}

TEST(CTCLoss, DoesNotDependOnThreads) {
  Generator generator(8);
  const Tensor logits = normal({40, 16, 6}, 0, 1, DType::f32, &generator);
  const Tensor targets = randint(1, 6, {16, 12}, DType::i64, &generator);
  const Tensor frames = full({16}, 40, DType::i64);
  const Tensor lengths = full({16}, 12, DType::i64);
  const auto run = [&](int count) {
    const int before = threads();
    set_threads(count);
    const Tensor x = logits.detach().set_requires_grad();
    const Tensor loss = ctc_loss(log_softmax(x, 2), targets, frames, lengths);
    const Tensor grad = gradients(loss, std::vector{x})[0];
    set_threads(before);
    return std::pair(loss.item(), grad.to_vector<float>());
  };
  EXPECT_EQ(run(1), run(3));
}

TEST(CTCLoss, SaysWhatIsWrong) {
  const CTCLoss loss;
  const Tensor x = zeros({2, 7, 5});  // batch first
  const Tensor targets = ones({2, 3}, DType::i64);
  const Tensor frames = full({2}, 7, DType::i64);
  const Tensor lengths = full({2}, 3, DType::i64);
  const std::string text =
      thrown_text(ErrorKind::shape, [&] { loss(x, targets, frames, lengths); });
  EXPECT_NE(text.find("targets must be [7,S]"), text.npos) << text;
  EXPECT_NE(text.find("permute_dims(log_probs, {1, 0, 2}) would fit"), text.npos) << text;
  EXPECT_NE(thrown_text(ErrorKind::index,
                        [&] { loss(permute_dims(x, {1, 0, 2}), targets, frames + 1, lengths); })
                .find("input_lengths must be in [0, 7], got 8 at position 0"),
            text.npos);
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { CTCLoss({.blank = -1}); }),
            "CTCLoss: `blank` must be at least 0, got -1");
  const AnyLoss any{CTCLoss()};
  const Tensor two[] = {x, targets};
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { any(std::span<const Tensor>(two)); }),
            "CTCLoss takes 4 tensors (log_probs, targets, input_lengths, target_lengths), got 2");
}

// ---------------------------------------------------------------------------------- training

constexpr int64_t letters = 5;  // beside the blank
constexpr int64_t frames_each = 24;
constexpr int64_t most_letters = 6;

struct Words {
  Tensor frames;   // [T,N,letters]: noisy one-hot letters, each drawn out
  Tensor targets;  // [N,S]
  Tensor input_lengths;
  Tensor target_lengths;
};

/// Words whose letters last two to four frames, equal ones next to each other parted by silence.
Words make_words(int64_t count, uint64_t seed) {
  Generator generator(seed);
  const std::vector<double> noise =
      normal({frames_each, count, letters}, 0, 0.12, DType::f32, &generator).to_vector<double>();
  const std::vector<double> draws =
      uniform({count, 3 * most_letters}, 0, 1, DType::f32, &generator).to_vector<double>();
  std::vector<double> frames = noise;
  std::vector<int64_t> targets(static_cast<size_t>(count * most_letters), 0);
  std::vector<int64_t> lengths;
  std::vector<int64_t> used;
  for (int64_t n = 0; n < count; ++n) {
    const double* draw = draws.data() + n * 3 * most_letters;
    int64_t t = 0;
    int64_t size = 0;
    int64_t last = 0;
    while (size < most_letters) {
      const auto letter = static_cast<int64_t>(draw[3 * size] * letters) + 1;
      const auto drawn_out = static_cast<int64_t>(draw[3 * size + 1] * 3) + 2;
      const int64_t begin = t + (letter == last || draw[3 * size + 2] < 0.3 ? 1 : 0);
      if (begin + drawn_out > frames_each) break;
      for (t = begin; t < begin + drawn_out; ++t) {
        frames[static_cast<size_t>((t * count + n) * letters + letter - 1)] += 1;
      }
      targets[static_cast<size_t>(n * most_letters + size++)] = last = letter;
    }
    lengths.push_back(size);
    used.push_back(t);
  }
  return {from_values({frames_each, count, letters}, frames, DType::f32),
          from_values<int64_t>({count, most_letters}, targets), tensor(used, DType::i64),
          tensor(lengths, DType::i64)};
}

/// The part of the words that the likeliest class of each frame spells.
double part_spelt(const Tensor& log_probs, const Words& words) {
  const std::vector<int64_t> best = argmax(log_probs, 2).to_vector<int64_t>();
  const std::vector<int64_t> targets = words.targets.to_vector<int64_t>();
  const std::vector<int64_t> lengths = words.target_lengths.to_vector<int64_t>();
  const std::vector<int64_t> used = words.input_lengths.to_vector<int64_t>();
  const auto count = std::ssize(lengths);
  int64_t right = 0;
  for (int64_t n = 0; n < count; ++n) {
    std::vector<int64_t> path;
    for (int64_t t = 0; t < used[static_cast<size_t>(n)]; ++t) {
      path.push_back(best[static_cast<size_t>(t * count + n)]);
    }
    const auto first = targets.begin() + n * most_letters;
    right += collapsed(path) == std::vector(first, first + lengths[static_cast<size_t>(n)]);
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

TEST(CTCLoss, TeachesAModelToSpellWordsThatAreDrawnOut) {
  manual_seed(2);
  Sequential model{Linear(letters, 24), Tanh(), Linear(24, letters + 1)};
  const CTCLoss loss;
  optim::Adam adam(model.parameters(), {.lr = 0.03});
  const Words training = make_words(64, 1);
  for (int step = 0; step < 120; ++step) {
    adam.zero_grad();
    loss(log_softmax(model(training.frames), 2), training.targets, training.input_lengths,
         training.target_lengths)
        .backward();
    adam.step();
  }
  const no_grad off;
  const Words unseen = make_words(200, 77);
  EXPECT_GE(part_spelt(log_softmax(model(unseen.frames), 2), unseen), 0.95);
}

}  // namespace
}  // namespace taper::nn
