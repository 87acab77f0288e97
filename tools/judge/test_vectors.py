"""Self-test of the files, the generator and the command line: `python3 -m unittest` in this folder."""

import glob
import io
import json
import os
import random
import struct
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

from generate import operands
from judge import FINITE, FORMATS, HARDWARE, MMA_SIM, NAN, JudgeError, decode
from judge_cli import main
from models import MODELS, find_model
from vectors import BYTE, PACKED, Tile, VectorFile, pack_row, tile_outputs, unpack_row, write_vectors

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("FOURGE_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def run(*arguments):
    """(exit status, standard output, standard error) of the command line."""
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        status = main([str(x) for x in arguments])
    return status, out.getvalue(), error.getvalue()


class TemporaryFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name="v.safetensors"):
        return os.path.join(self.folder, name)

    def generate(self, model, *options, name="v.safetensors", tiles=6):
        status, _, error = run("random", "--model", model, "--tiles", tiles, "--m", 2, "--n", 3, "--out",
                               self.path(name), *options)  # fmt: skip
        self.assertEqual(status, 0, error)
        return self.path(name)


class Rows(unittest.TestCase):
    def test_typed_packing(self):
        self.assertEqual(pack_row("e2m1", [1, 2, 0xF, 0]), b"\x21\x0f")
        self.assertEqual(pack_row("e2m1", [1, 0xF], BYTE), b"\x04\x3c")
        self.assertEqual(unpack_row("e2m1", 4, b"\x21\x0f"), [1, 2, 0xF, 0])
        self.assertEqual(unpack_row("e2m1", 2, b"\x04\x3c"), [1, 0xF])
        self.assertEqual(unpack_row("e3m2", 2, b"\x3f\xc1"), [0x3F, 1])
        self.assertEqual(pack_row("bf16", [0x3F80]), b"\x80\x3f")

    def test_round_trip(self):
        rng = random.Random(4)
        for name, f in FORMATS.items():
            codes = [rng.getrandbits(f.bits) for _ in range(32)]
            for container in (PACKED, BYTE):
                self.assertEqual(unpack_row(name, 32, pack_row(name, codes, container)), codes)


