#pragma once

#include <string>

#include <taper/backend/cpu/conv.h>
#include <taper/core/shape.h>

namespace taper {

/// The version of oneDNN that runs, such as `3.2.1`.
std::string onednn_version();

/// The instruction set that oneDNN uses on this CPU, such as `AVX2`.
std::string cpu_isa();

/// Private to the CPU backend: what matmul and conv share. Primitives are made once for a problem,
/// kept in one cache for all threads (the 1024 used last) and executed by memory objects that each
/// thread keeps for itself, so that threads may execute one primitive at the same time.
namespace onednn {

/// True if oneDNN computes with this dtype on this CPU; else the caller goes through f32.
bool computes_matmul(DType dtype);
bool computes_conv(DType dtype);

bool has_avx512();

/// out[m,n] = a[m,k] @ b[k,n] (+ bias[n]); one of each pair of strides is 1.
struct MatmulProblem {
  DType dtype;
  bool bias;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t a_row;
  int64_t a_col;
  int64_t b_row;
  int64_t b_col;
  int64_t out_row;
};

/// Runs on the calling thread alone.
void run_matmul(const MatmulProblem& problem, const void* a, const void* b, const void* bias,
                void* out);

enum class ConvKind : uint8_t { forward, input_grad, weight_grad };

/// How x and out lie in memory; the weights are row-major.
enum class ImageOrder : uint8_t { channels_last, row_major, chosen_by_onednn };

struct ConvProblem {
  ConvKind kind;
  DType dtype;
  bool bias;
  ImageOrder x_order;
  ImageOrder out_order;
  ImageOrder inner_order;  // to compute in: operands that lie otherwise are reordered
  Shape x;
  Shape w;
  Shape out;
  ConvParams params;
};

/// Runs on all threads, or on the calling one inside of a parallel_for. The operand that `kind`
/// computes is written; the others are read; `bias` is the gradient for weight_grad.
void run_conv(const ConvProblem& problem, const void* x, const void* w, const void* bias,
              const void* out);

}  // namespace onednn

}  // namespace taper
