"""The table of a results document, in Markdown."""
import math

import rows


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def paired_error(row, base):
    """Standard error of the bits per byte over the float model, from the spread over windows."""
    differences = [a - b for a, b in zip(row["window_bits"], base["window_bits"])]
    centre = mean(differences)
    variance = sum((d - centre) ** 2 for d in differences) / max(len(differences) - 1, 1)
    return math.sqrt(variance * len(differences)) / base["bytes"]


def table(results, anchors):
    base = results["float"]
    lines = [f"bf16 weights, f32 arithmetic: **{base['bits']:.5f}** bits per byte.", "",
             "| row | bits per byte | over float | anchor | less anchor | published arithmetic | less anchor | "
             "blackwell less fast | "
             "mean layer error | stream error | quantise s | MiB |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, row in results["rows"].items():
        anchor = anchors.get(name.removesuffix(rows.PUBLISHED))
        beside = f"{anchor:.5f} | {row['bits'] - anchor:+.5f}" if anchor else "- | -"
        bf16 = f"{row['bf16_bits']:.5f}" if row.get("bf16_bits") else "-"
        less = f"{row['bf16_bits'] - anchor:+.5f}" if row.get("bf16_bits") and anchor else "-"
        blackwell = f"{row['blackwell_bits'] - row['bits']:+.1e}" if row.get("blackwell_bits") else "-"
        lines.append(f"| {name} | **{row['bits']:.5f}** | {row['bits'] - base['bits']:+.5f} ± {paired_error(row, base):.5f} | "
                     f"{beside} | {bf16} | {less} | {blackwell} | {mean(l['output_error'] for l in row['layers']):.3e} | "
                     f"{row['stream_error']:.3e} | {row['quantize_seconds']:.0f} | {row['quantize_mib']:.0f} |")
    return "\n".join(lines) + "\n"
