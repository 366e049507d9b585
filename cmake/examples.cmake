# Each examples/NAME.cpp becomes build/<preset>/examples/NAME, those of examples/classic likewise.
file(GLOB examples CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} examples/*.cpp
  examples/classic/*.cpp)
foreach(source ${examples})
  get_filename_component(name ${source} NAME_WE)
  get_filename_component(folder ${source} DIRECTORY)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
  target_link_libraries(example_${name} PRIVATE taper taper_options)
endforeach()
