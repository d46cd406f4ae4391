# A component is an INTERFACE target postroad::NAME with an export set of its own, so that an installed postroad offers
# only what can be found again where it is used.
#
#   postroad_component(NAME [PACKAGE package] [LINK targets...])
#
# PACKAGE is what find_package() must find, here and in the consumer, for the component to exist. Sets postroad_NAME_FOUND.
include(GNUInstallDirs)

function(postroad_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE" "LINK")
  if(arg_PACKAGE)
    find_package(${arg_PACKAGE} QUIET)
    if(NOT ${arg_PACKAGE}_FOUND)
      message(STATUS "postroad::${name} is left out: ${arg_PACKAGE} was not found")
      set(postroad_${name}_FOUND FALSE PARENT_SCOPE)
      return()
    endif()
  endif()
  add_library(postroad_${name} INTERFACE)
  add_library(postroad::${name} ALIAS postroad_${name})
  set_target_properties(postroad_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(postroad_${name} INTERFACE ${arg_LINK})
  if(NOT name STREQUAL "postroad")
    target_link_libraries(postroad_${name} INTERFACE postroad_postroad)
    set_property(GLOBAL APPEND PROPERTY postroad_extra_components "${name}:${arg_PACKAGE}")
  endif()
  set_property(GLOBAL APPEND PROPERTY postroad_component_targets postroad_${name})
  if(POSTROAD_INSTALL)
    install(TARGETS postroad_${name} EXPORT postroad-${name} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT postroad-${name} NAMESPACE postroad:: FILE postroad-${name}.cmake
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/postroad)
  endif()
  set(postroad_${name}_FOUND TRUE PARENT_SCOPE)
endfunction()

# Call after the last component.
function(postroad_install)
  if(NOT POSTROAD_INSTALL)
    return()
  endif()
  include(CMakePackageConfigHelpers)
  get_property(POSTROAD_EXTRA_COMPONENTS GLOBAL PROPERTY postroad_extra_components)
  set(destination ${CMAKE_INSTALL_LIBDIR}/cmake/postroad)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/postroad-config.cmake.in" postroad-config.cmake
                                INSTALL_DESTINATION ${destination} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  # Before 1.0 a minor version may break: only the same minor version will do.
  write_basic_package_version_file(postroad-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/postroad-config.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/postroad_compiled.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/postroad_compiled.cpp"
                "${CMAKE_CURRENT_BINARY_DIR}/postroad-config-version.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_asio.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_mbedtls.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_openssl.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_sqlite.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_rabbitmq.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_unbound.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_curl.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_tomlplusplus.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_zlib.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_idn2.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/Findpostroad_unistring.cmake" DESTINATION ${destination})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
  install(FILES "${PROJECT_SOURCE_DIR}/share/providers.toml" DESTINATION ${CMAKE_INSTALL_DATADIR}/postroad)
endfunction()
