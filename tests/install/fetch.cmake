# Configures a project that takes fourge in, and builds and runs its program ${TARGET}.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)
set(build ${WORK}/fetch_${TARGET})
file(REMOVE_RECURSE ${build})
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/fetch_consumer -B ${build} -G Ninja -DFOURGE_SOURCE=${SOURCE}
    -DCMAKE_CXX_COMPILER=${CXX})
run(${CMAKE_COMMAND} --build ${build} --target ${TARGET})
run(${build}/${TARGET})
