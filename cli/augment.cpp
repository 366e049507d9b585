#include "augment.h"

#include <algorithm>
#include <utility>

#include "commands.h"
#include "recipe.h"

namespace taper::cli {
namespace {

using data::TransformFactory;

constexpr const char* size_name = "size";  // the option that images have a value for

struct Augment {
  std::string name;
  Fields options = {};
};

/// The parts between the commas that stand in no brackets.
std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[' ? 1 : 0) - (c == ']' ? 1 : 0);
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// `RandomCrop:padding=2,padding-mode=edge`. Throws UsageError for an option without a value.
Augment parse(const std::string& text) {
  const size_t colon = text.find(':');
  Augment augment{registered_name<TransformFactory>(text.substr(0, colon))};
  if (colon == text.npos) return augment;
  for (const std::string& part : parts_of(text.substr(colon + 1))) {
    const size_t equals = part.find('=');
    if (equals == part.npos || equals == 0) {
      throw UsageError("--augment: options are NAME:option=value,option=value, got `" + text + "`");
    }
    std::string option = part.substr(0, equals);
    std::ranges::replace(option, '-', '_');
    augment.options.emplace_back(std::move(option), value_of(part.substr(equals + 1)));
  }
  return augment;
}

data::AnyTransform make(Augment augment, const Shape& image) {
  const TransformFactory& entry =
      find_named([&]() -> auto& { return TransformFactory::get(augment.name, "transform"); });
  const auto is_size = [](const auto& option) { return option.first == size_name; };
  const bool given = std::ranges::any_of(augment.options, is_size);
  const bool required = std::ranges::any_of(entry.options(), [](const FieldInfo& info) {
    return info.name == size_name && info.is_required;
  });
  if (required && !given) {
    augment.options.emplace_back(size_name, Value(Value::List{Value(image[1]), Value(image[2])}));
  }
  return std::shared_ptr<const data::Transform>(entry.make(augment.options));
}

/// Runs `f`; what is wrong with a transform is wrong usage.
template <class F>
auto as_usage(F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw UsageError(std::string("--augment: ") + error.what());
  }
}

}  // namespace

std::vector<std::string> transform_names() {
  std::vector<std::string> names;
  for (const TransformFactory* entry : TransformFactory::all()) names.emplace_back(entry->name);
  return names;
}

std::string normal_augment(const std::string& text) {
  const Augment augment = parse(text);
  std::string normal = augment.name;
  for (const auto& [name, value] : augment.options) {
    const std::string* word = value.get_if<std::string>();
    normal += (normal == augment.name ? ":" : ",") + name + "=" +
              (word != nullptr ? *word : to_json(value));
  }
  return normal;
}

void check_augment(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) as_usage([&] { make(parse(text), {1, 1, 1}); });
}

std::vector<data::AnyTransform> make_transforms(const std::vector<std::string>& texts,
                                                const data::Examples& examples) {
  std::vector<data::AnyTransform> transforms;
  if (texts.empty()) return transforms;
  const Shape stored = examples.train->specs()[0].shape;
  const Shape image = stored.rank() == 3 ? stored : Shape{1, 1, 1};
  return as_usage([&] {
    for (const std::string& text : texts) transforms.push_back(make(parse(text), image));
    return data::Transformed(examples.train, transforms).transforms();
  });
}

}  // namespace taper::cli
