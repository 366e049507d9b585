#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/fields.h>
#include <taper/core/parse_fields.h>
#include <taper/core/registry.h>
#include <taper/core/tensor.h>
#include <taper/core/view.h>
#include <taper/ops/attributes.h>
#include <taper/ops/sample.h>

namespace taper {

struct Graph;

/// The specs of a call's operands; an absent optional one is not `present`.
class InSpecs {
 public:
  explicit InSpecs(std::span<const Arg> args) : args_(args) {}
  const Spec& operator[](size_t i) const { return args_[i].tensor->spec(); }
  bool present(size_t i) const { return i < args_.size() && args_[i].tensor->defined(); }
  size_t size() const { return args_.size(); }

 private:
  std::span<const Arg> args_;
};

/// The operands of an expansion or a reference.
class Inputs {
 public:
  explicit Inputs(std::span<const Arg> args) : args_(args) {}
  const Tensor& operator[](size_t i) const { return *args_[i].tensor; }
  bool present(size_t i) const { return i < args_.size() && args_[i].tensor->defined(); }
  size_t size() const { return args_.size(); }
  InSpecs specs() const { return InSpecs(args_); }

 private:
  std::span<const Arg> args_;
};

/// How a tensor lies in its buffer: all that the rule of a view sees of it.
struct Strided {
  const Spec& spec;
  const Strides& strides;
  int64_t offset;
  bool row_major;
  const Shape& shape() const { return spec.shape; }
};

/// The layout of a view op's output over its input's buffer.
struct ViewLayout {
  Strides strides;
  int64_t offset = 0;
};

/// What the tape keeps for a gradient rule: operands by bit, the last for all from 31 on, and
/// whether the outputs.
struct Saves {
  uint32_t operands = 0;
  bool results = false;

  static const Saves nothing;
  static const Saves inputs;
  static const Saves outputs;
  static const Saves both;
  /// These operands, by number.
  static constexpr Saves only(std::initializer_list<unsigned> which, bool with_outputs = false) {
    Saves saves{0, with_outputs};
    for (unsigned operand : which) saves.operands |= 1u << operand;
    return saves;
  }
  constexpr bool operand(size_t i) const { return (operands >> (i < 31 ? i : 31) & 1u) != 0; }
};
inline constexpr Saves Saves::nothing{0, false};
inline constexpr Saves Saves::inputs{~0u, false};
inline constexpr Saves Saves::outputs{0, true};
inline constexpr Saves Saves::both{~0u, true};

class Saved;
/// Gradients of an op's inputs, in their order; undefined where none is needed.
using Grads = std::vector<Tensor>;

/// The reason why an op has no gradient: `backward` says it.
struct not_differentiable {
  const char* why;
};
/// The gradient is the one of the op's expansion, which the backward pass runs again.
struct through_expansion {};

/// The gradient of an op: a rule written in ops, or one of the two choices above. It has no default
/// constructor, so a row without `.grad` does not compile.
template <class A>
struct Grad {
  using Rule = Grads (*)(const Saved& saved, const A& attrs);
  Grad() = delete;
  constexpr Grad(Rule vjp, Saves kept) : rule(vjp), saves(kept) {}
  constexpr Grad(not_differentiable reason) : why_not(reason.why) {}           // NOLINT
  constexpr Grad(through_expansion) : saves(Saves::inputs), expanded(true) {}  // NOLINT
  Rule rule = nullptr;
  Saves saves = Saves::nothing;
  const char* why_not = nullptr;
  bool expanded = false;
};

/// A face that every row must have: leaving it out does not compile.
template <class T>
struct Face {
  T value;
  Face() = delete;
  template <std::convertible_to<T> U>
  constexpr Face(U given) : value(given) {}  // NOLINT
};

/// The memory order of an op's outputs.
enum class Layout : uint8_t {
  row_major,
  like_inputs,    ///< the stride order of the first input that has the output's shape
  like_ranks,     ///< the stride order of the first input that has as many axes as the output
  channels_last,  ///< N,H,W,C in memory for a 4-d output
  images,         ///< channels-last if a 4-d input is, for 4-d outputs
};

/// What an op does to the meaning of its first input, for the checks before a training.
enum class Role : uint8_t {
  other,
  keeps,          ///< the same values, cast
  weighs,         ///< products with weights, the second input: they can be of any size
  probabilities,  ///< values in [0, 1]
};

/// How a call brings its operands to one dtype before the row's rule sees them. Numbers among them
/// become 0-d tensors of it: a float beside integers makes f32, otherwise a number takes the
/// tensors' dtype and must fit.
enum class Promotion : uint8_t {
  none,      ///< operands stay as they are; numbers are refused
  same,      ///< the dtype that all promote to, as the array API says
  to_float,  ///< the same; f32 where that is no float
  to_bool,   ///< bool: whether elements are not 0
  to_first,  ///< the first operand's dtype
};

/// What a row compares, so that a number beside integers is compared exactly, whatever its size.
enum class Relation : uint8_t { none, equal, not_equal, less, less_equal, greater, greater_equal };

/// Output `output` may take the buffer of input `input` if the caller donates it. The kernel must
/// not fail, for want of memory say, once it writes.
struct Reuse {
  uint8_t output;
  uint8_t input;
};

/// An attribute's name in ONNX, where it may be an attribute or, as in Clip and Slice from some
/// version on, an operand; empty if it has none there.
struct OnnxName {
  std::string_view ours;
  std::string_view theirs;
};

/// The ONNX operator that says the same, in the versions of the operator set first..last, and the
/// attributes that have another name there.
struct Onnx {
  static constexpr int newest = 1 << 20;
  std::string_view name = {};
  int first = 1;
  std::vector<OnnxName> names = {};
  int last = newest;
};

/// Reasons for a row's `no_golden`.
inline constexpr const char* golden_in_its_row = "the golden gradient of its row runs it";
inline constexpr const char* golden_of_functions =
    "its attributes are functions; tests/graph checks it";
inline constexpr const char* golden_nowhere =
    "a random stream is ours alone; tests/backend checks it";

/// A line about an attribute, for bindings and documentation.
struct AttributeDoc {
  std::string_view name;
  std::string_view doc;
};

/// One op: everything that the framework knows about it.
template <class A>
struct Row {
  using Infer = Specs (*)(const InSpecs& in, const A& attrs);
  using Expand = Results (*)(const Inputs& in, const A& attrs);
  using MakeView = bool (*)(const Strided& x, const A& attrs, const Specs& out, ViewLayout* views);
  using RunCpu = void (*)(const Kernel& kernel, const A& attrs);
  using RunCuda = void (*)(const Kernel& kernel, const A& attrs);
  struct Kernels {
    RunCpu cpu = nullptr;
    RunCuda cuda = nullptr;
  };

