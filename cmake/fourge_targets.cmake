# Flags that every target of this project gets, and only they: nothing leaks into a parent project.
function(fourge_target_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wconversion -Wshadow
    -ffp-contract=off  # a rounding is written down or it does not happen
    $<$<BOOL:${FOURGE_WERROR}>:-Werror>)
  if(FOURGE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
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
endfunction()
