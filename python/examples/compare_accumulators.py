#!/usr/bin/env python3
"""One dot product, many tensor cores: how much do their accumulators keep?

A long dot product of e4m3 numbers is chained through instructions of each model, then through accumulators of
our own with fewer and fewer bits below the largest exponent.
"""

import numpy as np

import fourge


def chain(model, a, b, depth):
    """Row times row in steps of `depth`: each instruction starts from what the one before left."""
    c = np.zeros((a.shape[0], b.shape[0]), np.float32)
    for k in range(0, a.shape[1], depth):
        step = slice(k, k + depth)
        c = fourge.mma(model, np.ascontiguousarray(a[:, step]), np.ascontiguousarray(b[:, step]), c,
                       a_format="float8_e4m3fn")
    return c


def main():
    rng = np.random.default_rng(2)
    k = 4096
    a = fourge.encode(rng.standard_normal((4, k), dtype=np.float32), "float8_e4m3fn").view(np.uint8)
    b = fourge.encode(rng.standard_normal((4, k), dtype=np.float32), "float8_e4m3fn").view(np.uint8)
    exact = fourge.decode(a, "e4m3").astype(np.float64) @ fourge.decode(b, "e4m3").astype(np.float64).T

    models = {
        "hopper.wgmma.fp8.f32": 32,
        "hopper.mma_sync.fp8.f32": 32,
        "blackwell.f8f6f4.f32": 32,
        "ada.fp8.f32": 32,
    }
    models |= {f"custom:fraction_bits={bits},products=32,output=f32,rounding=rz": 32 for bits in (25, 19, 13, 9)}
    print(f"{'accumulator':64} {'largest error':>14}  {'evidence'}")
    errors = {}
    known = fourge.mma_models()
    for model, depth in models.items():
        d = chain(model, a, b, depth)
        errors[model] = np.max(np.abs(d - exact)) / np.max(np.abs(exact))
        print(f"{model:64} {errors[model]:14.2e}  {known[model]['evidence'] if model in known else 'your own'}")
    # 13 bits (Hopper's wgmma) against 25 (Blackwell): three decimal digits of difference.
    assert errors["blackwell.f8f6f4.f32"] < errors["hopper.wgmma.fp8.f32"] / 10


if __name__ == "__main__":
    main()
