// The workloads of bench/peers/workloads.md.
#pragma once

#include <functional>
#include <span>
#include <string_view>

namespace taper::cli {

/// One step of a workload; its tensors and its model are in it.
using Step = std::function<void()>;

struct Workload {
  std::string_view name;
  std::string_view doc;
  Step (*make)(bool captured);
};

std::span<const Workload> workloads();

/// Throws not_found naming the workloads that there are.
const Workload& find_workload(std::string_view name);

}  // namespace taper::cli
