#!/usr/bin/env python3
"""How much of a row is chance: bits per byte of a folder whose embeddings' last bits are random.

    jitter.py --fourge build/release/fourge --text valid.bin --seeds 4 FOLDER -- --values fake_bf16

FOLDER is copied to a temporary one; every bf16 embedding is multiplied by 1 + u / 256, u uniform from -1 to 1, and
rounded; `fourge eval` runs with the arguments after --. Needs nothing but Python 3.9.
"""
import argparse
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fourge", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--max-bytes", type=int, default=65536)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("rest", nargs="*", help="arguments of fourge eval, after --")
    options = parser.parse_args()
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary) / "model"
            shutil.copytree(options.folder, folder)
            if not any([jitter(path, seed) for path in sorted(folder.glob("*.safetensors"))]):
                sys.exit(f"jitter: {options.folder}: no tensor {TENSOR}")
            done = subprocess.run([options.fourge.resolve(), "eval", folder, "--text", options.text, "--json",
                                   "--max-bytes", str(options.max_bytes), *options.rest], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"jitter: {done.stderr.strip()}")
            print(f"seed {seed}: {json.loads(done.stdout)['bits_per_byte']:.5f}", flush=True)


if __name__ == "__main__":
    main()
