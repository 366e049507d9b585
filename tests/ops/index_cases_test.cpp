// Random indices with what NumPy reads and assigns through them: index_cases.json, written by
// make_index_cases.py. The environment variable TAPER_INDEX_CASES names another file of cases.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <taper/autograd/autograd.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

using Json = nlohmann::json;

const Json& index_cases() {
  static const Json cases = [] {
    const char* other = std::getenv("TAPER_INDEX_CASES");
    std::ifstream file(other != nullptr ? other : TAPER_SOURCE_DIR "/tests/ops/index_cases.json");
    return Json::parse(file, nullptr, false);
  }();
  return cases;
}

Shape shape_of(const Json& json) { return Shape(json.get<std::vector<int64_t>>()); }

Tensor counting(const Shape& shape, DType dtype) {
  return reshape(astype(arange(shape.numel()), dtype), shape);
}

Tensor values_of(const Json& json, DType dtype) {
  return astype(
      from_values(shape_of(json.at("shape")), json.at("values").get<std::vector<int64_t>>()),
      dtype);
}

std::optional<int64_t> bound(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<int64_t>());
}

IndexItem item_of(const Json& json) {
  if (json.is_number()) return json.get<int64_t>();
  if (json == "...") return ellipsis;
  if (json == "newaxis") return newaxis;
  if (json.contains("slice")) {
    const Json& slice = json.at("slice");
    return Slice(bound(slice[0]), bound(slice[1]), bound(slice[2]));
  }
  std::vector<int64_t> values;
  for (const Json& value : json.at("values"))
    values.push_back(value.is_boolean() ? value.get<bool>() : value.get<int64_t>());
  return astype(from_values(shape_of(json.at("shape")), values),
                parse_dtype(json.at("dtype").get<std::string>()));
}

std::vector<IndexItem> items_of(const Json& json) {
  std::vector<IndexItem> items;
  for (const Json& item : json.at("items")) items.push_back(item_of(item));
  return items;
}

template <class Check>
void for_each_case(Check&& check) {
  ASSERT_TRUE(index_cases().is_array());
  ASSERT_GE(index_cases().size(), 300u);
  for (const Json& json : index_cases()) {
    SCOPED_TRACE(json.dump());
    check(json);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(IndexCases, ReadAsInNumPy) {
  for_each_case([](const Json& json) {
    const Tensor x = counting(shape_of(json.at("shape")), DType::f32);
    const Tensor read = index(x, items_of(json));
    EXPECT_EQ(read.shape().to_vector(), shape_of(json.at("read").at("shape")).to_vector());
    EXPECT_EQ(read.to_vector<int64_t>(), json.at("read").at("values").get<std::vector<int64_t>>());
  });
}

TEST(IndexCases, ReadWhatAViewShows) {
  for_each_case([](const Json& json) {
    const Tensor x = counting(shape_of(json.at("shape")), DType::i16);
    Shape axes;
    for (int i = x.rank() - 1; i >= 0; --i) axes.push_back(i);
    const Tensor view = permute_dims(contiguous(permute_dims(x, axes)), axes);
    EXPECT_EQ(index(view, items_of(json)).to_vector<int64_t>(),
              json.at("read").at("values").get<std::vector<int64_t>>());
  });
}

TEST(IndexCases, AssignAsInNumPy) {
  for_each_case([](const Json& json) {
    for (const DType dtype : {DType::i64, DType::f32, DType::i16}) {
      const Tensor x = counting(shape_of(json.at("shape")), dtype);
      const Tensor changed = index_update(x, items_of(json), values_of(json.at("values"), dtype));
      EXPECT_EQ(changed.shape().to_vector(), x.shape().to_vector());
      EXPECT_EQ(changed.to_vector<int64_t>(), json.at("assigned").get<std::vector<int64_t>>());
      EXPECT_EQ(x.to_vector<int64_t>(), arange(x.numel()).to_vector<int64_t>());
    }
  });
}

/// The gradient of a sum weighted by 1, 2, ... counts where each element went.
TEST(IndexCases, GradientsAreTheAdjointsOfReadingAndAssigning) {
  for_each_case([](const Json& json) {
    const Shape shape = shape_of(json.at("shape"));
    const std::vector<IndexItem> items = items_of(json);
    const Tensor numbers = counting(shape, DType::f64);
    Tensor x = zeros(shape, DType::f64);
    x.set_requires_grad();
    const Tensor read = index(x, items);
    const Tensor weights = counting(read.shape(), DType::f64) + 1;
    std::vector<double> expected(static_cast<size_t>(x.numel()));
    const std::vector<int64_t> from = index(numbers, items).to_vector<int64_t>();
    for (size_t i = 0; i < from.size(); ++i) {
      expected[static_cast<size_t>(from[i])] += static_cast<double>(i) + 1;
    }
    sum(read * weights).backward();
    EXPECT_EQ(x.grad().to_vector<double>(), expected);

    // Assigning: values numbered from -1 down, so the result tells which value stands where.
    Tensor values = values_of(json.at("values"), DType::f64);
    const std::vector<int64_t> assigned = json.at("assigned").get<std::vector<int64_t>>();
    std::vector<double> of_x(assigned.size());
    std::vector<double> of_values(static_cast<size_t>(values.numel()));
    for (size_t i = 0; i < assigned.size(); ++i) {
      const double weight = static_cast<double>(i) + 1;
      if (assigned[i] >= 0) {
        of_x[i] = weight;
      } else {
        of_values[static_cast<size_t>(-1 - assigned[i])] += weight;
      }
    }
    Tensor base = counting(shape, DType::f64);
    base.set_requires_grad();
    values.set_requires_grad();
    sum(index_update(base, items, values) * (numbers + 1)).backward();
    EXPECT_EQ(base.grad().to_vector<double>(), of_x);
    EXPECT_EQ(values.grad().to_vector<double>(), of_values);
  });
}

}  // namespace
}  // namespace taper
