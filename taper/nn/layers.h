// The layers, a file for each family. Names, argument order, defaults and initial values are
// PyTorch's.
#pragma once

#include <taper/nn/layers/activation.h>
#include <taper/nn/layers/attention.h>
#include <taper/nn/layers/conv.h>
#include <taper/nn/layers/dropout.h>
#include <taper/nn/layers/embedding.h>
#include <taper/nn/layers/flatten.h>
#include <taper/nn/layers/linear.h>
#include <taper/nn/layers/norm.h>
#include <taper/nn/layers/pool.h>
#include <taper/nn/layers/recurrent.h>
