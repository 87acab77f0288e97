"""Command line of the judge: `python3 tools/judge check|random|explain|convert|models ...`.

Exit status 0 = done and true, 1 = checked and false, 2 = bad use or bad input.
"""

import argparse
import os
import struct
import sys
import time

from convert import CONVERSIONS, convert_stochastic
from generate import MODES, operands
from judge import FORMATS, HARDWARE, ZERO_RULES, JudgeError, decode
from models import CUSTOM_SYNTAX, MODELS, find_model
from vectors import BYTE, PACKED, Tile, VectorFile, tile_outputs, write_vectors


def hexadecimal(bits, width):
    return f"{bits:0{width // 4}x}"


def check(arguments):
    failed = False
    for path in arguments.files:
        file = VectorFile(path)
        tiles = file.tiles if arguments.tiles is None else min(file.tiles, arguments.tiles)
        outputs = mismatches = 0
        first = None
        start = time.perf_counter()
        for index in range(tiles):
            tile = file.tile(index)
            judged = tile_outputs(file.model, file.a_format, file.b_format, tile, arguments.zero_rule)
            for i, (expected_row, judged_row) in enumerate(zip(tile.d, judged)):
                for j, (expected, got) in enumerate(zip(expected_row, judged_row)):
                    outputs += 1
                    if expected != got:
                        mismatches += 1
                        first = first or (index, i, j)
        rate = outputs / max(time.perf_counter() - start, 1e-9)
        some = "" if tiles == file.tiles else f" (first {tiles} of {file.tiles} tiles)"
        print(f"{path}: {file.model.name} {outputs} outputs{some}, {mismatches} mismatches, {rate:.0f} outputs/s")
        if first:
            failed = True
            print("first mismatch:")
            explain_output(file, *first, arguments.zero_rule)
        sys.stdout.flush()
    return 1 if failed else 0


def rational(value):
    """A dyadic rational as odd * 2^e."""
    if value == 0:
        return "0"
    n, e = value.numerator, 1 - value.denominator.bit_length()
    while n % 2 == 0:
        n, e = n // 2, e + 1
    return f"{n}*2^{e}"


