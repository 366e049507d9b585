# cmake --install build/<preset> --prefix PREFIX: a folder that may be moved as a whole. It holds no
# absolute path; oneDNN's library stands beside ours and is found from there.
include(CMakePackageConfigHelpers)

set_target_properties(taper_shared PROPERTIES INSTALL_RPATH "$ORIGIN")
set_target_properties(taper_command PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS taper_command RUNTIME DESTINATION bin)

# What `taper completion` prints, where each shell looks for it.
foreach(place bash-completion/completions/taper zsh/site-functions/_taper
    fish/vendor_completions.d/taper.fish)
  string(REGEX MATCH "^[a-z]+" shell ${place})
  cmake_path(GET place PARENT_PATH folder)
  cmake_path(GET place FILENAME file)
  install(CODE "execute_process(COMMAND \"$<TARGET_FILE:taper_command>\" completion ${shell}
    OUTPUT_FILE \"${CMAKE_BINARY_DIR}/completion.${shell}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${CMAKE_BINARY_DIR}/completion.${shell} DESTINATION share/${folder} RENAME ${file})
endforeach()

# Each library is a set of its own: who links the shared one needs no package of the static one's.
set_target_properties(taper PROPERTIES EXPORT_NAME static)
set_target_properties(taper_shared PROPERTIES EXPORT_NAME shared)
target_link_libraries(taper INTERFACE
  "$<INSTALL_INTERFACE:taper::dnnl;${OpenMP_CXX_LIB_NAMES};Threads::Threads;ZLIB::ZLIB;PNG::PNG>"
  "$<INSTALL_INTERFACE:JPEG::JPEG;zip;OpenSSL::Crypto;fmt::fmt>")
set(package lib/cmake/taper)
install(TARGETS taper_shared EXPORT taperTargets LIBRARY DESTINATION lib)
install(TARGETS taper EXPORT taperStaticTargets ARCHIVE DESTINATION lib)
install(EXPORT taperTargets NAMESPACE taper:: DESTINATION ${package})
install(EXPORT taperStaticTargets NAMESPACE taper:: DESTINATION ${package})

get_target_property(dnnl_type DNNL::dnnl TYPE)
if(NOT dnnl_type STREQUAL SHARED_LIBRARY)
  message(FATAL_ERROR "oneDNN is no shared library: its file could not be installed beside Taper's")
endif()
get_target_property(dnnl_configurations DNNL::dnnl IMPORTED_CONFIGURATIONS)
list(GET dnnl_configurations 0 dnnl_configuration)
get_target_property(dnnl_soname DNNL::dnnl IMPORTED_SONAME_${dnnl_configuration})
install(FILES $<TARGET_FILE:DNNL::dnnl> DESTINATION lib RENAME ${dnnl_soname}
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)

configure_file(cmake/taperConfig.cmake.in taperConfig.cmake @ONLY)
write_basic_package_version_file(taperConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/taperConfig.cmake ${CMAKE_BINARY_DIR}/taperConfigVersion.cmake
  DESTINATION ${package})
list(TRANSFORM OpenMP_CXX_LIB_NAMES PREPEND -l OUTPUT_VARIABLE openmp_flags)
list(JOIN openmp_flags " " openmp_flags)
foreach(name taper taper-static)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION lib/pkgconfig)
endforeach()

# The headers that <taper/taper.h> reaches, looked up when they are installed.
install(CODE "set(source \"${CMAKE_SOURCE_DIR}\")")
install(SCRIPT cmake/install_headers.cmake)

# Licences: ours, and those of all that is linked or compiled in, under the names of their packages.
set(licenses share/licenses/taper)
install(FILES LICENSE DESTINATION ${licenses})
get_filename_component(dnnl_prefix ${dnnl_DIR}/../../.. ABSOLUTE)
find_file(ONEDNN_LICENSE LICENSE PATHS ${dnnl_prefix}/share/doc/onednn /usr/share/doc/onednn
  NO_DEFAULT_PATH REQUIRED)
get_filename_component(onednn_licenses ${ONEDNN_LICENSE} DIRECTORY)
install(DIRECTORY ${onednn_licenses}/ DESTINATION ${licenses}/onednn)
foreach(name libhwy libeigen3 libfmt nlohmann-json3 libcli11 libprotozero libboost)
  install(FILES /usr/share/doc/${name}-dev/copyright DESTINATION ${licenses}/${name} OPTIONAL)
endforeach()
