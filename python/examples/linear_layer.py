#!/usr/bin/env python3
"""What would a B200 compute for this linear layer? y = x W^T + b in NVFP4, bit for bit.

Usage: linear_layer.py [--tokens M] [--inputs K] [--outputs N]
"""

import argparse
import time

import numpy as np

import fourge


def decibels(signal, error):
    return 10 * np.log10(np.sum(signal**2) / np.sum(error**2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--inputs", type=int, default=512)
    parser.add_argument("--outputs", type=int, default=384)
    args = parser.parse_args()

    rng = np.random.default_rng(1)
    weights = rng.standard_normal((args.outputs, args.inputs), dtype=np.float32) / np.float32(args.inputs**0.5)
    bias = rng.standard_normal(args.outputs, dtype=np.float32)
    x = rng.standard_normal((args.tokens, args.inputs), dtype=np.float32)

    # Once per layer: quantise the weights, generate a kernel, pack the weights into its layout.
    w = fourge.quantize(weights, "nvfp4", "mse")
    layer = fourge.Gemm(args.tokens, args.outputs, args.inputs, output="bfloat16", bias=True)
    packed = layer.pack(w)
    print(f"kernel   {layer.name}, {layer.exactness}")
    print(f"weights  {packed.bits_per_weight:.2f} bits each, packed")

    # Once per call: quantise the activations, run.
    start = time.perf_counter()
    a = fourge.quantize(x, "nvfp4")
    y = layer.run(a, packed, bias=bias)
    print(f"time     {1e6 * (time.perf_counter() - start):.0f} us for {args.tokens} tokens")

    # The model of the tensor core says the same, bit for bit.
    expected = fourge.reference_gemm(a, w, output="bfloat16", bias=bias)
    assert y.tobytes() == expected.tobytes(), "the kernel differs from the reference"
    print(f"bits     all {y.size} outputs are the reference's")

    exact = x.astype(np.float64) @ weights.astype(np.float64).T + bias
    got = fourge.decode(y, "bfloat16").astype(np.float64)
    print(f"quality  {decibels(exact, got - exact):.1f} dB signal to quantisation noise")


if __name__ == "__main__":
    main()
