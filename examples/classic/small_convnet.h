// The network of small_convnet and custom_loop.
#pragma once

#include <taper/taper.h>

inline taper::nn::Sequential small_convnet() {
  using namespace taper::nn;
  return {Conv2d(1, 32, 3), ReLU(),         MaxPool2d(2), Conv2d(32, 64, 3),
          ReLU(),           MaxPool2d(2),   Flatten(),    Linear(2304, 100),
          ReLU(),           Linear(100, 10)};
}
