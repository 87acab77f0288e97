# Configures, builds and runs ${CONSUMER} against the installed tree. PROGRAMS: a list with commas.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
set(build ${WORK}/${CONSUMER})
file(REMOVE_RECURSE ${build})
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${CONSUMER} -B ${build} -G Ninja
    -DCMAKE_PREFIX_PATH=${PREFIX} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_C_COMPILER=${CC} --no-warn-unused-cli)
run(${CMAKE_COMMAND} --build ${build})
string(REPLACE "," ";" programs ${PROGRAMS})
foreach(program ${programs})
  run(${build}/${program})
endforeach()
