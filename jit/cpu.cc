#include "jit/cpu.h"

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fourge::jit {
namespace {

#if defined(__x86_64__)

struct CpuidWords {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidWords cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  CpuidWords words;
  __get_cpuid_count(leaf, subleaf, &words.eax, &words.ebx, &words.ecx, &words.edx);
  return words;
}

constexpr bool bit(std::uint32_t word, int index) { return ((word >> index) & 1) != 0; }

// XCR0: which register state the operating system saves (Intel SDM vol. 1, 13.3).
std::uint64_t saved_state() {
  if (!bit(cpuid(1).ecx, 27)) return 0;  // OSXSAVE
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Linux 5.16 and later: tile state is given to a process that asks for it.
const char* request_amx_permission() {
#if defined(__linux__)
  constexpr long kArchReqXcompPerm = 0x1023, kTileData = 18;
  if (syscall(SYS_arch_prctl, kArchReqXcompPerm, kTileData) == 0) return "";
  return "the kernel refused the AMX tile permission (arch_prctl ARCH_REQ_XCOMP_PERM)";
#else
  return "no way to ask this operating system for the AMX tile permission";
#endif
}

CpuFeatures detect() {
  CpuFeatures f;
  const CpuidWords leaf1 = cpuid(1), leaf7 = cpuid(7), leaf7_1 = cpuid(7, 1);
  const std::uint64_t state = saved_state();
  const bool os_avx = (state & 0x6) == 0x6, os_avx512 = (state & 0xe6) == 0xe6;
  const bool os_amx = (state & 0x60000) == 0x60000;
  f.sse4_1 = bit(leaf1.ecx, 19);
  f.sse4_2 = bit(leaf1.ecx, 9) && bit(leaf1.ecx, 20);  // SSSE3 too
  f.fma = os_avx && bit(leaf1.ecx, 12);
  f.f16c = os_avx && bit(leaf1.ecx, 29);
  f.avx2 = os_avx && bit(leaf7.ebx, 5);
  f.bmi2 = bit(leaf7.ebx, 3) && bit(leaf7.ebx, 8);
  f.gfni = os_avx && bit(leaf7.ecx, 8);
  f.avx512f = os_avx512 && bit(leaf7.ebx, 16);
  f.avx512dq = os_avx512 && bit(leaf7.ebx, 17);
  f.avx512bw = os_avx512 && bit(leaf7.ebx, 30);
  f.avx512vl = os_avx512 && bit(leaf7.ebx, 31);
  f.avx512_vbmi = os_avx512 && bit(leaf7.ecx, 1);
  f.avx512_vnni = os_avx512 && bit(leaf7.ecx, 11);
  f.avx512_fp16 = os_avx512 && bit(leaf7.edx, 23);
  f.avx512_bf16 = os_avx512 && bit(leaf7_1.eax, 5);
  if (bit(leaf7.edx, 24)) {  // AMX-TILE
    f.amx_refusal = os_amx ? request_amx_permission() : "the operating system does not save AMX tile state";
    f.amx_tile = *f.amx_refusal == '\0';
    f.amx_bf16 = f.amx_tile && bit(leaf7.edx, 22);
    f.amx_int8 = f.amx_tile && bit(leaf7.edx, 25);
    f.amx_fp16 = f.amx_tile && bit(leaf7_1.eax, 21);
  }
  return f;
}

CacheSizes detect_caches() {
  CacheSizes sizes;
  for (std::uint32_t i = 0; i < 8; ++i) {  // deterministic cache parameters, leaf 4
    const CpuidWords w = cpuid(4, i);
    const std::uint32_t type = w.eax & 31, level = (w.eax >> 5) & 7;
    if (type == 0) break;
    const std::int64_t bytes = std::int64_t{(w.ebx >> 22) + 1} * (((w.ebx >> 12) & 1023) + 1) *
                               ((w.ebx & 4095) + 1) * (std::int64_t{w.ecx} + 1);
    if (level == 1 && type != 2) sizes.l1d = bytes;
    if (level == 2) sizes.l2 = bytes;
    if (level == 3) sizes.l3 = bytes;
  }
  return sizes;
}

std::string detect_name() {
  char text[49] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const CpuidWords w = cpuid(0x8000'0002 + i);
    std::memcpy(text + 16 * i, &w, 16);
  }
  std::string name(text);
  const auto first = name.find_first_not_of(' ');
  return first == std::string::npos ? std::string() : name.substr(first);
}

#else

CpuFeatures detect() {
  CpuFeatures f;
#if defined(__aarch64__)
  f.neon = true;
#if defined(__linux__)
  // Linux, arch/arm64/include/uapi/asm/hwcap.h.
  constexpr unsigned long kHwcapAsimdDp = 1ul << 20, kHwcapSve = 1ul << 22;
  f.neon_dotprod = (getauxval(AT_HWCAP) & kHwcapAsimdDp) != 0;
  f.sve = (getauxval(AT_HWCAP) & kHwcapSve) != 0;
#elif defined(__APPLE__)
  f.neon_dotprod = true;  // every Apple processor that runs macOS
#endif
#endif
  return f;
}
CacheSizes detect_caches() { return {}; }
std::string detect_name() { return {}; }

#endif

}  // namespace

const char* CpuFeatures::missing_for(Isa isa) const {
  switch (isa) {
    case Isa::scalar:
      return nullptr;
    case Isa::sse4:
      return sse4_1 && sse4_2 ? nullptr : "no SSE4.2";
    case Isa::avx2:
      if (const char* reason = missing_for(Isa::sse4)) return reason;
      return !avx2 ? "no AVX2" : !fma ? "no FMA" : !f16c ? "no F16C" : !bmi2 ? "no BMI2" : nullptr;
    case Isa::amx:
      if (const char* reason = missing_for(Isa::avx512)) return reason;
      if (!avx512_fp16) return "no AVX-512 FP16";
      if (amx_tile && amx_bf16 && amx_int8) return nullptr;
      return *amx_refusal != '\0' ? amx_refusal : amx_bf16 ? "no AMX-INT8" : "no AMX-BF16";
    case Isa::avx512:
      if (const char* reason = missing_for(Isa::avx2)) return reason;
      if (!(avx512f && avx512bw && avx512dq && avx512vl)) return "no AVX-512 F+BW+DQ+VL";
      return avx512_vnni ? nullptr : "no AVX-512 VNNI";
    case Isa::neon:
      return neon ? nullptr : "no Advanced SIMD: not a 64-bit Arm";
    case Isa::dotprod:
      if (const char* reason = missing_for(Isa::neon)) return reason;
      return neon_dotprod ? nullptr : "no Armv8.2 dot products";
    case Isa::sve:
      if (const char* reason = missing_for(Isa::neon)) return reason;
      return sve ? nullptr : "no SVE";
  }
  return "unknown level";
}

Isa CpuFeatures::best() const {
  Isa best = Isa::scalar;
  for (Isa isa : kIsas) {
    if (missing_for(isa) == nullptr) best = isa;
  }
  return best;
}

const CpuFeatures& host_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::string host_name() { return detect_name(); }

const CacheSizes& host_caches() {
  static const CacheSizes sizes = detect_caches();
  return sizes;
}

std::optional<Isa> parse_isa(std::string_view name) {
  for (Isa isa : kIsas) {
    if (name == name_of(isa)) return isa;
  }
  return std::nullopt;
}

const Result<std::optional<Isa>>& environment_max_isa() {
  static const Result<std::optional<Isa>> value = []() -> Result<std::optional<Isa>> {
    const char* text = std::getenv("FOURGE_MAX_ISA");
    if (text == nullptr || *text == '\0') return std::optional<Isa>();
    const std::optional<Isa> isa = parse_isa(text);
    if (isa.has_value()) return isa;
    return Failure{Error::kBadArgument, kExpectedIsa, std::string("FOURGE_MAX_ISA=") + text};
  }();
  return value;
}

}  // namespace fourge::jit
