#!/usr/bin/env python3
"""Bits per byte of a model under every recipe, beside published anchors; table and plots.

    anchors.py --fourge build/release/fourge --models FOLDER --model nano --work FOLDER --results nano.json --out FOLDER

FOLDER of --models holds <model>/, calib.bin, valid.bin and, for the comparison, anchors.json. Every row is quantised,
evaluated (also with values rounded as in the published bf16 runs; W4A4 with both numerics) and its folder deleted; --jobs rows at a time, --threads threads each. A finished
row is printed at once and written to --results, which is read at the start: rows that it holds are not done again, so
that a run which was killed, or ended by --seconds, goes on where it was. --render only draws what --results holds.
Writes <out>/<model>.md, <model>_bits.svg, <model>_layers.svg and <model>_scales.svg. Needs nothing but Python 3.9.
"""
import argparse
import json
import pathlib
import shutil
import sys

import jobs
import plots
import report
import rows


class Runner:
    def __init__(self, options):
        self.options = options
        self.model = options.models / options.model
        self.commands = jobs.Commands(options.threads, options.seconds)

    def evaluate(self, folder, *arguments):
        text = self.options.text or self.options.models / "valid.bin"
        document, _ = self.commands.run([self.options.fourge, "eval", folder, "--text", text, "--json", *arguments])
        return document

    def float_row(self):
        measured = self.evaluate(self.model, "--max-bytes", self.options.max_bytes)
        return {"bits": measured["bits_per_byte"], "window_bits": measured["window_bits"], "bytes": measured["bytes"],
                "seconds": measured["seconds"]}

    def row(self, name, arguments):
        folder = self.options.work / self.options.model / name
        for left in (folder, folder.with_name(name + ".partial")):  # by a run that was ended
            shutil.rmtree(left, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        quantized, mib = self.commands.run(
            [self.options.fourge, "quantize", self.model, "--out", folder, "--calibration",
             self.options.models / "calib.bin", "--json", *arguments])
        measured = self.evaluate(folder, "--max-bytes", self.options.max_bytes)
        result = {"arguments": arguments, "bits": measured["bits_per_byte"], "window_bits": measured["window_bits"],
                  "bytes": measured["bytes"], "threads": self.options.threads, "eval_seconds": measured["seconds"],
                  "quantize_seconds": quantized["seconds"], "quantize_mib": mib}
        if "w4a4" in name and not self.options.fast:
            exact = self.evaluate(folder, "--max-bytes", self.options.max_bytes, "--numerics", "blackwell")
            result.update(blackwell_bits=exact["bits_per_byte"], blackwell_seconds=exact["seconds"])
        if not self.options.fast:
            values = rows.published_values(name)
            bf16 = self.evaluate(folder, "--max-bytes", self.options.max_bytes, "--values", values)
            result.update(bf16_bits=bf16["bits_per_byte"], bf16_values=values)
        compared = self.evaluate(folder, "--max-bytes", self.options.layer_bytes, "--reference", self.model)
        for made, seen in zip(quantized["layers"], compared["layers"]):
            made["output_error"] = seen["output_error"]
        result.update(layers=quantized["layers"], stream_error=compared["stream_error"][-1],
                      scales=plots.scale_codes(folder))
        if not self.options.keep:
            shutil.rmtree(folder)
        return result


def read_anchors(options):
    path = options.models / "anchors.json"
    if not path.exists() or options.text or options.max_bytes != 65536:  # what the anchors were measured on
        return {}
    return {row["name"]: row["bpb64k"] for row in json.loads(path.read_text()).get(options.model, [])}


def write(path, results):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(results))
    partial.replace(path)


def wanted(options):
    table = rows.anchor_rows() + (rows.published_rows() if options.published else [])
    table += rows.ablation_rows() if options.ablation else []
    only, skip = options.only.split(",") if options.only else [""], options.skip.split(",") if options.skip else []
    return [(name, arguments) for name, arguments in table
            if any(part in name for part in only) and not any(part in name for part in skip)]


