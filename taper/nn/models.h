#pragma once

#include <string_view>
#include <vector>

#include <taper/core/registry.h>
#include <taper/nn/sequential.h>

namespace taper {

/// A model that the library knows by name: what `taper train --model` takes.
class TAPER_API LibraryModel : public Registered<LibraryModel> {
 public:
  using Make = nn::Sequential (*)(const Shape& input, int64_t outputs);
  LibraryModel(std::string_view entry, std::string_view about, Make make)
      : Registered<LibraryModel>(entry, about), make_(make) {}

  /// A new model with initial values from the default generator, for examples of this shape.
  /// Throws shape for one that it does not take.
  nn::Sequential operator()(const Shape& input = {1, 28, 28}, int64_t outputs = 10) const {
    return make_(input, outputs);
  }

  /// Throws not_found naming the models that there are.
  static const LibraryModel& get(std::string_view name);
  static std::vector<const LibraryModel*> all();

 private:
  Make make_;
};

}  // namespace taper
