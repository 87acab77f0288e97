#!/usr/bin/env python3
"""anchors_test.py ANCHORS FOURGE MODELS TEXT: one row of tools/anchors, from the model to the plots."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

ANCHORS, FOURGE, MODELS, TEXT = (pathlib.Path(p).resolve() for p in sys.argv[1:5])
ROW = "mxfp4-w4a4-ocp-floor"


class Anchors(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        self.results = self.folder / "nano.json"

    def tearDown(self):
        self.temporary.cleanup()

    def run_anchors(self, *arguments):
        return subprocess.run(
            [sys.executable, str(ANCHORS), "--fourge", str(FOURGE), "--models", str(MODELS), "--text", str(TEXT),
             "--max-bytes", "600", "--layer-bytes", "300", "--work", str(self.folder / "work"),
             "--results", str(self.results), "--out", str(self.folder / "out"), "--only", ROW, *arguments],
            capture_output=True, text=True)

    def test_a_row_from_the_model_to_the_plots(self):
        first = self.run_anchors()
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn(f"{ROW} ", first.stdout)
        results = json.loads(self.results.read_text())
        row = results["rows"][ROW]
        self.assertGreater(row["bits"], results["float"]["bits"])
        self.assertLess(row["bits"], results["float"]["bits"] + 1.0)
        self.assertAlmostEqual(row["blackwell_bits"], row["bits"], places=6)  # powers of two: the sums are exact
        self.assertEqual(row["bf16_values"], "bf16")
        self.assertLess(abs(row["bf16_bits"] - row["bits"]), 0.1)
        self.assertEqual(len(row["layers"]), 42)
        self.assertEqual(sum(row["scales"].values()), 6 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 768 * 256) // 32)
        self.assertEqual(list((self.folder / "work" / "nano").iterdir()), [])  # the 4-bit folder is gone
        self.assertIn(ROW, (self.folder / "out" / "nano.md").read_text())
        for plot in ("bits", "layers", "scales"):
            xml.parse(self.folder / "out" / f"nano_{plot}.svg")
        again = self.run_anchors()
        self.assertEqual((again.returncode, again.stdout.count(ROW)), (0, 0), again.stderr)  # nothing is done twice

    def test_a_run_out_of_time_says_what_is_missing(self):
        result = self.run_anchors("--seconds", "0.01")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"2 rows are missing; the same command goes on: float, {ROW}", result.stderr)

    def test_draws_differ_and_are_summed_up(self):
        result = subprocess.run(
            [sys.executable, str(ANCHORS.with_name("jitter.py")), "--fourge", str(FOURGE), "--text", str(TEXT),
             "--max-bytes", "600", "--seeds", "2", "--quantize", "--recipe rtn --format mxfp4", str(MODELS / "nano")],
            capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        first, second, summary = result.stdout.splitlines()
        bits = [float(line.split(": ")[1]) for line in (first, second)]
        self.assertNotEqual(*bits)
        self.assertAlmostEqual(*bits, delta=0.1)
        self.assertTrue(summary.startswith("2 draws: mean "), summary)
        self.assertAlmostEqual(float(summary.split()[3]), sum(bits) / 2, delta=1.1e-5)

    def test_a_draw_that_cannot_be_made_says_why(self):
        result = subprocess.run(
            [sys.executable, str(ANCHORS.with_name("jitter.py")), "--fourge", str(FOURGE), "--text", str(TEXT),
             "--seeds", "1", "--quantize", "--recipe none", str(MODELS / "nano")], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("recipe 'none'", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
