"""The slow judge: NVIDIA tensor-core arithmetic in exact rational numbers.

Every quantity is a fractions.Fraction. A term of a sum is a pair (value, exponent); the exponent only says where the
hardware aligns the term. One instruction step is then

    Emax    = the largest exponent of the participating terms
    quantum = 2^(Emax - F)
    sum     = sum over the terms of (value truncated toward zero to a multiple of quantum), exact
    D       = sum, rounded once to the output format

It is written to be read beside the specification, one function per clause, and to be slow: nothing here is shared with
the C++ model in reference/. Citations "spec N" are the sections of the project's numerics specification; the README
of this folder lists them with what each rests on.
"""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

FINITE, INFINITE, NAN = "finite", "infinite", "nan"
HARDWARE, MMA_SIM = "hardware", "mma-sim"
ZERO_RULES = (HARDWARE, MMA_SIM)


class JudgeError(Exception):
    """Input the judge refuses; the message says what, where and what was expected."""


# --- Element formats (spec 1) ------------------------------------------------------------------------------------


class Format(NamedTuple):
    """A binary format: sign bit, `exponent_bits`, `fraction_bits`; `top` says what the largest exponent field means.

    top = "ieee": infinity and NaNs; "nan": only the all-ones magnitude is NaN (e4m3); "finite": ordinary numbers.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    bias: int
    top: str

    @property
    def bits(self):
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def min_exponent(self):
        return 1 - self.bias

    @property
    def max_exponent(self):
        return (1 << self.exponent_bits) - 1 - self.bias - (self.top == "ieee")

    @property
    def infinity(self):
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @property
    def all_ones(self):
        return (1 << (self.bits - 1)) - 1


FORMATS = {
    f.name: f
    for f in (
        Format("e2m1", 2, 1, 1, "finite"),
        Format("e2m3", 2, 3, 1, "finite"),
        Format("e3m2", 3, 2, 3, "finite"),
        Format("e4m3", 4, 3, 7, "nan"),
        Format("e5m2", 5, 2, 15, "ieee"),
        Format("f16", 5, 10, 15, "ieee"),
        Format("bf16", 8, 7, 127, "ieee"),
        Format("tf32", 8, 23, 127, "ieee"),  # an f32 word; decode() drops its low 13 bits
        Format("f32", 8, 23, 127, "ieee"),
    )
}
F16, F32 = FORMATS["f16"], FORMATS["f32"]


class Number(NamedTuple):
    """A decoded operand. `exponent` is the format's own: a subnormal keeps the minimum exponent (spec 1)."""

    kind: str
    negative: bool
    value: Fraction
    exponent: int


@lru_cache(maxsize=None)
def power_of_two(exponent):
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


@lru_cache(maxsize=1 << 17)
def decode(format_name, code):
    """spec 1: value = (-1)^s * m * 2^(e-M), e = max(E,1)-bias, m = (E ? 2^M : 0) + fraction."""
    f = FORMATS[format_name]
    if format_name == "tf32":
        code &= ~0x1FFF
    negative = bool(code >> (f.bits - 1) & 1)
    biased_exponent = code >> f.fraction_bits & ((1 << f.exponent_bits) - 1)
    fraction = code & ((1 << f.fraction_bits) - 1)
    exponent = max(biased_exponent, 1) - f.bias
    if f.top == "ieee" and biased_exponent == (1 << f.exponent_bits) - 1:
        return Number(NAN if fraction else INFINITE, negative, Fraction(0), exponent)
    if f.top == "nan" and code & f.all_ones == f.all_ones:
        return Number(NAN, negative, Fraction(0), exponent)
    hidden = 1 if biased_exponent else 0
    magnitude = (hidden + Fraction(fraction, 1 << f.fraction_bits)) * power_of_two(exponent)
    return Number(FINITE, negative, -magnitude if negative else magnitude, exponent)


