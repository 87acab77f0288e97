"""4-bit floating point on CPUs, with the bits of Blackwell's block-scaled tensor cores.

    w = fourge.quantize(weights, "nvfp4", "mse")       # float32 / bfloat16 / float16 [n, k], blocks along k
    x = fourge.quantize(activations, "nvfp4")          # [m, k]
    y = fourge.gemm(x, w)                              # [m, n]: x w^T as a tensor core would compute it

Arrays are numpy's, ml_dtypes', or of any library with DLPack or the buffer protocol (torch); none is copied.
Formats go by fourge's names (e2m1, e4m3, ue8m0, bf16) and by ml_dtypes' (float4_e2m1fn, float8_e4m3fn,
float8_e8m0fnu, bfloat16). What is refused raises fourge.Error, with the same text as from C and C++.
"""

from functools import lru_cache as _lru_cache

from ._fourge import (
    Decoder,
    Error,
    Gemm,
    Hadamard,
    PackedWeights,
    QuantizedMatrix,
    Quantizer,
    __version__,
    convert_scales,
    decode,
    dtype,
    element_format,
    encode,
    gptq,
    ml_dtypes_names,
    mma,
    mma_models,
    pack,
    reference_gemm,
    rotate_hessian,
    scale_offsets,
    second_moment,
    unpack,
)

__all__ = [
    "Decoder",
    "Error",
    "Gemm",
    "Hadamard",
    "PackedWeights",
    "QuantizedMatrix",
    "Quantizer",
    "__version__",
    "convert_scales",
    "decode",
    "dequantize",
    "dtype",
    "element_format",
    "encode",
    "gemm",
    "gptq",
    "hadamard",
    "ml_dtypes_names",
    "mma",
    "mma_models",
    "pack",
    "pack_weights",
    "quantize",
    "reference_gemm",
    "rotate_hessian",
    "scale_offsets",
    "second_moment",
    "unpack",
]

# Kernel objects by their arguments: a repeated call finds its kernel in a dictionary.
_gemm = _lru_cache(maxsize=256)(Gemm)
_quantizer = _lru_cache(maxsize=256)(Quantizer)
_decoder = _lru_cache(maxsize=256)(Decoder)
_hadamard = _lru_cache(maxsize=256)(Hadamard)


def _input_format(x):
    """f32, bf16 or f16 where x says so; f32 else, which the kernel then asks for."""
    try:
        name = element_format(x.dtype)
    except (AttributeError, Error):
        return "f32"
    return name if name in ("f32", "bf16", "f16") else "f32"


def quantize(
    x,
    format="nvfp4",
    rule="static_6",
    *,
    block_2d=False,
    layout="linear",
    scale_max=0,
    rounding="nearest",
    seed=0,
    transpose=False,
    rotate=0,
    signs=None,
    amax=None,
    threads=0,
):
    """x [rows, cols], float32, bfloat16 or float16 -> QuantizedMatrix; blocks run along cols.

    rule: nvfp4 takes static_6, static_4, mse, mae, abs_max (the last three are Four Over Six), search, sweep,
        quest; mxfp4 takes floor, ceil, even, rceil, static_6, static_4, shift, search, sweep, quest. search and
        sweep try many scales: for weights.
    block_2d: one scale for each block x block square, stored once per row.
    layout: of the scales: 'linear', 'swizzled_128x4', 'swizzled_8x4'.
    scale_max: nvfp4: what the largest block's scale becomes, 256 or 448; 0: the rule's own.
    rounding: 'nearest' or 'stochastic', the latter by random bytes that depend on `seed`.
    transpose: quantises x^T. rotate: the order of a Hadamard rotation of blocks along the quantised rows.
    signs: [rotate] of +-1 in front of the rotation. amax: nvfp4, of the whole tensor; found unless given.
    """
    kernel = _quantizer(
        format,
        rule,
        input=_input_format(x),
        block_2d=block_2d,
        layout=layout,
        scale_max=scale_max,
        rounding=rounding,
        transpose=transpose,
        rotate=rotate,
        signs=signs is not None,
    )
    return kernel.run(x, signs=signs, amax=amax, seed=seed, threads=threads)


def dequantize(matrix, dtype="float32", *, out=None, threads=0):
    """QuantizedMatrix -> [rows, cols]: (element * block scale) * tensor scale in f32, rounded to `dtype`
    (float32, bfloat16 or float16); into `out` if given."""
    return _decoder(matrix.format, element_format(dtype)).run(matrix, out=out, threads=threads)


def hadamard(x, order, *, signs=None, scale=None, out=None, threads=0):
    """scale * H (signs * x) for every block of `order` elements along the rows of x [rows, cols] or [cols].

    order: a power of two from 2 to 32768, or 12, 20 or 28 times one. scale: 1 / sqrt(order) unless given.
    signs: [order] of +-1 or booleans (true negates). out: may be x.
    """
    kernel = _hadamard(order, input=_input_format(x), signs=signs is not None)
    return kernel.run(x, out=out, signs=signs, scale=scale, threads=threads)


def pack_weights(weights, m=1, *, output="float32", numerics="blackwell", bias=False, accumulate=False):
    """QuantizedMatrix [n, k] -> PackedWeights for gemm() with activations of `m` rows and the same options."""
    n, k = weights.shape
    kernel = _gemm(m, n, k, weights.format, numerics=numerics, output=output, bias=bias, accumulate=accumulate)
    return kernel.pack(weights)


def gemm(a, b, *, output="float32", numerics="blackwell", bias=None, c=None, alpha=None, out=None, threads=0):
    """a b^T [m, n], as a tensor core would compute it, bit for bit (numerics 'blackwell').

    a: QuantizedMatrix [m, k]. b: QuantizedMatrix [n, k], packed anew in each call, or PackedWeights
        (pack_weights, for the same m and options).
    output: float32, bfloat16, float16. bias: float32 [n]. c: float32 [m, n], what the sum starts from.
    alpha: the product of both tensor scales unless given. out: where the result goes, [m, n].
    """
    m, k = a.shape
    kernel = _gemm(
        m,
        b.shape[0],
        k,
        a.format,
        numerics=numerics,
        output=output,
        bias=bias is not None,
        accumulate=c is not None,
    )
    weights = b if isinstance(b, PackedWeights) else kernel.pack(b)
    return kernel.run(a, weights, out=out, bias=bias, c=c, alpha=alpha, threads=threads)
