# Finds libcurl, 7.66 or later, and makes postroad_dep::curl, seen also from the directory that adds postroad as a
# subdirectory.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::curl)
  set(postroad_curl_FOUND TRUE)
  return()
endif()

find_package(CURL 7.66 QUIET)
find_package_handle_standard_args(postroad_curl REQUIRED_VARS CURL_FOUND VERSION_VAR CURL_VERSION_STRING)

if(postroad_curl_FOUND)
  set_target_properties(CURL::libcurl PROPERTIES IMPORTED_GLOBAL TRUE)
  add_library(postroad_dep::curl INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::curl PROPERTIES INTERFACE_LINK_LIBRARIES CURL::libcurl)
endif()
