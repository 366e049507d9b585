#include <taper/graph/layouts.h>

#include <taper/graph/capture.h>
#include <taper/ops/layout.h>

namespace taper {
namespace {

/// A tensor without data that lies like this.
Tensor stand_in(const Spec& spec, const ValueLayout& layout) {
  Tensor tensor(Ptr<TensorImpl>(new_impl(spec)));
  tensor.impl()->strides = layout.strides;
  tensor.impl()->offset = layout.offset;
  tensor.impl()->row_major = layout.row_major;
  return tensor;
}

class Layouts {
 public:
  Layouts(const Graph& graph, const std::vector<ValueLayout>& given)
      : graph_(graph), layouts_(graph.specs.size()) {
    const auto take = [&](ValueId id) {
      if (id == no_value) return;
      const auto i = static_cast<size_t>(id);
      layouts_[i] = given.empty() ? plain(id) : given[i];
      layouts_[i].buffer = id;
    };
    for (ValueId id : graph.inputs) take(id);
    for (const GraphCell& cell : graph.cells) take(cell.initial);
    for (const auto& [id, number] : graph.immediates) layouts_[static_cast<size_t>(id)] = plain(id);
    for (const auto& [id, tensor] : graph.constants) {
      const TensorImpl& impl = *tensor.impl();
      layouts_[static_cast<size_t>(id)] = {impl.strides, impl.offset, impl.row_major, id};
    }
  }

  std::vector<ValueLayout> run() {
    for (const GraphNode& node : graph_.nodes) lay_out(node);
    return std::move(layouts_);
  }

 private:
  ValueLayout plain(ValueId id) const {
    return {row_major_strides(graph_.specs[static_cast<size_t>(id)].shape), 0, true, id};
  }

  void lay_out(const GraphNode& node) {
    std::vector<Tensor> operands;
    for (ValueId id : node.inputs) {
      const auto i = static_cast<size_t>(id);
      operands.push_back(id == no_value ? Tensor() : stand_in(graph_.specs[i], layouts_[i]));
    }
    if (node.op->is_view && lay_out_views(node, operands[0])) return;
    const bool has_graphs = !node.op->graphs(node.attrs.get()).empty();  // gives row-major results
    if (node.op->has_kernel || has_graphs) {
      const std::vector<Arg> args(operands.begin(), operands.end());
      for (ValueId id : node.outputs) {
        const OutputLayout out =
            output_layout(*node.op, args, graph_.specs[static_cast<size_t>(id)]);
        layouts_[static_cast<size_t>(id)] = {out.strides, 0, out.row_major,
                                             has_graphs ? no_value : id};
      }
    } else {
      lay_out_expansion(node, operands);
    }
  }

  /// False if the op needs a copy.
  bool lay_out_views(const GraphNode& node, const Tensor& x) {
    const TensorImpl& impl = *x.impl();
    Specs specs;
    for (ValueId id : node.outputs) specs.push_back(graph_.specs[static_cast<size_t>(id)]);
    std::vector<ViewLayout> views(node.outputs.size());
    const Strided strided{impl.spec, impl.strides, impl.offset, impl.row_major};
    if (!node.op->view(strided, node.attrs.get(), specs, views.data())) return false;
    const ValueId buffer = layouts_[static_cast<size_t>(node.inputs[0])].buffer;
    for (size_t i = 0; i < views.size(); ++i) {
      const bool row_major = is_row_major(specs[static_cast<int>(i)].shape, views[i].strides);
      layouts_[static_cast<size_t>(node.outputs[i])] = {views[i].strides, views[i].offset,
                                                        row_major, buffer};
    }
    return true;
  }

  /// An op without a kernel runs its expansion: the layouts of that graph's results.
  void lay_out_expansion(const GraphNode& node, const std::vector<Tensor>& operands) {
    const Captured inner = capture(
        operands,
        [&](const std::vector<Tensor>& symbols) {
          const std::vector<Arg> args(symbols.begin(), symbols.end());
          const Results results = node.op->expand(Inputs(args), node.attrs.get());
          std::vector<Tensor> all;
          for (size_t i = 0; i < node.outputs.size(); ++i) {
            all.push_back(results[static_cast<int>(i)]);
          }
          return all;
        },
        OutsideTensors::held);
    std::vector<ValueLayout> given(inner.graph.specs.size());
    std::vector<ValueId> buffers(inner.graph.specs.size(), no_value);
    size_t next = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!operands[i].defined()) continue;
      const auto id = static_cast<size_t>(inner.graph.inputs[next++]);
      given[id] = layouts_[static_cast<size_t>(node.inputs[i])];
      buffers[id] = given[id].buffer;
    }
    const std::vector<ValueLayout> found = infer_layouts(inner.graph, given);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      ValueLayout layout = found[static_cast<size_t>(inner.graph.outputs[i])];
      if (layout.buffer != no_value) {
        const ValueId outside = buffers[static_cast<size_t>(layout.buffer)];
        layout.buffer = outside == no_value ? node.outputs[i] : outside;
      }
      layouts_[static_cast<size_t>(node.outputs[i])] = layout;
    }
  }

  const Graph& graph_;
  std::vector<ValueLayout> layouts_;
};

}  // namespace

std::vector<ValueLayout> infer_layouts(const Graph& graph, const std::vector<ValueLayout>& given) {
  TAPER_CHECK(given.empty() || given.size() == graph.specs.size());
  return Layouts(graph, given).run();
}

}  // namespace taper
