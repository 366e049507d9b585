#pragma once

#include <gtest/gtest.h>

#include <string>

#include <taper/core/error.h>

namespace taper::testing {

/// The text of the Error of this kind that `action` throws.
template <class Action>
std::string thrown_text(ErrorKind kind, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(kind_name(error.kind()), kind_name(kind)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

/// The text of the Violation of this kind that `action` throws.
template <class Action>
std::string violated_rule(ErrorKind kind, Action&& action) {
  try {
    action();
  } catch (const Violation& violation) {
    EXPECT_EQ(kind_name(violation.kind), kind_name(kind)) << violation.rule;
    return violation.rule;
  }
  ADD_FAILURE() << "no violation";
  return {};
}

}  // namespace taper::testing
