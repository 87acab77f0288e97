#!/usr/bin/env python3
"""run_commands.py finds what is wrong with a page. Usage: run_commands_test.py FOURGE"""

import pathlib
import subprocess
import sys
import tempfile

RUNNER = pathlib.Path(__file__).with_name("run_commands.py")
LAYOUT = "fourge layout --rows 1 --cols 1 --layout linear"
PAGES = {
    "a true command": ("```sh test\nbuild/release/fourge --version\n```\n", 0),
    "an expected exit code": ("```sh test\nfourge compare none none 2>/dev/null\n# exit code 2\n```\n", 0),
    "an unexpected exit code": ("```sh test\nfourge layout --rows 0\n```\n", 1),
    "a command that only the last line follows": ("```sh test\nfalse\ntrue\n```\n", 1),
    "output that is not printed": (f"```sh test\n{LAYOUT}\n```\n```text output\nnothing\n```\n", 1),
    "output of other numbers": ("```sh test\necho 12.5 ms\n```\n```text like\n7 ms\n```\n", 0),
    "output of other words": ("```sh test\necho 12.5 ms\n```\n```text like\n7 us\n```\n", 1),
    "output without a command": ("```text output\nx\n```\n", 1),
    "an unmarked command": ("```\nbuild/release/fourge info\n```\n", 1),
    "a manual command": ("```sh manual\nbuild/release/fourge nothing\n```\n", 0),
    "a part of a file": ("```cpp file=code.cc\nint x;\n```\n", 0),
    "no part of a file": ("```cpp file=code.cc\nint y;\n```\n", 1),
}


def main():
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "code.cc").write_text("int x;\nint z;\n")
        for what, (text, expected) in PAGES.items():
            (root / "page.md").write_text(text)
            command = [sys.executable, RUNNER, "--root", root, "--program", sys.argv[1], "page.md"]
            code = subprocess.run(command, capture_output=True, check=False).returncode
            if code != expected:
                print(f"{what}: exit code {code}, expected {expected}", file=sys.stderr)
                wrong += 1
    print(f"{len(PAGES)} pages, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
