// Hardware ceilings: AVX-512 FMA rate and memory bandwidth, 1 and 2 threads.
#include <immintrin.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>
using clk = std::chrono::steady_clock;
static double secs(const std::function<void(int)>& f, int nt) {
  double best = 1e9;
  for (int r = 0; r < 7; r++) {
    std::vector<std::thread> ts;
    auto t = clk::now();
    for (int i = 0; i < nt; i++) ts.emplace_back(f, i);
    for (auto& x : ts) x.join();
    best = std::min(best, std::chrono::duration<double>(clk::now() - t).count());
  }
  return best;
}
volatile float sink;
int main() {
  const long iters = 40000000;
  for (int nt = 1; nt <= 2; nt++) {
    double s = secs(
        [&](int) {
          __m512 a[12];
          _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] = _mm512_set1_ps(0.5f);
          __m512 m = _mm512_set1_ps(0.9999f), c = _mm512_set1_ps(1e-4f);
          for (long i = 0; i < iters; i++) {
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] =
                _mm512_fmadd_ps(a[j], m, c);
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) asm volatile("" : "+v"(a[j]));
          }
          __m512 t = a[0];
          _Pragma("GCC unroll 12") for (int j = 1; j < 12; j++) t = _mm512_add_ps(t, a[j]);
          sink = _mm512_reduce_add_ps(t);
        },
        nt);
    printf("fma512 f32  nt=%d  %.1f GFLOP/s\n", nt, nt * iters * 12.0 * 32 / s / 1e9);
    s = secs(
        [&](int) {
          __m512 a[12];
          _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] = _mm512_set1_ps(0.f);
          __m512bh m = (__m512bh)_mm512_set1_epi16(0x3c00);
          for (long i = 0; i < iters; i++) {
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] =
                _mm512_dpbf16_ps(a[j], m, m);
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) asm volatile("" : "+v"(a[j]));
          }
          __m512 t = a[0];
          _Pragma("GCC unroll 12") for (int j = 1; j < 12; j++) t = _mm512_add_ps(t, a[j]);
          sink = _mm512_reduce_add_ps(t);
        },
        nt);
    printf("dpbf16      nt=%d  %.1f GFLOP/s\n", nt, nt * iters * 12.0 * 64 / s / 1e9);
    s = secs(
        [&](int) {
          __m512i a[12];
          _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] = _mm512_set1_epi32(0);
          __m512i m = _mm512_set1_epi8(1);
          for (long i = 0; i < iters; i++) {
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) a[j] =
                _mm512_dpbusd_epi32(a[j], m, m);
            _Pragma("GCC unroll 12") for (int j = 0; j < 12; j++) asm volatile("" : "+v"(a[j]));
          }
          __m512i t = a[0];
          _Pragma("GCC unroll 12") for (int j = 1; j < 12; j++) t = _mm512_add_epi32(t, a[j]);
          sink = _mm512_reduce_add_epi32(t);
        },
        nt);
    printf("vnni int8   nt=%d  %.1f GOP/s\n", nt, nt * iters * 12.0 * 128 / s / 1e9);
  }
  for (long mb : {1L, 8L, 24L, 256L, 1024L})
    for (int nt = 1; nt <= 2; nt++) {
      long n = mb * (1 << 20) / 4;
      float *a = (float*)aligned_alloc(64, n * 4), *b = (float*)aligned_alloc(64, n * 4);
      for (long i = 0; i < n; i++) a[i] = b[i] = 1.f;
      long per = n / nt, rep = std::max(1L, 2048 / mb);
      double rd = secs(
          [&](int t) {
            __m512 s[8];
            for (auto& v : s) v = _mm512_setzero_ps();
            for (long r = 0; r < rep; r++)
              for (long i = t * per; i < (t + 1) * per; i += 128)
                for (int j = 0; j < 8; j++)
                  s[j] = _mm512_add_ps(s[j], _mm512_load_ps(a + i + 16 * j));
            for (int j = 1; j < 8; j++) s[0] = _mm512_add_ps(s[0], s[j]);
            sink = _mm512_reduce_add_ps(s[0]);
          },
          nt);
      double cp = secs(
          [&](int t) {
            for (long r = 0; r < rep; r++)
              for (long i = t * per; i < (t + 1) * per; i += 16)
                _mm512_store_ps(b + i, _mm512_load_ps(a + i));
          },
          nt);
      double nt_ = secs(
          [&](int t) {
            for (long r = 0; r < rep; r++)
              for (long i = t * per; i < (t + 1) * per; i += 16)
                _mm512_stream_ps(b + i, _mm512_load_ps(a + i));
          },
          nt);
      printf("mem %4ld MiB arrays nt=%d  read %.1f  copy %.1f  copy-nontemporal %.1f GB/s\n", mb,
             nt, rep * n * 4 / rd / 1e9, rep * n * 8 / cp / 1e9, rep * n * 8 / nt_ / 1e9);
      free(a);
      free(b);
    }
  // fresh-page cost: mmap+touch 64 MiB as an allocator without caching does
  double s = secs(
      [&](int) {
        float* p = (float*)malloc(64 << 20);
        for (long i = 0; i < (64 << 20) / 4; i += 1024) p[i] = 1;
        sink = p[5];
        free(p);
      },
      1);
  printf("malloc+touch+free 64 MiB: %.2f ms\n", s * 1e3);
}
