#!/usr/bin/env python3
"""Bits per byte of a model under every recipe, beside published anchors; table and plots.

    anchors.py --fourge build/release/fourge --models FOLDER --model nano --work FOLDER --out FOLDER

FOLDER of --models holds <model>/, calib.bin, valid.bin and, for the comparison, anchors.json. Every row is quantised and
evaluated once; its results stay under --work and are used again by the next run, so that an interrupted run goes on.
Writes <out>/<model>.md, <model>_bits.svg, <model>_layers.svg and <model>_scales.svg. Needs nothing but Python 3.9.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

import plots

CALIBRATED_ROTATION = {"nvfp4": "16", "mxfp4": "32"}


def rows():
    """(name as in anchors.json or own, arguments of fourge quantize)."""
    out = []

    def add(name, fmt, activations, *arguments):
        w4a16 = ["--w4a16"] if activations == "w4a16" else []
        out.append((f"{fmt}-{activations}-{name}", ["--format", fmt, *arguments, *w4a16]))

    for acts in ("w4a4", "w4a16"):
        rule = ["--activation-rule", "static_6"] if acts == "w4a4" else []
        static = ["--static-activations"] if acts == "w4a4" else []
        shift = ["--activation-rule", "shift"] if acts == "w4a4" else []
        add("fos-static_6", "nvfp4", acts, "--recipe", "rtn")
        add("fos-mse", "nvfp4", acts, "--recipe", "4over6")
        add("fpq-rtn-h16", "nvfp4", acts, "--recipe", "rtn", "--rotate", "16", *static)
        add("fpq-rtn-h128", "nvfp4", acts, "--recipe", "rtn", "--rotate", "128", *static)
        add("fos-static_6", "mxfp4", acts, "--recipe", "rtn", "--scale-rule", "static_6", *rule)
        add("ocp-floor", "mxfp4", acts, "--recipe", "rtn")
        for order in ("32", "128"):
            add(f"fpq-rtn-h{order}", "mxfp4", acts, "--recipe", "rtn", "--rotate", order, "--scale-rule", "shift", *shift)
        for fmt in ("nvfp4", "mxfp4"):
            add("fpq-gptq-id", fmt, acts, "--recipe", "gptq")
            add(f"fpq-gptq-h{CALIBRATED_ROTATION[fmt]}", fmt, acts, "--recipe", "mr-gptq")
            add("fpq-gptq-h128", fmt, acts, "--recipe", "mr-gptq", "--rotate", "128")
            add("best", fmt, acts, "--recipe", "best")
    return out


def ablation_rows():
    """One setting of `best` at a time put back to what MR-GPTQ does, and other settings that were tried."""
    changes = {
        "activation-amax": {"nvfp4": ["--activation-rule", "static_6"], "mxfp4": ["--activation-rule", "shift"]},
        "target-float": ["--target", "float_output"],
        "target-own": ["--target", "own_input"],
        "scales-before": ["--scale-timing", "before"],
        "no-descent": ["--descent", "0"],
        "rotate-none": ["--rotate", "none"],
        "rotate-32": ["--rotate", "32"],
        "rotate-auto": ["--rotate", "auto"],
    }
    return [
        (f"{fmt}-w4a4-best-{name}", ["--format", fmt, "--recipe", "best", *(c[fmt] if isinstance(c, dict) else c)])
        for fmt in ("nvfp4", "mxfp4")
        for name, c in changes.items()
    ]


def run_json(command, path, environment):
    """The JSON document that a command prints, kept in `path`."""
    if path.exists():
        return json.loads(path.read_text())
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {result.stderr.strip().splitlines()[-1:]}")
    partial = path.with_suffix(".partial")
    partial.write_text(result.stdout)
    partial.replace(path)
    return json.loads(result.stdout)


class Runner:
    def __init__(self, options):
        self.options = options
        self.model = options.models / options.model
        self.work = options.work / options.model
        self.work.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ)
        self.environment.setdefault("OMP_WAIT_POLICY", "passive")

    def evaluate(self, folder, name, extra=()):
        text = self.options.text or self.options.models / "valid.bin"
        command = [self.options.fourge, "eval", folder, "--text", text, "--json", *extra]
        return run_json(command, self.work / f"{name}.json", self.environment)

    def row(self, name, arguments):
        folder = self.work / name
        report = self.work / f"{name}.quantize.json"
        if not folder.exists():
            report.unlink(missing_ok=True)
        quantize = [self.options.fourge, "quantize", self.model, "--out", folder, "--calibration",
                    self.options.models / "calib.bin", "--json", *arguments]
        quantized = run_json(quantize, report, self.environment)
        bytes_read = ["--max-bytes", str(self.options.max_bytes)]
        measured = self.evaluate(folder, f"{name}.eval", bytes_read)
        layers = self.evaluate(folder, f"{name}.layers",
                               ["--max-bytes", str(self.options.layer_bytes), "--reference", self.model])
        return {"name": name, "bits": measured["bits_per_byte"], "windows": measured["window_bits"],
                "bytes": measured["bytes"], "seconds": quantized["seconds"],
                "eval_seconds": measured["seconds"], "layers": layers["layers"],
                "stream_error": layers["stream_error"][-1], "folder": folder}


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def paired_error(result, base):
    """Standard error of the bits per byte over the float model, from the spread over windows."""
    differences = [a - b for a, b in zip(result["windows"], base["window_bits"])]
    centre = mean(differences)
    variance = sum((d - centre) ** 2 for d in differences) / max(len(differences) - 1, 1)
    return math.sqrt(variance * len(differences)) / result["bytes"]


def table(model, base_document, results, anchors):
    base = base_document["bits_per_byte"]
    lines = [f"# {model}", "", f"bf16 weights, f32 arithmetic: **{base:.5f}** bits per byte.", "",
             "| row | bits per byte | over float | anchor | less anchor | mean layer error | stream error | quantise s |",
             "|---|---|---|---|---|---|---|---|"]
    for r in results:
        anchor = anchors.get(r["name"])
        beside = f"{anchor:.5f} | {r['bits'] - anchor:+.5f}" if anchor else "- | -"
        lines.append(f"| {r['name']} | **{r['bits']:.5f}** | {r['bits'] - base:+.5f} ± {paired_error(r, base_document):.5f} | {beside} | "
                     f"{mean(l['output_error'] for l in r['layers']):.4e} | {r['stream_error']:.4e} | {r['seconds']:.0f} |")
    return "\n".join(lines) + "\n"


def read_anchors(options):
    path = options.models / "anchors.json"
    if not path.exists() or options.text or options.max_bytes != 65536:  # what the anchors were measured on
        return {}
    return {row["name"]: row["bpb64k"] for row in json.loads(path.read_text()).get(options.model, [])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fourge", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, help="default: valid.bin")
    parser.add_argument("--max-bytes", type=int, default=65536)
    parser.add_argument("--layer-bytes", type=int, default=4096, help="text that layer errors are measured on")
    parser.add_argument("--ablation", action="store_true", help="also the variants of recipe best")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--cached", action="store_true", help="no new rows: table and plots of what --work holds")
    options = parser.parse_args()

    runner = Runner(options)
    base = runner.evaluate(runner.model, "float.eval", ["--max-bytes", str(options.max_bytes)])
    results = []
    for name, arguments in rows() + (ablation_rows() if options.ablation else []):
        if options.only not in name:
            continue
        if options.cached and not (runner.work / f"{name}.layers.json").exists():
            continue
        results.append(runner.row(name, arguments))
        print(f"{name} {results[-1]['bits']:.5f}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / f"{options.model}.md"
    page.write_text(table(options.model, base, results, read_anchors(options)))
    plots.bits(options.out / f"{options.model}_bits.svg", options.model, base["bits_per_byte"], results)
    plots.layers(options.out / f"{options.model}_layers.svg", options.model, results)
    plots.scales(options.out / f"{options.model}_scales.svg", options.model, results)
    print(f"{page} and three plots written")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        sys.exit(f"anchors: {error}")
