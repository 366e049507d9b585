// A layer enters the library by two lines: `TAPER_LAYER_TYPE(Conv2d)` behind its class, and
// `TAPER_LAYER(Conv2d, "Convolves images.")` behind its formula, both outside of namespaces. What
// every program would compile for it is then made once, in the library.
#pragma once

#include <taper/core/factory.h>
#include <taper/nn/any_module.h>

#define TAPER_LAYER_TYPE(Name)                                                         \
  namespace taper {                                                                    \
  extern template class WithOptions<nn::Name, nn::Layer<nn::Name>, nn::Name::Options>; \
  namespace nn {                                                                       \
  extern template AnyModule::AnyModule(Name);                                          \
  }                                                                                    \
  }

#define TAPER_LAYER(Name, doc)                                                  \
  namespace taper {                                                             \
  template class WithOptions<nn::Name, nn::Layer<nn::Name>, nn::Name::Options>; \
  namespace nn {                                                                \
  template AnyModule::AnyModule(Name);                                          \
  static const FactoryFor<AnyModule, Name> Name##_entry{doc};                   \
  }                                                                             \
  }
