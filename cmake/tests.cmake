# One binary for each folder of tests/, all labelled `gtest`; scripts are tests of their own.
find_package(GTest REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(taper_test name)
  add_executable(${name}_test ${ARGN})
  set_target_properties(${name}_test PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name}_test PRIVATE taper taper_options GTest::gtest_main
    nlohmann_json::nlohmann_json fmt::fmt)
  target_compile_definitions(${name}_test PRIVATE TAPER_ROWS=1
    TAPER_SOURCE_DIR="${CMAKE_SOURCE_DIR}" TAPER_COMMAND="$<TARGET_FILE:taper_command>")
  add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES LABELS gtest)
endfunction()

# The functor tests have per-instruction-set parts of their own.
foreach(level v3 v4)
  add_library(functors_${level} OBJECT tests/backend/functors_isa.cpp)
  target_compile_options(functors_${level} PRIVATE -march=x86-64-${level} -O2 -fno-ipa-sra
    -fno-trapping-math -Wno-maybe-uninitialized -Wno-uninitialized)
  target_compile_definitions(functors_${level} PRIVATE TAPER_ISA=${level} HWY_DISABLE_PCLMUL_AES)
  target_link_libraries(functors_${level} PRIVATE taper_options)
endforeach()

foreach(folder core backend ops autograd graph nn optim data io train cli)
  file(GLOB sources CONFIGURE_DEPENDS tests/${folder}/*_test.cpp)
  if(sources)
    taper_test(${folder} ${sources})
    if(folder STREQUAL backend)
      target_sources(backend_test PRIVATE $<TARGET_OBJECTS:functors_v3>
        $<TARGET_OBJECTS:functors_v4>)
    endif()
  endif()
endforeach()
