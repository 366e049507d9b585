// taper ops [NAME]: what the rows say.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include <taper/ops/op.h>

#include "commands.h"

namespace taper::cli {
namespace {

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

/// `softmax(x, axis=-1)`; an operand with ? may be left out, one with * stands for any number.
std::string signature(const OpBase& op) {
  std::string text = std::string(op.name) + "(" + joined(op.inputs);
  for (const FieldInfo& attribute : op.describe_attrs()) {
    text += (text.ends_with('(') ? "" : ", ") + std::string(attribute.name);
    if (!attribute.is_required) text += "=" + attribute.default_value.print();
  }
  return text + ")";
}

std::string gradient(const OpBase& op) {
  if (op.why_not_differentiable != nullptr) {
    return std::string("none: ") + op.why_not_differentiable;
  }
  return op.gradient_through_expansion ? "of its expansion" : "a rule in ops";
}

void print_one(const OpBase& op) {
  std::cout << signature(op) << '\n' << op.doc << '\n';
  std::cout << "operands    " << joined(op.inputs) << '\n';
  std::cout << "outputs     " << joined(op.outputs) << '\n';
  for (const FieldInfo& attribute : op.describe_attrs()) {
    std::cout << fmt::format(
        "attribute   {}: {}{}\n", attribute.name, attribute.kind,
        attribute.is_required ? ", required" : " = " + attribute.default_value.print());
  }
  std::cout << "gradient    " << gradient(op) << '\n';
  if (!op.onnx.name.empty()) {
    std::cout << fmt::format("ONNX        {} since version {}\n", op.onnx.name, op.onnx.first);
  }
}

void ops(const std::string& name) {
  if (!name.empty()) {
    print_one(find_named([&]() -> auto& { return Registry<OpBase>::get(name, "op"); }));
    return;
  }
  for (const OpBase* op : all_ops()) std::cout << signature(*op) << "\n    " << op->doc << '\n';
}

}  // namespace

void add_ops(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("ops", "List the ops with operands and attributes");
  std::vector<std::string> names;
  for (const OpBase* op : all_ops()) names.emplace_back(op->name);
  offer(command->add_option("NAME", *name, "Show this op only"), std::move(names));
  command->callback([name] { ops(*name); });
}

}  // namespace taper::cli
