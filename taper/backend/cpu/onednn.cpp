#include <taper/backend/cpu/onednn.h>

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include <taper/backend/cpu/convert.h>
#include <taper/core/allocator.h>
#include <taper/core/error.h>
#include <taper/core/threads.h>

namespace taper {
namespace onednn {
namespace {

using dnnl::memory;

constexpr size_t most_primitives = 1024;

/// Never destroyed: threads may still run at exit.
const dnnl::engine& engine() {
  static const dnnl::engine* const instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *instance;
}

bool isa_includes(dnnl::cpu_isa least) {
  const auto have = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto need = static_cast<unsigned>(least);
  return (have & need) == need;
}

memory::data_type onednn_dtype(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return memory::data_type::f32;
    case DType::bf16:
      return memory::data_type::bf16;
    case DType::f16:
      return memory::data_type::f16;
    default:
      internal_failure("a dtype that oneDNN computes", __FILE__, __LINE__);
  }
}

/// What a primitive depends on, as words.
class Key {
 public:
  void add(int64_t word) { words_[static_cast<size_t>(count_++)] = word; }
  void add(const Shape& shape) {
    for (int64_t size : shape) add(size);
  }
  void add(const int64_t (&pair)[2]) {
    add(pair[0]);
    add(pair[1]);
  }
  bool operator==(const Key& other) const {
    return count_ == other.count_ &&
           std::memcmp(words_.data(), other.words_.data(),
                       sizeof(int64_t) * static_cast<size_t>(count_)) == 0;
  }
  size_t hash() const {
    uint64_t result = static_cast<uint64_t>(count_);
    for (int i = 0; i < count_; ++i) {
      result ^= static_cast<uint64_t>(words_[static_cast<size_t>(i)]);
      result *= 0x9e3779b97f4a7c15u;
      result ^= result >> 32;
    }
    return result;
  }

 private:
  int count_ = 0;
  std::array<int64_t, 32> words_;
};

struct KeyHash {
  size_t operator()(const Key& key) const { return key.hash(); }
};

/// Keeps the `most_primitives` values that were used last.
template <class Value>
class LruCache {
 public:
  Value* find(const Key& key) {
    if (!entries_.empty() && entries_.front().first == key) return &entries_.front().second;
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front().second;
  }
  Value& insert(const Key& key, Value value) {
    if (Value* present = find(key)) return *present;
    if (entries_.size() >= most_primitives) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(key, std::move(value));
    index_[key] = entries_.begin();
    return entries_.front().second;
  }

 private:
  using Position = typename std::list<std::pair<Key, Value>>::iterator;
  std::list<std::pair<Key, Value>> entries_;
  std::unordered_map<Key, Position, KeyHash> index_;
};

/// A primitive with the reorders of its operands to and from the formats it wants; threads share
/// it.
class Execution {
 public:
  static constexpr int in_arena = -1;

  struct Place {
    memory::desc desc;
    int operand;  // or in_arena
    size_t offset;
  };
  struct Argument {
    int name;
    size_t place;
  };
  struct Step {
    dnnl::primitive primitive;
    std::vector<Argument> arguments;
  };

  explicit Execution(std::string name) : name_(std::move(name)) {}

