# The library: one OBJECT library of ordinary sources, one for each instruction set, and a generated
# list that keeps every row and every registered class in the static library.

file(GLOB_RECURSE taper_sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} taper/*.cpp)
set(taper_isa_sources ${taper_sources})
list(FILTER taper_sources EXCLUDE REGEX "^taper/backend/cpu/simd/")
list(FILTER taper_isa_sources INCLUDE REGEX "^taper/(backend/cpu/simd|ops/pointwise)/")
list(REMOVE_ITEM taper_isa_sources taper/ops/pointwise/family.cpp)

# Parts that are one header each: a source is made of it, which begins with `prologue` and registers
# what the header holds, by a line such as `TAPER_METRIC(...)`. Headers without one are no parts.
set(anchor_ids "")
function(taper_parts folder prologue sources)
  file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${folder}/*.h)
  set(made "")
  foreach(header ${headers})
    file(STRINGS ${header} registers REGEX "^TAPER_[A-Z]+\\(")
    if(NOT registers)
      continue()
    endif()
    string(MAKE_C_IDENTIFIER ${header} id)
    set(source ${CMAKE_BINARY_DIR}/parts/${id}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "${prologue}\n#include <${header}>\n" @ONLY)
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS TAPER_FILE=${id})
    list(APPEND made ${source})
    list(APPEND anchor_ids ${id})
  endforeach()
  set(${sources} ${made} PARENT_SCOPE)
  set(anchor_ids ${anchor_ids} PARENT_SCOPE)
endfunction()
taper_parts(taper/optim/rules
"#if TAPER_ROWS
#include <taper/optim/update_op.h>
#else
#include <taper/optim/update_tiles.h>
#endif" rule_sources)
taper_parts(taper/train/metrics/kinds "#include <taper/train/metrics/metric_entry.h>"
  metric_sources)
taper_parts(taper/train/callbacks "#include <taper/train/fit/callback_entry.h>" callback_sources)
taper_parts(taper/data/transforms "#include <taper/data/transform_entry.h>" transform_sources)

add_library(taper_objects OBJECT ${taper_sources} ${rule_sources} ${metric_sources}
  ${callback_sources} ${transform_sources})
target_compile_definitions(taper_objects PRIVATE
  TAPER_ROWS=1 TAPER_VERSION="${PROJECT_VERSION}")
target_link_libraries(taper_objects PRIVATE taper_options DNNL::dnnl OpenMP::OpenMP_CXX
  Threads::Threads ZLIB::ZLIB PNG::PNG JPEG::JPEG OpenSSL::Crypto Boost::headers Eigen3::Eigen
  nlohmann_json::nlohmann_json fmt::fmt)
target_include_directories(taper_objects SYSTEM PRIVATE ${PROTOZERO_INCLUDE_DIR})

set(isa_optimisation -O3)
if(TAPER_SANITIZE)
  # A file took minutes with -O3, and seven times as long with its temporaries watched.
  set(isa_optimisation -O1 -fno-sanitize-address-use-after-scope)
endif()

foreach(level v3 v4)
  add_library(taper_${level} OBJECT ${taper_isa_sources} ${rule_sources})
  # Without HWY_DISABLE_PCLMUL_AES Highway falls to SSSE3: x86-64-v3 and v4 do not include AES.
  target_compile_options(taper_${level} PRIVATE -march=x86-64-${level} ${isa_optimisation}
    -fno-trapping-math -fno-math-errno -fwrapv -Wno-uninitialized
    "$<$<CXX_COMPILER_ID:GNU>:-fno-ipa-sra;-Wno-maybe-uninitialized>")
  target_compile_definitions(taper_${level} PRIVATE
    TAPER_ROWS=0 TAPER_ISA=${level} HWY_DISABLE_PCLMUL_AES)
  target_link_libraries(taper_${level} PRIVATE taper_options Eigen3::Eigen)
endforeach()

# A file that registers something defines taper_anchor_<file>; this list refers to all of them.
foreach(source ${taper_sources})
  if(source MATCHES "^taper/(data|graph|nn|ops|optim|train)/")
    string(MAKE_C_IDENTIFIER ${source} id)
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS TAPER_FILE=${id})
    file(STRINGS ${source} registers REGEX
      "Op<|Pointwise<|FactoryFor<|[A-Za-z>]+ [a-z_]+_entry{|^TAPER_[A-Z]+\\(")
    if(registers)
      list(APPEND anchor_ids ${id})
    endif()
  endif()
endforeach()
set(anchor_declarations "")
set(anchor_uses "")
foreach(id ${anchor_ids})
  string(APPEND anchor_declarations "extern const char taper_anchor_${id};\n")
  string(APPEND anchor_uses "    &taper_anchor_${id},\n")
endforeach()
file(CONFIGURE OUTPUT anchors.cpp CONTENT
"// Generated: keeps the files that register rows and classes in the linked program.
extern \"C\" {
${anchor_declarations}}
namespace taper {
[[gnu::visibility(\"hidden\")]] extern const char* const kept_files[];
const char* const kept_files[] = {
${anchor_uses}};
}  // namespace taper
" @ONLY)

target_sources(taper_objects PRIVATE ${CMAKE_BINARY_DIR}/anchors.cpp)

# The same objects make both libraries: `taper` is static, taper_shared exports its namespace only.
set(taper_dependencies DNNL::dnnl OpenMP::OpenMP_CXX Threads::Threads ZLIB::ZLIB PNG::PNG JPEG::JPEG
  zip OpenSSL::Crypto fmt::fmt)
add_library(taper STATIC)
add_library(taper_shared SHARED)
foreach(library taper taper_shared)
  target_sources(${library} PRIVATE $<TARGET_OBJECTS:taper_objects> $<TARGET_OBJECTS:taper_v3>
    $<TARGET_OBJECTS:taper_v4>)
  set_target_properties(${library} PROPERTIES OUTPUT_NAME taper LINKER_LANGUAGE CXX
    ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  target_include_directories(${library} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
  target_compile_features(${library} PUBLIC cxx_std_20)
endforeach()
add_library(taper::taper ALIAS taper)
# A program's objects at namespace scope may need what the library registers by such objects. Those
# of a shared library are made first anyway; in the static one an earlier priority does it.
add_custom_command(TARGET taper POST_BUILD VERBATIM
  COMMAND ${CMAKE_OBJCOPY} --rename-section .init_array=.init_array.00200 $<TARGET_FILE:taper>)
target_link_libraries(taper PUBLIC "$<BUILD_INTERFACE:${taper_dependencies}>")

set(exports ${CMAKE_SOURCE_DIR}/cmake/exports.map)
set_target_properties(taper_shared PROPERTIES VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINK_DEPENDS ${exports})
target_link_options(taper_shared PRIVATE LINKER:--version-script=${exports})
target_link_libraries(taper_shared PRIVATE ${taper_dependencies} $<BUILD_INTERFACE:taper_options>)
