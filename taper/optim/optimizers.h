// The optimizers, a file for each family, with PyTorch's names, defaults and state.
#pragma once

#include <taper/optim/lbfgs.h>
#include <taper/optim/rules/adam.h>
#include <taper/optim/rules/rmsprop.h>
#include <taper/optim/rules/sgd.h>
