#include <taper/train/fit/callback.h>

#include <boost/core/demangle.hpp>

#include <typeinfo>

namespace taper {

std::string Callback::kind() const { return boost::core::demangle(typeid(*this).name()); }

void Callback::resume(const CallbackState& state) {
  load_state(state);
  resumed_ = true;
}

void Callback::begin_anew() {
  resumed_ = false;
  stop_training = false;
}

}  // namespace taper
