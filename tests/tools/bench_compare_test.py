"""tools/bench_compare on files: it finds differences that are there, and none that are not."""

import argparse
import importlib.machinery
import importlib.util
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/bench_compare"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("bench_compare", str(TOOL))
bench_compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_compare", loader))
loader.exec_module(bench_compare)


class BenchCompare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.random = random.Random(1)

    def write(self, name, times, extra=None):
        path = pathlib.Path(self.folder.name) / name
        entries = [{"name": bench, "run_type": "iteration", "real_time": 9e9, "time_unit": "us", "best_us": time,
                    **(extra or {})} for bench, time in times.items()]
        path.write_text(json.dumps({"context": {}, "benchmarks": entries}))
        return str(path)

    def runs(self, side, means, rounds=6, noise=0.005):
        return ",".join(self.write(f"{side}{i}.json", {name: mean * (1 + self.random.uniform(0, noise))
                                                       for name, mean in means.items()}) for i in range(rounds))

    def tool(self, *arguments):
        return subprocess.run([sys.executable, TOOL, *arguments], text=True, capture_output=True)

    def test_slower_faster_and_same_are_told_apart(self):
        base = self.runs("base", {"a": 100.0, "b": 50.0, "c": 10.0, "gone": 1.0})
        head = self.runs("head", {"a": 110.0, "b": 40.0, "c": 10.0, "new": 1.0})
        done = self.tool("--files", base, head, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        self.assertEqual({name: row["verdict"] for name, row in rows.items()}, {"a": "slower", "b": "faster", "c": "same"})
        self.assertAlmostEqual(rows["a"]["ratio"], 1.1, delta=0.01)
        low, high = rows["a"]["interval"]
        self.assertTrue(1.08 < low < rows["a"]["ratio"] < high < 1.12)
        self.assertEqual(self.tool("--files", base, head, "--strict").returncode, 1)

    def test_noise_is_unclear_not_slower(self):
        base = self.runs("base", {"a": 100.0}, rounds=4, noise=0.5)
        head = self.runs("head", {"a": 103.0}, rounds=4, noise=0.5)
        done = self.tool("--files", base, head, "--strict")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("unclear", done.stdout)

    def test_the_interval_covers_the_truth(self):
        # 95 %, so of 1000 about 950.
        covered = 0
        for _ in range(1000):
            base, head = ([mean * math.exp(self.random.gauss(0, 0.1)) for _ in range(5)] for mean in (1.0, 1.2))
            low, high = bench_compare.Comparison("a", base, head).interval()
            covered += low <= 1.2 <= high
        self.assertTrue(920 < covered < 975, covered)

    def test_one_round_has_no_interval(self):
        done = self.tool("--files", self.write("b.json", {"a": 1.0}), self.write("h.json", {"a": 2.0}))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("unclear", done.stdout)

    def test_a_group_without_a_match_gives_nothing(self):
        # An older commit has a program for each group. Of these, the second finds no name and writes no file, and the
        # third one that is empty.
        folder = pathlib.Path(self.folder.name)
        body = json.dumps({"benchmarks": [{"name": "a", "time_unit": "us", "best_us": 3.0, "real_time": 4.0}]})
        programs = []
        for number, line in enumerate([f"echo '{body}' > $1", "true", ": > $1"]):
            script = folder / f"group{number}"
            script.write_text(f"#!/bin/sh\n{line}\n")
            script.chmod(0o755)
            programs.append(([script], "{}", "--filter={}", "--seconds={}"))
        options = argparse.Namespace(filter="a", seconds=0.1, full=False)
        out = folder / "run.json"
        self.assertEqual(bench_compare.measure(programs, options, out), {"a": 3.0})
        self.assertEqual(bench_compare.measure(programs[1:], options, out), {})

    def test_wrong_results_and_bad_use_are_refused(self):
        good = self.write("good.json", {"a": 1.0})
        wrong = self.write("wrong.json", {"a": 1.0}, {"fourge": {"status": "wrong", "reason": "D[0, 0]"}})
        for arguments, text in [((good, wrong), "wrong result: D[0, 0]"),
                                ((good, f"{good},{good}"), "as many files"),
                                ((good, self.write("other.json", {"b": 1.0})), "no benchmark in common"),
                                ((good, "/nonexistent.json"), "No such file")]:
            done = self.tool("--files", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.stderr)
        self.assertIn("no commit: nonsense", self.tool("nonsense", "HEAD").stderr)


if __name__ == "__main__":
    unittest.main()
