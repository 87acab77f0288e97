#include "jit/asm/gdb_jit.h"

#include <cstdint>
#include <mutex>
#include <vector>

#include "jit/asm/elf_image.h"

// The names and the layout are the interface's. Weak: another JIT in the process (LLVM's) may bring the same
// symbols, and the list is then shared.
extern "C" {

struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  std::uint64_t symfile_size;
};

struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;  // 0 none, 1 register, 2 unregister
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};

__attribute__((weak, used)) jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};

// The debugger puts a breakpoint here and reads the descriptor when it is hit.
__attribute__((weak, used, noinline)) void __jit_debug_register_code() { asm volatile("" ::: "memory"); }
}

namespace fourge::jit {

struct GdbEntry {
  jit_code_entry entry{};
  std::vector<std::uint8_t> image;
};

namespace {

enum Action : std::uint32_t { kNoAction, kRegister, kUnregister };

constinit std::mutex mutex;  // never destroyed: caches of kernels may outlive other statics

void tell(jit_code_entry* entry, Action action) {
  __jit_debug_descriptor.relevant_entry = entry;
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_register_code();
  __jit_debug_descriptor.relevant_entry = nullptr;
  __jit_debug_descriptor.action_flag = kNoAction;
}

}  // namespace

GdbEntry* register_with_gdb(const CodeView& code) {
  auto* gdb = new GdbEntry;
  gdb->image = elf_image(code);
  jit_code_entry& entry = gdb->entry;
  entry.symfile_addr = reinterpret_cast<const char*>(gdb->image.data());
  entry.symfile_size = gdb->image.size();
  const std::scoped_lock lock(mutex);
  entry.next_entry = __jit_debug_descriptor.first_entry;
  if (entry.next_entry != nullptr) entry.next_entry->prev_entry = &entry;
  __jit_debug_descriptor.first_entry = &entry;
  tell(&entry, kRegister);
  return gdb;
}

void unregister_from_gdb(GdbEntry* gdb) {
  jit_code_entry& entry = gdb->entry;
  {
    const std::scoped_lock lock(mutex);
    if (entry.prev_entry != nullptr) {
      entry.prev_entry->next_entry = entry.next_entry;
    } else {
      __jit_debug_descriptor.first_entry = entry.next_entry;
    }
    if (entry.next_entry != nullptr) entry.next_entry->prev_entry = entry.prev_entry;
    tell(&entry, kUnregister);
  }
  delete gdb;
}

}  // namespace fourge::jit
