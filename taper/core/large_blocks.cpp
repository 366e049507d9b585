#include <taper/core/large_blocks.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace taper::detail {

void* LargeBlocks::take(size_t size) {
  std::byte* block = pop(heap_, size);
  if (block == nullptr && size >= cut_from) block = pop(mapped_, size);
  if (block == nullptr && size >= cut_from) block = cut(size);
  if (block == nullptr && size >= big && mapped_.size() > 1 && join()) block = cut(size);
  if (block != nullptr) kept_ -= size;
  return block;
}

std::byte* LargeBlocks::pop(Bins& bins, size_t size) {
  const auto bin = bins.find(size);
  if (bin == bins.end() || bin->second.empty()) return nullptr;
  std::byte* const block = bin->second.back();
  bin->second.pop_back();  // an empty bin stays: such a block comes back
  return block;
}

/// From the smallest block that is large enough.
std::byte* LargeBlocks::cut(size_t size) {
  auto bin = mapped_.lower_bound(size);
  while (bin != mapped_.end() && bin->second.empty()) bin = mapped_.erase(bin);
  if (bin == mapped_.end()) return nullptr;
  const size_t whole = bin->first;
  std::byte* const block = bin->second.back();
  if (whole > size) {
    try {
      mapped_[whole - size].push_back(block + size);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  bin->second.pop_back();
  return block;
}

/// Makes one block of neighbours. False if there is no memory to find them.
bool LargeBlocks::join() try {
  std::vector<std::pair<std::byte*, size_t>> blocks;
  for (const auto& [size, bin] : mapped_) {
    for (std::byte* block : bin) blocks.emplace_back(block, size);
  }
  std::ranges::sort(blocks);
  Bins joined;
  for (size_t i = 0; i < blocks.size();) {
    auto [block, size] = blocks[i++];
    while (i < blocks.size() && blocks[i].first == block + size) size += blocks[i++].second;
    joined[size].push_back(block);
  }
  mapped_ = std::move(joined);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void* LargeBlocks::map(size_t size) {
  // One huge page more, so that the block can begin with one: without them a fresh 64 MiB costs
  // 16,384 page faults, more than most kernels on it.
  void* const memory =
      mmap(nullptr, size + big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(memory);
  const size_t before = (big - reinterpret_cast<uintptr_t>(begin) % big) % big;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, big - before);
  try {
    note_mapped(begin + before, size);
  } catch (const std::bad_alloc&) {
    munmap(begin + before, size);
    return nullptr;
  }
  madvise(begin + before, size, MADV_HUGEPAGE);
  return begin + before;
}

void LargeBlocks::note_mapped(std::byte* block, size_t size) {
  auto range = ranges_.emplace(block, size).first;
  const auto next = std::next(range);
  if (next != ranges_.end() && range->first + range->second == next->first) {
    range->second += next->second;
    ranges_.erase(next);
  }
  if (range == ranges_.begin()) return;
  const auto before = std::prev(range);
  if (before->first + before->second != range->first) return;
  before->second += range->second;
  ranges_.erase(range);
}

bool LargeBlocks::is_mapped(const std::byte* block) const {
  const auto behind = ranges_.upper_bound(block);
  if (behind == ranges_.begin()) return false;
  const auto& [begin, size] = *std::prev(behind);
  return block < begin + size;
}

void LargeBlocks::unmap(std::byte* block, size_t size) noexcept {
  const auto range = std::prev(ranges_.upper_bound(block));
  const std::byte* const begin = range->first;
  const std::byte* const end = begin + range->second;
  // The rest of the range is noted first: without memory for that, the pages are only emptied.
  try {
    if (block + size < end) {
      ranges_.emplace(block + size, static_cast<size_t>(end - (block + size)));
    }
  } catch (const std::bad_alloc&) {
    madvise(block, size, MADV_DONTNEED);
    return;
  }
  if (block == begin) {
    ranges_.erase(range);
  } else {
    range->second = static_cast<size_t>(block - begin);
  }
  munmap(block, size);
}

void LargeBlocks::put(void* memory, size_t size) noexcept {
  auto* const block = static_cast<std::byte*>(memory);
  const bool mapped = size >= cut_from && is_mapped(block);
  try {
    (mapped ? mapped_ : heap_)[size].push_back(block);
    kept_ += size;
  } catch (const std::bad_alloc&) {
    mapped ? unmap(block, size) : std::free(block);
  }
}

void LargeBlocks::shrink(size_t most, const void* last) noexcept {
  for (const bool all : {false, true}) {
    for (Bins* bins : {&mapped_, &heap_}) {
      for (auto bin = bins->end(); kept_ > most && bin != bins->begin();) {
        --bin;
        std::vector<std::byte*>& blocks = bin->second;
        for (size_t i = blocks.size(); kept_ > most && i-- > 0;) {
          if (blocks[i] == last && !all) continue;
          if (bins == &mapped_) {
            unmap(blocks[i], bin->first);
          } else {
            std::free(blocks[i]);
          }
          kept_ -= bin->first;
          blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (blocks.empty()) bin = bins->erase(bin);
      }
    }
  }
}

}  // namespace taper::detail
