"""The rows of the anchor table: a name, as in anchors.json where it stands there, and the arguments of fourge quantize."""

FORMATS = ("nvfp4", "mxfp4")
ROTATION = {"nvfp4": "16", "mxfp4": "32"}  # the smallest of the paper for each format


def of_format(fmt, acts):
    """(name without its prefix, arguments): rounding to nearest first, then what calibrates, best last."""
    w4a4 = acts == "w4a4"
    if fmt == "nvfp4":
        static = ["--static-activations"] if w4a4 else []
        yield "fos-static_6", ["--recipe", "rtn"]
        yield "fos-mse", ["--recipe", "4over6"]
        for order in ("16", "128"):
            yield f"fpq-rtn-h{order}", ["--recipe", "rtn", "--rotate", order, *static]
    else:
        rule = lambda name: ["--scale-rule", name, *(["--activation-rule", name] if w4a4 else [])]
        yield "fos-static_6", ["--recipe", "rtn", *rule("static_6")]
        yield "ocp-floor", ["--recipe", "rtn"]
        yield "shift", ["--recipe", "rtn", *rule("shift")]
        for order in ("32", "128"):
            yield f"fpq-rtn-h{order}", ["--recipe", "rtn", "--rotate", order, *rule("shift")]
    yield "fpq-gptq-id", ["--recipe", "gptq"]
    for order in sorted({ROTATION[fmt], "32", "128"}, key=int):
        yield f"fpq-gptq-h{order}", ["--recipe", "mr-gptq", "--rotate", order]
    yield "best", ["--recipe", "best"]


def anchor_rows():
    return [(f"{fmt}-{acts}-{name}", ["--format", fmt, *arguments, *(["--w4a16"] if acts == "w4a16" else [])])
            for acts in ("w4a4", "w4a16") for fmt in FORMATS for name, arguments in of_format(fmt, acts)]


PUBLISHED = "-as-published"


def published_rows():
    """GPTQ calibrated in the arithmetic of FP-Quant, whose bf16 models hold dequantised values."""
    return [(name + PUBLISHED, [*arguments, "--values", "fake_bf16"])
            for name, arguments in anchor_rows() if "fpq-gptq" in name]


def published_values(name):
    """--values of an evaluation that computes as the published row did."""
    return "fake_bf16" if "-fpq-" in name else "bf16"


def ablation_rows():
    """One setting of `best` at a time put back to what MR-GPTQ does, and other settings that were tried."""
    changes = {
        "activation-amax": lambda fmt: ["--activation-rule", "static_6" if fmt == "nvfp4" else "shift"],
        "no-equalize": lambda fmt: ["--equalize", "0"],
        "target-own": lambda fmt: ["--target", "own_input"],
        "target-stream": lambda fmt: ["--target", "stream_output"],
        "scales-before": lambda fmt: ["--scale-timing", "before"],
        "no-descent": lambda fmt: ["--descent", "0"],
        "rotate-none": lambda fmt: ["--rotate", "none"],
        "rotate-32": lambda fmt: ["--rotate", "32"],
        "rotate-auto": lambda fmt: ["--rotate", "auto"],
    }
    return [(f"{fmt}-w4a4-best-{name}", ["--format", fmt, "--recipe", "best", *change(fmt)])
            for fmt in FORMATS for name, change in changes.items()]
