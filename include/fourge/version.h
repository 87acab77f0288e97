// The version, once: CMake reads it here.
#pragma once

#define FOURGE_VERSION_MAJOR 0
#define FOURGE_VERSION_MINOR 1
#define FOURGE_VERSION_PATCH 0
