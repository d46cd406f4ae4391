# Finds standalone Asio, 1.22 or later, and makes postroad_dep::asio. Distributions ship it without a CMake package,
# vcpkg and Conan with one.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::asio)
  set(postroad_asio_FOUND TRUE)
  return()
endif()

find_package(asio CONFIG QUIET)
if(TARGET asio::asio)
  get_target_property(postroad_asio_DIRS asio::asio INTERFACE_INCLUDE_DIRECTORIES)
endif()
find_path(postroad_asio_INCLUDE_DIR asio.hpp HINTS ${postroad_asio_DIRS})
mark_as_advanced(postroad_asio_INCLUDE_DIR)
if(postroad_asio_INCLUDE_DIR)
  file(STRINGS "${postroad_asio_INCLUDE_DIR}/asio/version.hpp" postroad_asio_line REGEX "define ASIO_VERSION ")
  string(REGEX MATCH "[0-9]+" postroad_asio_number "${postroad_asio_line}")
  math(EXPR postroad_asio_major "${postroad_asio_number} / 100000")
  math(EXPR postroad_asio_minor "${postroad_asio_number} / 100 % 1000")
  math(EXPR postroad_asio_patch "${postroad_asio_number} % 100")
  set(postroad_asio_VERSION "${postroad_asio_major}.${postroad_asio_minor}.${postroad_asio_patch}")
endif()

set(postroad_asio_FIND_VERSION 1.22)
find_package_handle_standard_args(postroad_asio REQUIRED_VARS postroad_asio_INCLUDE_DIR VERSION_VAR postroad_asio_VERSION)

if(postroad_asio_FOUND)
  set(CMAKE_THREAD_PREFER_PTHREAD ON)
  find_package(Threads REQUIRED)
  add_library(postroad_dep::asio INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::asio PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_asio_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_asio_INCLUDE_DIR}"
    INTERFACE_COMPILE_DEFINITIONS ASIO_STANDALONE
    INTERFACE_LINK_LIBRARIES "Threads::Threads;$<$<PLATFORM_ID:Windows>:ws2_32>;$<$<PLATFORM_ID:Windows>:mswsock>")
  if(TARGET asio::asio)
    set_property(TARGET postroad_dep::asio APPEND PROPERTY INTERFACE_LINK_LIBRARIES asio::asio)
  endif()
  if(postroad_asio_VERSION VERSION_LESS 1.30)
    # Older Asio looks for the coroutines of the TS under Clang, and so offers no asio::awaitable there. Every source
    # file of a program must agree on this, hence it stands here and not in a header.
    set_property(TARGET postroad_dep::asio APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
      $<$<CXX_COMPILER_ID:Clang>:ASIO_HAS_CO_AWAIT> $<$<CXX_COMPILER_ID:Clang>:ASIO_HAS_STD_COROUTINE>)
  endif()
endif()
