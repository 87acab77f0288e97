# Cross build for 64-bit Arm on an x86-64 Debian: run tools/setup_aarch64.sh first.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(FOURGE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/aarch64-sysroot ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${FOURGE_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# max: every extension that the emulator has. FOURGE_QEMU_CPU=cortex-a57 and the like try older machines.
set(FOURGE_QEMU_CPU max CACHE STRING "The processor that tests are run on, a -cpu argument of qemu-aarch64")
find_program(FOURGE_QEMU qemu-aarch64-static)
set(CMAKE_CROSSCOMPILING_EMULATOR ${FOURGE_QEMU} -L /usr/aarch64-linux-gnu -cpu ${FOURGE_QEMU_CPU})
