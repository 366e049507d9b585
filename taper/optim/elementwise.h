// Included by the rules of optim/rules. A rule's header is compiled in three ways: as what programs
// see, for its op and its entry in the registry (behind update_op.h), and for the tiles of each
// instruction set (behind update_tiles.h); the last two say what TAPER_OPTIMIZER means there.
#pragma once

#include "taper/optim/update_rule.h"

#ifndef TAPER_OPTIMIZER
#include <taper/optim/optimizer.h>
#define TAPER_OPTIMIZER(Name, doc) TAPER_OPTIMIZER_TYPE(Name)
#endif
