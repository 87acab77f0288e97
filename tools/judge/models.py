"""The named models: which clause of judge.py, with which numbers, each row citing the specification (spec 3, 4)."""

from typing import NamedTuple

from judge import (
    FORMATS,
    JudgeError,
    Rules,
    chained_dot_add,
    decode,
    decode_as_f16,
    fp8_lowering,
    make_output,
    mxf4,
    mxf8f6f4,
)

FP8 = ("e4m3", "e5m2")
FP8_FP6_FP4 = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")


class Model(NamedTuple):
    """A model. `clause` is dot | fp8_lowering | mxf8f6f4 | mxf4; `depths` are the K one instruction may have."""

    name: str
    clause: str
    formats: tuple
    mixed: bool
    depths: tuple
    rules: Rules
    scale_format: str | None = None
    block: int | None = None

    @property
    def accumulator(self):
        """Name of the format of c and d."""
        return self.rules.output.stored.name

    def check(self, a_format, b_format, k):
        for side, name in (("a_format", a_format), ("b_format", b_format)):
            if name not in self.formats:
                raise JudgeError(f"{self.name}: {side} is {name!r}, expected one of {', '.join(self.formats)}")
        if a_format != b_format and not self.mixed:
            raise JudgeError(f"{self.name}: a_format {a_format} and b_format {b_format} differ")
        if self.depths and k not in self.depths:
            raise JudgeError(f"{self.name}: k is {k}, expected one of {', '.join(map(str, self.depths))}")

    def output(self, a, b, c, a_scales, b_scales, zero_rule, trace=None):
        """Bits of one output element from decoded rows a, b (k Numbers each), c, and the scale bytes of the rows."""
        if self.clause == "dot":
            return chained_dot_add(a, b, c, self.rules, zero_rule, 0, trace)
        if self.clause == "fp8_lowering":
            return fp8_lowering(a, b, c, self.rules, zero_rule, trace)
        if self.clause == "mxf8f6f4":
            return mxf8f6f4(a, b, c, a_scales, b_scales, self.rules, zero_rule, trace)
        return mxf4(a, b, c, a_scales, b_scales, self.scale_format, self.rules.output, trace)

    def decode_row(self, format_name, codes):
        unpack = decode_as_f16 if self.clause == "fp8_lowering" else decode
        return [unpack(format_name, code) for code in codes]

    def decode_c(self, bits):
        return decode(self.accumulator, bits)


def rules(fraction_bits, products_per_sum, output, rounding, emax_floor):
    return Rules(fraction_bits, products_per_sum, make_output(output, rounding), emax_floor)


