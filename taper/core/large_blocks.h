// Private to the allocator.
#pragma once

#include <array>
#include <bit>
#include <cstddef>

namespace taper::detail {

/// Sizes grow by at most a quarter, so that a block serves similar requests.
constexpr size_t round_large(size_t bytes) {
  const size_t quarter = std::bit_floor(bytes) / 4;
  return (bytes + quarter - 1) / quarter * quarter;
}

/// Free memory from `mmap`, by size. What is noted about a block lies in it: to keep one, to join
/// neighbours and to give them back to the system takes no memory.
class FreeBlocks {
 public:
  struct Block {
    Block* next;
    size_t size;
  };

  void put(void* memory, size_t size) noexcept;
  /// Of exactly this size, which `round_large` gave, cut from a larger block if need be; null if
  /// there is none.
  void* take(size_t size) noexcept;
  size_t bytes() const { return bytes_; }

  /// Makes one block of neighbours.
  void join() noexcept;
  /// Whether so many came since the last time that `join` costs each of them little.
  bool is_worth_joining() const { return 4 * came_ >= count_ && came_ > 0; }
  /// Moves the whole pages of blocks of at least `size` to `other`.
  void move_to(FreeBlocks& other, size_t size) noexcept;
  /// Gives whole pages of blocks of at least 64 KiB back to the system, the largest first and not
  /// `last`, until at most `most` bytes are here. Smaller ones stay: each hole in mapped memory is
  /// one of the 65,530 areas that a process may have.
  void unmap(size_t most, const void* last) noexcept;

 private:
  static constexpr size_t bins = 208;  // four for each power of two above 2 KiB
  static size_t bin_of(size_t size);
  void insert(Block* block) noexcept;
  Block* take_bin(size_t bin) noexcept;
  template <class Use>
  void use_pages(Block* block, Use use) noexcept;

  std::array<Block*, bins> first_{};  // a block lies in the bin of the next lower rounded size
  size_t bytes_ = 0;
  size_t count_ = 0;
  size_t came_ = 0;  // blocks put here since the last `join`
};

/// Memory in blocks above 2 KiB: what is free of it, and more from the system. One thread at a time
/// may use it.
///
/// All of it comes from `mmap`, so that any whole pages can be handed out, kept or given back by
/// themselves. Requests below 64 KiB are cut from segments, lest small ones that live long stand
/// everywhere in the large blocks.
class LargeBlocks {
 public:
  static constexpr size_t segment = size_t{2} << 20;  // a huge page
  static constexpr size_t cut_from = size_t{64} << 10;

  /// `size` is one that `round_large` gave; null if the system has no more memory.
  void* take(size_t size) noexcept;
  void put(void* block, size_t size) noexcept {
    (size < cut_from ? pieces_ : blocks_).put(block, size);
  }
  /// Gives free memory back to the system, the largest blocks first and `last` at the end, until
  /// at most `most` bytes are kept.
  void shrink(size_t most, const void* last) noexcept;
  size_t kept() const { return pieces_.bytes() + blocks_.bytes(); }

 private:
  void join_pieces() noexcept;
  bool add(size_t size, FreeBlocks& to) noexcept;

  FreeBlocks pieces_;  // of segments
  FreeBlocks blocks_;  // whole pages
};

}  // namespace taper::detail
