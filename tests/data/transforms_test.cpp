#include <taper/data/transforms.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

#include "../io/file_testing.h"

namespace taper::data {
namespace {

using nlohmann::json;
using testing::content_of;
using testing::error_of;

const json& golden() {
  static const json all =
      json::parse(content_of(std::string(TAPER_SOURCE_DIR) + "/tests/data/transforms_golden.json"));
  return all;
}

Tensor tensor_of(const json& saved, DType dtype) {
  const auto sizes = saved["shape"].get<std::vector<int64_t>>();
  return astype(from_values<double>(Shape(sizes), saved["values"].get<std::vector<double>>()),
                dtype);
}

DType dtype_of(const json& saved) {
  return saved["dtype"] == "u8" ? DType::u8 : saved["dtype"] == "f64" ? DType::f64 : DType::f32;
}

/// The options of a case by their names, as a file would give them.
Fields options_of(const json& saved, std::initializer_list<const char*> names) {
  Fields fields;
  for (const char* name : names) fields.emplace_back(name, parse_json(saved[name].dump()));
  return fields;
}

void expect_near(const Tensor& made, const Tensor& wanted, double tolerance, const json& saved) {
  ASSERT_EQ(to_string(made.spec()), to_string(wanted.spec())) << saved;
  const auto a = made.to_vector<double>();
  const auto b = wanted.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << i << " of " << saved;
}

TEST(RandomCrop, TakesEachWindowOfWhatTorchvisionPads) {
  for (const json& saved : golden()["pads"]) {
    const DType dtype = dtype_of(saved);
    const Tensor image = tensor_of(saved["image"], dtype);
    const Tensor padded = tensor_of(saved["made"], dtype);
    Fields options = options_of(saved, {"padding", "padding_mode", "fill"});
    options.emplace_back("size", Value(Value::List{Value(padded.size(1)), Value(padded.size(2))}));
    const AnyTransform whole("RandomCrop", options);
    expect_near((*whole)(image), padded, 0, saved);
    options.back().second = Value(1);
    const AnyTransform pixel("RandomCrop", options);
    manual_seed(2);
    for (int i = 0; i < 20; ++i) {
      const std::vector<double> crop = (*pixel)(image).to_vector<double>();
      const std::vector<double> all = padded.to_vector<double>();
      const size_t plane = all.size() / crop.size();
      bool found = false;
      for (size_t at = 0; at < plane; ++at) {
        bool same = true;
        for (size_t c = 0; c < crop.size(); ++c) same = same && crop[c] == all[c * plane + at];
        found = found || same;
      }
      EXPECT_TRUE(found) << saved;
    }
  }
}

TEST(RandomCrop, ReachesEachPlaceAlike) {
  const Tensor image = reshape(arange(30, DType::f32), {1, 5, 6});
  const RandomCrop crop({.size = {4, 3}, .padding = 1, .fill = -1});
  manual_seed(7);
  std::map<std::vector<float>, int> seen;
  constexpr int draws = 8000;
  for (int i = 0; i < draws; ++i) ++seen[crop(image).to_vector<float>()];
  ASSERT_EQ(seen.size(), 4u * 6u);  // (7 - 4 + 1) x (8 - 3 + 1)
  double chi_squared = 0;
  constexpr double expected = draws / 24.0;
  for (const auto& [window, count] : seen) {
    chi_squared += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom: one in a thousand is beyond
}

TEST(RandomCrop, PadsAtBothSidesIfNeeded) {
  const Tensor image = full({1, 2, 3}, 1, DType::u8);
  const RandomCrop crop({.size = {4, 3}, .pad_if_needed = true});
  std::set<std::vector<uint8_t>> seen;
  manual_seed(1);
  for (int i = 0; i < 100; ++i) seen.insert(crop(image).to_vector<uint8_t>());
  EXPECT_EQ(seen.size(), 3u);  // 2 rows in 6, from the first to the last place of 4
  for (const auto& made : seen) EXPECT_EQ(std::count(made.begin(), made.end(), 1), 6);
}

TEST(RandomCrop, RefusesImagesThatDoNotFit) {
  const auto refused = [](const RandomCropOptions& options, const Tensor& image,
                          ErrorKind kind = ErrorKind::shape) {
    return error_of(kind, [&] { RandomCrop{options}(image); });
  };
  const Tensor image = zeros({3, 4, 5});
  EXPECT_EQ(refused({.size = 6}, image),
            "RandomCrop: a crop of 6 x 6 does not fit into 4 x 5; `pad_if_needed` makes room, the "
            "images are f32[3,4,5]");
  EXPECT_EQ(refused({.size = 4, .padding = 4, .padding_mode = PaddingMode::reflect}, image),
            "RandomCrop: there are too few pixels to pad in that mode, the images are f32[3,4,5]");
  EXPECT_EQ(refused({.size = 4, .fill = {1, 2}}, image),
            "RandomCrop: `fill` must be one number or one for each of 3 channels, got 2");
  EXPECT_EQ(refused({.size = 4}, zeros({4, 5})), "RandomCrop: takes images [C,H,W], got f32[4,5]");
  EXPECT_EQ(refused({.size = 4, .fill = 300}, zeros({1, 4, 4}, DType::u8), ErrorKind::value),
            "RandomCrop: `fill`: 300.0 is out of the range of u8, 0 to 255");
  EXPECT_EQ(refused({.size = 4, .fill = 0.5}, zeros({1, 4, 4}, DType::u8), ErrorKind::value),
            "RandomCrop: `fill`: 0.5 is no value of u8");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomCrop(); }), "RandomCrop: `size` is required");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomCrop(0); }),
            "RandomCrop: `size` must be at least 1, got 0");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomCrop(2, -1); }),
            "RandomCrop: `padding` must be at least 0, got -1");
  constexpr int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(error_of(ErrorKind::value, [&] { RandomCrop(2, huge); }),
            "RandomCrop: `padding` must be at most 2^40, got 9223372036854775807");
  EXPECT_EQ(error_of(ErrorKind::value, [&] { RandomCrop(huge, 1); }),
            "RandomCrop: `size` must be at most 2^40, got 9223372036854775807");
  EXPECT_EQ(error_of(ErrorKind::value,
                     [] {
                       TransformFactory::get("RandomCrop", "transform")
                           .make({{"size", Value(2)}, {"padding", parse_json("[1, 2, 3]")}});
                     }),
            "RandomCrop: `padding` must be int or list of 2 or 4 int, got list of int [1, 2, 3]");
}