  std::string_view name;
  /// Other names of the same, PyTorch's or NumPy's, by which it is found and bound.
  std::vector<std::string_view> aliases = {};
  std::string_view doc;
  /// A part of other rows, such as a kernel for a gradient: neither listed nor bound.
  bool internal = false;
  /// A function of simpler ops: a call runs the expansion, whose ops stand on the tape and in the
  /// graph.
  bool inlined = false;
  std::vector<AttributeDoc> attributes = {};
  /// Operand names; a trailing `?` marks an optional one, a trailing `*` any number of them. The
  /// last output may have one, too: the rule's specs say how many there are.
  std::vector<std::string_view> inputs = {};
  std::vector<std::string_view> outputs = {"y"};
  /// So many of the last outputs are for the gradient and not for users: places, a mask.
  uint8_t kept_outputs = 0;
  /// The kinds of dtypes that the operands may have; the rule may refuse more.
  Kinds takes = kinds::real;
  Promotion promotion = Promotion::none;
  /// The first operand that is promoted: 1 behind a condition.
  uint8_t promoted_from = 0;
  Relation relation = Relation::none;
  /// The one rule of shapes and dtypes; throws Violation for what the user did wrong.
  Face<Infer> infer;
  /// The meaning in simpler ops: oracle, fallback where there is no kernel.
  Expand expand = nullptr;
  /// A plain computation in float64 for rows without an expansion: an oracle only.
  Expand reference = nullptr;
  Grad<A> grad;
  /// For view ops: the layout of each output over the input's buffer; false if it needs a copy.
  MakeView view = nullptr;
  Layout layout = Layout::row_major;
  /// The kernel takes inputs of any strides; otherwise they are made row-major first.
  bool any_strides = false;
  /// The kernel, or an op of the expansion, throws Violation for what only the values tell, such as
  /// an index out of range. Any other kernel that throws one is an internal error. Of functions
  /// among the attributes their own ops say it.
  bool refuses_values = false;
  std::vector<Reuse> reuse = {};
  Role role = Role::other;
  Kernels kernels = {};
  Onnx onnx = {};
  /// Why no golden case holds numbers of this row from elsewhere; null if there must be one.
  const char* no_golden = nullptr;
  Face<std::vector<Sample<A>> (*)()> samples;
};

/// A row without the type of its attributes: what eager calls, the tape, capture and every loop
/// over the ops work with.
class TAPER_API OpBase : public Registered<OpBase> {
 public:
  OpBase(std::string_view entry, std::string_view about) : Registered<OpBase>(entry, about) {}
  virtual ~OpBase() = default;
  OpBase(const OpBase&) = delete;
  OpBase& operator=(const OpBase&) = delete;