def named_models():
    rows = []

    def row(name, clause, formats, mixed, depths, *accumulator, **scales):
        rows.append(Model(name, clause, formats, mixed, depths, rules(*accumulator), **scales))

    # spec 3; the Emax floors are those of spec 2.1, rule Z2.
    for arch in ("hopper", "blackwell"):
        row(f"{arch}.f16.f32", "dot", ("f16",), False, (8, 16), 25, 16, "f32", "rz", -133)
        row(f"{arch}.f16.f16", "dot", ("f16",), False, (8, 16), 25, 16, "f16", "rne", -21)
        row(f"{arch}.bf16.f32", "dot", ("bf16",), False, (8, 16), 25, 16, "f32", "rz", -133)
        row(f"{arch}.tf32.f32", "dot", ("tf32",), False, (4, 8), 25, 8, "f32", "rz", -133)
        # spec 3.1: two HMMA of 16 products each.
        row(f"{arch}.mma_sync.fp8.f32", "fp8_lowering", FP8, True, (16, 32), 25, 16, "f32", "rz", -133)
        row(f"{arch}.mma_sync.fp8.f16", "fp8_lowering", FP8, True, (16, 32), 25, 16, "f16", "rne", -21)
    for arch in ("ampere", "ada"):
        row(f"{arch}.f16.f32", "dot", ("f16",), False, (8, 16), 24, 8, "f32", "rz", -132)
        row(f"{arch}.f16.f16", "dot", ("f16",), False, (8, 16), 24, 8, "f16", "rne", -20)
        row(f"{arch}.bf16.f32", "dot", ("bf16",), False, (8, 16), 24, 8, "f32", "rz", -132)
        row(f"{arch}.tf32.f32", "dot", ("tf32",), False, (4, 8), 24, 4, "f32", "rz", -132)
    # fp8 products never fall below 2^-32, so no published clamp of Emax can be reached: none is given.
    row("ada.fp8.f32", "dot", FP8, True, (16, 32), 13, 16, "e8m13", "rz", None)
    row("ada.fp8.f16", "dot", FP8, True, (16, 32), 13, 16, "f16", "rne", None)
    row("hopper.wgmma.fp8.f32", "dot", FP8, True, (32,), 13, 32, "e8m13", "rz", None)
    row("hopper.wgmma.fp8.f16", "dot", FP8, True, (32,), 13, 32, "f16", "rne", None)
    row("blackwell.f8f6f4.f32", "dot", FP8_FP6_FP4, True, (16, 32), 25, 32, "f32", "rz", None)
    row("blackwell.f8f6f4.f16", "dot", FP8_FP6_FP4, True, (16, 32), 25, 32, "f16", "rne", None)
    # spec 4.1
    row("blackwell.mxf8f6f4.ue8m0.block32", "mxf8f6f4", FP8_FP6_FP4, True, (32,), 25, 32, "f32", "rz", -133,
        scale_format="ue8m0", block=32)  # fmt: skip
    # spec 4.2
    for kind, scale_format, block in (("mxf4", "ue8m0", 32), ("mxf4nvf4", "ue8m0", 16), ("mxf4nvf4", "ue4m3", 16)):
        row(f"blackwell.{kind}.{scale_format}.block{block}", "mxf4", ("e2m1",), True, (64,), 35, 64, "f32", "rz",
            None, scale_format=scale_format, block=block)  # fmt: skip
    return {model.name: model for model in rows}


MODELS = named_models()
ALIASES = {"ada.mma_sync.fp8.f32": "ada.fp8.f32", "ada.mma_sync.fp8.f16": "ada.fp8.f16"}

CUSTOM_SYNTAX = "custom:fraction_bits=F,products=P,output=f32|f16|e8m13,rounding=rz|rne[,emax_floor=E]"


def integer_in(text, low, high, what):
    try:
        value = int(text)
    except ValueError:
        raise JudgeError(f"{what}: {text!r} is not an integer") from None
    if not low <= value <= high:
        raise JudgeError(f"{what}: {value} is outside {low}..{high}")
    return value


def custom_model(name):
    """An accumulator of the user's own. Without emax_floor nothing bounds Emax from below."""
    fields = {}
    for part in name.removeprefix("custom:").split(","):
        key, _, value = part.partition("=")
        if key in fields:
            raise JudgeError(f"{name}: {key} is given twice")
        fields[key] = value
    missing = {"fraction_bits", "products", "output", "rounding"} - fields.keys()
    unknown = fields.keys() - {"fraction_bits", "products", "output", "rounding", "emax_floor"}
    if missing or unknown or fields["output"] not in ("f32", "f16", "e8m13") or fields["rounding"] not in ("rz", "rne"):
        raise JudgeError(f"{name}: expected {CUSTOM_SYNTAX}")
    floor = fields.get("emax_floor")
    accumulator = rules(
        integer_in(fields["fraction_bits"], 0, 400, "fraction_bits"),
        integer_in(fields["products"], 1, 4096, "products"),
        fields["output"],
        fields["rounding"],
        None if floor is None else integer_in(floor, -1000, 1000, "emax_floor"),
    )
    return Model(name, "dot", tuple(f for f in FORMATS if f != "f32"), True, (), accumulator)


def find_model(name):
    if name.startswith("custom:"):
        return custom_model(name)
    model = MODELS.get(ALIASES.get(name, name))
    if model is None:
        raise JudgeError(f"unknown model {name!r}; known: {', '.join(MODELS)}, or {CUSTOM_SYNTAX}")
    return model
