"""Seeded operands for differential tests. Every mode aims at one way of being wrong.

random     uniform random bits; odd tiles redraw infinities and NaNs and put c near the products
edge       zeros, smallest and largest subnormal and normal, one, infinities and NaNs (one tile in four), scale limits
cancel     pairs of opposite products, and c close to minus the exact dot product
zeros      mostly zeros of both signs (whole groups, scales, c) beside large values
subnormal  operands, c and scales at the bottom of their range
bands      exponents within 1..20 binades, c up to 30 binades away from the largest product
"""

import random

from judge import FINITE, FORMATS, UE8M0_NAN, Output, decode, decode_scale, floor_log2, round_out

MODES = ("random", "edge", "cancel", "zeros", "subnormal", "bands")
UE4M3_NAN = 0x7F


def clamp(x, low, high):
    return max(low, min(high, x))


class TileGenerator:
    """Draws the operands of one tile. All randomness comes from `rng`."""

    def __init__(self, rng, model, a_format, b_format, k, mode, specials):
        self.rng, self.model, self.k, self.mode, self.specials = rng, model, k, mode, specials
        self.formats = {"a": FORMATS[a_format], "b": FORMATS[b_format]}
        self.bands = {side: self.band(f) for side, f in self.formats.items()}
        self.scale_centre = rng.randrange(20, 235)

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def band(self, f):
        """An inclusive range of exponent fields, without the one that holds infinities."""
        top = f.max_exponent + f.bias
        width = self.rng.randint(1, 4 if self.mode == "cancel" else 20)
        low = self.rng.randint(0, max(0, top - width + 1))
        return low, min(top, low + width - 1)

    def compose(self, f, biased_exponent, fraction=None, negative=None):
        fraction = self.rng.getrandbits(f.fraction_bits) if fraction is None else fraction
        negative = self.rng.getrandbits(1) if negative is None else negative
        return negative << (f.bits - 1) | biased_exponent << f.fraction_bits | fraction

    def uniform(self, f, finite):
        while True:
            code = self.rng.getrandbits(f.bits)
            if not finite or decode(f.name, code).kind == FINITE:
                return code

    def edge(self, f):
        """One of the ends of the format's ranges, with either sign."""
        top, full = f.max_exponent + f.bias, (1 << f.fraction_bits) - 1
        largest = (top << f.fraction_bits | full) - (f.top == "nan")
        codes = [0, 1, full, 1 << f.fraction_bits, f.bias << f.fraction_bits, f.bias << f.fraction_bits | 1, largest]
        if self.specials and f.top == "ieee" and self.chance(8):
            codes = [f.infinity, f.infinity, f.infinity | 1, f.all_ones]
        elif self.specials and f.top == "nan" and self.chance(3):
            codes = [f.all_ones]
        return self.rng.choice(codes) | self.rng.getrandbits(1) << (f.bits - 1)

    def element(self, side):
        f = self.formats[side]
        if self.mode == "random":
            return self.uniform(f, not self.specials)
        if self.mode == "edge":
            return self.edge(f)
        if self.mode == "zeros" and self.chance(65):
            return self.compose(f, 0, 0)
        if self.mode == "zeros":
            return self.uniform(f, True)
        if self.mode == "subnormal":
            code = self.compose(f, 0 if self.chance(75) else self.rng.randint(0, min(3, f.max_exponent + f.bias)))
        else:
            code = self.compose(f, self.rng.randint(*self.bands[side]))
        return code if decode(f.name, code).kind == FINITE else self.uniform(f, True)

    def row(self, side):
        codes = [self.element(side) for _ in range(self.k)]
        f = self.formats[side]
        if self.mode == "cancel":
            sign = (1 << (f.bits - 1)) if side == "b" else 0
            for i in range(0, self.k - 1, 2):
                codes[i + 1] = codes[i] ^ sign
                neighbour = codes[i + 1] ^ 1
                if self.chance(15) and decode(f.name, neighbour).kind == FINITE:
                    codes[i + 1] = neighbour
        if self.mode == "zeros" and self.model.clause == "mxf4":
            for g in range(0, self.k, 16):
                if self.chance(40):
                    codes[g : g + 16] = [self.compose(f, 0, 0) for _ in range(16)]
        return codes

    def ue8m0(self):
        if self.mode == "random" and self.specials:
            return self.rng.getrandbits(8)
        if self.mode == "edge":
            if self.specials and self.chance(3):
                return UE8M0_NAN
            return self.rng.choice((0, 1, 2, 0x3F, 0x7E, 0x7F, 0x80, 0xBF, 0xFD, 0xFE))
        if self.mode == "subnormal":
            return self.rng.randint(0, 130) if self.chance(20) else self.rng.randint(0, 70)
        spread = {"cancel": 2, "zeros": 40}.get(self.mode, 12)
        return clamp(self.scale_centre + self.rng.randint(-spread, spread), 0, 254)

    def ue4m3(self):
        if self.mode == "random" and self.specials:
            return self.rng.getrandbits(8)
        if self.mode == "edge":
            if self.specials and self.chance(3):
                return UE4M3_NAN | self.rng.getrandbits(1) << 7
            return self.rng.choice((0, 1, 7, 8, 0x38, 0x39, 0x7E, 0x77, 0x80, 0xB8, 0xFE))
        if self.mode == "subnormal":
            return self.rng.randint(0, 15)
        if self.mode == "zeros" and self.chance(30):
            return self.rng.choice((0, 0x80))
        if self.mode == "cancel":
            return 0x38 + self.rng.randint(-2, 2)
        return self.rng.randint(0, 0x7E)

    def scales(self, rows):
        if not self.model.block:
            return []
        draw = self.ue8m0 if self.model.scale_format == "ue8m0" else self.ue4m3
        return [tuple(draw() for _ in range(self.k // self.model.block)) for _ in range(rows)]

    def products(self, a, b, a_scales, b_scales):
        """Exact scaled products of two rows of codes; infinities and NaNs count as zero."""
        values = []
        for i, (x, y) in enumerate(zip(a, b)):
            value = decode(self.formats["a"].name, x).value * decode(self.formats["b"].name, y).value
            if self.model.block:
                for scales in (a_scales, b_scales):
                    value *= decode_scale(self.model.scale_format, scales[i // self.model.block]).value
            values.append(value)
        return values

    def accumulator(self, a, b, a_scales, b_scales):
        """c of one output element."""
        f = FORMATS[self.model.accumulator]
        if self.mode == "edge":
            return self.edge(f)
        if self.mode == "random" and self.specials:
            return self.uniform(f, False)
        if self.mode == "zeros" and self.chance(50):
            return self.compose(f, 0, 0)
        if self.mode == "subnormal" and self.chance(75):
            return self.compose(f, 0, 0 if self.chance(33) else None)
        products = self.products(a, b, a_scales, b_scales)
        if self.mode == "cancel" and self.chance(80):
            code = round_out(-sum(products), Output(f, f.fraction_bits, "rz"))
            magnitude = clamp((code & f.all_ones) + self.rng.choice((-2, -1, 0, 0, 1, 2)), 0, f.infinity - 1)
            return magnitude | code & ~f.all_ones
        largest = max(map(abs, products))
        centre = floor_log2(largest) if largest else 0
        reach = 4 if self.mode == "cancel" else 30
        exponent = clamp(centre + self.rng.randint(-reach, reach) + f.bias, 0, f.max_exponent + f.bias)
        return self.compose(f, exponent)


def operands(model, a_format, b_format, m, n, k, tiles, seed, mode):
    """Yield (mode index, a, b, c, a_scales, b_scales) a tile; mode "all" takes the modes in turn."""
    rng = random.Random(seed)
    for index in range(tiles):
        chosen = MODES[index % len(MODES)] if mode == "all" else mode
        turn = index // len(MODES) if mode == "all" else index
        specials = turn % (4 if chosen == "edge" else 2) == 0 and chosen in ("random", "edge")
        tile = TileGenerator(rng, model, a_format, b_format, k, chosen, specials)
        a = [tile.row("a") for _ in range(m)]
        b = [tile.row("b") for _ in range(n)]
        a_scales, b_scales = tile.scales(m), tile.scales(n)
        c = [
            tuple(
                tile.accumulator(a[i], b[j], a_scales[i] if a_scales else (), b_scales[j] if b_scales else ())
                for j in range(n)
            )
            for i in range(m)
        ]
        yield MODES.index(chosen), a, b, c, a_scales, b_scales
