// A program that runs a few kernels: what a processor can or cannot do shows here.

#include <cstdio>
#include <exception>

#include <taper/taper.h>

int main() try {
  const taper::Tensor x = taper::reshape(taper::arange(12), {3, 4}) / 4.0;
  const taper::Tensor y = taper::matmul(taper::exp(x), taper::matrix_transpose(x));
  const taper::Tensor images = taper::ones({1, 2, 6, 6});
  const taper::Tensor convolved = taper::conv2d(images, taper::ones({3, 2, 3, 3}));
  std::printf("%.4f %.4f %.4f\n", taper::sum(y).item(), taper::sum(taper::softmax(y)).item(),
              taper::sum(convolved).item());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
