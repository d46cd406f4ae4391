# postroad::compiled is postroad::postroad with its non-template parts compiled once, in the build that uses it and with
# its flags. Whoever links it takes it everywhere in a program; the other components may stand beside it.
if(NOT TARGET postroad::compiled)
  add_library(postroad_once STATIC EXCLUDE_FROM_ALL "${CMAKE_CURRENT_LIST_DIR}/postroad_compiled.cpp")
  add_library(postroad::compiled ALIAS postroad_once)
  target_link_libraries(postroad_once PUBLIC postroad::postroad)
  target_compile_definitions(postroad_once PUBLIC POSTROAD_SEPARATE_COMPILATION)
endif()
