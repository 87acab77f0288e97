#!/usr/bin/env python3
"""What one call from Python costs: the smallest GEMM, 1 x 16 x 16 on one thread.

PYTHONPATH=build/release/python bench/overhead/overhead.py [--json]
"""

import argparse
import json
import timeit

import numpy as np

import fourge


def nanoseconds(call, calls=2000, repeats=50):
    times = timeit.repeat(call, number=calls, repeat=repeats)
    return {"best": 1e9 * min(times) / calls, "median": 1e9 * sorted(times)[repeats // 2] / calls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    x = np.ones((1, 16), np.float32)
    a, b = fourge.quantize(x), fourge.quantize(np.ones((16, 16), np.float32))
    kernel = fourge.Gemm(1, 16, 16)
    packed = kernel.pack(b)
    out = np.empty((1, 16), np.float32)
    quantizer = fourge.Quantizer()
    results = {
        "Gemm.run, into out": nanoseconds(lambda: kernel.run(a, packed, out=out, threads=1)),
        "Gemm.run, a new array": nanoseconds(lambda: kernel.run(a, packed, threads=1)),
        "fourge.gemm, packed weights": nanoseconds(lambda: fourge.gemm(a, packed, threads=1)),
        "Quantizer.run": nanoseconds(lambda: quantizer.run(x, threads=1)),
        "fourge.quantize": nanoseconds(lambda: fourge.quantize(x, threads=1)),
    }
    if args.json:
        print(json.dumps(results))
        return
    for name, times in results.items():
        print(f"{name:30} best {times['best']:7.0f} ns  median {times['median']:7.0f} ns")


if __name__ == "__main__":
    main()
