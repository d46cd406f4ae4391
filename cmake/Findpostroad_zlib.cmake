# Finds zlib and makes postroad_dep::zlib, seen also from the directory that adds postroad as a subdirectory.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::zlib)
  set(postroad_zlib_FOUND TRUE)
  return()
endif()

find_package(ZLIB 1.2 QUIET)
find_package_handle_standard_args(postroad_zlib
  REQUIRED_VARS ZLIB_LIBRARIES ZLIB_INCLUDE_DIRS VERSION_VAR ZLIB_VERSION_STRING)

if(postroad_zlib_FOUND)
  set_target_properties(ZLIB::ZLIB PROPERTIES IMPORTED_GLOBAL TRUE)
  add_library(postroad_dep::zlib INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::zlib PROPERTIES INTERFACE_LINK_LIBRARIES ZLIB::ZLIB)
endif()
