"""Plots of quantised models as SVG, with nothing but the standard library."""
import collections
import html
import json
import math
import struct

COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e"]


class Svg:
    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def line(self, x1, y1, x2, y2, colour="#ccc", width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"/>')

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def circle(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def polyline(self, points, colour):
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.5"/>')

    def text(self, x, y, words, anchor="start", size=12, weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
                          f'font-weight="{weight}">{html.escape(words)}</text>')

    def write(self, path):
        body = "\n".join(self.parts)
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
                        f'font-family="sans-serif" fill="#222"><rect width="100%" height="100%" fill="white"/>\n'
                        f"{body}\n</svg>\n")


def bits(path, model, results):
    """Bits per byte over the float model, one bar a recipe, smallest first."""
    base = results["float"]["bits"]
    ordered = sorted(results["rows"].items(), key=lambda item: item[1]["bits"])
    svg = Svg(760, 60 + 20 * len(ordered))
    svg.text(10, 22, f"{model}: bits per byte over the float model ({base:.5f})", size=14, weight="bold")
    most = max([r["bits"] - base for _, r in ordered] + [1e-9])
    for i, (name, r) in enumerate(ordered):
        y, over = 40 + 20 * i, r["bits"] - base
        svg.text(250, y + 12, name, "end")
        width = 400 * max(over, 0.0) / most
        svg.rect(256, y, width, 15, COLOURS[0] if name.startswith("nvfp4") else COLOURS[2])
        svg.text(262 + width, y + 12, f"{over:+.5f}")
    svg.write(path)


def chosen(results, names):
    return [(name, r) for name, r in results["rows"].items() if name.endswith(names) and "w4a4" in name]


def layers(path, model, results):
    """Relative output error of every linear layer on the float model's inputs, W4A4, log scale."""
    shown = chosen(results, ("-fos-mse", "-ocp-floor", "-fpq-gptq-h16", "-fpq-gptq-h32", "-best"))
    svg = Svg(900, 440)
    svg.text(10, 22, f"{model}: output error of each linear layer, |y - yq|^2 / |y|^2, W4A4", size=14, weight="bold")
    values = [l["output_error"] for _, r in shown for l in r["layers"] if l["output_error"] > 0]
    if not values:
        return svg.write(path)
    low, high = math.floor(math.log10(min(values)) * 2) / 2, math.ceil(math.log10(max(values)) * 2) / 2
    top, bottom, left, right = 40, 370, 60, 890

    def y_of(value):
        return bottom - (math.log10(max(value, 10**low)) - low) / max(high - low, 1e-9) * (bottom - top)

    for half in range(round(low * 2), round(high * 2) + 1):
        y = y_of(10 ** (half / 2))
        svg.line(left, y, right, y)
        svg.text(left - 6, y + 4, f"{10 ** (half / 2):.1e}", "end", 10)
    count = len(shown[0][1]["layers"])
    step = (right - left) / max(count, 1)
    for i in range(0, count, 7):
        svg.line(left + i * step, top, left + i * step, bottom)
        svg.text(left + (i + 3.5) * step, bottom + 14, f"block {i // 7}", "middle", 10)
    svg.text(left, bottom + 30, "within a block: q, k, v, o, gate, up, down", size=10)
    for c, (name, r) in enumerate(shown):
        colour = COLOURS[c % len(COLOURS)]
        points = [(left + (i + 0.5) * step, y_of(l["output_error"])) for i, l in enumerate(r["layers"])]
        svg.polyline(points, colour)
        for x, y in points:
            svg.circle(x, y, colour)
        svg.rect(left + (c % 3) * 280, bottom + 40 + 16 * (c // 3), 10, 10, colour)
        svg.text(left + 15 + (c % 3) * 280, bottom + 50 + 16 * (c // 3), name, size=11)
    svg.write(path)


def scale_codes(folder):
    """Counts of the scale bytes of all layers of a fourge folder, by code."""
    counts = collections.Counter()
    for shard in sorted(folder.glob("*.safetensors")):
        data = shard.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        for name, tensor in json.loads(data[8 : 8 + size]).items():
            if name.endswith((".scales", ".weight_scale")) and tensor["dtype"] in ("U8", "F8_E4M3"):
                first, last = tensor["data_offsets"]
                counts.update(data[8 + size + first : 8 + size + last])
    return {str(code): counts[code] for code in sorted(counts)}


def scales(path, model, results):
    """Histogram of weight scale codes, one panel a recipe."""
    shown = chosen(results, ("-fos-static_6", "-fos-mse", "-fpq-gptq-h16", "-fpq-gptq-h32", "-best"))
    svg = Svg(760, 40 + 130 * max(len(shown), 1))
    svg.text(10, 22, f"{model}: scale codes of the weights (nvfp4: ue4m3, mxfp4: ue8m0)", size=14, weight="bold")
    for i, (name, r) in enumerate(shown):
        counts = {int(code): count for code, count in r["scales"].items()}
        top, bottom = 50 + 130 * i, 140 + 130 * i
        svg.text(10, top - 6, name, size=11)
        if not counts:
            continue
        first, last, most = min(counts), max(counts), max(counts.values())
        width = 720 / (last - first + 1)
        for code, count in counts.items():
            height = (bottom - top) * count / most
            svg.rect(20 + (code - first) * width, bottom - height, max(width - 0.5, 0.5), height, COLOURS[i % len(COLOURS)])
        svg.line(20, bottom, 740, bottom, "#888")
        svg.text(20, bottom + 14, str(first), size=10)
        svg.text(740, bottom + 14, str(last), "end", 10)
    svg.write(path)
