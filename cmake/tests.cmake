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
  # Tests compile in two thirds of the time with -O1; what they test keeps its own options.
  target_compile_options(${name}_test PRIVATE $<$<CONFIG:Release>:-O1>)
  if(name STREQUAL core)
    taper_precompile(core_test <gtest/gtest.h> <taper/core/tensor.h>)
  else()
    taper_precompile(${name}_test REUSE_FROM core_test)
  endif()
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

# What the sources and objects must be like.
set(structure ${CMAKE_SOURCE_DIR}/tests/structure)
function(structure_test name)
  add_test(NAME ${name} COMMAND Python3::Interpreter -B ${structure}/${name}.py ${ARGN})
endfunction()

# The examples of docs/extending.md: they run, end so, and the page shows what is in their files.
foreach(example "op:gradient \\[-0.238406, 0.31123, 2.85772\\]" "layer:26 parameters, output 4 x 1"
    "training:stopped early: yes, error rate below 0.05: yes")
  string(REGEX MATCH "^([a-z]+):(.*)$" parts "${example}")
  add_test(NAME example_custom_${CMAKE_MATCH_1} COMMAND example_custom_${CMAKE_MATCH_1})
  set_tests_properties(example_custom_${CMAKE_MATCH_1} PROPERTIES
    PASS_REGULAR_EXPRESSION "${CMAKE_MATCH_2}" ENVIRONMENT TAPER_THREADS=1)
endforeach()

structure_test(shown_examples)
structure_test(includes)
structure_test(style)
structure_test(planted_text)
structure_test(build_budgets)
structure_test(weak_symbols ${CMAKE_BINARY_DIR})
structure_test(one_place $<TARGET_FILE:taper_command>)
structure_test(functions $<TARGET_FILE:taper_command>)

# Trainings that are killed and whose disk fills. Sanitizers would not let faults be preloaded.
if(NOT TAPER_SANITIZE)
  add_executable(survivor tests/survival/survivor.cpp)
  set_target_properties(survivor PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(survivor PRIVATE taper taper_options)
  add_library(faults MODULE tests/survival/faults.cpp)
  set_target_properties(faults PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests
    CXX_VISIBILITY_PRESET default)
  target_link_libraries(faults PRIVATE ${CMAKE_DL_LIBS})
  foreach(kills 10 50)
    add_test(NAME survival_${kills} COMMAND Python3::Interpreter -B
      ${CMAKE_SOURCE_DIR}/tests/survival/survival.py $<TARGET_FILE:survivor>
      $<TARGET_FILE:taper_command> $<TARGET_FILE:faults> ${kills})
  endforeach()
  set_tests_properties(survival_50 PROPERTIES LABELS long)
endif()

# The classic programs; small_convnet on few images here and on all of them in a long test, which
# would take a sanitizer half an hour to go the same ways as the short one.
set(classic ${CMAKE_SOURCE_DIR}/tests/examples/classic.py)
add_test(NAME classic COMMAND Python3::Interpreter -B ${classic} ${CMAKE_BINARY_DIR}
  ${CMAKE_SOURCE_DIR}/tests/data)
if(NOT TAPER_SANITIZE)
  add_test(NAME classic_full COMMAND Python3::Interpreter -B ${classic} ${CMAKE_BINARY_DIR}
    ${CMAKE_SOURCE_DIR}/tests/data --full)
  set_tests_properties(classic_full PROPERTIES LABELS long)
endif()

# Random programs in Taper and, by the Python of .venv, in NumPy; more of them in a long test.
add_executable(fuzz_numpy tests/fuzz_numpy/main.cpp tests/fuzz_numpy/interpreter.cpp)
set_target_properties(fuzz_numpy PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(fuzz_numpy PRIVATE taper taper_options nlohmann_json::nlohmann_json)
target_compile_options(fuzz_numpy PRIVATE $<$<CONFIG:Release>:-O1>)
set(fuzz ${CMAKE_SOURCE_DIR}/.venv/bin/python -B ${CMAKE_SOURCE_DIR}/tests/fuzz_numpy/fuzz.py
  $<TARGET_FILE:fuzz_numpy>)
add_test(NAME fuzz_numpy COMMAND ${fuzz} --seed 1 --count 4000)
if(NOT TAPER_SANITIZE)
  add_test(NAME fuzz_numpy_long COMMAND ${fuzz} --seed 2 --count 60000)
  set_tests_properties(fuzz_numpy_long PROPERTIES LABELS long)
endif()

# What TensorBoard reads of what is written for it; the Python of .venv has TensorBoard.
add_executable(tensorboard_logs tests/structure/tensorboard_logs.cpp)
set_target_properties(tensorboard_logs PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(tensorboard_logs PRIVATE taper taper_options)
add_test(NAME tensorboard_reader COMMAND ${CMAKE_SOURCE_DIR}/.venv/bin/python -B
  ${structure}/tensorboard_reader.py $<TARGET_FILE:tensorboard_logs>)

# What builds of other kinds must do.
if(TAPER_SANITIZE)
  add_executable(planted tests/structure/planted.cpp)
  set_target_properties(planted PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(planted PRIVATE taper taper_options)
  structure_test(sanitizers $<TARGET_FILE:planted> ${TAPER_SANITIZE})
  set_tests_properties(sanitizers PROPERTIES LABELS long)
else()
  add_executable(small_op tests/structure/small_op.cpp)
  set_target_properties(small_op PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(small_op PRIVATE taper taper_options)
  structure_test(other_cpus $<TARGET_FILE:taper_command> $<TARGET_FILE:small_op>)
  structure_test(doc_examples ${CMAKE_BINARY_DIR})
  structure_test(package ${CMAKE_BINARY_DIR})
  structure_test(not_set_up)
  structure_test(report_pages $<TARGET_FILE:taper_command> ${CMAKE_BINARY_DIR}/report_pages)
  set_tests_properties(other_cpus doc_examples report_pages PROPERTIES LABELS long)

  # The ops that the documentation adds, built by the test alone.
  set(page ${CMAKE_SOURCE_DIR}/docs/adding_an_op.md)
  set(pages ${CMAKE_BINARY_DIR}/doc_examples)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  execute_process(COMMAND ${Python3_EXECUTABLE} -B ${structure}/doc_examples.py --extract ${page}
    ${pages} COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB op_tests CONFIGURE_DEPENDS tests/ops/op_*_test.cpp)
  add_executable(doc_examples EXCLUDE_FROM_ALL ${op_tests} ${pages}/cumulative_sum.cpp
    ${pages}/swish.cpp)
  foreach(level v3 v4)
    add_library(doc_examples_${level} OBJECT EXCLUDE_FROM_ALL ${pages}/swish.cpp)
    target_compile_options(doc_examples_${level} PRIVATE -march=x86-64-${level} -O2 -fno-ipa-sra
      -fno-trapping-math -Wno-maybe-uninitialized -Wno-uninitialized)
    target_compile_definitions(doc_examples_${level} PRIVATE
      TAPER_ROWS=0 TAPER_ISA=${level} HWY_DISABLE_PCLMUL_AES)
    target_link_libraries(doc_examples_${level} PRIVATE taper_options)
    target_sources(doc_examples PRIVATE $<TARGET_OBJECTS:doc_examples_${level}>)
  endforeach()
  set_target_properties(doc_examples PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_definitions(doc_examples PRIVATE TAPER_ROWS=1)
  target_compile_options(doc_examples PRIVATE -include ${pages}/declarations.h)
  target_link_libraries(doc_examples PRIVATE taper taper_options GTest::gtest_main)
endif()
