# Finds libidn2, 2.0 or later, and makes postroad_dep::idn2.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::idn2)
  set(postroad_idn2_FOUND TRUE)
  return()
endif()

find_library(postroad_idn2_LIBRARY idn2)
find_path(postroad_idn2_INCLUDE_DIR idn2.h)
mark_as_advanced(postroad_idn2_LIBRARY postroad_idn2_INCLUDE_DIR)
if(postroad_idn2_INCLUDE_DIR)
  file(STRINGS "${postroad_idn2_INCLUDE_DIR}/idn2.h" postroad_idn2_line REGEX "define IDN2_VERSION ")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" postroad_idn2_VERSION "${postroad_idn2_line}")
endif()

set(postroad_idn2_FIND_VERSION 2.0)
find_package_handle_standard_args(postroad_idn2
  REQUIRED_VARS postroad_idn2_LIBRARY postroad_idn2_INCLUDE_DIR VERSION_VAR postroad_idn2_VERSION)

if(postroad_idn2_FOUND)
  add_library(postroad_dep::idn2 INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::idn2 PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_idn2_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_idn2_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${postroad_idn2_LIBRARY}")
endif()
