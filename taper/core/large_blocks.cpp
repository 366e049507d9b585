#include <taper/core/large_blocks.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace taper::detail {
namespace {

using Block = FreeBlocks::Block;

size_t page_size() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::byte* begin_of(Block* block) { return reinterpret_cast<std::byte*>(block); }

Block* merge(Block* a, Block* b) {
  Block head{};
  Block* last = &head;
  while (a != nullptr && b != nullptr) {
    Block*& lower = a < b ? a : b;
    last = last->next = lower;
    lower = lower->next;
  }
  last->next = a != nullptr ? a : b;
  return head.next;
}

/// By address; merges runs of 1, 2, 4, … blocks.
Block* sort(Block* list) {
  Block* runs[64] = {};
  while (list != nullptr) {
    Block* run = std::exchange(list, list->next);
    run->next = nullptr;
    size_t i = 0;
    for (; runs[i] != nullptr; ++i) run = merge(std::exchange(runs[i], nullptr), run);
    runs[i] = run;
  }
  Block* all = nullptr;
  for (Block* run : runs) all = merge(run, all);
  return all;
}

/// Fresh memory that begins with a huge page: without them a fresh 64 MiB costs 16,384 page faults,
/// more than most kernels on it.
void* map(size_t size) {
  constexpr size_t huge = LargeBlocks::segment;
  void* const memory =
      mmap(nullptr, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(memory);
  const size_t before = (huge - reinterpret_cast<uintptr_t>(begin) % huge) % huge;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, huge - before);
  madvise(begin + before, size, MADV_HUGEPAGE);
  return begin + before;
}

}  // namespace

size_t FreeBlocks::bin_of(size_t size) {
  constexpr size_t lowest = 2560;  // below it are rests that no request asks for
  if (size < lowest) return 0;
  const auto power = static_cast<size_t>(std::bit_width(size)) - 1;
  return (power - 11) * 4 + (size >> (power - 2)) % 4;
}

void FreeBlocks::insert(Block* block) noexcept {
  Block*& first = first_[bin_of(block->size)];
  block->next = first;
  first = block;
  bytes_ += block->size;
  ++count_;
}

void FreeBlocks::put(void* memory, size_t size) noexcept {
  auto* const block = static_cast<Block*>(memory);
  block->size = size;
  insert(block);
  ++came_;
}

void* FreeBlocks::take(size_t size) noexcept {
  size_t bin = bin_of(size);
  while (bin < bins && first_[bin] == nullptr) ++bin;
  if (bin == bins) return nullptr;
  Block* const block = std::exchange(first_[bin], first_[bin]->next);
  bytes_ -= block->size;
  --count_;
  if (block->size == size) return block;
  block->size -= size;  // the end is cut off: what stays keeps its note
  insert(block);
  return begin_of(block) + block->size;
}

/// All blocks of a bin, which is then empty.
FreeBlocks::Block* FreeBlocks::take_bin(size_t bin) noexcept {
  Block* const list = std::exchange(first_[bin], nullptr);
  for (const Block* block = list; block != nullptr; block = block->next) {
    bytes_ -= block->size;
    --count_;
  }
  return list;
}

void FreeBlocks::join() noexcept {
  Block* all = nullptr;
  for (size_t bin = 0; bin < bins; ++bin) {
    Block* list = take_bin(bin);
    while (list != nullptr) {
      Block* const block = std::exchange(list, list->next);
      block->next = all;
      all = block;
    }
  }
  all = sort(all);
  while (all != nullptr) {
    Block* const block = std::exchange(all, all->next);
    while (all != nullptr && reinterpret_cast<std::byte*>(all) == begin_of(block) + block->size) {
      block->size += all->size;
      all = all->next;
    }
    insert(block);
  }
  came_ = 0;
}

/// `use(begin, size)` of the whole pages in a block that no bin holds; what it refuses, and the
/// rest of the block, is kept.
template <class Use>
void FreeBlocks::use_pages(Block* block, Use use) noexcept {
  std::byte* const begin = begin_of(block);
  const size_t size = block->size;
  const size_t page = page_size();
  const size_t before = (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
  const size_t behind = (reinterpret_cast<uintptr_t>(begin) + size) % page;
  if (before + behind >= size || !use(begin + before, size - before - behind)) {
    return insert(block);
  }
  for (const auto& [rest, rest_size] :
       {std::pair(begin, before), std::pair(begin + size - behind, behind)}) {
    if (rest_size == 0) continue;
    auto* const kept = reinterpret_cast<Block*>(rest);
    kept->size = rest_size;
    insert(kept);
  }
}

void FreeBlocks::move_to(FreeBlocks& other, size_t size) noexcept {
  for (size_t bin = bin_of(size); bin < bins; ++bin) {
    Block* list = take_bin(bin);
    while (list != nullptr) {
      use_pages(std::exchange(list, list->next), [&](std::byte* pages, size_t bytes) {
        other.put(pages, bytes);
        return true;
      });
    }
  }
}

void FreeBlocks::unmap(size_t most, const void* last) noexcept {
  for (size_t bin = bins; bytes_ > most && bin-- > bin_of(LargeBlocks::cut_from);) {
    size_t surplus = bytes_ - most;
    Block* list = take_bin(bin);
    while (list != nullptr) {
      Block* const block = std::exchange(list, list->next);
      if (surplus == 0 || block == last) {
        insert(block);
        continue;
      }
      surplus -= std::min(surplus, block->size);
      use_pages(block, [](std::byte* pages, size_t bytes) { return munmap(pages, bytes) == 0; });
    }
  }
}

/// Segments of which nothing is in use any more may serve larger requests.
void LargeBlocks::join_pieces() noexcept {
  pieces_.join();
  pieces_.move_to(blocks_, segment);
}

void* LargeBlocks::take(size_t size) noexcept {
  const bool is_piece = size < cut_from;
  FreeBlocks& from = is_piece ? pieces_ : blocks_;
  void* block = from.take(size);
  if (block == nullptr && pieces_.is_worth_joining()) {
    join_pieces();
    block = from.take(size);
  }
  if (block == nullptr && add(is_piece ? segment : size, from)) block = from.take(size);
  return block;
}

/// A block of `size` from the large ones, else from the system. False if neither has one.
bool LargeBlocks::add(size_t size, FreeBlocks& to) noexcept {
  void* block = blocks_.take(size);
  if (block == nullptr && blocks_.is_worth_joining()) {
    blocks_.join();
    block = blocks_.take(size);
  }
  if (block == nullptr) {
    size = std::max(size, segment);
    block = map(size);
  }
  if (block != nullptr) to.put(block, size);
  return block != nullptr;
}

void LargeBlocks::shrink(size_t most, const void* last) noexcept {
  const auto unmap = [&](const void* but) {
    blocks_.unmap(most - std::min(most, pieces_.bytes()), but);
    pieces_.unmap(most - std::min(most, blocks_.bytes()), but);
  };
  unmap(last);
  if (kept() <= most || (most > 0 && !pieces_.is_worth_joining())) return;
  join_pieces();
  blocks_.join();
  unmap(nullptr);
}

}  // namespace taper::detail
