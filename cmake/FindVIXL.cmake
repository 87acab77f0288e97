# VIXL, the AArch64 assembler, disassembler and simulator: Debian's libvixl-dev brings no CMake package.
# Gives VIXL_FOUND and the target vixl::vixl.
find_path(VIXL_INCLUDE_DIR aarch64/macro-assembler-aarch64.h PATH_SUFFIXES vixl)
find_library(VIXL_LIBRARY vixl)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(VIXL REQUIRED_VARS VIXL_LIBRARY VIXL_INCLUDE_DIR)

if(VIXL_FOUND AND NOT TARGET vixl::vixl)
  add_library(vixl::vixl UNKNOWN IMPORTED)
  set_target_properties(vixl::vixl PROPERTIES
    IMPORTED_LOCATION ${VIXL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${VIXL_INCLUDE_DIR})
  # The library's own choices, vixl.pc; they change the layout of its classes.
  set(definitions VIXL_INCLUDE_TARGET_A32 VIXL_INCLUDE_TARGET_T32 VIXL_INCLUDE_TARGET_A64 VIXL_CODE_BUFFER_MMAP)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(APPEND definitions VIXL_INCLUDE_SIMULATOR_AARCH64)
  endif()
  set_property(TARGET vixl::vixl PROPERTY INTERFACE_COMPILE_DEFINITIONS ${definitions})
  # gcc devirtualises calls to thunks that Debian's libvixl.so hides: the link fails without this.
  set_property(TARGET vixl::vixl PROPERTY INTERFACE_COMPILE_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fno-devirtualize>)
endif()