TEST(RandomCrop, TakesElementsOfEveryWidth) {
  for (const DType dtype : {DType::boolean, DType::i16, DType::bf16, DType::i64, DType::c128}) {
    const Tensor image = astype(reshape(arange(12, DType::i64), {1, 3, 4}), dtype);
    const Tensor made = RandomCrop({.size = {5, 4}, .padding = {0, 1}, .fill = 1})(image);
    const Tensor row = ones({1, 1, 4}, dtype);
    EXPECT_TRUE(static_cast<bool>(all(made == concat({row, image, row}, 1)))) << dtype_name(dtype);
  }
}

TEST(RandomHorizontalFlip, TurnsAsTorchvisionDoes) {
  const json& saved = golden()["flip"];
  const Tensor image = tensor_of(saved["image"], DType::f32);
  expect_near(RandomHorizontalFlip(1.0)(image), tensor_of(saved["made"], DType::f32), 0, saved);
  expect_near(RandomHorizontalFlip(0.0)(image), image, 0, saved);
}

TEST(RandomHorizontalFlip, TurnsByItsProbability) {
  const Tensor image = arange(2, DType::f32);
  manual_seed(3);
  for (const double p : {0.5, 0.2}) {
    const RandomHorizontalFlip flip(p);
    int flipped = 0;
    for (int i = 0; i < 4000; ++i) {
      flipped += flip(reshape(image, {1, 1, 2})).to_vector<float>()[0] == 1 ? 1 : 0;
    }
    // Four standard deviations.
    EXPECT_NEAR(flipped / 4000.0, p, 4 * std::sqrt(p * (1 - p) / 4000)) << p;
  }
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomHorizontalFlip(1.5); }),
            "RandomHorizontalFlip: `p` must be in [0, 1], got 1.5");
}

TEST(RandomRotation, TurnsAsTorchvisionDoes) {
  for (const json& saved : golden()["rotations"]) {
    const DType dtype = dtype_of(saved);
    const Fields options =
        options_of(saved, {"degrees", "interpolation", "expand", "center", "fill"});
    const AnyTransform turn("RandomRotation", options);
    // torchvision computes places in f32, and rounds an interpolated byte that is near a half.
    const double tolerance = dtype == DType::u8 && saved["interpolation"] == "bilinear" ? 1
                             : saved["interpolation"] == "bilinear"                     ? 1e-5
                                                                                        : 0;
    expect_near((*turn)(tensor_of(saved["image"], dtype)), tensor_of(saved["made"], dtype),
                tolerance, saved);
  }
}

