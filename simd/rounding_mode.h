// The rounding mode of the calling thread's vector arithmetic, set and put back.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fourge::simd {

/// From construction to destruction: the given rounding, subnormals kept, exceptions masked, whatever the
/// caller's mode was. No compiler used here knows that arithmetic reads the mode: the code that depends on it
/// must be a call to a function that is not inlined.
class RoundingMode {
 public:
  enum Mode : std::uint8_t { to_nearest, toward_zero };

  explicit RoundingMode(Mode mode) : saved_(read()) { write(word(mode)); }
  ~RoundingMode() { write(saved_); }
  RoundingMode(const RoundingMode&) = delete;
  RoundingMode& operator=(const RoundingMode&) = delete;

  void set(Mode mode) const { write(word(mode)); }

 private:
#if defined(__x86_64__)
  // Intel SDM vol. 1, 10.2.3: MXCSR, all exceptions masked; rounding control in bits 13 and 14.
  using Word = std::uint32_t;
  static Word word(Mode mode) { return mode == toward_zero ? 0x7f80 : 0x1f80; }
  static Word read() { return _mm_getcsr(); }
  static void write(Word w) {
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(w);
    __asm__ volatile("" ::: "memory");
  }
#elif defined(__aarch64__)
  // Arm ARM, FPCR: rounding mode in bits 22 and 23, 0b11 = toward zero; flush-to-zero bits 0.
  using Word = std::uint64_t;
  static Word word(Mode mode) { return mode == toward_zero ? Word{3} << 22 : 0; }
  static Word read() {
    Word w;
    __asm__ volatile("mrs %0, fpcr" : "=r"(w));
    return w;
  }
  static void write(Word w) { __asm__ volatile("msr fpcr, %0" ::"r"(w) : "memory"); }
#endif

  Word saved_;
};

}  // namespace fourge::simd
