#!/usr/bin/env python3
"""Runs the commands that the documentation shows.

    run_commands.py --root SOURCE --program FOURGE PAGE.md...

A page's fenced blocks:
    ```sh test      every command runs, in a folder of the page's own that looks like the repository's root:
                    build/release/fourge is the program under test. Exit code 0, or what a last line
                    "# exit code N" says.
    ```text output  what the block before it prints on standard output, to the letter.
    ```text like    the same, but runs of digits and of blanks match any others.
    ```sh manual    not run: it builds, installs, or needs what a test machine lacks.
    ```cpp file=F   a part of the file F of the repository, which is built and run by a test of its own.
Any other block that shows a command of the program is an error. Exit code 0: all of it is true; 1: a line each.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(.*)$")
COMMAND = re.compile(r"^\s*(\$ )?(build/release/)?fourge [a-z]", re.MULTILINE)
EXIT_CODE = re.compile(r"^# exit code (\d+)$", re.MULTILINE)
SHOWN = ("models", "tests", "tools", "reference", "include", "docs")


def blocks(text):
    """(line number, info string, content) of every fenced block."""
    info = None
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if match and info is None:
            info, begin, lines = match.group(1).strip(), number, []
        elif match:
            yield begin, info, "".join(f"{text_line}\n" for text_line in lines)
            info = None
        elif info is not None:
            lines.append(line)


def loosely(text):
    """The text with what differs between machines and runs made equal."""
    text = re.sub(r"\d+(\.\d+)?", "0", text)
    return re.sub(r"[ -]+", " ", text).strip()


def make_root(folder, source, program):
    for name in SHOWN:
        (folder / name).symlink_to(source / name)
    (folder / "build/release").mkdir(parents=True)
    (folder / "build/release/fourge").symlink_to(program)


class Page:
    def __init__(self, path, source, program):
        self.path, self.source, self.program = path, source, program
        self.complaints, self.ran, self.output = [], 0, None

    def complain(self, line, text):
        self.complaints.append(f"{self.path.relative_to(self.source)}:{line}: {text}")

    def run(self, line, script, folder):
        expected = EXIT_CODE.search(script)
        code = int(expected.group(1)) if expected else 0
        path = f"{folder}/build/release:{os.environ['PATH']}"
        environment = dict(os.environ, NO_COLOR="1", COLUMNS="100", LC_ALL="C", PATH=path)
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        self.ran += 1
        self.output = result.stdout
        if result.returncode != code:
            self.complain(line, f"exit code {result.returncode}, expected {code}: {result.stderr.strip()}")

    def check_output(self, line, content, exact):
        if self.output is None:
            return self.complain(line, "output of no command")
        same = self.output == content if exact else loosely(content) == loosely(self.output)
        if not same:
            self.complain(line, f"the command prints something else:\n{self.output}")

    def check_file(self, line, name, content):
        if content not in (self.source / name).read_text(encoding="utf-8"):
            self.complain(line, f"not a part of {name}")

    def check(self):
        with tempfile.TemporaryDirectory(prefix="fourge-docs-") as name:
            folder = pathlib.Path(name)
            make_root(folder, self.source, self.program)
            for line, info, content in blocks(self.path.read_text(encoding="utf-8")):
                if info == "sh test":
                    self.run(line, content, folder)
                elif info in ("text output", "text like"):
                    self.check_output(line, content, info == "text output")
                elif info.startswith("cpp file="):
                    self.check_file(line, info.removeprefix("cpp file="), content)
                elif info != "sh manual" and COMMAND.search(content):
                    self.complain(line, "a command of the program in a block that is neither test nor manual")


def main():
    parser = argparse.ArgumentParser(description="Runs the commands that the documentation shows.")
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("pages", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    complaints, ran = [], 0
    for path in options.pages:
        page = Page((options.root / path).resolve(), options.root.resolve(), options.program.resolve())
        page.check()
        complaints += page.complaints
        ran += page.ran
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(options.pages)} pages, {ran} blocks of commands ran, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
