#include "jit/asm/vtune.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace fourge::jit {
namespace {

constexpr const char* kAgentVariable = "INTEL_JIT_PROFILER64";

enum Event : unsigned { kMethodUnloadStart = 14, kMethodLoadFinishedV2 = 21 };

// iJIT_Method_Load_V2: natural alignment.
struct MethodLoad {
  unsigned method_id = 0;
  const char* method_name = nullptr;
  const void* load_address = nullptr;
  unsigned size = 0;
  unsigned line_numbers = 0;
  const void* line_number_table = nullptr;
  const char* class_file_name = nullptr;
  const char* source_file_name = nullptr;
  const char* module_name = nullptr;
};

struct Agent {
  unsigned (*notify)(unsigned event, void* data) = nullptr;
  std::string refusal;  // why there is none
};

Agent load_agent() {
  const char* path = std::getenv(kAgentVariable);
  if (path == nullptr || *path == '\0') return {nullptr, std::string(kAgentVariable) + " is not set"};
  void* library = dlopen(path, RTLD_LAZY);
  if (library == nullptr) return {nullptr, std::string(kAgentVariable) + ": " + dlerror()};
  const auto initialize = reinterpret_cast<unsigned (*)()>(dlsym(library, "Initialize"));
  const auto notify = reinterpret_cast<unsigned (*)(unsigned, void*)>(dlsym(library, "NotifyEvent"));
  if (initialize == nullptr || notify == nullptr)
    return {nullptr, std::string(path) + " has no Initialize and NotifyEvent"};
  initialize();
  return {notify, {}};
}

const Agent& agent() {
  static const auto* loaded = new Agent(load_agent());  // never destroyed: kernels go at exit
  return *loaded;
}

}  // namespace

Result<std::uint32_t> announce_to_vtune(const CodeView& code) {
  if (agent().notify == nullptr)
    return {Error::kNotFound, "FOURGE_JIT_PROFILE=vtune takes VTune's JIT agent, which its collector names",
            agent().refusal};
  static std::atomic<std::uint32_t> next_id = 1;
  const std::string name(code.name);
  MethodLoad load;
  load.method_id = next_id++;
  load.method_name = name.c_str();
  load.load_address = code.code.data();
  load.size = static_cast<unsigned>(code.code.size());
  load.module_name = "fourge";
  agent().notify(kMethodLoadFinishedV2, &load);
  return load.method_id;
}

void withdraw_from_vtune(std::uint32_t id) { agent().notify(kMethodUnloadStart, &id); }

}  // namespace fourge::jit
