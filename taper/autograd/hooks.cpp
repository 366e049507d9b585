#include <taper/autograd/hooks.h>

#include <taper/ops/node_extra.h>

namespace taper {

HookHandle register_hook(const Tensor& tensor, std::function<Tensor(const Tensor&)> hook) {
  if (!tensor.requires_grad()) {
    fail(ErrorKind::value,
         "register_hook: the tensor is not on the tape; set_requires_grad() "
         "makes it a leaf (" +
             to_string(tensor.spec()) + ")");
  }
  if (!hook) fail(ErrorKind::value, "register_hook: the hook is empty");
  NodeExtra& extra = extra_of(*node_of(tensor));
  note_hooks_change(extra);
  std::vector<TensorHook>& hooks = extra.hooks;
  const uint64_t id = hooks.empty() ? 0 : hooks.back().id + 1;
  hooks.push_back({id, tensor.impl()->output, std::move(hook)});
  // The handle keeps the node, so that its place stays valid.
  return HookHandle([record = tensor.impl()->node, id] {
    NodeExtra& of_node = *static_cast<Node*>(record.get())->extra;
    note_hooks_change(of_node);
    std::erase_if(of_node.hooks, [id](const TensorHook& each) { return each.id == id; });
  });
}

}  // namespace taper
