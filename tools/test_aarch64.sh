#!/usr/bin/env bash
# Cross-builds for 64-bit Arm and runs it under qemu-aarch64. Sets up what it needs (tools/setup_aarch64.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: tools/test_aarch64.sh [--quick] [-- CTEST OPTIONS]
  (none)   everything is built, the quick test suite runs (about an hour on two cores)
  --quick  the program only: demo and conform at every level, SVE at vector lengths of 128 to 2048 bits
Exit code 77: this machine cannot be set up for it; the reason is printed.
USAGE
}

quick=
while (($# > 0)); do
  case $1 in
    --quick) quick=1 ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *)
      echo "test_aarch64.sh: unknown option: $1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done

if ! tools/setup_aarch64.sh; then
  echo "test_aarch64.sh: skipped: no cross compiler, qemu-aarch64 or arm64 libraries here, and Debian's packages for them could not be fetched" >&2
  exit 77
fi
cmake --preset aarch64
if [[ -z $quick ]]; then
  cmake --build --preset aarch64
  exec ctest --preset aarch64 "$@"
fi
cmake --build --preset aarch64 --target fourge_cli fourge_one_gemm

# run CPU LEVEL ARGUMENTS...: the program on one of qemu's processors, under a level cap; quiet when it is well.
run() {
  local cpu=$1 level=$2
  shift 2
  local output status=0
  output=$(FOURGE_MAX_ISA=$level qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu "$cpu" build/aarch64/fourge "$@" 2>&1) || status=$?
  if ((status == 0)); then
    passed=$((passed + 1))
    echo "ok      -cpu $cpu, at most $level: fourge ${*/#*\//}"
  else
    failed=$((failed + 1))
    printf 'FAILED  -cpu %s, at most %s: fourge %s: exit %d\n%s\n' "$cpu" "$level" "$*" "$status" "$output"
  fi
}

# A debugger's view of a generated kernel, through the emulator's own stub: its name, and a backtrace to main from its
# entry and after each of some instructions.
run_debugger() {
  local debugger program=build/aarch64/tests/fourge_one_gemm kernel socket output
  if ! debugger=$(command -v gdb-multiarch); then
    echo "skipped gdb: gdb-multiarch (Debian package) is not installed"
    return
  fi
  local emulator=(qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu max)
  kernel=$("${emulator[@]}" "$program" 1 | cut -d ' ' -f 1)
  socket=$(mktemp -u)
  timeout 60 "${emulator[@]}" -g "$socket" "$program" 1 >/dev/null 2>&1 &
  for _ in $(seq 50); do [[ -S $socket ]] && break; sleep 0.1; done
  local steps=()
  for _ in $(seq 8); do steps+=(-ex 'backtrace' -ex 'stepi'); done
  output=$(timeout 60 "$debugger" -batch -nx -ex 'set breakpoint pending on' -ex 'set debuginfod enabled off' \
    -ex 'set print demangle off' -ex 'set sysroot /usr/aarch64-linux-gnu' -ex "target remote $socket" \
    -ex "break $kernel" -ex continue -ex delete "${steps[@]}" -ex kill "$program" 2>&1) || true
  wait
  rm -f "$socket"
  if (($(grep -c "^#0 .*$kernel" <<<"$output") == 8 && $(grep -c '^#[1-9].* in main (' <<<"$output") == 8)); then
    passed=$((passed + 1))
    echo "ok      gdb: $kernel and its callers, 8 steps"
  else
    failed=$((failed + 1))
    printf 'FAILED  gdb: %s\n%s\n' "$kernel" "$output"
  fi
}

passed=0
failed=0
run_debugger
vectors=(tests/data/tc/{nvfp4_ue4m3_b16,mxfp4_ue8m0_b32,mxf4nvf4_ue8m0_b16}.safetensors)
# cortex-a57: Armv8.0, neither dot products nor SVE.
run cortex-a57 sve demo --quick
for level in scalar neon dotprod sve; do run max "$level" demo --quick; done
# conform runs every kernel of the processor, whatever the level. SVE: vq counts 128 bits.
run cortex-a57 sve conform "${vectors[@]}"
for vq in 1 2 4 16; do run "max,sve-max-vq=$vq" sve conform "${vectors[@]}"; done
run max,sve-max-vq=2 sve gemm --random 70,192 --format mxfp4 --tokens 33 --kernel sve --check all
echo "test_aarch64.sh: $passed passed, $failed failed"
((failed == 0))
