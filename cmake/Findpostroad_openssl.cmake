# Finds OpenSSL 3 and makes postroad_dep::openssl, seen also from the directory that adds postroad as a subdirectory.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::openssl)
  set(postroad_openssl_FOUND TRUE)
  return()
endif()

find_package(OpenSSL 3.0 QUIET)
find_package_handle_standard_args(postroad_openssl
  REQUIRED_VARS OPENSSL_SSL_LIBRARY OPENSSL_CRYPTO_LIBRARY OPENSSL_INCLUDE_DIR VERSION_VAR OPENSSL_VERSION)
# An older one is found all the same.
if(postroad_openssl_FOUND AND OPENSSL_VERSION VERSION_LESS 3.0)
  set(postroad_openssl_FOUND FALSE)
endif()

if(postroad_openssl_FOUND)
  foreach(postroad_openssl_target SSL Crypto)
    set_target_properties(OpenSSL::${postroad_openssl_target} PROPERTIES IMPORTED_GLOBAL TRUE)
  endforeach()
  add_library(postroad_dep::openssl INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::openssl PROPERTIES INTERFACE_LINK_LIBRARIES "OpenSSL::SSL;OpenSSL::Crypto")
endif()
