"""Exact conversions from f32 to the narrow formats: nearest rational on the list of representable values.

NVIDIA's semantics (spec 5.2 and 6). No bit of the operand is shifted: the candidates are the decoded values of every
code, and the choice between the two neighbours is a comparison of rationals.
"""

from bisect import bisect_right
from fractions import Fraction
from functools import lru_cache

from judge import FINITE, FORMATS, INFINITE, NAN, JudgeError, decode, power_of_two

NARROW = ("e2m1", "e2m3", "e3m2", "e4m3", "e5m2")


@lru_cache(maxsize=None)
def magnitudes(format_name):
    """Values of the non-negative finite codes 0, 1, 2, ... in order, then the value the next code would have had.

    That last value is where rounding overflows: 8 for e2m1 and e2m3, 32 for e3m2, 480 for e4m3, 65536 for e5m2.
    """
    f = FORMATS[format_name]
    values = [decode(format_name, code).value for code in range(1 << (f.bits - 1))
              if decode(format_name, code).kind == FINITE]  # fmt: skip
    assert values == sorted(set(values))
    return values + [2 * values[-1] - values[-2]]


def neighbours(format_name, magnitude):
    """Codes of the representable values next to a magnitude: low <= magnitude < high; low alone when it is exact."""
    grid = magnitudes(format_name)
    low = bisect_right(grid, magnitude) - 1
    return low, low + 1


def saturated(format_name):
    """Code of the largest finite magnitude."""
    return len(magnitudes(format_name)) - 2


def overflow_code(format_name, saturate):
    """spec 6: satfinite gives the largest finite value; otherwise infinity where there is one, else NaN (e4m3)."""
    f = FORMATS[format_name]
    if saturate or f.top == "finite":
        return saturated(format_name)
    return f.infinity if f.top == "ieee" else f.all_ones


def nan_code(format_name):
    """spec 5.2: NaN for e4m3 and e5m2 (7f), +MAX for the formats without NaN; the sign is dropped."""
    f = FORMATS[format_name]
    return saturated(format_name) if f.top == "finite" else f.all_ones


def convert_with(choose, f32_bits, format_name, saturate):
    """Everything but the choice between two neighbours: NaN, infinity, overflow and the sign (kept for zero too)."""
    x = decode("f32", f32_bits)
    if x.kind == NAN:
        return nan_code(format_name)
    sign = int(x.negative) << (FORMATS[format_name].bits - 1)
    magnitude = abs(x.value)
    grid = magnitudes(format_name)
    if x.kind == INFINITE or magnitude >= grid[-1]:
        return sign | overflow_code(format_name, saturate)
    low, high = neighbours(format_name, magnitude)
    code = low
    if magnitude != grid[low]:
        code = choose(magnitude, low, high, grid)
    if code > saturated(format_name):
        code = overflow_code(format_name, saturate)
    return sign | code


def nearest_even(magnitude, low, high, grid):
    below, above = magnitude - grid[low], grid[high] - magnitude
    if below != above:
        return low if below < above else high
    return low if low % 2 == 0 else high


def toward_zero(magnitude, low, high, grid):
    return low


def convert(f32_bits, format_name, rounding="rne", saturate=True):
    """f32 bits to a code of e2m1, e2m3, e3m2, e4m3 or e5m2; rounding rne or rz."""
    if format_name not in NARROW or rounding not in ("rne", "rz"):
        raise JudgeError(f"no conversion to {format_name} with {rounding}")
    if rounding == "rz" and not saturate and decode("f32", f32_bits).kind == FINITE:
        saturate = True  # toward zero no finite value overflows
    return convert_with(nearest_even if rounding == "rne" else toward_zero, f32_bits, format_name, saturate)


def convert_ue8m0(f32_bits, rounding="rp", saturate=True):
    """f32 bits to UE8M0 (spec 6): the sign is ignored; rp = the power of two at or above, rz = at or below.

    Magnitudes under 2^-127 give 2^-127 (code 0) in both directions.
    """
    if rounding not in ("rp", "rz"):
        raise JudgeError(f"no conversion to ue8m0 with {rounding}")
    x = decode("f32", f32_bits)
    if x.kind == NAN:
        return 0xFF
    magnitude = abs(x.value)
    overflow = 0xFE if saturate else 0xFF
    if x.kind == INFINITE:
        return overflow
    grid = ue8m0_values()
    if magnitude <= grid[0]:
        return 0
    code = bisect_right(grid, magnitude) - 1
    if rounding == "rp" and magnitude > grid[code]:
        code += 1
    return code if code < len(grid) else overflow


@lru_cache(maxsize=None)
def ue8m0_values():
    return [power_of_two(code - 127) for code in range(0xFF)]


def convert_stochastic(f32_bits, format_name, rbits, random_bits):
    """Stochastic rounding by given random bits, satfinite. Policy `grid_aligned`.

    spec 5.2 (PTX, cvt.rs): "rounded toward zero or away from zero based on the carry out of the integer addition of
    rbits to the discarded mantissa bits". Here the discarded part, as a fraction of the distance between the two
    representable neighbours, is truncated to `random_bits` bits and rbits (0 .. 2^random_bits - 1) is added; a carry
    rounds away from zero. In the subnormal range the distance is the subnormal spacing. NVIDIA's alignment of rbits
    and its treatment of subnormal targets are not in the text: this is a policy, not knowledge of the hardware.
    """
    if format_name not in NARROW or not 1 <= random_bits <= 32 or not 0 <= rbits < 1 << random_bits:
        raise JudgeError(f"stochastic {format_name}: rbits {rbits} with {random_bits} random bits")

    def carry_away(magnitude, low, high, grid):
        discarded = (magnitude - grid[low]) / (grid[high] - grid[low])
        truncated = int(discarded * (1 << random_bits))
        return high if truncated + rbits >= 1 << random_bits else low

    return convert_with(carry_away, f32_bits, format_name, True)


def stochastic_share_away(f32_bits, format_name, random_bits):
    """Share of the 2^random_bits values of rbits that round away from zero: the truncated discarded fraction."""
    magnitude = abs(decode("f32", f32_bits).value)
    grid = magnitudes(format_name)
    low, high = neighbours(format_name, magnitude)
    discarded = (magnitude - grid[low]) / (grid[high] - grid[low])
    return Fraction(int(discarded * (1 << random_bits)), 1 << random_bits)


def named_conversions():
    """The names used by the golden files, and the directions they leave out."""
    named = {}
    for name in NARROW:
        if FORMATS[name].top == "finite":
            named[f"{name}_rn"] = lambda x, n=name: convert(x, n, "rne")
            named[f"{name}_rz"] = lambda x, n=name: convert(x, n, "rz")
        else:
            for suffix, saturate in (("sat", True), ("nosat", False)):
                named[f"{name}_{suffix}"] = lambda x, n=name, s=saturate: convert(x, n, "rne", s)
                named[f"{name}_rz_{suffix}"] = lambda x, n=name, s=saturate: convert(x, n, "rz", s)
    for rounding in ("rz", "rp"):
        for suffix, saturate in (("sat", True), ("nosat", False)):
            named[f"e8m0_{rounding}_{suffix}"] = lambda x, r=rounding, s=saturate: convert_ue8m0(x, r, s)
    return named


CONVERSIONS = named_conversions()
