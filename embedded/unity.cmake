# Compiles each generated type support library of a message package as one unit, which takes half the time. For Jazzy alone, whose
# generators are known to allow it.
function(join_sources)
  foreach(kind typesupport_c typesupport_cpp typesupport_introspection_cpp typesupport_fastrtps_c typesupport_fastrtps_cpp)
    set(library ${PROJECT_NAME}__rosidl_${kind})
    if(TARGET ${library})
      set_target_properties(${library} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
      target_compile_options(${library} PRIVATE -Wno-redundant-decls)
    endif()
  endforeach()
endfunction()

if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.19)
  cmake_language(DEFER CALL join_sources)
endif()