def explain_output(file, index, i, j, zero_rule):
    tile, model = file.tile(index), file.model
    c, d = tile.c[i][j], tile.d[i][j]
    a_scales = tile.a_scales[i] if tile.a_scales else ()
    b_scales = tile.b_scales[j] if tile.b_scales else ()
    trace = []
    a = model.decode_row(file.a_format, tile.a[i])
    b = model.decode_row(file.b_format, tile.b[j])
    judged = model.output(a, b, model.decode_c(c), a_scales, b_scales, zero_rule, trace)
    width = FORMATS[model.accumulator].bits
    print(f"  {model.name}, zero rule {zero_rule}, tile {index} row {i} column {j}")
    for name, element, codes in (("a", file.a_format, tile.a[i]), ("b", file.b_format, tile.b[j])):
        print(f"  {name} {element}: " + " ".join(hexadecimal(x, 4 * -(-FORMATS[element].bits // 4)) for x in codes))
    if a_scales:
        print(f"  scales {model.scale_format}: a {bytes(a_scales).hex()} b {bytes(b_scales).hex()}")
    print(f"  c {hexadecimal(c, width)} = {rational(decode(model.accumulator, c).value)}")
    for number, step in enumerate(trace):
        print(f"  sum {number}: Emax {step.emax}, quantum {rational(step.quantum)}")
        for position, (value, exponent, kept) in enumerate(step.terms):
            name = "c" if position == len(step.terms) - 1 else f"term {position}"
            if value:
                print(f"    {name:8} exponent {exponent:5}  {rational(value)}  kept {rational(kept)}")
        print(f"    total {rational(step.total)}")
    if not trace:
        print("  no sum: a special value decides, or every term is zero")
    print(f"  judge {hexadecimal(judged, width)}, file {hexadecimal(d, width)}")
    return judged == d


def explain(arguments):
    file = VectorFile(arguments.file)
    try:
        index, i, j = map(int, arguments.at.split(","))
    except ValueError:
        raise JudgeError(f"--at {arguments.at!r}: expected tile,row,column") from None
    if not (0 <= index < file.tiles and 0 <= i < file.m and 0 <= j < file.n):
        raise JudgeError(f"--at {arguments.at}: the file has {file.tiles} tiles of {file.m} x {file.n}")
    return 0 if explain_output(file, index, i, j, arguments.zero_rule) else 1


def positive(text):
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is outside 1..1000000")
    return value


def generate(arguments):
    """The `random` command."""
    model = find_model(arguments.model)
    a_format = arguments.a_format or ("f16" if "f16" in model.formats else model.formats[0])
    b_format = arguments.b_format or a_format
    k = arguments.k or (max(model.depths) if model.depths else 32)
    model.check(a_format, b_format, k)
    if "e2m1" in (a_format, b_format) and k % 2:
        raise JudgeError(f"k is {k}; e2m1 packs two elements a byte, so k is even")
    container = PACKED if model.clause == "mxf4" else arguments.fp4_container
    modes, tiles = [], []
    start = time.perf_counter()
    shape = (arguments.m, arguments.n, k)
    for mode, a, b, c, a_scales, b_scales in operands(
        model, a_format, b_format, *shape, arguments.tiles, arguments.seed, arguments.mode
    ):
        tile = Tile(a, b, c, [], a_scales, b_scales)
        modes.append(mode)
        tiles.append(tile._replace(d=tile_outputs(model, a_format, b_format, tile, arguments.zero_rule)))
    seconds = time.perf_counter() - start
    source = f"fourge tools/judge, exact rational arithmetic, mode {arguments.mode}, seed {arguments.seed}"
    note = "mode: " + ", ".join(f"{i} {name}" for i, name in enumerate(MODES))
    out, zero_rule = arguments.out, arguments.zero_rule
    write_vectors(out, model, a_format, b_format, k, tiles, source, zero_rule, modes, note, container)
    outputs = arguments.tiles * arguments.m * arguments.n
    print(f"{out}: {model.name} {a_format} x {b_format}, {outputs} outputs, {outputs / seconds:.0f} outputs/s")
    return 0


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise JudgeError(f"{path}: {error.strerror}") from None


def convert_file(function, name, inputs_path, expected_path):
    blob, expected = read_bytes(inputs_path), read_bytes(expected_path)
    if len(blob) != 4 * len(expected):
        raise JudgeError(f"{inputs_path}: {len(blob)} bytes, expected four a byte of {expected_path} ({len(expected)})")
    inputs = struct.unpack(f"<{len(expected)}I", blob)
    wrong = [(x, function(x), y) for x, y in zip(inputs, expected) if function(x) != y]
    print(f"{name}: {len(inputs)} inputs, {len(wrong)} mismatches")
    for x, got, want in wrong[:4]:
        print(f"  f32 {x:08x}: judge {got:02x}, file {want:02x}")
    return not wrong


def convert(arguments):
    if arguments.golden:
        inputs = os.path.join(arguments.golden, "sample_inputs.u32.bin")
        files = {name: os.path.join(arguments.golden, f"sample_{name}.u8.bin") for name in CONVERSIONS}
        present = {name: path for name, path in files.items() if os.path.exists(path)}
        if not present:
            raise JudgeError(f"{arguments.golden}: no sample_<conversion>.u8.bin")
        results = [convert_file(CONVERSIONS[name], name, inputs, path) for name, path in present.items()]
        return 0 if all(results) else 1
    if arguments.fn not in CONVERSIONS and arguments.rbits is None:
        raise JudgeError(f"--fn {arguments.fn!r}: expected one of {', '.join(CONVERSIONS)}")
    if arguments.inputs or arguments.expect:
        if not (arguments.inputs and arguments.expect and arguments.fn in CONVERSIONS):
            raise JudgeError("--inputs and --expect go together, with a deterministic --fn")
        return 0 if convert_file(CONVERSIONS[arguments.fn], arguments.fn, arguments.inputs, arguments.expect) else 1
    for text in arguments.hex:
        try:
            bits = int(text, 16)
        except ValueError:
            raise JudgeError(f"{text!r} is not hexadecimal") from None
        if not 0 <= bits < 1 << 32:
            raise JudgeError(f"{text!r} is not 32 bits")
        if arguments.rbits is None:
            code = CONVERSIONS[arguments.fn](bits)
        else:
            code = convert_stochastic(bits, arguments.fn, arguments.rbits, arguments.random_bits)
        print(f"{bits:08x} -> {code:02x}")
    return 0


def models(arguments):
    for model in MODELS.values():
        r = model.rules
        print(
            f"{model.name:36} F={r.fraction_bits} products={r.products_per_sum} "
            f"kept={r.output.fraction_bits} {r.output.rounding} Emax>={r.emax_floor} "
            f"k={','.join(map(str, model.depths))} {'/'.join(model.formats)}"
        )
    print(CUSTOM_SYNTAX)
    return 0


def parser():
    top = argparse.ArgumentParser(prog="judge", description="Tensor-core arithmetic in exact rationals.")
    commands = top.add_subparsers(dest="command", required=True)
    zero_rule = argparse.ArgumentParser(add_help=False)
    zero_rule.add_argument("--zero-rule", choices=ZERO_RULES, default=HARDWARE)

    one = commands.add_parser("check", parents=[zero_rule], help="compare vector files with the judge")
    one.add_argument("files", nargs="+", metavar="FILE")
    one.add_argument("--tiles", type=positive, help="only the first N tiles of each file")
    one.set_defaults(run=check)

    one = commands.add_parser("explain", parents=[zero_rule], help="every term of one output")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--at", required=True, metavar="TILE,ROW,COLUMN")
    one.set_defaults(run=explain)

    one = commands.add_parser("random", parents=[zero_rule], help="write seeded operands and the judge's outputs")
    one.add_argument("--model", required=True)
    one.add_argument("--out", required=True, metavar="F.safetensors")
    one.add_argument("--mode", choices=(*MODES, "all"), default="all")
    one.add_argument("--seed", type=int, default=1)
    for name, default in (("--tiles", 32), ("--m", 16), ("--n", 8), ("--k", None)):
        one.add_argument(name, type=positive, default=default)
    one.add_argument("--a-format")
    one.add_argument("--b-format")
    one.add_argument("--fp4-container", choices=(PACKED, BYTE), default=PACKED,
                     help="e2m1 of f8f6f4: two a byte, or one a byte in bits 5:2")  # fmt: skip
    one.set_defaults(run=generate)

    one = commands.add_parser("convert", help="f32 bits to a narrow format")
    one.add_argument("hex", nargs="*", metavar="HEX")
    one.add_argument("--fn", default="", help="a conversion, or with --rbits a format: " + " ".join(CONVERSIONS))
    one.add_argument("--inputs", help="file of u32 f32 bits")
    one.add_argument("--expect", help="file of one result byte an input")
    one.add_argument("--golden", metavar="DIR", help="check every sample_<conversion>.u8.bin of a folder")
    one.add_argument("--rbits", type=lambda text: int(text, 0), help="round stochastically with these random bits")
    one.add_argument("--random-bits", type=int, default=8, help="how many bits rbits has (default 8)")
    one.set_defaults(run=convert)

    one = commands.add_parser("models", help="list the models and their numbers")
    one.set_defaults(run=models)
    return top


def main(arguments=None):
    arguments = parser().parse_args(arguments)
    try:
        return arguments.run(arguments)
    except JudgeError as error:
        print(f"judge: {error}", file=sys.stderr)
        return 2