class Files(TemporaryFolder):
    def test_every_model_round_trips(self):
        for name, model in MODELS.items():
            with self.subTest(name):
                path = self.generate(name, "--seed", 3)
                status, out, _ = run("check", path)
                self.assertEqual(status, 0)
                self.assertIn(f"{name} 36 outputs, 0 mismatches", out)
                self.assertEqual(VectorFile(path).model, model)

    def test_same_seed_same_file(self):
        paths = [self.generate("blackwell.mxf4.ue8m0.block32", "--seed", seed, name=f"{i}.safetensors")
                 for i, seed in enumerate((5, 5, 6))]  # fmt: skip
        first, same, other = (read(path) for path in paths)
        self.assertEqual(first, same)
        self.assertNotEqual(first, other)

    def test_a_flipped_bit_of_d_is_found(self):
        path = self.generate("hopper.f16.f32")
        blob = bytearray(read(path))
        (header,) = struct.unpack_from("<Q", blob)
        begin = json.loads(blob[8 : 8 + header])["d"]["data_offsets"][0]
        blob[8 + header + begin + 4 * 7] ^= 1
        write(path, blob)
        status, out, _ = run("check", path)
        self.assertEqual(status, 1)
        self.assertIn("36 outputs, 1 mismatches", out)
        self.assertIn("tile 1 row 0 column 1", out)
        self.assertEqual(run("check", path, "--tiles", 1)[0], 0)
        self.assertEqual(run("explain", path, "--at", "1,0,1")[0], 1)
        self.assertEqual(run("explain", path, "--at", "1,0,0")[0], 0)
        self.assertEqual(run("explain", path, "--at", "6,0,0")[0], 2)

    def test_wrong_shapes_and_metadata(self):
        model = find_model("hopper.f16.f32")
        tile = Tile([[0] * 16], [[0] * 16], [(0,)], [(0,)], [], [])

        def check_with(**changes):
            write_vectors(self.path(), model, "f16", "f16", 16, [tile], "test", HARDWARE, [0])
            blob = read(self.path())
            (length,) = struct.unpack_from("<Q", blob)
            header = json.loads(blob[8 : 8 + length])
            header["__metadata__"].update(changes)
            text = json.dumps(header).encode()
            write(self.path(), struct.pack("<Q", len(text)) + text + blob[8 + length :])
            return run("check", self.path())

        self.assertEqual(check_with()[0], 0)
        for changes, reason in (
            ({"model": "hopper.f17"}, "unknown model"),
            ({"k": "8"}, "expected U8 [1, 1, 16]"),
            ({"k": "17"}, "expected one of 8, 16"),
            ({"k": "-16"}, "expected 1..4096"),
            ({"k": "9" * 5000}, "expected 1..4096"),
            ({"m": "2"}, "expected U8 [1, 2, 32]"),
            ({"a_format": "e4m3"}, "a_format is 'e4m3'"),
            ({"model": "hopper.f16.f16"}, "tensor 'c' is U32"),
            ({"format": "other"}, "expected 'tensor-core-vectors-1'"),
            ({"model": "custom:products=4"}, "expected custom:"),
        ):
            with self.subTest(changes=changes):
                status, _, error = check_with(**changes)
                self.assertEqual(status, 2)
                self.assertIn(reason, error)

    def test_damaged_files_are_refused_or_read(self):
        """Any damage ends in a result or in a JudgeError, never in another exception."""
        path = self.generate("blackwell.mxf8f6f4.ue8m0.block32", tiles=1)
        blob = read(path)
        (length,) = struct.unpack_from("<Q", blob)
        rng, refused = random.Random(8), 0
        digits = b'0123456789[]{}",:-eU\\\xff'
        for attempt in range(1500):
            damaged = bytearray(blob)
            if attempt % 5 == 0:
                damaged = damaged[: rng.randrange(len(blob))]
            elif attempt % 5 == 1:
                damaged[rng.randrange(8)] = rng.getrandbits(8)
            else:
                for _ in range(rng.randint(1, 3)):
                    damaged[8 + rng.randrange(length)] = rng.choice(digits)
            write(path, damaged)
            try:
                file = VectorFile(path)
                tile_outputs(file.model, file.a_format, file.b_format, file.tile(0), HARDWARE)
            except JudgeError:
                refused += 1
        self.assertGreater(refused, 1000)

    def test_hostile_headers(self):
        def header(text, data=b""):
            write(self.path(), struct.pack("<Q", len(text)) + text + data)
            status, _, error = run("check", self.path())
            self.assertEqual(status, 2)
            return error

        tensor = '"dtype":"U8","shape":%s,"data_offsets":[%s]'
        self.assertIn("not JSON", header(b"[" * 200_000))
        self.assertIn("not JSON", header(b'{"a":' + b"9" * 5000 + b"}"))
        self.assertIn("repeated", header(b'{"a":1,"a":2}'))
        self.assertIn("not a JSON object", header(b"[]"))
        self.assertIn("hole or overlap", header(b'{"a":{' + (tensor % ("[2]", "1,3")).encode() + b"}}", b"abc"))
        self.assertIn("belong to no tensor", header(b'{"a":{' + (tensor % ("[2]", "0,2")).encode() + b"}}", b"abc"))
        self.assertIn("do not hold", header(b'{"a":{' + (tensor % ("[9]", "0,3")).encode() + b"}}", b"abc"))
        self.assertIn("not a list of sizes", header(b'{"a":{' + (tensor % ("[-1]", "0,3")).encode() + b"}}", b"abc"))
        self.assertEqual(run("check", self.path("absent"))[0], 2)

    def test_an_existing_file_survives_a_failure(self):
        path = self.path("keep/x.safetensors")
        self.assertEqual(run("random", "--model", "hopper.f16.f32", "--tiles", 1, "--out", path)[0], 2)
        path = self.generate("hopper.f16.f32")
        before = read(path)
        status, _, _ = run("random", "--model", "hopper.f16.f32", "--k", 7, "--out", path)
        self.assertEqual((status, read(path)), (2, before))
        self.assertEqual(os.listdir(self.folder), ["v.safetensors"])

    def test_custom_accumulators(self):
        for name in ("custom:fraction_bits=14,products=4,output=e8m13,rounding=rne",
                     "custom:fraction_bits=3,products=5,output=f16,rounding=rz,emax_floor=-10"):  # fmt: skip
            path = self.generate(name, "--a-format", "bf16", "--b-format", "e3m2", "--k", 20)
            self.assertEqual(run("check", path)[0], 0)

    def test_fp4_containers_hold_the_same_numbers(self):
        files = [VectorFile(self.generate("blackwell.f8f6f4.f32", "--a-format", "e2m1", "--b-format", "e2m3",
                                          "--fp4-container", c, name=c)) for c in (PACKED, BYTE)]  # fmt: skip
        self.assertEqual(files[0].tile(3), files[1].tile(3))
        self.assertEqual([f.tensors["a"].shape[-1] for f in files], [16, 32])


