#pragma once

#include <array>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/function_ref.h>
#include <taper/core/tensor.h>
#include <taper/ops/index/indexing.h>

namespace taper {

/// A borrowed function of a list of tensors.
using FunctionOfTensors = FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)>;

namespace detail {

/// Tensors from what a captured function returns, and back.
template <class R>
struct Packed;

template <>
struct Packed<Tensor> {
  static std::vector<Tensor> pack(Tensor value) { return {std::move(value)}; }
  static Tensor unpack(std::vector<Tensor> values) { return std::move(values[0]); }
};
template <>
struct Packed<std::vector<Tensor>> {
  static std::vector<Tensor> pack(std::vector<Tensor> values) { return values; }
  static std::vector<Tensor> unpack(std::vector<Tensor> values) { return values; }
};
template <size_t N>
struct Packed<std::array<Tensor, N>> {
  static std::vector<Tensor> pack(std::array<Tensor, N> values) {
    return {values.begin(), values.end()};
  }
  static std::array<Tensor, N> unpack(std::vector<Tensor> values) {
    std::array<Tensor, N> result;
    for (size_t i = 0; i < N; ++i) result[i] = std::move(values[i]);
    return result;
  }
};
template <class... T>
struct PackedTuple {
  using Tuple = std::tuple<T...>;
  static_assert((std::is_same_v<T, Tensor> && ...), "a captured function returns tensors");
  template <class Values>
  static std::vector<Tensor> pack(Values values) {
    return std::apply([](auto&... each) { return std::vector<Tensor>{std::move(each)...}; },
                      values);
  }
};
template <class... T>
struct Packed<std::tuple<T...>> : PackedTuple<T...> {
  static std::tuple<T...> unpack(std::vector<Tensor> values) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::tuple<T...>{std::move(values[I])...};
    }(std::index_sequence_for<T...>());
  }
};
template <class A, class B>
struct Packed<std::pair<A, B>> : PackedTuple<A, B> {
  static std::pair<A, B> unpack(std::vector<Tensor> values) {
    return {std::move(values[0]), std::move(values[1])};
  }
};

/// What a captured function gives for what it returns: a tensor for `y[0]`, which refers to a
/// tensor that is gone.
template <class R>
using Returned = std::conditional_t<std::is_same_v<R, Selection>, Tensor, R>;

}  // namespace detail

}  // namespace taper
