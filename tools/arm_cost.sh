#!/usr/bin/env bash
# What the generated AArch64 kernels would cost, without an Arm: ESTIMATES, no measurements.
#   1. Instructions for 1,024 products, counted in VIXL's simulator.
#   2. Cycles of the inner steps by llvm-mca's models: of a GEMM two rows, 16 columns, K = 64 (2,048 products);
#      of decoding one block. LLVM 16 schedules Neoverse V2 with N2's model.
# Needs build/release with VIXL (libvixl-dev), llvm-16 and binutils-aarch64-linux-gnu.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

test_program=${1:-build/release/tests/fourge_jit_test}
mca=$(command -v llvm-mca-16 || command -v llvm-mca || true)
objdump=$(command -v aarch64-linux-gnu-objdump || true)
if [[ ! -x $test_program || -z $mca || -z $objdump ]]; then
  echo "arm_cost.sh: needs $test_program, llvm-mca-16 (package llvm-16), aarch64-linux-gnu-objdump (package binutils-aarch64-linux-gnu)" >&2
  exit 2
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
FOURGE_JIT_DUMP=$folder "$test_program" --gtest_filter='AArch64Simulator.*Budget:AArch64Simulator.InnerSteps*' | grep -E 'instructions for|FAILED' || true

for code in "$folder"/inner_step_*.bin; do
  # Branches out of the step are never taken on certified data: left out, as their targets are.
  "$objdump" -D -b binary -m aarch64 --no-show-raw-insn "$code" |
    sed -n 's/^ *[0-9a-f]*:\t//p' | sed 's/ *\/\/.*//' | grep -vE '^(b|bl|b\.[a-z]+|cbz|cbnz|tbz|tbnz)\s' >"$code.s"
  for cpu in neoverse-v2 apple-m1; do
    "$mca" -march=aarch64 -mcpu=$cpu -mattr=+dotprod -iterations=200 "$code.s" 2>/dev/null |
      awk -v name="$(basename "$code" .bin)" -v cpu=$cpu '
        /^Iterations:/ {n = $2} /^Instructions:/ {i = $2 / n} /^Total Cycles:/ {c = $3 / n}
        END {printf "%s on %s: %.0f instructions, %.1f cycles\n", name, cpu, i, c}'
  done
done