class Generator(unittest.TestCase):
    def tiles(self, model, mode, element, count=8):
        model = find_model(model)
        return list(operands(model, element, element, 8, 8, max(model.depths), count, 1, mode))

    def test_modes_reach_what_they_promise(self):
        def share(tiles, field, element, test):
            numbers = [decode(element, x) for tile in tiles for row in tile[field] for x in row]
            return sum(map(test, numbers)) / len(numbers)

        for element in ("f16", "bf16"):
            model, lowest = f"hopper.{element}.f32", FORMATS[element].min_exponent
            zeros = self.tiles(model, "zeros", element)
            self.assertGreater(share(zeros, 1, element, lambda x: x.kind == FINITE and not x.value), 0.5)
            self.assertGreater(share(zeros, 3, "f32", lambda x: not x.value), 0.3)
            small = self.tiles(model, "subnormal", element)
            self.assertGreater(share(small, 1, element, lambda x: x.exponent == lowest), 0.6)
            edge = self.tiles(model, "edge", element)
            self.assertGreater(share(edge, 1, element, lambda x: x.kind == NAN), 0)
            bands = self.tiles(model, "bands", element)
            self.assertEqual(share(bands, 1, element, lambda x: x.kind != FINITE), 0)

    def test_cancellation_leaves_small_results(self):
        """In most outputs |d| is far below the largest product."""
        model, small, outputs = find_model("blackwell.mxf4nvf4.ue4m3.block16"), 0, 0
        for _, a, b, c, sa, sb in self.tiles(model.name, "cancel", "e2m1"):
            tile = Tile(a, b, c, [], sa, sb)
            for row in tile_outputs(model, "e2m1", "e2m1", tile, HARDWARE):
                for bits in row:
                    outputs += 1
                    small += abs(decode("f32", bits).value) < 4
        self.assertGreater(small / outputs, 0.5)

    def test_the_zero_rules_are_told_apart(self):
        """Mode zeros contains outputs that differ between the two rules, so a wrong rule is caught."""
        model = find_model("hopper.bf16.f32")
        different = 0
        for _, a, b, c, sa, sb in self.tiles(model.name, "zeros", "bf16", 4):
            tile = Tile(a, b, c, [], sa, sb)
            different += tile_outputs(model, "bf16", "bf16", tile, HARDWARE) != tile_outputs(
                model, "bf16", "bf16", tile, MMA_SIM
            )
        self.assertGreater(different, 0)


class CommandLine(unittest.TestCase):
    def test_convert(self):
        self.assertEqual(run("convert", "--fn", "e2m1_rn", "40a00000")[:2], (0, "40a00000 -> 06\n"))
        self.assertEqual(run("convert", "--fn", "e2m1", "--rbits", "0x80", "c0200000")[1], "c0200000 -> 0d\n")
        for bad in (("--fn", "e9m9", "0"), ("--fn", "e2m1_rn", "xyz"), ("--fn", "e2m1_rn", "123456789"),
                    ("--fn", "e2m1", "--rbits", "256", "0"), ("--golden", "/nonexistent")):  # fmt: skip
            self.assertEqual(run("convert", *bad)[0], 2)

    def test_models_lists_every_model(self):
        self.assertTrue(all(name in run("models")[1] for name in MODELS))


@unittest.skipUnless(os.path.isdir(os.path.join(SHARED, "golden")), "no golden vectors: set FOURGE_SHARED")
class Golden(unittest.TestCase):
    """A few tiles of every golden file; `check` and `convert --golden` run them all."""

    def test_simulator_vectors(self):
        files = sorted(glob.glob(os.path.join(SHARED, "golden", "tc", "*.safetensors")))
        self.assertEqual(run("check", "--zero-rule", "mma-sim", "--tiles", 2, *files)[0], 0)

    def test_hardware_measurements(self):
        files = sorted(glob.glob(os.path.join(SHARED, "golden", "leeds", "*.safetensors")))
        self.assertEqual(run("check", "--tiles", 100, *files)[0], 0)


if __name__ == "__main__":
    unittest.main()
