// A layer enters the library by two lines: `TAPER_LAYER_TYPE(Conv2d)` behind its class, and
// `TAPER_LAYER(Conv2d, "Convolves images.")` behind its formula, both outside of namespaces. What
// every program would compile for it is then made once, in the library.
#pragma once

#include <taper/core/factory.h>
#include <taper/nn/any_module.h>

#define TAPER_LAYER_TYPE(Name) TAPER_PART_TYPE(AnyModule, Name)
#define TAPER_LAYER(Name, doc) TAPER_PART(AnyModule, Name, doc)
