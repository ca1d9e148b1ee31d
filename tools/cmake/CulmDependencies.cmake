# What culm is built with: each library and compiler with the least version that is tried, and a
# sentence that says what to do where it is missing or too old.

# The compilers that culm is tried with, from Debian 12 to Debian 13.
set(CULM_GNU_MIN 12)
set(CULM_GNU_MAX 14)
set(CULM_Clang_MIN 14)
set(CULM_Clang_MAX 19)

function(culm_check_compiler)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS "${CULM_${CMAKE_CXX_COMPILER_ID}_MIN}")
    message(FATAL_ERROR "culm needs GCC ${CULM_GNU_MIN} or Clang ${CULM_Clang_MIN}, or newer; "
      "${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  endif()
endfunction()

# Whether the compiler is one of those. A later one may warn of more, which must stop nobody.
function(culm_is_compiler_named out)
  string(REGEX MATCH "^[0-9]+" major "${CMAKE_CXX_COMPILER_VERSION}")
  set(most "${CULM_${CMAKE_CXX_COMPILER_ID}_MAX}")
  if(most AND NOT major GREATER most)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

# culm_require(Boost VERSION 1.74.0 FOUND "${version}" PACKAGE libboost-dev): ends the configuration
# unless FOUND is that version or a newer one.
function(culm_require name)
  cmake_parse_arguments(arg "" "VERSION;FOUND;PACKAGE" "" ${ARGN})
  string(CONCAT needs "culm needs ${name} ${arg_VERSION} or newer (package ${arg_PACKAGE}; "
                      "tools/dev/setup.sh installs all that is needed)")
  if(NOT arg_FOUND)
    message(FATAL_ERROR "${needs}; it was not found")
  elseif(arg_FOUND VERSION_LESS arg_VERSION)
    message(FATAL_ERROR "${needs}; found ${arg_FOUND}")
  endif()
endfunction()

# culm_pkg(sodium libsodium VERSION .. PACKAGE ..): a library known to pkg-config, as
# PkgConfig::sodium.
macro(culm_pkg prefix module)
  unset(__pkg_config_checked_${prefix} CACHE)  # another version may be there by now
  pkg_check_modules(${prefix} QUIET IMPORTED_TARGET ${module})
  culm_require(${module} FOUND "${${prefix}_VERSION}" ${ARGN})
endmacro()

# culm_package(GTest VERSION .. PACKAGE ..): a library with a CMake package. One that does not tell
# its version, as when it is built along, is taken.
macro(culm_package name)
  find_package(${name} QUIET)
  if(NOT ${name}_FOUND OR ${name}_VERSION)
    culm_require(${name} FOUND "${${name}_VERSION}" ${ARGN})
  endif()
endmacro()

# culm_headers(Boost boost/version.hpp BOOST_LIB_VERSION VERSION .. PACKAGE ..): a library of
# headers, whose version stands in `header` in macros that begin with `macro`. Its directory is put
# into <name>_INCLUDE_DIR.
function(culm_headers name header macro)
  find_path(${name}_INCLUDE_DIR ${header})
  set(version "")
  if(${name}_INCLUDE_DIR)
    file(STRINGS "${${name}_INCLUDE_DIR}/${header}" lines REGEX "^ *# *define ${macro}")
    # "1_74" of one macro, or MAJOR, MINOR and PATCH of three.
    foreach(line IN LISTS lines)
      if(line MATCHES "define [A-Za-z0-9_]+ +\"?([0-9][0-9._]*)")
        string(REPLACE "_" "." number "${CMAKE_MATCH_1}")
        list(APPEND version "${number}")
      endif()
    endforeach()
    list(JOIN version "." version)
  endif()
  culm_require(${name} FOUND "${version}" ${ARGN})
endfunction()
