#include "capi/status.h"

#include "fourge/version.h"

namespace fourge::capi {
namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

// The enumerators of C are those of C++.
static_assert(FOURGE_BAD_ARGUMENT == static_cast<int>(Error::kBadArgument));
static_assert(FOURGE_BAD_SHAPE == static_cast<int>(Error::kBadShape));
static_assert(FOURGE_UNSUPPORTED_FORMAT == static_cast<int>(Error::kUnsupportedFormat));
static_assert(FOURGE_UNSUPPORTED_ISA == static_cast<int>(Error::kUnsupportedIsa));
static_assert(FOURGE_NOT_FOUND == static_cast<int>(Error::kNotFound));
static_assert(FOURGE_BAD_FILE == static_cast<int>(Error::kBadFile));
static_assert(FOURGE_IO == static_cast<int>(Error::kIo));
static_assert(FOURGE_OUT_OF_MEMORY == static_cast<int>(Error::kOutOfMemory));
static_assert(FOURGE_CODEGEN == static_cast<int>(Error::kCodegen));

}  // namespace

fourge_status fail(const Failure& failure) noexcept {
  try {
    last_error() = failure.message();
  } catch (const std::bad_alloc&) {
    last_error().clear();
  }
  return static_cast<fourge_status>(failure.error);
}

}  // namespace fourge::capi

#define FOURGE_TEXT_OF(x) #x
#define FOURGE_TEXT(x) FOURGE_TEXT_OF(x)

extern "C" {

const char* fourge_last_error(void) { return fourge::capi::last_error().c_str(); }

const char* fourge_status_name(fourge_status status) {
  return fourge::name_of(static_cast<fourge::Error>(status));
}

const char* fourge_version(void) {
  return FOURGE_TEXT(FOURGE_VERSION_MAJOR) "." FOURGE_TEXT(FOURGE_VERSION_MINOR) "." FOURGE_TEXT(
      FOURGE_VERSION_PATCH);
}

}  // extern "C"
