#!/usr/bin/env bash
# Installs what is missing, builds, runs the quick test suite.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: tools/test.sh [--sanitize | --clang | --release | --long] [-- CTEST OPTIONS]
  (none)      gcc with warnings as errors (preset dev), quick suite
  --sanitize  clang with address and undefined-behaviour sanitizers, quick suite
  --clang     clang with warnings as errors, quick suite
  --release   optimised build, quick suite
  --long      optimised build, the long suite: exhaustive runs, up to hours
USAGE
}

preset=dev
suite=
while (($# > 0)); do
  case $1 in
    --sanitize) preset=asan-ubsan ;;
    --clang) preset=clang ;;
    --release) preset=release ;;
    --long) preset=release suite=long ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *)
      echo "test.sh: unknown option: $1" >&2
      usage >&2
      exit 2
      ;;
  esac
  shift
done

# LeakSanitizer stops its own process with ptrace, which some containers forbid.
leak_detection() {
  local folder
  folder=$(mktemp -d)
  echo 'int main() {}' | clang++ -fsanitize=address -x c++ - -o "$folder/probe"
  if ASAN_OPTIONS=detect_leaks=1 "$folder/probe" 2>/dev/null; then echo 1; else echo 0; fi
  rm -r "$folder"
}

tools/setup.sh
if [[ $preset == asan-ubsan ]]; then
  leaks=$(leak_detection)
  [[ $leaks == 1 ]] || echo "test.sh: ptrace is forbidden here: leak detection is off" >&2
  export ASAN_OPTIONS="detect_leaks=$leaks${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
  export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
fi
# CI's compiler cache is cold: files of a folder together, a faster linker, and of debug information only lines.
from_nothing=(-DFOURGE_UNITY_BUILD=ON -DCMAKE_{EXE,SHARED,MODULE}_LINKER_FLAGS=-fuse-ld=lld "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1")
cmake --preset "$preset" ${CI:+"${from_nothing[@]}"}
cmake --build --preset "$preset"
ctest --preset "${suite:-$preset}" --parallel "$(nproc)" --output-junit results.xml "$@"
