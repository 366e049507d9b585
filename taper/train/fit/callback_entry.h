// Private: comes before a header of train/callbacks in the source that is made of it.
#pragma once

#include <taper/core/factory.h>

#define TAPER_CALLBACK(Name, doc)                            \
  namespace taper {                                          \
  template class WithOptions<Name, Callback, Name::Options>; \
  static const FactoryFor<Callback, Name> Name##_entry{doc}; \
  }
