# Finds librabbitmq (rabbitmq-c), 0.10 or later, and makes postroad_dep::rabbitmq.
include(FindPackageHandleStandardArgs)

if(TARGET postroad_dep::rabbitmq)
  set(postroad_rabbitmq_FOUND TRUE)
  return()
endif()

find_library(postroad_rabbitmq_LIBRARY rabbitmq)
# From 0.13 the headers have a folder of their own, and those in the old place say that they are deprecated.
find_path(postroad_rabbitmq_INCLUDE_DIR NAMES rabbitmq-c/amqp.h amqp.h)
mark_as_advanced(postroad_rabbitmq_LIBRARY postroad_rabbitmq_INCLUDE_DIR)
if(postroad_rabbitmq_INCLUDE_DIR)
  foreach(postroad_rabbitmq_header amqp.h rabbitmq-c/amqp.h)
    if(EXISTS "${postroad_rabbitmq_INCLUDE_DIR}/${postroad_rabbitmq_header}")
      file(STRINGS "${postroad_rabbitmq_INCLUDE_DIR}/${postroad_rabbitmq_header}" postroad_rabbitmq_lines
           REGEX "define AMQP_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
      string(REGEX MATCHALL "[0-9]+" postroad_rabbitmq_numbers "${postroad_rabbitmq_lines}")
      string(REPLACE ";" "." postroad_rabbitmq_VERSION "${postroad_rabbitmq_numbers}")
    endif()
  endforeach()
endif()

set(postroad_rabbitmq_FIND_VERSION 0.10)
find_package_handle_standard_args(postroad_rabbitmq
  REQUIRED_VARS postroad_rabbitmq_LIBRARY postroad_rabbitmq_INCLUDE_DIR VERSION_VAR postroad_rabbitmq_VERSION)

if(postroad_rabbitmq_FOUND)
  add_library(postroad_dep::rabbitmq INTERFACE IMPORTED GLOBAL)
  set_target_properties(postroad_dep::rabbitmq PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${postroad_rabbitmq_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${postroad_rabbitmq_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${postroad_rabbitmq_LIBRARY}")
endif()
