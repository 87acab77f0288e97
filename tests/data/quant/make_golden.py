#!/usr/bin/env python3
"""Cuts small pieces out of the golden quantisation vectors into golden.safetensors (README.md says what it holds).

Usage: make_golden.py GOLDEN_QUANT_FOLDER OUT.safetensors
"""

import ast
import json
import pathlib
import struct
import sys

PIECES = {  # input: rows kept, from the top; whole 16-row blocks, so that 2-D blocks stay whole
    "gauss_bf16": 64,
    "paper_example_f32": 16,
    "ties_amax2688_f32": 32,
    "scale_ties_amax2688_f32": 32,
    "lognormal5_f32": 32,
    "some_zero_blocks_f32": 32,
}
COLUMNS = 64
WIDTH = {"<f4": 4, "<u2": 2, "|u1": 1}


def read_npy(path):
    data = path.read_bytes()
    length = struct.unpack_from("<H", data, 8)[0]
    header = ast.literal_eval(data[10 : 10 + length].decode())
    assert not header["fortran_order"]
    return header["descr"], header["shape"], data[10 + length :]


def crop(path, rows, columns):
    descr, shape, data = read_npy(path)
    stride, width = shape[1] * WIDTH[descr], columns * WIDTH[descr]
    return descr, b"".join(data[r * stride : r * stride + width] for r in range(rows))


def main():
    golden, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    tensors = {}
    for entry in json.loads((golden / "manifest.json").read_text()):
        name = entry["input"]
        rows = PIECES.get(name)
        if rows is None:
            continue
        descr, data = crop(golden / entry["file"], rows, COLUMNS)
        tensors[name] = ("F32" if descr == "<f4" else "BF16", [rows, COLUMNS], data)
        for case in entry["cases"]:
            if case["dtype"] not in ("nvfp4", "mxfp4") or case["rule"] == "te_static":
                continue
            files = next((case[m] for m in ("hw_te", "hw_fos_cuda") if "codes" in case.get(m, {})), case)
            block = 16 if case["dtype"] == "nvfp4" else 32
            stem = case["key"]
            for part, columns in (("codes", COLUMNS // 2), ("scales", COLUMNS // block)):
                tensors[f"{stem}.{part}"] = ("U8", [rows, columns], crop(golden / files[part], rows, columns)[1])
            if case["dtype"] == "nvfp4":
                tensors[f"{name}.amax"] = ("F32", [1], struct.pack("<f", case["amax"]))
        for rule in ("floor", "ceil", "even", "rceil"):
            for part, columns in (("codes", COLUMNS // 2), ("scales", COLUMNS // 32)):
                path = golden / "mx_rules" / f"{name}.{rule}.{part}.npy"
                if path.exists():
                    tensors[f"{name}/mxfp4_{rule}.{part}"] = ("U8", [rows, columns], crop(path, rows, columns)[1])
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    out.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


if __name__ == "__main__":
    main()
