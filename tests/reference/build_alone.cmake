# Copies reference/ and include/ to a new place and builds there. cmake -DSOURCE=... -DBINARY=... -P build_alone.cmake
file(REMOVE_RECURSE ${BINARY})
file(COPY ${SOURCE}/reference ${SOURCE}/include DESTINATION ${BINARY}/source)
foreach(step "-S;${BINARY}/source/reference;-B;${BINARY}/build" "--build;${BINARY}/build")
  execute_process(COMMAND ${CMAKE_COMMAND} ${step} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "reference/ and include/ alone do not build")
  endif()
endforeach()
