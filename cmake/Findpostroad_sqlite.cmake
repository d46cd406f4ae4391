# Finds SQLite and makes postroad_dep::sqlite, seen also from the directory that adds postroad as a subdirectory.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::sqlite)
  set(postroad_sqlite_FOUND TRUE)
  return()
endif()

find_package(SQLite3 3.35 QUIET)
find_package_handle_standard_args(postroad_sqlite
  REQUIRED_VARS SQLite3_LIBRARY SQLite3_INCLUDE_DIR VERSION_VAR SQLite3_VERSION)

if(postroad_sqlite_FOUND)
  set_target_properties(SQLite::SQLite3 PROPERTIES IMPORTED_GLOBAL TRUE)
  add_library(postroad_dep::sqlite INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::sqlite PROPERTIES INTERFACE_LINK_LIBRARIES SQLite::SQLite3)
endif()
