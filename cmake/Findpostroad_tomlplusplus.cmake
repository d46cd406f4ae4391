# Finds toml++, 3.0 or later, and makes postroad_dep::tomlplusplus. Its headers alone are used, also where there is a
# library beside them.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::tomlplusplus)
  set(postroad_tomlplusplus_FOUND TRUE)
  return()
endif()

find_path(postroad_tomlplusplus_INCLUDE_DIR toml++/toml.h)
mark_as_advanced(postroad_tomlplusplus_INCLUDE_DIR)
find_package_handle_standard_args(postroad_tomlplusplus REQUIRED_VARS postroad_tomlplusplus_INCLUDE_DIR)

if(postroad_tomlplusplus_FOUND)
  add_library(postroad_dep::tomlplusplus INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::tomlplusplus PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_tomlplusplus_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_tomlplusplus_INCLUDE_DIR}")
endif()
