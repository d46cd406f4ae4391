# What our own programs (tests, examples, benchmarks, fuzz targets) are built with. Nothing of this reaches users.
find_package(Threads REQUIRED)

add_library(postroad_dev INTERFACE)
get_property(postroad_targets GLOBAL PROPERTY postroad_component_targets)
target_link_libraries(postroad_dev INTERFACE ${postroad_targets})
target_compile_definitions(postroad_dev INTERFACE ASIO_NO_DEPRECATED)
target_compile_options(postroad_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${POSTROAD_WERROR}>:-Werror>
  # More memory before g++ collects what it no longer needs: a tenth less time.
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=200>
  # False positives of g++ 12: in the coroutine frames of Asio, and about fences under ThreadSanitizer.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete> $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)

# A third of the time of the usual linker, where it is installed.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  include(CheckLinkerFlag)
  check_linker_flag(CXX -fuse-ld=gold postroad_has_gold)
  if(postroad_has_gold)
    target_link_options(postroad_dev INTERFACE -fuse-ld=gold)
  endif()
endif()

# What each program links: in separate mode with the library's non-template parts.
add_library(postroad_compiled INTERFACE)
target_link_libraries(postroad_compiled INTERFACE postroad_dev)
if(POSTROAD_SEPARATE)
  target_compile_definitions(postroad_dev INTERFACE POSTROAD_SEPARATE_COMPILATION)
  target_link_libraries(postroad_once PRIVATE postroad_dev)
  target_link_libraries(postroad_compiled INTERFACE postroad::compiled)
endif()

# Takes what the tests precompile, where there are tests.
function(postroad_precompiled target)
  if(TARGET tests_precompiled)
    target_precompile_headers(${target} REUSE_FROM tests_precompiled)
  endif()
endfunction()

# Each DIRECTORY/*.cpp becomes a program of its name in build/.../DIRECTORY/, as target DIRECTORY_<name>. With RUN those
# whose main() takes no arguments run as tests.
function(postroad_programs directory)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN" "" "")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${directory}/*.cpp")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_executable(${directory}_${name} "${source}")
    set_target_properties(${directory}_${name} PROPERTIES
      OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/${directory}")
    target_link_libraries(${directory}_${name} PRIVATE postroad_compiled)
    postroad_precompiled(${directory}_${name})
    # clang 14 cannot assemble coroutines that are instrumented ("a difference across sections").
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_FLAGS_DEBUG MATCHES "-fsanitize" AND name MATCHES "coroutine")
      target_compile_options(${directory}_${name} PRIVATE -fno-sanitize=all)
      set_target_properties(${directory}_${name} PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
    endif()
    file(STRINGS "${source}" takes_arguments REGEX "main\\(int ")
    if(arg_RUN AND NOT takes_arguments)
      add_test(NAME ${directory}_${name} COMMAND ${directory}_${name})
    endif()
  endforeach()
endfunction()
