# Finds mbedTLS 2.28 or 3.6 and makes postroad_dep::mbedtls. 3.x brings a CMake package; Debian 12's 2.28 brings neither
# that nor a .pc file.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::mbedtls)
  set(postroad_mbedtls_FOUND TRUE)
  return()
endif()

find_package(MbedTLS CONFIG QUIET)
if(TARGET MbedTLS::mbedtls)
  get_target_property(postroad_mbedtls_DIRS MbedTLS::mbedtls INTERFACE_INCLUDE_DIRECTORIES)
  set(postroad_mbedtls_LIBRARY MbedTLS::mbedtls)
  # The name of the crypto library's target differs between versions; it comes with these two.
  set(postroad_mbedtls_LIBRARIES MbedTLS::mbedtls MbedTLS::mbedx509)
  # Seen from the directory that adds postroad as a subdirectory, too.
  foreach(postroad_mbedtls_target mbedtls mbedx509 mbedcrypto everest p256m)
    if(TARGET MbedTLS::${postroad_mbedtls_target})
      set_target_properties(MbedTLS::${postroad_mbedtls_target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
  endforeach()
else()
  find_library(postroad_mbedtls_LIBRARY mbedtls)
  find_library(postroad_mbedx509_LIBRARY mbedx509)
  find_library(postroad_mbedcrypto_LIBRARY mbedcrypto)
  mark_as_advanced(postroad_mbedtls_LIBRARY postroad_mbedx509_LIBRARY postroad_mbedcrypto_LIBRARY)
  set(postroad_mbedtls_LIBRARIES
      ${postroad_mbedtls_LIBRARY} ${postroad_mbedx509_LIBRARY} ${postroad_mbedcrypto_LIBRARY})
endif()
find_path(postroad_mbedtls_INCLUDE_DIR mbedtls/ssl.h HINTS ${postroad_mbedtls_DIRS})
mark_as_advanced(postroad_mbedtls_INCLUDE_DIR)
foreach(postroad_mbedtls_header build_info.h version.h)
  if(postroad_mbedtls_INCLUDE_DIR AND NOT postroad_mbedtls_VERSION
     AND EXISTS "${postroad_mbedtls_INCLUDE_DIR}/mbedtls/${postroad_mbedtls_header}")
    file(STRINGS "${postroad_mbedtls_INCLUDE_DIR}/mbedtls/${postroad_mbedtls_header}" postroad_mbedtls_line
         REGEX "define MBEDTLS_VERSION_STRING ")
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" postroad_mbedtls_VERSION "${postroad_mbedtls_line}")
  endif()
endforeach()

set(postroad_mbedtls_FIND_VERSION 2.28)
find_package_handle_standard_args(postroad_mbedtls
  REQUIRED_VARS postroad_mbedtls_LIBRARY postroad_mbedtls_INCLUDE_DIR VERSION_VAR postroad_mbedtls_VERSION)

if(postroad_mbedtls_FOUND)
  add_library(postroad_dep::mbedtls INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::mbedtls PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_mbedtls_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_mbedtls_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${postroad_mbedtls_LIBRARIES}")
endif()
