// What the rows say of ONNX against the schemas of the package onnx: onnx_names.json, written by
// make_onnx_names.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include <taper/ops/op.h>

namespace taper {
namespace {

using Json = nlohmann::json;

/// The names of attributes and operands in each version of the operator that counts in the versions
/// of the row: the one in force at the first of them and all that came later.
std::vector<std::set<std::string>> schemas_of(const Json& versions, const Onnx& onnx) {
  std::vector<std::set<std::string>> schemas;
  int in_force = 0;
  for (const auto& [version, names] : versions.items()) {
    const int since = std::stoi(version);
    if (since <= onnx.first) in_force = std::max(in_force, since);
  }
  for (const auto& [version, names] : versions.items()) {
    const int since = std::stoi(version);
    if (since >= in_force && since <= onnx.last) schemas.push_back(names);
  }
  return in_force > 0 ? schemas : std::vector<std::set<std::string>>();
}

std::string name_there(const Onnx& onnx, const std::string& ours) {
  for (const OnnxName& name : onnx.names) {
    if (name.ours == ours) return std::string(name.theirs);
  }
  return ours;
}

TEST(OnnxNames, EveryAttributeHasAPlaceInEveryVersion) {
  std::ifstream file(TAPER_SOURCE_DIR "/tests/ops/onnx_names.json");
  const Json operators = Json::parse(file);
  size_t checked = 0;
  for (const OpBase* op : all_ops()) {
    if (op->onnx.name.empty()) continue;
    SCOPED_TRACE(std::string(op->name) + " is " + std::string(op->onnx.name));
    ASSERT_TRUE(operators.contains(op->onnx.name)) << "no such operator; run make_onnx_names.py";
    const auto schemas = schemas_of(operators.at(std::string(op->onnx.name)), op->onnx);
    EXPECT_FALSE(schemas.empty()) << "no version " << op->onnx.first << " of it";
    const std::vector<FieldInfo> attributes = op->describe_attrs();
    for (const FieldInfo& attribute : attributes) {
      if (attribute.type == FieldType::device) continue;  // ONNX has none
      const std::string theirs = name_there(op->onnx, std::string(attribute.name));
      for (const auto& names : schemas) {
        EXPECT_TRUE(theirs.empty() || names.contains(theirs)) << attribute.name;
      }
      ++checked;
    }
    for (const OnnxName& name : op->onnx.names) {
      EXPECT_TRUE(std::ranges::any_of(
          attributes, [&](const FieldInfo& attribute) { return attribute.name == name.ours; }))
          << name.ours << " is no attribute";
      EXPECT_NE(name.ours, name.theirs);
    }
  }
  EXPECT_GT(checked, 40u);
}

}  // namespace
}  // namespace taper
