// Private: comes before a header of data/transforms in the source that is made of it.
#pragma once

#include <taper/core/factory.h>

#define TAPER_TRANSFORM(Name, doc)                                              \
  namespace taper {                                                             \
  template class WithOptions<data::Name, data::Transform, data::Name::Options>; \
  namespace data {                                                              \
  template class TransformWith<Name, Name::Options>;                            \
  static const FactoryFor<Transform, Name> Name##_entry{doc};                   \
  }                                                                             \
  }
