"""tensor-core-vectors-1: read and write the .safetensors files that hold tensor-core operands and results.

A safetensors file is: u64 length of the header (little endian), a JSON header {name: {dtype, shape, data_offsets}},
the bytes. Files come from anywhere, so every number is checked before it is used, and a refusal names the file, the
tensor and what was expected.
"""

import json
import os
import struct
import tempfile
from math import prod
from typing import NamedTuple

from judge import FORMATS, JudgeError
from models import find_model

FORMAT = "tensor-core-vectors-1"
MAX_HEADER_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 31
MAX_DIMENSION = 4096
ITEM = {"U8": (1, "B"), "U16": (2, "H"), "U32": (4, "I")}
PACKED, BYTE = "packed", "byte"


class Tensor(NamedTuple):
    dtype: str
    shape: tuple
    data: memoryview

    def items(self, start, count):
        """`count` integers from index `start` of the flattened tensor."""
        size, code = ITEM[self.dtype]
        return struct.unpack_from(f"<{count}{code}", self.data, start * size)


# --- safetensors -------------------------------------------------------------------------------------------------


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError("a key is repeated")
    return dict(pairs)


def natural(x):
    return type(x) is int and 0 <= x <= MAX_FILE_BYTES


def read_safetensors(path):
    """(metadata, {name: Tensor}) of a file; only U8, U16 and U32 tensors, without holes or overlaps."""

    def refuse(reason):
        raise JudgeError(f"{path}: {reason}")

    try:
        size = os.stat(path).st_size
        if not 8 <= size <= MAX_FILE_BYTES:
            refuse(f"{size} bytes, expected a safetensors file of 8 bytes to 2 GiB")
        with open(path, "rb") as file:
            blob = file.read(size)
    except OSError as error:
        refuse(error.strerror)
    if len(blob) < 8:
        refuse("the file shrank while it was read")
    (header_bytes,) = struct.unpack_from("<Q", blob)
    if header_bytes > min(len(blob) - 8, MAX_HEADER_BYTES):
        refuse(f"header length {header_bytes} exceeds the file or {MAX_HEADER_BYTES}")
    try:
        header = json.loads(blob[8 : 8 + header_bytes].decode("utf-8"), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        refuse(f"header is not JSON: {error}")
    if not isinstance(header, dict):
        refuse("header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        refuse("__metadata__ is not an object of strings")

    data = memoryview(blob)[8 + header_bytes :]
    tensors, spans = {}, []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            refuse(f"tensor {name!r}: expected dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in ITEM:
            refuse(f"tensor {name!r}: dtype {dtype!r}, expected U8, U16 or U32")
        if not isinstance(shape, list) or len(shape) > 8 or not all(map(natural, shape)):
            refuse(f"tensor {name!r}: shape {shape!r} is not a list of sizes")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(natural, offsets)):
            refuse(f"tensor {name!r}: data_offsets {offsets!r} is not a pair")
        begin, end = offsets
        if not begin <= end <= len(data) or end - begin != prod(shape) * ITEM[dtype][0]:
            refuse(f"tensor {name!r}: bytes {begin}..{end} do not hold {dtype} {shape} in {len(data)} bytes of data")
        spans.append((begin, end))
        tensors[name] = Tensor(dtype, tuple(shape), data[begin:end])
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            refuse(f"data_offsets leave a hole or overlap at byte {min(begin, position)}")
        position = end
    if position != len(data):
        refuse(f"{len(data) - position} bytes of data belong to no tensor")
    return metadata, tensors


def write_safetensors(path, metadata, tensors):
    """`tensors` = {name: (dtype, shape, bytes)}. The file appears under its name only when it is complete."""
    header, position = {"__metadata__": metadata}, 0
    for name, (dtype, shape, data) in tensors.items():
        assert len(data) == prod(shape) * ITEM[dtype][0]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, position + len(data)]}
        position += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".", suffix=".partial")
        with os.fdopen(descriptor, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _, _, data in tensors.values():
                file.write(data)
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise JudgeError(f"{path}: {error.strerror}") from None
        raise


# --- Rows of elements --------------------------------------------------------------------------------------------


def row_bytes(format_name, k, container=PACKED):
    if format_name == "e2m1":
        return k // 2 if container == PACKED else k
    return k * ((FORMATS[format_name].bits + 7) // 8)


def unpack_row(format_name, k, row):
    """k codes of a row of bytes.

    e2m1 in k/2 bytes: two a byte, low nibble first. e2m1 in k bytes: bits 5:2 of each (spec 1, kind::f8f6f4). Six-bit
    formats: bits 5:0 of a byte.
    """
    if format_name == "e2m1":
        if len(row) == k:
            return [byte >> 2 & 0xF for byte in row]
        return [nibble for byte in row for nibble in (byte & 0xF, byte >> 4)]
    size = (FORMATS[format_name].bits + 7) // 8
    mask = (1 << FORMATS[format_name].bits) - 1
    return [x & mask for x in struct.unpack(f"<{k}{'_BH_I'[size]}", row)]


def pack_row(format_name, codes, container=PACKED):
    if format_name == "e2m1":
        if container == BYTE:
            return bytes(code << 2 for code in codes)
        return bytes(low | high << 4 for low, high in zip(codes[::2], codes[1::2]))
    size = (FORMATS[format_name].bits + 7) // 8
    return struct.pack(f"<{len(codes)}{'_BH_I'[size]}", *codes)


# --- Vector files ------------------------------------------------------------------------------------------------


class Tile(NamedTuple):
    """One instruction: rows of codes, c and d as bits by [row][column], scale bytes by row (empty without scales)."""

    a: list
    b: list
    c: list
    d: list
    a_scales: list
    b_scales: list


class VectorFile:
    """A checked vector file; tile(i) unpacks one instruction."""

    def __init__(self, path):
        self.path = path
        self.metadata, self.tensors = read_safetensors(path)
        if self.metadata.get("format") != FORMAT:
            self.refuse(f"format is {self.metadata.get('format')!r}, expected {FORMAT!r}")
        for key in ("model", "a_format", "b_format", "m", "n", "k"):
            if key not in self.metadata:
                self.refuse(f"metadata has no {key!r}")
        self.m, self.n, self.k = (self.dimension(key) for key in "mnk")
        self.a_format, self.b_format = self.metadata["a_format"], self.metadata["b_format"]
        try:
            self.model = find_model(self.metadata["model"])
            self.model.check(self.a_format, self.b_format, self.k)
        except JudgeError as error:
            self.refuse(str(error))
        self.check_shapes()

    def refuse(self, reason):
        raise JudgeError(f"{self.path}: {reason}")

    def dimension(self, key):
        text = self.metadata[key]
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_DIMENSION):
            self.refuse(f"metadata {key} is {text!r}, expected 1..{MAX_DIMENSION}")
        return int(text)

    def check_shapes(self):
        a = self.tensors.get("a")
        if a is None or not a.shape:
            self.refuse("there is no tensor 'a' [tiles, m, row bytes]")
        self.tiles = a.shape[0]
        accumulator = f"U{FORMATS[self.model.accumulator].bits}"
        expected = {}
        for name, rows, element in (("a", self.m, self.a_format), ("b", self.n, self.b_format)):
            widths = {row_bytes(element, self.k), row_bytes(element, self.k, BYTE)}
            if self.model.clause == "mxf4":
                widths = {row_bytes(element, self.k)}
            given = self.tensors[name].shape[-1:] if name in self.tensors else ()
            width = given[0] if given and given[0] in widths else min(widths)
            expected[name] = ("U8", (self.tiles, rows, width))
        expected["c"] = expected["d"] = (accumulator, (self.tiles, self.m, self.n))
        if self.model.block:
            blocks = self.k // self.model.block
            expected["a_scales"] = ("U8", (self.tiles, self.m, blocks))
            expected["b_scales"] = ("U8", (self.tiles, self.n, blocks))
        if "mode" in self.tensors:
            expected["mode"] = ("U8", (self.tiles,))
        for name, (dtype, shape) in expected.items():
            tensor = self.tensors.get(name)
            if tensor is None:
                self.refuse(f"{self.model.name} needs a tensor {name!r}")
            if (tensor.dtype, tensor.shape) != (dtype, shape):
                self.refuse(f"tensor {name!r} is {tensor.dtype} {list(tensor.shape)}, expected {dtype} {list(shape)}")
        extra = set(self.tensors) - set(expected)
        if extra:
            self.refuse(f"tensor {min(extra)!r} does not belong to {self.model.name}")

    def rows(self, name, tile):
        tensor = self.tensors[name]
        rows, width = tensor.shape[1:]
        return [tensor.items((tile * rows + r) * width, width) for r in range(rows)]

    def tile(self, index):
        scales = [self.rows(name, index) if name in self.tensors else [] for name in ("a_scales", "b_scales")]
        return Tile(
            [unpack_row(self.a_format, self.k, bytes(row)) for row in self.rows("a", index)],
            [unpack_row(self.b_format, self.k, bytes(row)) for row in self.rows("b", index)],
            self.rows("c", index),
            self.rows("d", index),
            *scales,
        )


def tile_outputs(model, a_format, b_format, tile, zero_rule):
    """The judge's d of a tile, by [row][column]."""
    a = [model.decode_row(a_format, row) for row in tile.a]
    b = [model.decode_row(b_format, row) for row in tile.b]
    a_scales = tile.a_scales or [()] * len(a)
    b_scales = tile.b_scales or [()] * len(b)
    return [
        [
            model.output(x, y, model.decode_c(c), x_scales, y_scales, zero_rule)
            for y, y_scales, c in zip(b, b_scales, c_row)
        ]
        for x, x_scales, c_row in zip(a, a_scales, tile.c)
    ]


def write_vectors(path, model, a_format, b_format, k, tiles, source, zero_rule, modes, note="", container=PACKED):
    """Write tiles (Tile, with d filled in) as a vector file; `modes` is one byte a tile."""
    m, n = len(tiles[0].a), len(tiles[0].b)
    accumulator = FORMATS[model.accumulator].bits
    code = ITEM[f"U{accumulator}"][1]

    def words(field):
        return b"".join(struct.pack(f"<{n}{code}", *row) for tile in tiles for row in getattr(tile, field))

    def elements(field, element):
        return b"".join(pack_row(element, row, container) for tile in tiles for row in getattr(tile, field))

    count = len(tiles)
    tensors = {
        "a": ("U8", (count, m, row_bytes(a_format, k, container)), elements("a", a_format)),
        "b": ("U8", (count, n, row_bytes(b_format, k, container)), elements("b", b_format)),
        "c": (f"U{accumulator}", (count, m, n), words("c")),
        "d": (f"U{accumulator}", (count, m, n), words("d")),
    }
    if model.block:
        for field, rows in (("a_scales", m), ("b_scales", n)):
            data = b"".join(bytes(row) for tile in tiles for row in getattr(tile, field))
            tensors[field] = ("U8", (count, rows, k // model.block), data)
    tensors["mode"] = ("U8", (count,), bytes(modes))
    # Wide tensors first keeps every U32 aligned without holes.
    order = sorted(tensors, key=lambda name: -ITEM[tensors[name][0]][0])
    metadata = {
        "format": FORMAT,
        "model": model.name,
        "a_format": a_format,
        "b_format": b_format,
        "m": str(m),
        "n": str(n),
        "k": str(k),
        "source": source,
        "zero_rule": zero_rule,
        "note": note,
    }
    write_safetensors(path, metadata, {name: tensors[name] for name in order})
