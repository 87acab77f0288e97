#!/usr/bin/env python3
"""Quantises a tensor to NVFP4 by several rules, Four Over Six among them, and compares their errors.

Usage: quantize_four_over_six.py [TENSOR.npy] [--out QUANTISED.npz]
Without a file: a heavy-tailed random matrix. The last axis must be a multiple of 16.
"""

import argparse

import numpy as np

import fourge


def squared_error(x, quantised):
    return float(np.mean((fourge.dequantize(quantised) - x) ** 2) / np.mean(x**2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tensor", nargs="?")
    parser.add_argument("--out")
    args = parser.parse_args()
    if args.tensor:
        x = np.load(args.tensor).astype(np.float32)
        x = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
    else:
        x = np.random.default_rng(3).standard_t(5, (512, 1024)).astype(np.float32)

    errors = {}
    for rule in ("static_6", "static_4", "mse", "mae", "abs_max", "sweep"):
        errors[rule] = squared_error(x, fourge.quantize(x, "nvfp4", rule))
        print(f"{rule:10} relative squared error {errors[rule]:.5f}")
    rotated = fourge.quantize(x, "nvfp4", "mse", rotate=16)
    error = squared_error(fourge.hadamard(x, 16), rotated)
    print(f"{'mse':10} relative squared error {error:.5f} after a Hadamard rotation of order 16")
    assert errors["mse"] < errors["static_6"] < errors["static_4"]

    chosen = fourge.quantize(x, "nvfp4", "mse")
    print(f"codes {chosen.codes.shape}, scales {chosen.scales.shape}, tensor scale {chosen.tensor_scale:.6g}")
    if args.out:
        np.savez(args.out, codes=chosen.codes, scales=chosen.scales, decode_multiplier=chosen.decode_multiplier)


if __name__ == "__main__":
    main()
