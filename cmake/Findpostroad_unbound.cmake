# Finds libunbound, 1.13 or later, and makes postroad_dep::unbound.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::unbound)
  set(postroad_unbound_FOUND TRUE)
  return()
endif()

find_library(postroad_unbound_LIBRARY unbound)
find_path(postroad_unbound_INCLUDE_DIR unbound.h)
mark_as_advanced(postroad_unbound_LIBRARY postroad_unbound_INCLUDE_DIR)
if(postroad_unbound_INCLUDE_DIR)
  file(STRINGS "${postroad_unbound_INCLUDE_DIR}/unbound.h" postroad_unbound_lines
       REGEX "define UNBOUND_VERSION_(MAJOR|MINOR|MICRO) [0-9]+")
  string(REGEX MATCHALL "[0-9]+" postroad_unbound_numbers "${postroad_unbound_lines}")
  string(REPLACE ";" "." postroad_unbound_VERSION "${postroad_unbound_numbers}")
endif()

set(postroad_unbound_FIND_VERSION 1.13)
find_package_handle_standard_args(postroad_unbound
  REQUIRED_VARS postroad_unbound_LIBRARY postroad_unbound_INCLUDE_DIR VERSION_VAR postroad_unbound_VERSION)

if(postroad_unbound_FOUND)
  add_library(postroad_dep::unbound INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::unbound PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_unbound_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_unbound_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${postroad_unbound_LIBRARY}")
endif()
