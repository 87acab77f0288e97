# Flags that every target of this project gets, and only they: nothing leaks into a parent project.
function(fourge_target_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wconversion -Wshadow
    # GCC 12 takes inlined string concatenation for an overlapping memcpy (GCC bug 105651).
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict>
    -ffp-contract=off  # a rounding is written down or it does not happen
    $<$<BOOL:${FOURGE_WERROR}>:-Werror>)
  if(FOURGE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# fourge_unity(TARGET): with FOURGE_UNITY_BUILD, files of one folder whose names begin alike in the alphabet are compiled
# together, so that headers are read and inline functions compiled once for all. Which files meet depends on nothing but
# their own names. Left alone: files that include themselves for every instruction set (Highway), and those with
# SKIP_UNITY_BUILD_INCLUSION.
function(fourge_unity target)
  if(NOT FOURGE_UNITY_BUILD)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    get_filename_component(path ${source} ABSOLUTE)
    file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${path})
    get_filename_component(folder ${folder} DIRECTORY)
    get_filename_component(file ${path} NAME)
    set(part 3)
    if(file MATCHES "^[a-f]")
      set(part 1)
    elseif(file MATCHES "^[g-p]")
      set(part 2)
    endif()
    string(MAKE_C_IDENTIFIER "${folder}_${part}" group)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
    file(STRINGS ${path} includes_itself REGEX "^#define HWY_TARGET_INCLUDE")
    if(includes_itself)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# fourge_library(NAME SOURCES ... LINK ...): the static library fourge_NAME with the alias fourge::NAME.
function(fourge_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(fourge_${name} STATIC ${arg_SOURCES})
  add_library(fourge::${name} ALIAS fourge_${name})
  fourge_target_options(fourge_${name})
  set_target_properties(fourge_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME ${name})
  target_include_directories(fourge_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(fourge_${name} PUBLIC fourge::include ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
  fourge_unity(fourge_${name})
endfunction()
