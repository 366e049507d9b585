# The command, build/<preset>/taper. The library's target has that name, so this one differs.
file(GLOB taper_command_sources CONFIGURE_DEPENDS cli/*.cpp)
add_executable(taper_command ${taper_command_sources})
set_target_properties(taper_command PROPERTIES OUTPUT_NAME taper)
target_compile_definitions(taper_command PRIVATE TAPER_VERSION="${PROJECT_VERSION}")
target_link_libraries(taper_command PRIVATE taper taper_options CLI11::CLI11
  nlohmann_json::nlohmann_json fmt::fmt)
taper_precompile(taper_command <CLI/CLI.hpp>)
