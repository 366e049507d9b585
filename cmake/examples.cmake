# Each examples/NAME.cpp becomes build/<preset>/examples/NAME.
file(GLOB examples CONFIGURE_DEPENDS examples/*.cpp)
foreach(source ${examples})
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
  target_link_libraries(example_${name} PRIVATE taper taper_options)
endforeach()
