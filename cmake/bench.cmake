# Micro-benchmarks of single calls: build/<preset>/bench/micro.
find_package(benchmark REQUIRED)
add_executable(taper_micro bench/micro.cpp)
set_target_properties(taper_micro PROPERTIES OUTPUT_NAME micro
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
target_link_libraries(taper_micro PRIVATE taper taper_options benchmark::benchmark)
