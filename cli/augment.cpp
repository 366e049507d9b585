#include "augment.h"

#include <algorithm>
#include <utility>

#include "part.h"

namespace taper::cli {
namespace {

constexpr PartFlag<data::TransformFactory> augment_flag{"--augment", "transform"};
constexpr const char* size_name = "size";  // the option that images have a value for

data::AnyTransform make(Part part, const Shape& image) {
  const auto is_size = [](const auto& option) { return option.first == size_name; };
  const bool given = std::ranges::any_of(part.options, is_size);
  const bool required = std::ranges::any_of(
      augment_flag.entry(part.name).options(),
      [](const FieldInfo& info) { return info.name == size_name && info.is_required; });
  if (required && !given) {
    part.options.emplace_back(size_name, Value(Value::List{Value(image[1]), Value(image[2])}));
  }
  return std::shared_ptr<const data::Transform>(augment_flag.make(part));
}

}  // namespace

std::vector<std::string> transform_names() { return augment_flag.names(); }

std::vector<std::string> normal_augment(const std::vector<std::string>& texts) {
  return augment_flag.normal(texts);
}

void check_augment(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) make(augment_flag.parse(text), {1, 1, 1});
}

std::vector<data::AnyTransform> make_transforms(const std::vector<std::string>& texts,
                                                const data::Examples& examples) {
  std::vector<data::AnyTransform> transforms;
  if (texts.empty()) return transforms;
  const Shape stored = examples.train->specs()[0].shape;
  const Shape image = stored.rank() == 3 ? stored : Shape{1, 1, 1};
  for (const std::string& text : texts) {
    transforms.push_back(make(augment_flag.parse(text), image));
  }
  return as_usage(augment_flag.flag, [&] {
    return data::Transformed(examples.train, std::move(transforms)).transforms();
  });
}

}  // namespace taper::cli
