// Private: comes before a header of metrics/kinds in the source that is made of it.
#pragma once

#include <taper/core/factory.h>

#define TAPER_METRIC(Name, doc)                                     \
  namespace taper {                                                 \
  static const FactoryFor<Metric, metrics::Name> Name##_entry{doc}; \
  }
