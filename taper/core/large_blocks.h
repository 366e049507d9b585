// Private to the allocator.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

namespace taper::detail {

/// The free blocks above 2 KiB that are kept. One thread at a time may use it.
///
/// Big blocks come from `mmap`, so that any whole pages of them can be handed out, kept or given
/// back to the system by themselves; the others come from malloc and are used again as they are.
class LargeBlocks {
 public:
  /// A kept block of `size` bytes, cut from a larger one where there is none; null if there is
  /// none.
  void* take(size_t size);
  /// Fresh memory from `mmap` for a big block; null if the system has no more.
  void* map(size_t size);
  static bool is_big(size_t size) { return size >= big; }

  /// Keeps a block, or gives it back where even the note of it finds no memory.
  void put(void* block, size_t size) noexcept;
  /// Gives kept blocks back, the largest first and this one last, until at most `most` bytes are
  /// kept.
  void shrink(size_t most, const void* last) noexcept;
  size_t kept() const { return kept_; }

 private:
  static constexpr size_t big = size_t{2} << 20;        // that of a huge page
  static constexpr size_t cut_from = size_t{64} << 10;  // smaller ones are not cut from big blocks
  using Bins = std::map<size_t, std::vector<std::byte*>>;

  static std::byte* pop(Bins& bins, size_t size);
  std::byte* cut(size_t size);
  bool join();
  bool is_mapped(const std::byte* block) const;
  void note_mapped(std::byte* block, size_t size);
  void unmap(std::byte* block, size_t size) noexcept;

  Bins heap_;                                  // from malloc, by size
  Bins mapped_;                                // whole pages of mapped memory, by size
  std::map<const std::byte*, size_t> ranges_;  // all mapped memory, in use or not
  size_t kept_ = 0;
};

}  // namespace taper::detail
