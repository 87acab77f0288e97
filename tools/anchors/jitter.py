#!/usr/bin/env python3
"""How much of a row is chance: bits per byte of a folder whose embeddings' last bits are random.

    jitter.py --fourge build/release/fourge --text valid.bin --seeds 4 FOLDER -- --values fake_bf16
    jitter.py --fourge build/release/fourge --text valid.bin --seeds 4 \\
        --quantize "--recipe mr-gptq --format nvfp4 --calibration calib.bin" MODEL

FOLDER is copied to a temporary one; every bf16 embedding is multiplied by 1 + u / 256, u uniform from -1 to 1, and
rounded; with --quantize, `fourge quantize` makes a 4-bit folder of that copy, so that the codes are drawn again too. `fourge
eval` runs with the arguments after --. Prints each seed's bits per byte, then mean, standard deviation and the mean's standard
error. --jobs seeds at a time, --threads threads each. Needs nothing but Python 3.9.
"""
import argparse
import json
import math
import pathlib
import random
import shlex
import shutil
import statistics
import struct
import sys
import tempfile

import jobs

TENSOR = "model.embed_tokens.weight"


def to_bf16(value):
    bits, = struct.unpack("<I", struct.pack("<f", value))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def jitter(path, seed):
    """Whether the file holds the embeddings, which then are changed."""
    data = bytearray(path.read_bytes())
    length, = struct.unpack_from("<Q", data)
    tensor = json.loads(data[8 : 8 + length]).get(TENSOR)
    if tensor is None:
        return False
    if tensor["dtype"] != "BF16":
        sys.exit(f"jitter: {path}: {TENSOR} is {tensor['dtype']}: expected BF16")
    begin, end = (8 + length + offset for offset in tensor["data_offsets"])
    draw = random.Random(seed)
    for at in range(begin, end, 2):
        value, = struct.unpack("<f", b"\0\0" + data[at : at + 2])
        struct.pack_into("<H", data, at, to_bf16(value * (1 + draw.uniform(-1, 1) / 256)))
    path.write_bytes(data)
    return True


class Draws:
    def __init__(self, options):
        self.options = options
        self.commands = jobs.Commands(options.threads, None)

    def draw(self, seed):
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary) / "model"
            shutil.copytree(self.options.folder, folder)
            if not any([jitter(path, seed) for path in sorted(folder.glob("*.safetensors"))]):
                raise jobs.Failed(f"{self.options.folder}: no tensor {TENSOR}")
            if self.options.quantize is not None:
                codes = pathlib.Path(temporary) / "codes"
                self.commands.run([self.options.fourge.resolve(), "quantize", folder, "--out", codes, "--json",
                                   *shlex.split(self.options.quantize)])
                folder = codes
            measured, _ = self.commands.run(
                [self.options.fourge.resolve(), "eval", folder, "--text", self.options.text, "--json", "--max-bytes",
                 self.options.max_bytes, *self.options.rest])
        return measured["bits_per_byte"]


def summary(bits):
    deviation = statistics.stdev(bits)
    return (f"{len(bits)} draws: mean {statistics.mean(bits):.5f} +- {deviation / math.sqrt(len(bits)):.5f}, "
            f"standard deviation {deviation:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fourge", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--max-bytes", type=int, default=65536)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--quantize", help="arguments of fourge quantize: FOLDER is a float model")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--threads", type=int, default=2, help="threads of each")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("rest", nargs="*", help="arguments of fourge eval, after --")
    options = parser.parse_args()
    draws, bits, failures = Draws(options), {}, []

    def on_done(name, result):
        if isinstance(result, Exception):
            return failures.append(f"{name}: {result}")
        bits[name] = result
        print(f"{name}: {result:.5f}", flush=True)

    tasks = [(f"seed {seed}", lambda seed=seed: draws.draw(seed))
             for seed in range(options.first, options.first + options.seeds)]
    jobs.in_parallel(tasks, options.jobs, options.threads, on_done)
    if failures:
        sys.exit("jitter: " + failures[0])
    if len(bits) > 1:
        print(summary(list(bits.values())))


if __name__ == "__main__":
    main()