def floor_log2(value):
    """The e with 2^e <= value < 2^(e+1), for a positive rational."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e if value >= power_of_two(e) else e - 1


# --- Output rounding (spec 2, round_out) -------------------------------------------------------------------------


class Output(NamedTuple):
    """Where a sum is rounded to: the stored format, the fraction bits kept, and the direction."""

    stored: Format
    fraction_bits: int
    rounding: str

    @property
    def nan(self):
        """spec 2: NaN is always 7fffffff / 7fff, whatever went in."""
        return self.stored.all_ones


def make_output(name, rounding):
    stored, fraction_bits = {"f32": (F32, 23), "e8m13": (F32, 13), "f16": (F16, 10)}[name]
    return Output(stored, fraction_bits, rounding)


def infinity_bits(output, negative):
    return output.stored.infinity | int(negative) << (output.stored.bits - 1)


def encode_exact(f, magnitude, negative):
    """Bits of a magnitude that the format holds exactly."""
    exponent = max(floor_log2(magnitude), f.min_exponent)
    significand = magnitude / power_of_two(exponent - f.fraction_bits)
    assert significand.denominator == 1 and exponent <= f.max_exponent
    normal = magnitude >= power_of_two(f.min_exponent)
    biased_exponent = exponent + f.bias if normal else 0
    fraction = significand.numerator - (1 << f.fraction_bits if normal else 0)
    return int(negative) << (f.bits - 1) | biased_exponent << f.fraction_bits | fraction


def round_out(value, output):
    """spec 2: once, RZ or RNE, subnormals kept, overflow to infinity in both directions, any zero is +0."""
    if value == 0:
        return 0
    f, magnitude, negative = output.stored, abs(value), value < 0
    ulp = power_of_two(max(floor_log2(magnitude), f.min_exponent) - output.fraction_bits)
    steps = magnitude / ulp
    whole = steps.numerator // steps.denominator
    if output.rounding == "rne":
        rest = steps - whole
        if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1):
            whole += 1
    if whole == 0:
        return 0
    rounded = whole * ulp
    if rounded >= power_of_two(f.max_exponent + 1):
        return infinity_bits(output, negative)
    return encode_exact(f, rounded, negative)


# --- Alignment, truncation, exact sum (spec 2) -------------------------------------------------------------------


def truncate(value, quantum):
    """`value` truncated toward zero to a multiple of `quantum`; returns the multiple."""
    n = value.numerator * quantum.denominator
    d = value.denominator * quantum.numerator
    return n // d if n >= 0 else -(-n // d)


def aligned_sum(terms, exponents, fraction_bits, emax_floor, trace):
    """Sum of the terms, each truncated to a multiple of 2^(Emax-F), with Emax = max(exponents, emax_floor).

    `exponents` are those of the participating terms; none at all means that every term is zero.
    """
    if emax_floor is not None:
        exponents = [*exponents, emax_floor]
    if not exponents:
        return Fraction(0)
    emax = max(exponents)
    quantum = power_of_two(emax - fraction_bits)
    kept = [truncate(value, quantum) for value, _ in terms]
    total = sum(kept) * quantum
    if trace is not None:
        trace.append(Trace(emax, quantum, [(v, e, k * quantum) for (v, e), k in zip(terms, kept)], total))
    return total


class Trace(NamedTuple):
    """What one sum did: terms are (exact value, exponent, value kept)."""

    emax: int
    quantum: Fraction
    terms: list
    total: Fraction


# --- TFDA: the truncated fused dot-add (spec 2) ------------------------------------------------------------------


class Rules(NamedTuple):
    """One accumulator: fraction bits F, products per sum, output, and the lower clamp of Emax (spec 2.1, 3)."""

    fraction_bits: int
    products_per_sum: int
    output: Output
    emax_floor: int | None


ZERO_OPERAND_EXPONENT = -126  # spec 2.1, Z0: what a zero operand, and a zero c, count with in MMA-Sim


def special_result(a, b, c, output):
    """spec 2: NaN, Inf*0 and Inf-Inf give NaN; one sign of infinity gives that infinity; None if all is finite."""
    infinities = set()
    if c.kind == NAN:
        return output.nan
    if c.kind == INFINITE:
        infinities.add(c.negative)
    for x, y in zip(a, b):
        if x.kind is FINITE and y.kind is FINITE:
            continue
        if NAN in (x.kind, y.kind):
            return output.nan
        if any(z.kind == FINITE and z.value == 0 for z in (x, y)):
            return output.nan
        infinities.add(x.negative != y.negative)
    if len(infinities) == 2:
        return output.nan
    return infinity_bits(output, infinities.pop()) if infinities else None


def counted_exponent(x):
    """spec 2.1, Z0: the exponent that MMA-Sim gives an operand."""
    return x.exponent if x.value else ZERO_OPERAND_EXPONENT


def fused_dot_add(a, b, c, rules, zero_rule, scale_exponent=0, trace=None):
    """TFDA(a, b, c): all products and c in one alignment. `scale_exponent` is added to every product's (spec 4.1)."""
    special = special_result(a, b, c, rules.output)
    if special is not None:
        return special
    scale = power_of_two(scale_exponent)
    terms, exponents = [], []
    for x, y in zip(a, b):
        value = x.value * y.value * scale if scale_exponent else x.value * y.value
        if zero_rule == MMA_SIM:
            exponent = counted_exponent(x) + counted_exponent(y) + scale_exponent
            exponents.append(exponent)
        else:
            exponent = x.exponent + y.exponent + scale_exponent
            if value:
                exponents.append(exponent)  # spec 2.1, Z2: a zero product takes no part
        terms.append((value, exponent))
    if zero_rule == MMA_SIM:
        exponents.append(counted_exponent(c))
    elif c.value:
        exponents.append(c.exponent)
    terms.append((c.value, c.exponent))
    emax_floor = rules.emax_floor if zero_rule == HARDWARE else None
    return round_out(aligned_sum(terms, exponents, rules.fraction_bits, emax_floor, trace), rules.output)


