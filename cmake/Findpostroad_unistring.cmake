# Finds libunistring, which libidn2 needs as well, and makes postroad_dep::unistring.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::unistring)
  set(postroad_unistring_FOUND TRUE)
  return()
endif()

find_library(postroad_unistring_LIBRARY unistring)
find_path(postroad_unistring_INCLUDE_DIR uninorm.h)
mark_as_advanced(postroad_unistring_LIBRARY postroad_unistring_INCLUDE_DIR)
find_package_handle_standard_args(postroad_unistring
  REQUIRED_VARS postroad_unistring_LIBRARY postroad_unistring_INCLUDE_DIR)

if(postroad_unistring_FOUND)
  add_library(postroad_dep::unistring INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::unistring PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_unistring_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_unistring_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${postroad_unistring_LIBRARY}")
endif()
