cmake_minimum_required(VERSION 3.25)
# Writes HEADER with the commit of SOURCE, "-dirty" when the tree has changes; "unknown" outside git.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude "*"
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define FOURGE_COMMIT \"@commit@\"\n" @ONLY)
