#!/usr/bin/env python3
"""Bits per byte of 4-bit codes by transformers, as the published pipelines compute them: one figure for each order of summation.

    transformers_draws.py --model models/nano --text valid.bin [--codes FILE.safetensors|FOLDER ...]

W4A4 in MXFP4, on a GPU where torch sees one. Rounding to nearest by Four Over Six's rules static_6 and floor; then, for
each --codes, the given codes (FP-Quant's export, `qweight`, or a folder of `fourge quantize`, `codes`; rotated by 32,
tensor scale 1/3) with FP-Quant's activations. Each in bf16 with sdpa attention, one and eight windows at a time, with the
embeddings' last bit at random (four seeds), with eager attention, and in f32. Prints a line for each. Needs torch (2.x),
transformers, safetensors and numpy.
"""
import argparse
import math
import pathlib

import numpy
import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6], device=DEVICE)
BLOCK = 32
LINEARS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def round_to_e2m1(values):
    """To nearest, ties to even, saturating."""
    magnitude = values.abs()
    index = sum((magnitude > t).int() for t in (0.25, 1.25, 2.5, 5)) + sum((magnitude >= t).int() for t in (0.75, 1.75, 3.5))
    return E2M1.to(values.dtype)[index.long()] * torch.sign(values)


def four_over_six(values, rule):
    """MXFP4 by rule static_6 (smallest power of two that does not saturate) or floor; f32."""
    blocks = values.reshape(-1, BLOCK)
    largest = blocks.abs().amax(1, keepdim=True)
    if rule == "static_6":
        significand, exponent = torch.frexp(largest / 6)
        exponent = torch.where(significand == 0.5, exponent - 1, exponent).float()
    else:
        exponent = (torch.frexp(largest)[1] - 1).float() - 2
    scale = torch.exp2(exponent)
    scale = torch.where(largest == 0, torch.ones_like(scale), scale)
    return (round_to_e2m1(blocks / scale) * scale).reshape(values.shape)


def fp_quant(values):
    """FP-Quant's activations in MXFP4, in the precision of the values."""
    blocks = values.reshape(-1, BLOCK)
    unit = torch.clamp(6 * (2 * blocks.abs().amax(1, keepdim=True) / 12), min=2**-126)
    scale = torch.exp2(torch.floor(torch.log2(unit)) - 2) / 0.75
    rounded = round_to_e2m1(blocks / scale) * scale
    return (blocks + (rounded - blocks)).reshape(values.shape)


def hadamard(order):
    matrix = torch.ones(1, 1)
    while matrix.shape[0] < order:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)], 0)
    return (matrix / math.sqrt(order)).to(DEVICE)


class RoundedLinear(torch.nn.Module):
    """Weights by a Four Over Six rule, and activations too, in f32."""

    def __init__(self, weights, rule):
        super().__init__()
        self.weights, self.rule = four_over_six(weights, rule), rule

    def forward(self, x):
        return (four_over_six(x.float(), self.rule) @ self.weights.t()).to(x.dtype)


class CodedLinear(torch.nn.Module):
    """Given weights; activations rotated by 32 and quantised as FP-Quant does."""

    def __init__(self, weights):
        super().__init__()
        self.weights, self.rotation = weights, hadamard(BLOCK)

    def forward(self, x):
        rotated = (x.float().reshape(-1, BLOCK) @ self.rotation).to(x.dtype).reshape(x.shape)
        return functional.linear(fp_quant(rotated).to(x.dtype), self.weights.to(x.dtype))


def decoded(path):
    """Module -> weights, of an export with two codes a byte, even first, and UE8M0 scales."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    weights = {}
    for file in files:
        tensors = load_file(file)
        for name, codes in tensors.items():
            module, _, kind = name.rpartition(".")
            if kind not in ("qweight", "codes"):
                continue
            codes, scales = codes.to(DEVICE), tensors[module + ".scales"].to(DEVICE).float()
            nibbles = torch.stack([codes & 15, codes >> 4], -1).reshape(codes.shape[0], -1).long()
            weights[module] = torch.cat([E2M1, -E2M1])[nibbles] * torch.exp2(scales - 127).repeat_interleave(BLOCK, 1) / 3
    return weights


def load(options, dtype, attention, make_linear):
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype, attn_implementation=attention).to(DEVICE).eval()
    for index, layer in enumerate(model.model.layers):
        for name in LINEARS:
            parent, _, child = name.partition(".")
            linear = getattr(getattr(layer, parent), child)
            setattr(getattr(layer, parent), child, make_linear(f"model.layers.{index}.{name}", linear.weight.data.float()))
    return model


@torch.no_grad()
def bits_per_byte(options, model, windows_at_once=1, seed=None):
    if seed is not None:
        generator = torch.Generator(device=DEVICE).manual_seed(seed)
        table = model.model.embed_tokens.weight.data
        kept = table.clone()
        noise = torch.rand(table.shape, generator=generator, device=DEVICE) * 2 - 1
        table.copy_((table.float() * (1 + 2**-8 * noise)).to(table.dtype))
    nats, scored, step = 0.0, 0, options.window * windows_at_once
    for start in range(0, len(options.tokens), step):
        ids = options.tokens[start:start + step].reshape(-1, options.window).to(DEVICE)
        logits = model(ids, use_cache=False).logits.float()[:, :-1]
        nats += functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="sum").double().item()
        scored += ids.numel() - ids.shape[0]
    if seed is not None:
        table.copy_(kept)
    return nats / math.log(2) / scored


def draw(options, what, make_linear):
    model = load(options, torch.bfloat16, "sdpa", make_linear)
    print(f"{what}, bf16: {bits_per_byte(options, model):.5f}", flush=True)
    print(f"{what}, bf16, 8 windows at once: {bits_per_byte(options, model, 8):.5f}", flush=True)
    for seed in range(4):
        print(f"{what}, bf16, 8 windows at once, embeddings' last bit by seed {seed}: {bits_per_byte(options, model, 8, seed):.5f}", flush=True)
    model = load(options, torch.bfloat16, "eager", make_linear)
    print(f"{what}, bf16, eager attention: {bits_per_byte(options, model):.5f}", flush=True)
    model = load(options, torch.float32, "sdpa", make_linear)
    print(f"{what}, f32: {bits_per_byte(options, model):.5f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="float model folder")
    parser.add_argument("--text", type=pathlib.Path, required=True, help="its first 65,536 bytes are the tokens")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--codes", type=pathlib.Path, action="append", default=[])
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    options.tokens = torch.tensor(numpy.frombuffer(options.text.read_bytes()[:65536], numpy.uint8).astype(numpy.int64))
    for rule in ("static_6", "floor"):
        draw(options, f"rtn {rule}", lambda _, weights, rule=rule: RoundedLinear(weights, rule))
    for path in options.codes:
        weights = decoded(path)
        draw(options, path.name, lambda name, _, weights=weights: CodedLinear(weights[name]))


if __name__ == "__main__":
    main()