  size_t add_operand(const memory::desc& desc, int operand) {
    places_.push_back({desc, operand, 0});
    return places_.size() - 1;
  }
  size_t add_temporary(const memory::desc& desc) {
    constexpr size_t alignment = 64;
    places_.push_back({desc, in_arena, arena_bytes_});
    arena_bytes_ += (desc.get_size() + alignment - 1) / alignment * alignment;
    return places_.size() - 1;
  }
  void add_step(const dnnl::primitive& primitive, const memory::desc& scratchpad,
                std::vector<Argument> arguments) {
    if (scratchpad.get_size() > 0) {
      arguments.push_back({DNNL_ARG_SCRATCHPAD, add_temporary(scratchpad)});
    }
    steps_.push_back({primitive, std::move(arguments)});
  }
  void add_reorder(size_t from, size_t to) {
    const dnnl::reorder::primitive_desc desc(engine(), places_[from].desc, engine(),
                                             places_[to].desc, user_scratchpad());
    add_step(dnnl::reorder(desc), desc.scratchpad_desc(),
             {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }
  /// The place that a primitive reads as `wanted`, reordered to first if the operand differs.
  size_t input(size_t operand, const memory::desc& wanted) {
    if (places_[operand].desc == wanted) return operand;
    const size_t place = add_temporary(wanted);
    add_reorder(operand, place);
    return place;
  }
  /// The place that a primitive writes as `wanted`; `add_output_reorder` goes behind the primitive.
  size_t output(size_t operand, const memory::desc& wanted) {
    return places_[operand].desc == wanted ? operand : add_temporary(wanted);
  }
  void add_output_reorder(size_t place, size_t operand) {
    if (place != operand) add_reorder(place, operand);
  }

  static dnnl::primitive_attr user_scratchpad() {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attr;
  }

  const std::string& name() const { return name_; }
  const std::vector<Place>& places() const { return places_; }
  const std::vector<Step>& steps() const { return steps_; }
  size_t arena_bytes() const { return arena_bytes_; }

 private:
  std::string name_;
  std::vector<Place> places_;
  std::vector<Step> steps_;
  size_t arena_bytes_ = 0;
};

/// One thread's memory objects for a plan.
class Runner {
 public:
  explicit Runner(std::shared_ptr<const Execution> plan) : plan_(std::move(plan)) {
    for (const Execution::Place& place : plan_->places()) {
      memories_.push_back(memory(place.desc, engine(), DNNL_MEMORY_NONE));
    }
    for (const Execution::Step& step : plan_->steps()) {
      std::vector<dnnl_exec_arg_t>& arguments = arguments_.emplace_back();
      for (const Execution::Argument& argument : step.arguments) {
        arguments.push_back({argument.name, memories_[argument.place].get()});
      }
    }
  }

  /// `operands` are in the order of the plan's operand numbers.
  void run(const void* const* operands, const dnnl::stream& stream) {
    if (plan_->arena_bytes() == 0) return execute(operands, nullptr, stream);
    const Buffer arena(plan_->arena_bytes());
    execute(operands, arena.data(), stream);
  }

 private:
  void execute(const void* const* operands, std::byte* arena, const dnnl::stream& stream) {
    for (size_t i = 0; i < memories_.size(); ++i) {
      const Execution::Place& place = plan_->places()[i];
      void* data = place.operand == Execution::in_arena
                       ? arena + place.offset
                       : const_cast<void*>(operands[place.operand]);
      check(dnnl_memory_set_data_handle(memories_[i].get(), data));
    }
    for (size_t i = 0; i < arguments_.size(); ++i) {
      check(dnnl_primitive_execute(plan_->steps()[i].primitive.get(), stream.get(),
                                   static_cast<int>(arguments_[i].size()), arguments_[i].data()));
    }
  }
  void check(dnnl_status_t status) const {
    if (status == dnnl_success) return;
    if (status == dnnl_out_of_memory) {
      fail(ErrorKind::value, "oneDNN found no memory for " + plan_->name());
    }
    fail(ErrorKind::internal, "oneDNN could not execute " + plan_->name() + " (status " +
                                  std::to_string(static_cast<int>(status)) + ")");
  }

  std::shared_ptr<const Execution> plan_;
  std::vector<memory> memories_;
  std::vector<std::vector<dnnl_exec_arg_t>> arguments_;
};

struct SharedPlans {
  std::mutex mutex;
  LruCache<std::shared_ptr<const Execution>> cache;
};

struct ThreadState {
  dnnl::stream stream{engine()};
  LruCache<Runner> runners;
};

/// The plan for `key`, made by `make` outside of the lock (it takes up to 40 ms).
template <class Make>
std::shared_ptr<const Execution> shared_plan(const Key& key, const std::string& name, Make&& make) {
  static SharedPlans* const plans = new SharedPlans;
  {
    const std::lock_guard lock(plans->mutex);
    if (const auto* found = plans->cache.find(key)) return *found;
  }
  // Where it once had no memory it makes nothing any more, or ends the process in another thread.
  leave_room(size_t{256} << 20, size_t{64} << 20);
  auto made = std::make_shared<Execution>(name);
  try {
    make(*made);
  } catch (const dnnl::error& error) {
    fail(ErrorKind::internal, "oneDNN could not make " + name + ": " + error.what());
  }
  const std::lock_guard lock(plans->mutex);
  return plans->cache.insert(key, std::move(made));
}

template <class Describe, class Make>
void run_cached(const Key& key, Describe&& name, Make&& make, const void* const* operands) {
  thread_local ThreadState state;
  Runner* runner = state.runners.find(key);
  if (runner == nullptr) [[unlikely]] {
    runner = &state.runners.insert(key, Runner(shared_plan(key, name(), make)));
  }
  runner->run(operands, state.stream);
}

/// Lets OpenMP regions that this thread opens have one thread, for as long as it lives. Within a
/// region, too, where they have one anyway: the size of a primitive's scratchpad follows from the
/// number that is set when it is made, and it writes behind a smaller one.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

enum MatmulOperand { matmul_a, matmul_b, matmul_bias, matmul_out };

void make_matmul(const MatmulProblem& p, Execution& plan) {
  const memory::data_type type = onednn_dtype(p.dtype);
  const memory::desc a({p.m, p.k}, type, {p.a_row, p.a_col});
  const memory::desc b({p.k, p.n}, type, {p.b_row, p.b_col});
  const memory::desc out({p.m, p.n}, type, {p.out_row, 1});
  const memory::desc bias =
      p.bias ? memory::desc({1, p.n}, type, memory::dims{p.n, 1}) : memory::desc();
  const dnnl::matmul::primitive_desc desc(engine(), a, b, bias, out, Execution::user_scratchpad());
  std::vector<Execution::Argument> arguments = {{DNNL_ARG_SRC, plan.add_operand(a, matmul_a)},
                                                {DNNL_ARG_WEIGHTS, plan.add_operand(b, matmul_b)},
                                                {DNNL_ARG_DST, plan.add_operand(out, matmul_out)}};
  if (p.bias) arguments.push_back({DNNL_ARG_BIAS, plan.add_operand(bias, matmul_bias)});
  plan.add_step(dnnl::matmul(desc), desc.scratchpad_desc(), std::move(arguments));
}

std::string describe(const MatmulProblem& p) {
  return "matmul " + std::string(dtype_name(p.dtype)) + " " + to_string(Shape{p.m, p.k}) + " @ " +
         to_string(Shape{p.k, p.n});
}

enum ConvOperand { conv_x, conv_w, conv_bias, conv_out };

memory::desc activations(const Shape& shape, memory::data_type type, ImageOrder layout) {
  using Tag = memory::format_tag;
  constexpr Tag tags[] = {Tag::nhwc, Tag::nchw, Tag::any};
  return memory::desc(shape.to_vector(), type, tags[static_cast<size_t>(layout)]);
}

/// Makes the three convolutions from one set of descriptions.
class ConvMaker {
 public:
  ConvMaker(const ConvProblem& problem, Execution& plan)
      : problem_(problem),
        plan_(plan),
        type_(onednn_dtype(problem.dtype)),
        user_x_(activations(problem.x, type_, problem.x_order)),
        user_out_(activations(problem.out, type_, problem.out_order)),
        x_(activations(problem.x, type_, problem.inner_order)),
        out_(activations(problem.out, type_, problem.inner_order)),
        w_(weights(false)),
        any_w_(weights(true)),
        bias_(problem.bias ? memory::desc({problem.out[1]}, type_, memory::format_tag::a)
                           : memory::desc()) {
    const ConvParams& params = problem.params;
    stride_.assign(params.stride, params.stride + 2);
    padding_.assign(params.padding, params.padding + 2);
    for (int64_t dilation : params.dilation) dilation_.push_back(dilation - 1);
    for (int i = 0; i < 2; ++i) end_padding_.push_back(end_padding(i));
  }

  void make() const {
    switch (problem_.kind) {
      case ConvKind::forward:
        return forward();
      case ConvKind::input_grad:
        return input_grad();
      case ConvKind::weight_grad:
        return weight_grad();
    }
  }

 private:
  static constexpr auto algorithm = dnnl::algorithm::convolution_direct;

  memory::desc weights(bool any) const {
    using Tag = memory::format_tag;
    const Shape& w = problem_.w;
    const int64_t groups = problem_.params.groups;
    if (groups == 1) return {w.to_vector(), type_, any ? Tag::any : Tag::oihw};
    const memory::dims dims = {groups, w[0] / groups, w[1], w[2], w[3]};
    return {dims, type_, any ? Tag::any : Tag::goihw};
  }

  /// oneDNN wants the padding at the end to fit the size exactly; it may be less than none.
  int64_t end_padding(int axis) const {
    const ConvParams& params = problem_.params;
    const int64_t reach = (problem_.w[axis + 2] - 1) * params.dilation[axis];
    const int64_t last = (problem_.out[axis + 2] - 1) * params.stride[axis] + reach;
    return last + 1 - problem_.x[axis + 2] - params.padding[axis];
  }

  dnnl::convolution_forward::primitive_desc forward_desc() const {
    return {engine(),     dnnl::prop_kind::forward,
            algorithm,    x_,
            any_w_,       bias_,
            out_,         stride_,
            dilation_,    padding_,
            end_padding_, Execution::user_scratchpad()};
  }

  /// The place to read an operand from in the primitive's format.
  size_t read(const memory::desc& user, ConvOperand operand, const memory::desc& wanted) const {
    return plan_.input(plan_.add_operand(user, operand), wanted);
  }

  /// Adds the primitive, with the reorder of its result if it writes another format.
  template <class Primitive, class Desc>
  void add(const Desc& desc, std::vector<Execution::Argument> arguments, int bias_name,
           int result_name, const memory::desc& user, ConvOperand operand,
           const memory::desc& written) const {
    const size_t user_result = plan_.add_operand(user, operand);
    const size_t result = plan_.output(user_result, written);
    arguments.push_back({result_name, result});
    if (problem_.bias) arguments.push_back({bias_name, plan_.add_operand(bias_, conv_bias)});
    plan_.add_step(Primitive(desc), desc.scratchpad_desc(), std::move(arguments));
    plan_.add_output_reorder(result, user_result);
  }

  void forward() const {
    const auto desc = forward_desc();
    add<dnnl::convolution_forward>(desc,
                                   {{DNNL_ARG_SRC, read(user_x_, conv_x, desc.src_desc())},
                                    {DNNL_ARG_WEIGHTS, read(w_, conv_w, desc.weights_desc())}},
                                   DNNL_ARG_BIAS, DNNL_ARG_DST, user_out_, conv_out,
                                   desc.dst_desc());
  }

  void input_grad() const {
    const dnnl::convolution_backward_data::primitive_desc desc(
        engine(), algorithm, x_, any_w_, out_, stride_, dilation_, padding_, end_padding_,
        forward_desc(), Execution::user_scratchpad());
    add<dnnl::convolution_backward_data>(
        desc,
        {{DNNL_ARG_DIFF_DST, read(user_out_, conv_out, desc.diff_dst_desc())},
         {DNNL_ARG_WEIGHTS, read(w_, conv_w, desc.weights_desc())}},
        DNNL_ARG_BIAS, DNNL_ARG_DIFF_SRC, user_x_, conv_x, desc.diff_src_desc());
  }

  void weight_grad() const {
    const dnnl::convolution_backward_weights::primitive_desc desc(
        engine(), algorithm, x_, any_w_, bias_, out_, stride_, dilation_, padding_, end_padding_,
        forward_desc(), Execution::user_scratchpad());
    add<dnnl::convolution_backward_weights>(
        desc,
        {{DNNL_ARG_SRC, read(user_x_, conv_x, desc.src_desc())},
         {DNNL_ARG_DIFF_DST, read(user_out_, conv_out, desc.diff_dst_desc())}},
        DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_WEIGHTS, w_, conv_w, desc.diff_weights_desc());
  }

  const ConvProblem& problem_;
  Execution& plan_;
  memory::data_type type_;
  memory::desc user_x_;
  memory::desc user_out_;
  memory::desc x_;
  memory::desc out_;
  memory::desc w_;
  memory::desc any_w_;
  memory::desc bias_;
  memory::dims stride_;
  memory::dims padding_;
  memory::dims end_padding_;
  memory::dims dilation_;
};

std::string describe(const ConvProblem& p) {
  constexpr const char* names[] = {"convolution", "convolution's input gradient",
                                   "convolution's weight gradient"};
  return std::string(names[static_cast<size_t>(p.kind)]) + " " + std::string(dtype_name(p.dtype)) +
         " x " + to_string(p.x) + " w " + to_string(p.w);
}

}  // namespace

bool computes_matmul(DType dtype) {
  // Its f16 products fall back to a reference that is a thousand times slower where rows are not
  // dense.
  return dtype == DType::f32 || (dtype == DType::bf16 && has_avx512());
}

bool has_avx512() {
  static const bool found = isa_includes(dnnl::cpu_isa::avx512_core);
  return found;
}

bool computes_conv(DType dtype) { return computes_matmul(dtype); }

void run_matmul(const MatmulProblem& problem, const void* a, const void* b, const void* bias,
                void* out) {
  const OneThread one_thread;
  Key key;
  key.add(static_cast<int64_t>(problem.dtype) << 1 | (problem.bias ? 1 : 0));
  for (int64_t word : {problem.m, problem.n, problem.k, problem.a_row, problem.a_col, problem.b_row,
                       problem.b_col, problem.out_row}) {
    key.add(word);
  }
  const void* const operands[] = {a, b, bias, out};
  run_cached(
      key, [&] { return describe(problem); }, [&](Execution& plan) { make_matmul(problem, plan); },
      operands);
}

void run_conv(const ConvProblem& problem, const void* x, const void* w, const void* bias,
              const void* out) {
  const bool inside = omp_in_parallel() != 0;
  std::optional<OneThread> one_thread;
  if (inside) {
    one_thread.emplace();
  } else {
    prepare_thread();
  }
  Key key;
  key.add(inside ? 1 : omp_get_max_threads());
  key.add(static_cast<int64_t>(problem.kind));
  key.add(static_cast<int64_t>(problem.dtype) << 1 | (problem.bias ? 1 : 0));
  key.add(static_cast<int64_t>(problem.x_order));
  key.add(static_cast<int64_t>(problem.out_order));
  key.add(static_cast<int64_t>(problem.inner_order));
  key.add(problem.x);
  key.add(problem.w);
  key.add(problem.out);
  key.add(problem.params.stride);
  key.add(problem.params.padding);
  key.add(problem.params.dilation);
  key.add(problem.params.groups);
  const void* const operands[] = {x, w, bias, out};
  run_cached(
      key, [&] { return describe(problem); },
      [&](Execution& plan) { ConvMaker(problem, plan).make(); }, operands);
}

}  // namespace onednn

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

std::string cpu_isa() {
  using Isa = dnnl::cpu_isa;
  constexpr std::pair<Isa, const char*> names[] = {
      {Isa::avx2, "AVX2"},
      {Isa::avx2_vnni, "AVX2 with VNNI"},
      {Isa::avx2_vnni_2, "AVX2 with VNNI 2"},
      {Isa::avx512_core, "AVX-512"},
      {Isa::avx512_core_vnni, "AVX-512 with VNNI"},
      {Isa::avx512_core_bf16, "AVX-512 with BF16"},
      {Isa::avx512_core_fp16, "AVX-512 with FP16"},
      {Isa::avx512_core_amx, "AVX-512 with AMX"},
      {Isa::avx512_core_amx_fp16, "AVX-512 with AMX FP16"},
  };
  for (const auto& [isa, name] : names) {
    if (isa == dnnl::get_effective_cpu_isa()) return name;
  }
  return "less than AVX2";
}

}  // namespace taper
