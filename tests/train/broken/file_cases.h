#pragma once

#include <taper/data/vision.h>
#include <taper/io/safetensors.h>
#include <taper/nn/losses.h>
#include <taper/optim/optimizers.h>
#include <taper/train/runs/run.h>

#include "../../io/file_testing.h"
#include "broken.h"

namespace taper::broken {

/// Something besides shapes and labels that is wrong before a training can begin.
struct FileCase {
  std::string name;
  ErrorKind kind;
  std::vector<std::string> parts;  ///< of the message
  std::function<void(const testing::TemporaryFolder&)> action;
};

inline FileCase description(const char* name, ErrorKind kind, std::vector<std::string> parts,
                            const char* json) {
  parts.emplace_back("layers.json: ");
  return {name, kind, std::move(parts), [json](const testing::TemporaryFolder& folder) {
            load_architecture(testing::put(folder / "layers.json", json));
          }};
}

inline FileCase state_dict(const char* name, ErrorKind kind, std::vector<std::string> parts,
                           nn::StateDict values) {
  return {name, kind, std::move(parts), [values](const testing::TemporaryFolder&) {
            Sequential{nn::Linear(2, 3)}.load_state_dict(values);
          }};
}

/// A fit of two classes with these options and metrics.
inline FileCase options(const char* name, ErrorKind kind, std::vector<std::string> parts,
                        const nn::AnyLoss& loss, const std::vector<Tensor>& fields, FitOptions fit,
                        std::vector<std::string> metrics = {}) {
  fit.verbose = false;
  return {name, kind, std::move(parts), [=](const testing::TemporaryFolder&) {
            const Sequential model{nn::Linear(2, fields[1].rank() == 1 ? 2 : 1)};
            const auto before = model.state_dict()[0].second.to_vector<float>();
            try {
              Trainer(model, {.loss = loss,
                              .optimizer = optim::SGD(),
                              .metrics = {metrics.begin(), metrics.end()}})
                  .fit(data::TensorDataset({fields.begin(), fields.end()}), fit);
            } catch (const Error&) {
              EXPECT_EQ(model.state_dict()[0].second.to_vector<float>(), before);
              throw;
            }
          }};
}

inline std::vector<FileCase> file_cases() {
  using enum ErrorKind;
  const Tensor x = ones({4, 2});
  const Tensor classes = labels({0, 1, 0, 1});
  return {
      description("no JSON", value, {"line 1"}, "{"),
      description("unknown layer", not_found, {"unknown module `Linaer`", "did you mean `Linear`"},
                  R"({"type": "Linaer"})"),
      description("missing option", value, {"Linear: `in_features` is required"},
                  R"({"type": "Linear", "options": {"out_features": 3}})"),
      description("option of another type", value, {"Linear: ", "`in_features`", "int"},
                  R"({"type": "Linear", "options": {"in_features": "3", "out_features": 3}})"),
      description("unknown option", value, {"Linear: no attribute `size`", "in_features"},
                  R"({"type": "Linear", "options": {"size": 3}})"),
      description("negative size", value, {"Linear: `in_features` must be at least 1, got -1"},
                  R"({"type": "Linear", "options": {"in_features": -1, "out_features": 3}})"),
      description("layers that are no list", value, {"Sequential needs a list `layers`"},
                  R"({"type": "Sequential", "layers": 3})"),
      description("no type", value, {"a module needs a `type`"}, R"({"options": {}})"),
      description("unknown entry", value, {"Linear has an unknown entry `weights`"},
                  R"({"type": "Linear", "weights": []})"),
      {"data that are not there",
       not_found,
       {"mnist: ", "there is no folder ", "MNIST"},
       [](const testing::TemporaryFolder& folder) { data::mnist(folder / "nowhere"); }},
      {"weights that are cut",
       io,
       {"model.safetensors"},
       [](const testing::TemporaryFolder& folder) {
         load(Sequential{nn::Linear(2, 3)}, testing::put(folder / "model.safetensors", "cut"));
       }},
      state_dict("missing weights", not_found, {"load_state_dict: missing: 0.bias"},
                 {{"0.weight", ones({3, 2})}}),
      state_dict("weights of another shape", shape, {"0.weight is f32[3,2]", "f32[2,3]"},
                 {{"0.weight", ones({2, 3})}, {"0.bias", ones({3})}}),
      state_dict("weights of another dtype", dtype, {"0.bias is f32[3]", "f64[3]"},
                 {{"0.weight", ones({3, 2})}, {"0.bias", ones({3}, DType::f64)}}),
      options("metric without classes", unsupported, {"the metric `accuracy` needs classes"},
              nn::MSELoss(), {x, ones({4, 1})}, {}, {"accuracy"}),
      options("unknown metric", not_found, {"unknown metric `acuracy`", "did you mean `accuracy`"},
              nn::CrossEntropyLoss(), {x, classes}, {}, {"acuracy"}),
      options("class weights of another number", value, {"each of the 2 classes, it holds 3"},
              nn::CrossEntropyLoss(), {x, classes}, {.class_weight = {1, 2, 3}}),
      options("example weights of another shape", shape, {"each example needs one weight"},
              nn::CrossEntropyLoss(), {x, classes, ones({4, 2})}, {}),
  };
}

}  // namespace taper::broken
