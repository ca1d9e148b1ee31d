# The only build helpers. Headers stand beside their sources and are included as
# "culm/<module>/<name>.hpp" everywhere, through one include root of links into the tree.
include(CMakePackageConfigHelpers)

set(CULM_INCLUDE_ROOT "${PROJECT_BINARY_DIR}/include")
file(MAKE_DIRECTORY "${CULM_INCLUDE_ROOT}/culm")
foreach(module core feed store replication)
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${module}" "${CULM_INCLUDE_ROOT}/culm/${module}" SYMBOLIC)
endforeach()

add_library(culm_warnings INTERFACE)
target_compile_options(culm_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                               -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast)
culm_is_compiler_named(is_named)
if(CULM_WARNINGS_AS_ERRORS AND is_named)
  target_compile_options(culm_warnings INTERFACE -Werror)
endif()
if(CULM_SANITIZE)
  target_compile_options(culm_warnings INTERFACE -fsanitize=${CULM_SANITIZE} -fno-omit-frame-pointer
                                                 -fno-sanitize-recover=all)
  target_link_options(culm_warnings INTERFACE -fsanitize=${CULM_SANITIZE})
endif()

# Whose build includes this one decides for itself about precompiled headers.
if(NOT PROJECT_IS_TOP_LEVEL)
  set(CMAKE_DISABLE_PRECOMPILE_HEADERS ON)
endif()

# Compiles the standard headers that nearly every source includes, and those given, once for the
# target.
function(culm_precompile target)
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <chrono> <functional> <map> <memory> <optional> <span> <string>
    <string_view> <utility> <variant> <vector> <tl/expected.hpp> ${ARGN})
endfunction()

# For targets whose sources spend most of their time on headers that they share.
function(culm_unity_build target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${CULM_UNITY_BUILD}
                                             UNITY_BUILD_BATCH_SIZE 0)
  if(CULM_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A source that another includes is taken for a header by this one.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# culm_module(feed HEADERS .. SOURCES .. [DEPENDS ..] [LINKS ..] [PRIVATE_LINKS ..] [PRECOMPILE ..])
function(culm_module name)
  cmake_parse_arguments(arg "" "" "HEADERS;SOURCES;DEPENDS;LINKS;PRIVATE_LINKS;PRECOMPILE" ${ARGN})
  set(target culm_${name})
  add_library(${target} ${arg_SOURCES})
  add_library(culm::${name} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} CXX_EXTENSIONS OFF
                        POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${CULM_INCLUDE_ROOT}>"
                                              "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  foreach(dependency ${arg_DEPENDS})
    target_link_libraries(${target} PUBLIC culm::${dependency})
  endforeach()
  target_link_libraries(${target} PUBLIC ${arg_LINKS}
                        PRIVATE ${arg_PRIVATE_LINKS} "$<BUILD_INTERFACE:culm_warnings>")
  if(name STREQUAL core OR arg_PRECOMPILE)
    culm_precompile(${target} ${arg_PRECOMPILE})
  else()
    target_precompile_headers(${target} REUSE_FROM culm_core)
  endif()
  file(RELATIVE_PATH place "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  foreach(header ${arg_HEADERS})
    get_filename_component(folder "${place}/${header}" DIRECTORY)
    install(FILES ${header} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/culm/${folder}"
            COMPONENT culm-dev)
  endforeach()
  set_property(GLOBAL APPEND PROPERTY CULM_TARGETS ${target})
  if(CULM_BUILD_TESTS)
    culm_compile_alone(${name} ${arg_HEADERS})
  endif()
endfunction()

# Compiles each public header by itself: it includes all that it needs.
function(culm_compile_alone name)
  set(target culm_${name}_headers)
  set(sources)
  foreach(header ${ARGN})
    file(RELATIVE_PATH place "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/${header}")
    set(source "${CMAKE_CURRENT_BINARY_DIR}/alone/${header}.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"culm/${place}\"\n")
    list(APPEND sources "${source}")
  endforeach()
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PRIVATE culm_${name} culm_warnings)
  target_compile_options(${target} PRIVATE -O0)
endfunction()

function(culm_umbrella)
  get_property(targets GLOBAL PROPERTY CULM_TARGETS)
  add_library(culm_culm INTERFACE)
  add_library(culm::culm ALIAS culm_culm)
  set_target_properties(culm_culm PROPERTIES EXPORT_NAME culm)
  target_link_libraries(culm_culm INTERFACE ${targets})
  set_property(GLOBAL APPEND PROPERTY CULM_TARGETS culm_culm)
endfunction()

function(culm_install)
  get_property(targets GLOBAL PROPERTY CULM_TARGETS)
  list(TRANSFORM targets REPLACE "^culm_" "" OUTPUT_VARIABLE CULM_COMPONENTS)
  set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/culm")
  install(TARGETS ${targets} EXPORT culm-targets COMPONENT culm-dev)
  install(EXPORT culm-targets NAMESPACE culm:: DESTINATION "${config_dir}" COMPONENT culm-dev)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/tools/cmake/culm-config.cmake.in"
    "${PROJECT_BINARY_DIR}/culm-config.cmake" INSTALL_DESTINATION "${config_dir}")
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/culm-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/culm-config.cmake"
                "${PROJECT_BINARY_DIR}/culm-config-version.cmake"
          DESTINATION "${config_dir}" COMPONENT culm-dev)
  culm_install_pc(${targets})
endfunction()

# For those who build without CMake. `targets` as they were added: what depends stands behind.
function(culm_install_pc)
  set(libraries ${ARGN})
  list(REMOVE_ITEM libraries culm_culm)
  list(REVERSE libraries)
  list(TRANSFORM libraries PREPEND "-l")
  list(JOIN libraries " " CULM_PC_LIBS)
  # Archives say nothing of what they need.
  set(CULM_PC_REQUIRES "Requires")
  if(BUILD_SHARED_LIBS)
    set(CULM_PC_REQUIRES "Requires.private")
  endif()
  set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  file(RELATIVE_PATH CULM_PC_UP "/${pc_dir}" "/")
  string(REGEX REPLACE "/$" "" CULM_PC_UP "${CULM_PC_UP}")
  configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/culm.pc.in" "${PROJECT_BINARY_DIR}/culm.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/culm.pc" DESTINATION "${pc_dir}" COMPONENT culm-dev)
endfunction()