  std::vector<std::string_view> aliases;
  bool internal = false;
  bool inlined = false;
  std::vector<AttributeDoc> attributes;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  uint8_t kept_outputs = 0;
  Promotion promotion = Promotion::none;
  uint8_t promoted_from = 0;
  Relation relation = Relation::none;
  Kinds takes = kinds::real;
  uint32_t taken_dtypes = 0;      // by bit: those of the kinds that it takes
  uint32_t settled_dtypes = ~0u;  // by bit: promoted operands that are all of one of these stay
  Saves saves = Saves::nothing;
  const char* why_not_differentiable = nullptr;
  bool gradient_through_expansion = false;
  Layout layout = Layout::row_major;
  bool any_strides = false;
  bool refuses_values = false;
  bool has_kernel = false;  // for the CPU
  bool has_expansion = false;
  bool has_reference = false;
  bool is_view = false;
  std::vector<Reuse> reuse;
  Role role = Role::other;
  Onnx onnx;
  const char* no_golden = nullptr;
  size_t attrs_size = 0;  // 0 if there are none: nothing is copied
  // From `inputs`: how many operands a call takes.
  size_t least_inputs = 0;
  size_t most_inputs = 0;

  /// Sets what follows from `inputs` and `promotion`.
  void complete();
  /// Puts the row's lines into the fields.
  std::vector<FieldInfo> documented(std::vector<FieldInfo> fields) const;
  /// Whether the operand may be absent.
  bool is_optional(size_t input) const;

  virtual Specs infer(const InSpecs& in, const void* attrs) const = 0;
  virtual Results expand(const Inputs& in, const void* attrs) const = 0;
  virtual Results reference(const Inputs& in, const void* attrs) const = 0;
  virtual Grads vjp(const Saved& saved, const void* attrs) const = 0;
  virtual bool view(const Strided& x, const void* attrs, const Specs& out,
                    ViewLayout* views) const = 0;
  virtual bool has_kernel_for(DeviceKind device) const = 0;
  /// The kernel for the device of the context.
  virtual void run(const Kernel& kernel, const void* attrs) const = 0;
  virtual void copy_attrs(void* to, const void* from) const = 0;
  virtual void destroy_attrs(void* attrs) const = 0;
  virtual bool equal_attrs(const void* a, const void* b) const = 0;
  virtual std::string print_attrs(const void* attrs) const = 0;
  virtual Fields attrs_to_fields(const void* attrs) const = 0;
  /// The attributes of these names; the others keep their defaults. Throws value, naming the field.
  virtual std::shared_ptr<const void> attrs_from_fields(const Fields& fields) const = 0;
  /// The captured functions among the attributes, in their order.
  virtual std::vector<const Graph*> graphs(const void* attrs) const = 0;
  /// The attributes with their lines of documentation.
  virtual std::vector<FieldInfo> describe_attrs() const = 0;
  virtual std::vector<AnySample> samples() const = 0;
};

/// Every row, internal ones too, sorted by name.
TAPER_API std::vector<const OpBase*> all_ops();
/// The rows that users see: what is listed and bound.
TAPER_API std::vector<const OpBase*> public_ops();
/// The row of this name or alias. Throws not_found naming what may be meant.
TAPER_API const OpBase& op_named(std::string_view name);

/// Runs an op: infers, then captures or executes, then records on the tape.
TAPER_API Results call(const OpBase& op, const void* attrs, std::span<const Arg> args);

/// Executes an op whose output specs are known, without the tape.
TAPER_API Results execute(const OpBase& op, const void* attrs, std::span<const Arg> args,
                          const Specs& specs);

/// Throws the user's error for what a rule or a kernel of `op` found wrong:
/// `op: rule (operands with dtypes and shapes) in layer.path`. `function` stands for the op's name
/// where the user called a function that is made of ops.
[[noreturn]] TAPER_API void report(const OpBase& op, const Violation& violation,
                                   std::span<const Arg> args, std::string_view function = {});

template <class A>
class Op final : public OpBase {
 public:
  // NOLINTNEXTLINE: implicit, so that `static const Op<A> op{{.name = ...}}` reads as a row
  Op(const Row<A>& row) : OpBase(row.name, row.doc), row_(row) {
    aliases = row.aliases;
    internal = row.internal;
    inlined = row.inlined;
    attributes = row.attributes;
    inputs = row.inputs;
    outputs = row.outputs;
    kept_outputs = row.kept_outputs;
    takes = row.takes;
    promotion = row.promotion;
    promoted_from = row.promoted_from;
    relation = row.relation;
    saves = row.grad.saves;
    why_not_differentiable = row.grad.why_not;
    gradient_through_expansion = row.grad.expanded;
    layout = row.layout;
    any_strides = row.any_strides;
    refuses_values = row.refuses_values;
    has_kernel = row.kernels.cpu != nullptr;
    has_expansion = row.expand != nullptr;
    has_reference = row.reference != nullptr;
    is_view = row.view != nullptr;
    reuse = row.reuse;
    role = row.role;
    onnx = row.onnx;
    no_golden = row.no_golden;
    static_assert(alignof(A) <= 8);  // the tape's alignment
    attrs_size = std::is_empty_v<A> ? 0 : sizeof(A);
    complete();
  }

