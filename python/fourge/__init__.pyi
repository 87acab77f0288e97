from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__version__: str
ml_dtypes_names: dict[str, str]

class _DLPack(Protocol):
    def __dlpack__(self) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

# numpy, ml_dtypes, DLPack (torch, jax) in the processor's memory, or the buffer protocol
Array: TypeAlias = npt.NDArray[Any] | _DLPack | memoryview
# "e4m3", "float8_e4m3fn", ml_dtypes.float8_e4m3fn, torch.float8_e4m3fn, numpy.dtype
DType: TypeAlias = Any

class Error(ValueError):
    kind: str

class _Kernel:
    @property
    def name(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def exactness(self) -> str: ...
    @property
    def code(self) -> bytes: ...
    @property
    def registers(self) -> list[tuple[str, str]]: ...
    @property
    def decisions(self) -> list[str]: ...
    def budget(self) -> str: ...
    def disassemble(self) -> str: ...

class QuantizedMatrix:
    def __init__(
        self,
        format: str,
        codes: Array,
        scales: Array,
        *,
        tensor_scale: float = 1.0,
        direction: str = "decode_multiplier",
        layout: str = "linear",
        amax: float = 0.0,
    ) -> None: ...
    @property
    def format(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def block(self) -> int: ...
    @property
    def codes(self) -> npt.NDArray[Any]: ...
    @property
    def scales(self) -> npt.NDArray[Any]: ...
    @property
    def layout(self) -> str: ...
    @property
    def tensor_scale(self) -> float: ...
    @property
    def direction(self) -> str: ...
    @property
    def decode_multiplier(self) -> float: ...
    @property
    def encode_multiplier(self) -> float: ...
    @property
    def amax(self) -> float: ...
    def to_layout(self, layout: str) -> QuantizedMatrix: ...
    def with_direction(self, direction: str) -> QuantizedMatrix: ...

class PackedWeights:
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def format(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def bits_per_weight(self) -> float: ...
    @property
    def decode_multiplier(self) -> float: ...

class Gemm(_Kernel):
    def __init__(
        self,
        m: int,
        n: int,
        k: int,
        format: str = "nvfp4",
        *,
        numerics: str = "blackwell",
        activations: str = "same",
        output: DType = "float32",
        bias: bool = False,
        accumulate: bool = False,
        kernel: str | None = None,
        max_isa: str | None = None,
    ) -> None: ...
    def pack(self, weights: QuantizedMatrix) -> PackedWeights: ...
    def run(
        self,
        a: QuantizedMatrix | Array,
        weights: PackedWeights,
        *,
        out: npt.NDArray[Any] | None = None,
        bias: Array | None = None,
        c: Array | None = None,
        alpha: float | None = None,
        threads: int = 0,
        stats: dict[str, Any] | None = None,
    ) -> npt.NDArray[Any]: ...

class Quantizer(_Kernel):
    def __init__(
        self,
        format: str = "nvfp4",
        rule: str = "static_6",
        *,
        input: DType = "float32",
        block_2d: bool = False,
        layout: str = "linear",
        scale_max: int = 0,
        rounding: str = "nearest",
        transpose: bool = False,
        rotate: int = 0,
        signs: bool = False,
        kernel: str | None = None,
        max_isa: str | None = None,
    ) -> None: ...
    def run(
        self,
        x: Array,
        *,
        signs: Array | None = None,
        rotation_scale: float | None = None,
        amax: float | None = None,
        seed: int = 0,
        threads: int = 0,
    ) -> QuantizedMatrix: ...

class Decoder(_Kernel):
    def __init__(
        self,
        format: str = "nvfp4",
        output: DType = "float32",
        *,
        kernel: str | None = None,
        max_isa: str | None = None,
    ) -> None: ...
    def run(
        self, matrix: QuantizedMatrix, *, out: npt.NDArray[Any] | None = None, threads: int = 0
    ) -> npt.NDArray[Any]: ...

class Hadamard(_Kernel):
    def __init__(
        self,
        order: int,
        *,
        input: DType = "float32",
        output: DType | None = None,
        signs: bool = False,
        scaled: bool = True,
        kernel: str | None = None,
        max_isa: str | None = None,
    ) -> None: ...
    def run(
        self,
        x: Array,
        *,
        out: npt.NDArray[Any] | None = None,
        signs: Array | None = None,
        scale: float | None = None,
        threads: int = 0,
    ) -> npt.NDArray[Any]: ...

def convert_scales(
    scales: Array, rows: int, columns: int, from_layout: str, to_layout: str
) -> npt.NDArray[np.uint8]: ...
def decode(codes: Array, format: DType) -> npt.NDArray[np.float32]: ...
def dequantize(
    matrix: QuantizedMatrix,
    dtype: DType = "float32",
    *,
    out: npt.NDArray[Any] | None = None,
    threads: int = 0,
) -> npt.NDArray[Any]: ...
def dtype(format: DType) -> np.dtype[Any]: ...
def element_format(dtype: DType) -> str: ...
def encode(
    values: Array, format: DType, *, rounding: str = "rne", saturate: bool = True
) -> npt.NDArray[Any]: ...
def gemm(
    a: QuantizedMatrix,
    b: QuantizedMatrix | PackedWeights,
    *,
    output: DType = "float32",
    numerics: str = "blackwell",
    bias: Array | None = None,
    c: Array | None = None,
    alpha: float | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int = 0,
) -> npt.NDArray[Any]: ...
def gptq(
    weights: Array,
    hessian: npt.NDArray[np.float64] | None,
    format: str = "nvfp4",
    *,
    rule: str = "search",
    timing: str = "before",
    order: str = "activation",
    importance: str = "none",
    damping: float = 0.01,
    descent_passes: int = 0,
    amax: float = 0.0,
    encode: float = 1.0,
) -> tuple[QuantizedMatrix, dict[str, float | int]]: ...
def hadamard(
    x: Array,
    order: int,
    *,
    signs: Array | None = None,
    scale: float | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int = 0,
) -> npt.NDArray[Any]: ...
def mma(
    model: str,
    a: Array,
    b: Array,
    c: Array | None = None,
    a_scales: Array | None = None,
    b_scales: Array | None = None,
    *,
    a_format: DType | None = None,
    b_format: DType | None = None,
    k: int | None = None,
    zero_rule: str = "hardware",
    narrow_subnormals: str = "own-exponent",
) -> npt.NDArray[Any]: ...
def mma_models() -> dict[str, dict[str, Any]]: ...
def pack(codes: Array) -> npt.NDArray[np.uint8]: ...
def pack_weights(
    weights: QuantizedMatrix,
    m: int = 1,
    *,
    output: DType = "float32",
    numerics: str = "blackwell",
    bias: bool = False,
    accumulate: bool = False,
) -> PackedWeights: ...
def quantize(
    x: Array,
    format: str = "nvfp4",
    rule: str = "static_6",
    *,
    block_2d: bool = False,
    layout: str = "linear",
    scale_max: int = 0,
    rounding: str = "nearest",
    seed: int = 0,
    transpose: bool = False,
    rotate: int = 0,
    signs: Array | None = None,
    amax: float | None = None,
    threads: int = 0,
) -> QuantizedMatrix: ...
def reference_gemm(
    a: QuantizedMatrix,
    b: QuantizedMatrix,
    *,
    output: DType = "float32",
    bias: Array | None = None,
    c: Array | None = None,
    alpha: float | None = None,
) -> npt.NDArray[Any]: ...
def rotate_hessian(hessian: npt.NDArray[np.float64], order: int) -> npt.NDArray[np.float64]: ...
def scale_offsets(rows: int, columns: int, layout: str) -> npt.NDArray[np.int64]: ...
def second_moment(inputs: Array) -> npt.NDArray[np.float64]: ...
def unpack(codes: Array) -> npt.NDArray[np.uint8]: ...
