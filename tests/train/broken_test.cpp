#include <gtest/gtest.h>

#include "broken/file_cases.h"
#include "broken/label_cases.h"
#include "broken/shape_cases.h"

namespace taper {
namespace {

using broken::Attempt;
using broken::Case;

std::vector<std::vector<double>> values_of(const nn::Module& model) {
  std::vector<std::vector<double>> values;
  for (const auto& [name, value] : model.state_dict()) values.push_back(value.to_vector<double>());
  return values;
}

void fit(const Attempt& attempt) {
  FitOptions options{.batch_size = attempt.batch_size, .shuffle = false, .verbose = false};
  if (!attempt.validation.empty()) {
    options.validation_data = data::TensorDataset(
        std::vector<data::Field>(attempt.validation.begin(), attempt.validation.end()));
  }
  const data::TensorDataset train(
      std::vector<data::Field>(attempt.train.begin(), attempt.train.end()));
  Trainer(attempt.model, {.loss = attempt.loss, .optimizer = optim::SGD()}).fit(train, options);
}

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), text.npos) << part << " is not in: " << text;
}

void expect_refused(const Case& broken) {
  SCOPED_TRACE(broken.name);
  const Attempt attempt = broken.attempt();
  const auto before = values_of(attempt.model);
  try {
    fit(attempt);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(kind_name(error.kind()), kind_name(broken.kind)) << text;
    EXPECT_EQ(error.op(), broken.op) << text;
    EXPECT_EQ(error.layer(), broken.layer) << text;
    for (const auto* part : {&broken.operands, &broken.rule, &broken.fix}) expect_part(text, *part);
  }
  EXPECT_EQ(values_of(attempt.model), before);
}

TEST(Broken, ShapesAreNamedBeforeTheFirstStep) {
  for (const Case& broken : broken::shape_cases()) expect_refused(broken);
}

TEST(Broken, LabelsAndDataAreNamedBeforeTheFirstStep) {
  for (const Case& broken : broken::label_cases()) expect_refused(broken);
}

TEST(Broken, FilesAndOptionsAreNamedBeforeTheFirstStep) {
  for (const broken::FileCase& broken : broken::file_cases()) {
    SCOPED_TRACE(broken.name);
    const testing::TemporaryFolder folder;
    const std::string text = testing::error_of(broken.kind, [&] { broken.action(folder); });
    for (const std::string& part : broken.parts) expect_part(text, part);
  }
}

TEST(Broken, TheCorpusHasAtLeastSixtyCases) {
  EXPECT_GE(
      broken::shape_cases().size() + broken::label_cases().size() + broken::file_cases().size(),
      60u);
}

}  // namespace
}  // namespace taper
