#pragma once

// The public API.

#include <taper/autograd/anomaly.h>
#include <taper/autograd/autograd.h>
#include <taper/autograd/checkpoint.h>
#include <taper/autograd/function.h>
#include <taper/autograd/gradcheck.h>
#include <taper/autograd/hooks.h>
#include <taper/core/dtype.h>
#include <taper/core/error.h>
#include <taper/core/state.h>
#include <taper/core/tensor.h>
#include <taper/core/threads.h>
#include <taper/data/dataset.h>
#include <taper/data/loader.h>
#include <taper/data/standardizer.h>
#include <taper/data/vision.h>
#include <taper/graph/compile.h>
#include <taper/io/csv.h>
#include <taper/io/images.h>
#include <taper/io/safetensors.h>
#include <taper/io/tensorboard.h>
#include <taper/nn/any_module.h>
#include <taper/nn/functional.h>
#include <taper/nn/layers.h>
#include <taper/nn/losses.h>
#include <taper/nn/sequential.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>
#include <taper/optim/clipping.h>
#include <taper/optim/optimizer.h>
#include <taper/optim/schedule.h>
#include <taper/train/checkpoint.h>
#include <taper/train/run.h>
#include <taper/train/trainer.h>