def chained_dot_add(a, b, c, rules, zero_rule, scale_exponent=0, trace=None):
    """spec 3, "split": sums of `products_per_sum` products, k ascending, chained through the rounded result."""
    step = rules.products_per_sum
    bits = None
    for k in range(0, len(a), step):
        bits = fused_dot_add(a[k : k + step], b[k : k + step], c, rules, zero_rule, scale_exponent, trace)
        c = decode(rules.output.stored.name, bits)
    return bits


# --- The two-HMMA lowering of mma.sync fp8 (spec 3.1) ------------------------------------------------------------


@lru_cache(maxsize=None)
def decode_as_f16(format_name, code):
    """An fp8 code unpacked to f16: the same value, with the exponent that f16 gives it."""
    x = decode(format_name, code)
    if x.kind != FINITE or x.value == 0:
        return x
    return x._replace(exponent=max(floor_log2(abs(x.value)), F16.min_exponent))


def ieee_add(x, y, output):
    """FADD / HADD2, round to nearest even. A zero sum is +0 here: y is a tensor-core result, which is never -0."""
    if NAN in (x.kind, y.kind):
        return output.nan
    if INFINITE in (x.kind, y.kind):
        signs = {z.negative for z in (x, y) if z.kind == INFINITE}
        return output.nan if len(signs) == 2 else infinity_bits(output, signs.pop())
    return round_out(x.value + y.value, output._replace(rounding="rne"))


def fp8_lowering(a, b, c, rules, zero_rule, trace=None):
    """spec 3.1: the low byte pairs of every register, then the high ones, both from c = 0; c is added last, RNE.

    a and b come from decode_as_f16.
    """
    stored = rules.output.stored.name
    t = decode(stored, 0)
    for pair in (0, 1):
        half = [k for k in range(len(a)) if (k >> 1) & 1 == pair]
        bits = fused_dot_add([a[k] for k in half], [b[k] for k in half], t, rules, zero_rule, 0, trace)
        t = decode(stored, bits)
    return ieee_add(c, t, rules.output)


# --- Block-scaled kinds (spec 4) ---------------------------------------------------------------------------------

UE8M0_NAN = 0xFF


def mxf8f6f4(a, b, c, a_scales, b_scales, rules, zero_rule, trace=None):
    """spec 4.1: the UE8M0 exponents are added to every product's exponent; c is not scaled."""
    if UE8M0_NAN in (a_scales[0], b_scales[0]):
        return rules.output.nan
    scale_exponent = (a_scales[0] - 127) + (b_scales[0] - 127)
    return chained_dot_add(a, b, c, rules, zero_rule, scale_exponent, trace)


@lru_cache(maxsize=None)
def decode_scale(scale_format, code):
    """spec 1 and 4.2: UE8M0 = 2^(x-127); UE4M3 ignores bit 7, and its zero has exponent -126."""
    if scale_format == "ue8m0":
        if code == UE8M0_NAN:
            return Number(NAN, False, Fraction(0), 0)
        return Number(FINITE, False, power_of_two(code - 127), code - 127)
    x = decode("e4m3", code & 0x7F)
    return x if x.kind == NAN or x.value else x._replace(exponent=ZERO_OPERAND_EXPONENT)


FP4_GROUP = 16  # spec 4.2: always groups of 16 products, for block 32 too
FP4_FRACTION_BITS = 35


def mxf4(a, b, c, a_scales, b_scales, scale_format, output, trace=None):
    """spec 4.2: each group of 16 is exact, aligned by the exponents of its two scales alone, even when it is zero."""
    sa = [decode_scale(scale_format, s) for s in a_scales]
    sb = [decode_scale(scale_format, s) for s in b_scales]
    if c.kind == NAN or any(s.kind == NAN for s in (*sa, *sb)):
        return output.nan
    if c.kind == INFINITE:
        return infinity_bits(output, c.negative)
    block = len(a) // len(sa)
    terms = []
    for k in range(0, len(a), FP4_GROUP):
        x, y = sa[k // block], sb[k // block]
        group = sum(p.value * q.value for p, q in zip(a[k : k + FP4_GROUP], b[k : k + FP4_GROUP]))
        terms.append((group * x.value * y.value, x.exponent + y.exponent))
    terms.append((c.value, counted_exponent(c)))
    exponents = [exponent for _, exponent in terms]
    return round_out(aligned_sum(terms, exponents, FP4_FRACTION_BITS, None, trace), output)
