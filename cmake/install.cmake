# cmake --install, find_package(fourge), pkg-config, and CPack's Debian packages.
#   runtime      libfourge.so.0                 development  headers, static libraries, CMake and pkg-config files
#   program      the program fourge             python       the Python module
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(libraries fourge fourge_include fourge_reference fourge_simd fourge_jit fourge_quant fourge_models)
install(TARGETS ${libraries} EXPORT fourge-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
if(TARGET fourge_c)
  install(TARGETS fourge_c EXPORT fourge-targets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)
endif()
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
# Included as in this tree: "reference/mma/model.h".
install(DIRECTORY reference DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fourge/parts COMPONENT development
        FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fourge)
install(EXPORT fourge-targets NAMESPACE fourge:: DESTINATION ${package_dir} COMPONENT development)
get_target_property(jit_links fourge_jit LINK_LIBRARIES)
foreach(dependency vixl:vixl::vixl openmp:OpenMP::OpenMP_CXX)
  string(REGEX REPLACE "^[a-z]+:" "" target ${dependency})
  string(REGEX REPLACE ":.*" "" name ${dependency})
  set(links_${name} OFF)
  if(target IN_LIST jit_links)
    set(links_${name} ON)
  endif()
endforeach()
configure_package_config_file(cmake/fourge-config.cmake.in ${PROJECT_BINARY_DIR}/fourge-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fourge-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fourge-config.cmake ${PROJECT_BINARY_DIR}/fourge-config-version.cmake
              cmake/FindVIXL.cmake
        DESTINATION ${package_dir} COMPONENT development)

# pkg-config: `fourge` is the C interface, `fourge-cxx` the static C++ libraries. Both find themselves.
file(RELATIVE_PATH pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(pc_cxx_libs "-lfourge_models -lfourge_quant -lfourge_jit -lfourge_simd -lfourge_reference -lhwy ${OpenMP_CXX_FLAGS} -lstdc++ -lm")
foreach(name fourge fourge-cxx)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()

if(TARGET fourge_cli)
  install(TARGETS fourge_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
if(TARGET fourge_python)
  install(TARGETS fourge_python LIBRARY DESTINATION ${FOURGE_PYTHON_DIR}/fourge COMPONENT python)
  install(DIRECTORY python/fourge/ DESTINATION ${FOURGE_PYTHON_DIR}/fourge COMPONENT python
          FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
  install(DIRECTORY python/examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fourge/examples COMPONENT python
          USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*.py" PATTERN "__pycache__" EXCLUDE)
endif()

if(PROJECT_IS_TOP_LEVEL)
  include(cmake/packages.cmake)
endif()
