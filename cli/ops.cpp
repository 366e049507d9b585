// taper ops [NAME]: what the rows say.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include <taper/core/value.h>
#include <taper/ops/op.h>

#include "commands.h"

namespace taper::cli {
namespace {

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

/// `softmax(x, axis=-1)`; an operand with ? may be left out and stands, as in the row's function,
/// behind the attributes that must be given, one with * stands for any number.
std::string signature(const OpBase& op) {
  std::vector<std::string> given, optional, more;  // more: attributes behind those required
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    (op.is_optional(i) ? optional : given).emplace_back(op.inputs[i]);
  }
  for (const FieldInfo& attribute : op.describe_attrs()) {
    more.emplace_back(attribute.name);
    if (!attribute.is_required) {
      more.back() += "=" + attribute.default_value.print();
    } else {
      given.insert(given.end(), more.begin(), more.end());
      more.clear();
    }
  }
  given.insert(given.end(), optional.begin(), optional.end());
  given.insert(given.end(), more.begin(), more.end());
  return fmt::format("{}({})", op.name, fmt::join(given, ", "));
}

std::string gradient(const OpBase& op) {
  if (op.why_not_differentiable != nullptr) {
    return std::string("none: ") + op.why_not_differentiable;
  }
  return op.gradient_through_expansion ? "that of simpler ops" : "a rule in ops";
}

/// Those that a user gets.
std::vector<std::string_view> outputs(const OpBase& op) {
  return {op.outputs.begin(), op.outputs.end() - op.kept_outputs};
}

void print_one(const OpBase& op) {
  std::cout << signature(op) << '\n' << op.doc << '\n';
  if (!op.aliases.empty()) std::cout << "also        " << joined(op.aliases) << '\n';
  std::cout << "operands    " << joined(op.inputs) << '\n';
  std::cout << "outputs     " << joined(outputs(op)) << '\n';
  for (const FieldInfo& attribute : op.describe_attrs()) {
    std::cout << fmt::format(
        "attribute   {}: {}{}\n", attribute.name, attribute.kind,
        attribute.is_required ? ", required" : " = " + attribute.default_value.print());
    if (!attribute.doc.empty()) std::cout << "            " << attribute.doc << '\n';
  }
  std::cout << "gradient    " << gradient(op) << '\n';
  if (!op.onnx.name.empty()) {
    std::cout << fmt::format("ONNX        {} since version {}\n", op.onnx.name, op.onnx.first);
    for (const OnnxName& name : op.onnx.names) {
      std::cout << fmt::format("            {}: {}\n", name.ours,
                               name.theirs.empty() ? "nothing there" : name.theirs);
    }
  }
}

/// Null for an op that ONNX has not.
Value onnx(const OpBase& op) {
  if (op.onnx.name.empty()) return Value();
  Fields names;
  for (const OnnxName& name : op.onnx.names) {
    names.emplace_back(name.ours, name.theirs.empty() ? Value() : Value(name.theirs));
  }
  return Value(Fields{{"name", Value(op.onnx.name)},
                      {"since", Value(op.onnx.first)},
                      {"until", op.onnx.last == Onnx::newest ? Value() : Value(op.onnx.last)},
                      {"attributes", Value(std::move(names))}});
}

Value list(const std::vector<std::string_view>& names) {
  return Value(Value::List(names.begin(), names.end()));
}

Value to_value(const OpBase& op) {
  Value::List attributes;
  for (const FieldInfo& attribute : op.describe_attrs()) {
    attributes.push_back(
        Value(Fields{{"name", Value(attribute.name)},
                     {"type", FieldCodec<FieldType>::to_value(attribute.type)},
                     {"none", Value(attribute.may_be_none)},
                     {"kind", Value(attribute.kind)},
                     {"doc", Value(attribute.doc)},
                     {"required", Value(attribute.is_required)},
                     {"default", attribute.is_required ? Value() : attribute.default_value}}));
  }
  return Value(Fields{{"name", Value(op.name)},
                      {"aliases", list(op.aliases)},
                      {"signature", Value(signature(op))},
                      {"doc", Value(op.doc)},
                      {"operands", list(op.inputs)},
                      {"outputs", list(outputs(op))},
                      {"attributes", Value(std::move(attributes))},
                      {"gradient", Value(gradient(op))},
                      {"onnx", onnx(op)}});
}

void ops(const std::string& name, bool all_rows, bool json) {
  std::vector<const OpBase*> shown = all_rows ? all_ops() : public_ops();
  if (!name.empty()) {
    shown = {&find_named([&]() -> auto& { return op_named(name); })};
  }
  if (json) {
    Value::List all;
    for (const OpBase* op : shown) all.push_back(to_value(*op));
    std::cout << to_json(name.empty() ? Value(std::move(all)) : all[0]) << '\n';
  } else if (!name.empty()) {
    print_one(*shown[0]);
  } else {
    for (const OpBase* op : shown) std::cout << signature(*op) << "\n    " << op->doc << '\n';
  }
}

}  // namespace

void add_ops(CLI::App& app) {
  struct Arguments {
    std::string name;
    bool all = false;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("ops", "List the ops with operands and attributes");
  std::vector<std::string> names;
  for (const OpBase* op : public_ops()) names.emplace_back(op->name);
  offer(command->add_option("NAME", arguments->name, "Show this op only"), std::move(names));
  command->add_flag("--all", arguments->all, "Also list the parts that other ops are made of");
  command->add_flag("--json", arguments->json,
                    "Print a list, or with NAME an object, for programs");
  command->callback([arguments] { ops(arguments->name, arguments->all, arguments->json); });
}

}  // namespace taper::cli
