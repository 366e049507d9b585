// Private: comes before a header of data/transforms in the source that is made of it.
#pragma once

#include <taper/core/factory.h>

#define TAPER_TRANSFORM(Name, doc)                            \
  namespace taper::data {                                     \
  static const FactoryFor<Transform, Name> Name##_entry{doc}; \
  }
