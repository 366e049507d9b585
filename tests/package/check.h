#pragma once

#include <string>

/// Counts and says what does not hold.
void expect(bool holds, const std::string& what);

/// parts.cpp: uses parts of the library by their registered names and by their types.
void uses_parts_by_name_and_by_type();