TEST(RandomRotation, DrawsAnglesFromItsRange) {
  // A line from the centre to the right, whose end tells the angle.
  Tensor image = zeros({1, 41, 41});
  image[{0, 20, 38}] = 1;
  const RandomRotation turn({.degrees = {0, 90}});
  manual_seed(5);
  int upper = 0;
  int seen = 0;
  for (int i = 0; i < 400; ++i) {
    const std::vector<float> made = turn(image).to_vector<float>();
    const auto end = std::ranges::find(made, 1.0f);
    if (end == made.end()) continue;  // between two pixels
    ++seen;
    const auto at = end - made.begin();
    EXPECT_LE(at / 41, 20);  // counter-clockwise is up
    EXPECT_GE(at % 41, 20);
    upper += (20 - at / 41) > (at % 41 - 20) ? 1 : 0;
  }
  EXPECT_GT(seen, 200);
  EXPECT_NEAR(static_cast<double>(upper) / seen, 0.5, 0.1);
}

TEST(RandomRotation, RefusesWhatItCannotTurn) {
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomRotation({.degrees = 15, .expand = true}); }),
            "RandomRotation: `expand` needs one angle, as in `degrees` {90, 90}: images of a batch "
            "have one size, got 15.0");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomRotation(-3); }),
            "RandomRotation: `degrees` must be at least 0 or from small to large, got [3.0, "
            "-3.0]");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomRotation(); }),
            "RandomRotation: `degrees` is required");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomRotation{INFINITY}; }),
            "RandomRotation: `degrees` must be finite, got -inf");
  EXPECT_EQ(error_of(ErrorKind::dtype, [] { RandomRotation(3)(zeros({1, 2, 2}, DType::c64)); }),
            "RandomRotation: takes real images, got c64[1,2,2]");
  EXPECT_EQ(error_of(ErrorKind::value, [] { RandomRotation(3)(Tensor()); }),
            "RandomRotation: the image is undefined");
}

TEST(RandomRotation, KeepsSixteenBitsAndNonFiniteNeighbours) {
  const RandomRotation none({.degrees = {0, 0}, .interpolation = Interpolation::bilinear});
  const Tensor image = reshape(tensor({1.5, INFINITY, -2.0, 0.25}), {1, 2, 2});
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    const Tensor stored = astype(image, dtype);
    EXPECT_EQ(none(stored).to_vector<double>(), image.to_vector<double>()) << dtype_name(dtype);
  }
}

TEST(Transform, TakesStridedAndEmptyImages) {
  const Tensor wide = reshape(arange(6, DType::f32), {1, 2, 3});
  const Tensor turned = permute_dims(wide, {0, 2, 1});
  EXPECT_EQ(RandomHorizontalFlip(1.0)(turned).to_vector<float>(),
            (std::vector<float>{3, 0, 4, 1, 5, 2}));
  EXPECT_EQ(RandomHorizontalFlip(1.0)(zeros({0, 2, 3})).shape(), Shape({0, 2, 3}));
  EXPECT_EQ(RandomRotation(5)(zeros({1, 0, 3})).shape(), Shape({1, 0, 3}));
  EXPECT_EQ(RandomCrop(2)(zeros({0, 2, 3})).shape(), Shape({0, 2, 2}));
}

TEST(Transform, IsMadeByNameAndTellsItsOptions) {
  const AnyTransform flip("RandomHorizontalFlip", {{"p", Value(0.25)}});
  EXPECT_EQ(to_string(*flip), "RandomHorizontalFlip(p=0.25)");
  EXPECT_EQ(to_string(RandomCrop(28, 4)),
            "RandomCrop(size=[28, 28], padding=4, pad_if_needed=false, fill=0.0, "
            "padding_mode=\"constant\")");
  EXPECT_EQ(to_string(RandomRotation({.degrees = {-5, 10}, .fill = {0.5, 1}})),
            "RandomRotation(degrees=[-5.0, 10.0], interpolation=\"nearest\", expand=false, "
            "center=none, fill=[0.5, 1.0])");
  EXPECT_EQ(error_of(ErrorKind::not_found, [] { AnyTransform("RandomFlip"); }).substr(0, 64),
            "unknown transform `RandomFlip`; there are: RandomCrop, RandomHor");
  EXPECT_EQ(error_of(ErrorKind::value, [] { AnyTransform(std::shared_ptr<const Transform>()); }),
            "transform: the pointer is null");
  for (const TransformFactory* entry : TransformFactory::all()) {
    EXPECT_FALSE(entry->doc.empty());
    Fields required;
    for (const FieldInfo& info : entry->options()) {
      if (info.is_required) required.emplace_back(info.name, Value(2));
    }
    const AnyTransform made(entry->name, required);
    EXPECT_EQ(to_string(*AnyTransform(entry->name, made->config())), to_string(*made));
  }
}

}  // namespace
}  // namespace taper::data
