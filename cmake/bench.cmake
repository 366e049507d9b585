# Micro-benchmarks: build/<preset>/bench/micro of single calls, bench/ops of every row;
# bench/accuracy measures errors instead of times.
find_package(benchmark REQUIRED)
foreach(bench micro ops accuracy)
  add_executable(taper_bench_${bench} bench/${bench}.cpp)
  set_target_properties(taper_bench_${bench} PROPERTIES OUTPUT_NAME ${bench}
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  target_link_libraries(taper_bench_${bench} PRIVATE taper taper_options benchmark::benchmark)
endforeach()
