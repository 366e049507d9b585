// The losses as modules, a file for each family, with PyTorch's names and defaults.
#pragma once

#include <taper/nn/losses/classes.h>
#include <taper/nn/losses/differences.h>
#include <taper/nn/losses/sequences.h>