  /// The first (for most ops the only) output.
  Tensor operator()(std::initializer_list<Arg> args, const A& attrs = {}) const {
    return std::move(call(*this, &attrs, {args.begin(), args.size()})[0]);
  }
  Results all(std::span<const Arg> args, const A& attrs = {}) const {
    return call(*this, &attrs, args);
  }

  Specs infer(const InSpecs& in, const void* attrs) const override {
    return row_.infer.value(in, get(attrs));
  }
  Results expand(const Inputs& in, const void* attrs) const override {
    return row_.expand(in, get(attrs));
  }
  Results reference(const Inputs& in, const void* attrs) const override {
    return row_.reference(in, get(attrs));
  }
  Grads vjp(const Saved& saved, const void* attrs) const override {
    return row_.grad.rule(saved, get(attrs));
  }
  bool view(const Strided& x, const void* attrs, const Specs& out,
            ViewLayout* views) const override {
    return row_.view(x, get(attrs), out, views);
  }
  bool has_kernel_for(DeviceKind device) const override { return kernel_for(device) != nullptr; }
  void run(const Kernel& kernel, const void* attrs) const override {
    kernel_for(kernel.context.device.kind)(kernel, get(attrs));
  }
  void copy_attrs(void* to, const void* from) const override { new (to) A(get(from)); }
  void destroy_attrs(void* attrs) const override { static_cast<A*>(attrs)->~A(); }
  bool equal_attrs(const void* a, const void* b) const override {
    return fields_equal(get(a), get(b));
  }
  std::string print_attrs(const void* attrs) const override { return fields_print(get(attrs)); }
  Fields attrs_to_fields(const void* attrs) const override { return to_fields(get(attrs)); }
  std::shared_ptr<const void> attrs_from_fields(const Fields& fields) const override {
    if constexpr (detail::names_of<A>.empty()) {  // most rows: not worth the code of a parser
      for (const auto& field : fields) detail::find_field(name, field.first, nullptr, 0);
      return std::make_shared<A>();
    } else {
      return std::make_shared<A>(parse_fields<A>(name, fields));
    }
  }
  std::vector<const Graph*> graphs(const void* attrs) const override {
    std::vector<const Graph*> all;
    with_fields(get(attrs), [&all]<class... T>(const T&... fields) {
      [[maybe_unused]] const auto add = [&]<class F>(const F& field) {
        if constexpr (field_type<F> == FieldType::subgraph) {
          if (field.graph() != nullptr) all.push_back(field.graph());
        }
      };
      (add(fields), ...);
    });
    return all;
  }
  std::vector<FieldInfo> describe_attrs() const override {
    return documented(describe_fields<A>());
  }
  std::vector<AnySample> samples() const override {
    std::vector<AnySample> all;
    for (Sample<A>& sample : row_.samples.value()) {
      all.push_back({std::move(sample.inputs), std::make_shared<A>(std::move(sample.attrs)),
                     std::move(sample.error), sample.tolerance});
    }
    return all;
  }

 private:
  static const A& get(const void* attrs) { return *static_cast<const A*>(attrs); }
  auto kernel_for(DeviceKind device) const {
    return device == DeviceKind::cpu ? row_.kernels.cpu : row_.kernels.cuda;
  }

  Row<A> row_;
};

/// Attributes of an op that has none.
struct NoAttrs {};

}  // namespace taper
