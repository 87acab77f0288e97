#!/usr/bin/env bash
# Cross-builds for 64-bit Arm and runs it under qemu-aarch64. Sets up what it needs (tools/setup_aarch64.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: tools/test_aarch64.sh [--quick | --full]
  --quick  the program (the default): demo at every level, conform with every kernel, on processors with and
           without dot products and SVE, SVE at 128 to 2048 bits
  --full   also the whole quick test suite (SVE of 512 bits, qemu's default), every SVE kernel against the
           definitions at 128, 256, 1024 and 2048 bits, and every kernel but portable C++ on a processor without
           dot products and SVE: about 25 minutes on two cores, building not counted
Exit code 77: this machine cannot be set up for it; the reason is printed.
USAGE
}

full=
while (($# > 0)); do
  case $1 in
    --quick) full= ;;
    --full) full=1 ;;
    -h | --help) usage; exit 0 ;;
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
build=build/aarch64-dev
cmake --preset aarch64-dev -DFOURGE_UNITY_BUILD=ON
cmake --build --preset aarch64-dev --target fourge_kernel_cli fourge_one_gemm

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
attempts=0

# attempt WHAT CPU PROGRAM ARGUMENTS...: one program on one of qemu's processors, beside others; quiet when it is well.
attempt() {
  while (($(jobs -pr | wc -l) >= $(nproc))); do wait -n || true; done
  attempts=$((attempts + 1))
  attempt_now "$results/$attempts" "$@" &
}
attempt_now() {
  local file=$1 what=$2 cpu=$3 status=0 seconds=$SECONDS
  shift 3
  qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu "$cpu" "$@" >"$file.out" 2>&1 || status=$?
  if ((status == 0)); then
    echo "ok      $what ($((SECONDS - seconds)) s)"
    : >"$file.ok"
  else
    printf 'FAILED  %s: exit %d\n%s\n' "$what" "$status" "$(<"$file.out")"
  fi
}

# program CPU LEVEL ARGUMENTS...: fourge under a level cap.
program() {
  local cpu=$1 level=$2
  shift 2
  FOURGE_MAX_ISA=$level attempt "-cpu $cpu, at most $level: fourge ${*//tests\/data\/tc\//}" "$cpu" "$build/tools/cli/fourge_kernel_cli" "$@"
}

# A debugger's view of a generated kernel, through the emulator's own stub: its name, and a backtrace to main from its
# entry and after each of some instructions.
debugger() {
  local debugger program=$build/tests/fourge_one_gemm kernel socket output
  if ! debugger=$(command -v gdb-multiarch); then
    echo "skipped gdb: gdb-multiarch (Debian package) is not installed"
    return
  fi
  attempts=$((attempts + 1))
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
    : >"$results/$attempts.ok"
    echo "ok      gdb: $kernel and its callers, 8 steps"
  else
    printf 'FAILED  gdb: %s\n%s\n' "$kernel" "$output"
  fi
}

# qemu gives a program 512 bits unless told otherwise.
sve() { echo "max,sve-max-vq=$(($1 / 128)),sve-default-vector-length=$(($1 / 8))"; }
vector_lengths=(128 256 512 1024 2048)

debugger
vectors=(tests/data/tc/{nvfp4_ue4m3_b16,mxfp4_ue8m0_b32,mxf4nvf4_ue8m0_b16}.safetensors)
# cortex-a57: Armv8.0, neither dot products nor SVE. conform runs every kernel of the processor, whatever the level.
program cortex-a57 sve demo --quick
program cortex-a57 sve conform "${vectors[@]}"
for level in scalar neon dotprod sve; do program max "$level" demo --quick; done
for bits in "${vector_lengths[@]}"; do program "$(sve "$bits")" sve conform "${vectors[@]}"; done
program "$(sve 256)" sve gemm --random 70,192 --format mxfp4 --tokens 33 --kernel sve --check all

if [[ -n $full ]]; then
  golden=${FOURGE_SHARED:-../shared}/golden/tc
  if [[ -d $golden ]]; then
    program max sve conform "$golden"/{nvfp4_ue4m3_b16,mxfp4_ue8m0_b32,mxf4nvf4_ue8m0_b16}.safetensors
  fi
  wait
  cmake --build --preset aarch64-dev
  attempts=$((attempts + 1))
  if ctest --preset aarch64-dev --parallel "$(nproc)"; then : >"$results/$attempts.ok"; fi
  # Not again at each length: what depends on rows, threads and operands, not on vectors.
  bits_and_bounds='*BitExact*/sve*:*Every*/sve*:*Codes*/sve*:*StaysInside*/sve*:*ErrorStays*/sve*:*Largest*/sve*:*Edges*/sve*'
  for bits in 128 256 1024 2048; do
    attempt "SVE of $bits bits: fourge_simd_test" "$(sve "$bits")" "$build/tests/fourge_simd_test" \
      --gtest_brief=1 --gtest_filter='*sve*'
    attempt "SVE of $bits bits: fourge_jit_test" "$(sve "$bits")" "$build/tests/fourge_jit_test" \
      --gtest_brief=1 --gtest_filter="$bits_and_bounds-*EveryLayoutAndItsPadding*"
  done
  attempt "cortex-a57: fourge_jit_test" cortex-a57 "$build/tests/fourge_jit_test" --gtest_brief=1 \
    --gtest_filter='-Long*:*/scalar*:*/sve*'
fi
wait
passed=$(find "$results" -name '*.ok' | wc -l)
echo "test_aarch64.sh: $passed passed, $((attempts - passed)) failed"
((passed == attempts))
