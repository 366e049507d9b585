// Private: comes before a header of metrics/kinds in the source that is made of it.
#pragma once

#include <taper/core/factory.h>

#define TAPER_METRIC(Name, doc)                                                          \
  namespace taper {                                                                      \
  template class WithOptions<metrics::Name, Metric, metrics::Name::Options>;             \
  template class MetricWith<metrics::Name, metrics::Name::Options, metrics::Name::Sums>; \
  static const FactoryFor<Metric, metrics::Name> Name##_entry{doc};                      \
  }