def measure(options, results, anchors):
    """Fills `results`; returns the names of rows that are missing at the end."""
    runner = Runner(options)
    tasks = [(name, lambda name=name, arguments=arguments: runner.row(name, arguments))
             for name, arguments in wanted(options) if name not in results["rows"]]
    if "float" not in results:
        tasks.insert(0, ("float", runner.float_row))
    missing = []

    def on_done(name, result):
        if isinstance(result, jobs.Stopped):
            return missing.append(name)
        if isinstance(result, Exception):
            print(f"{name}: {result}", flush=True)
            return missing.append(name)
        if name == "float":
            results["float"] = result
            line = f"{name} {result['bits']:.5f}"
        else:
            results["rows"][name] = result
            published = anchors.get(name.removesuffix(rows.PUBLISHED))
            anchor = f" anchor {published:.5f} {result['bits'] - published:+.5f}" if published else ""
            line = (f"{name} {result['bits']:.5f}{anchor} quantize {result['quantize_seconds']:.1f} s "
                    f"{result['quantize_mib']:.0f} MiB eval {result['eval_seconds']:.1f} s")
            if "blackwell_bits" in result:
                line += f" blackwell {result['blackwell_bits']:.5f} {result['blackwell_seconds']:.1f} s"
            if "bf16_bits" in result:
                line += f" {result['bf16_values']} {result['bf16_bits']:.5f}"
        write(options.results, results)
        print(line, flush=True)

    jobs.in_parallel(tasks, options.jobs, options.threads, on_done)
    return missing


def in_table_order(results):
    """Rows as rows.py lists them, whatever order they ended in."""
    order = [name for name, _ in rows.anchor_rows() + rows.published_rows() + rows.ablation_rows()]
    return {name: results["rows"][name] for name in order if name in results["rows"]}


def render(options, results, anchors):
    results["rows"] = in_table_order(results)
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / f"{options.model}.md"
    page.write_text(f"# {options.model}\n\n" + report.table(results, anchors))
    plots.bits(options.out / f"{options.model}_bits.svg", options.model, results)
    plots.layers(options.out / f"{options.model}_layers.svg", options.model, results)
    plots.scales(options.out / f"{options.model}_scales.svg", options.model, results)
    print(f"{page} and three plots written")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fourge", type=pathlib.Path, help="the program (not needed with --render)")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("anchors_work"), help="for folders while measured")
    parser.add_argument("--results", type=pathlib.Path, required=True, help="JSON, read and written")
    parser.add_argument("--out", type=pathlib.Path, help="folder for table and plots")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--threads", type=int, default=2, help="threads of each")
    parser.add_argument("--seconds", type=float, help="end after this, keeping what is finished")
    parser.add_argument("--only", default="", help="rows whose name contains one of these, by commas")
    parser.add_argument("--skip", default="", help="no rows whose name contains one of these")
    parser.add_argument("--ablation", action="store_true", help="also the variants of recipe best")
    parser.add_argument("--published", action="store_true", help="also GPTQ calibrated as the published rows were")
    parser.add_argument("--fast", action="store_true", help="W4A4 with numerics fast and f32 values only")
    parser.add_argument("--keep", action="store_true", help="do not delete quantised folders")
    parser.add_argument("--text", type=pathlib.Path, help="default: valid.bin")
    parser.add_argument("--max-bytes", type=int, default=65536)
    parser.add_argument("--layer-bytes", type=int, default=4096, help="text that layer errors are measured on")
    parser.add_argument("--render", action="store_true", help="nothing new: table and plots of --results")
    options = parser.parse_args()
    if not options.render and not options.fourge:
        parser.error("--fourge is needed to measure")
    if options.fourge:
        options.fourge = options.fourge.resolve()  # "./fourge" is a path, not a name to look up
    return options


def main():
    options = parse()
    results = json.loads(options.results.read_text()) if options.results.exists() else {"model": options.model, "rows": {}}
    if results["model"] != options.model:
        raise ValueError(f"{options.results} holds {results['model']}: expected {options.model}")
    anchors = read_anchors(options)
    missing = [] if options.render else measure(options, results, anchors)
    if options.out and "float" in results:
        render(options, results, anchors)
    if missing:
        sys.exit(f"anchors: {len(missing)} rows are missing; the same command goes on: {', '.join(missing)}")


if __name__ == "__main__":
    try:
        main()
    except (jobs.Failed, OSError, KeyError, ValueError) as error:
        sys.exit(f"anchors: {error}")
