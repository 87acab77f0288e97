// Calls a kernel and reports which promises of the platform's ABI it broke: System V x86-64, AAPCS64.
#pragma once

#if defined(__x86_64__)

#include <cstdint>
#include <string>

namespace fourge::tests {

/// Calls function(argument) with canaries in rbx, rbp and r12..r15 and `mxcsr` as the caller's mode. Returns
/// the names of what was not restored, empty when all is well.
std::string abi_violations(void (*function)(void*), void* argument, std::uint32_t mxcsr = 0x1f80);

}  // namespace fourge::tests

#elif defined(__aarch64__) && defined(FOURGE_HAVE_VIXL)

#include <cstdint>
#include <string>

namespace fourge::tests {

/// Calls function(argument) with canaries in x19..x28 and d8..d15 and `fpcr` as the caller's mode. Returns
/// the names of what was not restored, empty when all is well.
std::string abi_violations(void (*function)(void*), void* argument, std::uint64_t fpcr = 0);

}  // namespace fourge::tests

#endif
