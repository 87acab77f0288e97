#!/usr/bin/env bash
# Captures what this machine's GPU computes and compares it with the reference:
#
#   tools/capture/run.sh [DIR] [options of capture, such as --outputs 1000000 --seed 7 --model blackwell.mxf4]
#
# DIR (default build/capture/vectors) receives one vector file for each instruction. The comparison needs
# build/release/fourge; without it the files are captured and the command that compares them is printed.
# Environment: NVCC (the compiler), CAPABILITY (such as 12.0, where the GPU's cannot be asked for).
# Exit: 0 captured, and every output equal if compared; 1 a difference or a failed self-check; 2 nothing could be done.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

refuse() {
  echo "run.sh: $*" >&2
  exit 2
}

find_nvcc() {
  local candidate
  for candidate in "${NVCC:-}" "$(command -v nvcc || true)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    if [[ -n $candidate && -x $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
}

# "9.0"; empty without a GPU. The second way serves containers without nvidia-smi.
find_capability() {
  local query
  if [[ -n ${CAPABILITY:-} ]]; then
    echo "$CAPABILITY"
  elif query=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null); then
    head -n 1 <<<"$query" | tr -d ' '
  elif query=$("$(dirname "$nvcc")/__nvcc_device_query" 2>/dev/null); then
    sed -E 's/,.*//; s/(.)$/.\1/' <<<"$query"
  fi
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  exit 0
fi
out=$root/build/capture/vectors
if [[ $# -gt 0 && $1 != -* ]]; then
  out=$1
  shift
fi

nvcc=$(find_nvcc)
[[ -n $nvcc ]] || refuse "no nvcc: install the CUDA toolkit (13.0 or later for Blackwell), or set NVCC=/path/to/nvcc"
capability=$(find_capability)
[[ -n $capability ]] || refuse "no NVIDIA GPU found (nvidia-smi and __nvcc_device_query report none)"
[[ $capability =~ ^[0-9]+\.[0-9]$ ]] || refuse "compute capability '$capability': expected a form such as 9.0"

# wgmma, tcgen05 and block-scaled mma.sync exist only in the architecture-specific targets ("a").
target=${capability/./}
case $target in
  8?) ;;
  90 | 10? | 12?) target=${target}a ;;
  11?) echo "run.sh: compute capability $capability: only the plain mma.sync instructions are captured" ;;
  *) refuse "compute capability $capability is not supported: 8.x, 9.0, 10.x, 11.x and 12.x are" ;;
esac
"$nvcc" --list-gpu-arch | grep -qx "compute_${target%a}" ||
  refuse "$nvcc does not know compute capability $capability: a newer CUDA toolkit is needed"

build=$root/build/capture
program=$build/capture_sm_$target
mkdir -p "$build"
if [[ ! -x $program || -n $(find "$here" -name '*.[ch]*' -newer "$program") ]]; then
  echo "building $program"
  "$nvcc" -std=c++20 -O2 -gencode "arch=compute_$target,code=sm_$target" "$here"/*.cu "$here"/*.cc -o "$program.part"
  mv "$program.part" "$program"
fi

driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 || true)
status=0
mkdir -p "$out"
"$program" --out "$out" ${driver:+--driver "$driver"} "$@" || status=$?
[[ $status -le 1 ]] || exit "$status"

shopt -s nullglob
files=("$out"/*.safetensors)
[[ ${#files[@]} -gt 0 ]] || exit "$status"
fourge=$root/build/release/fourge
if [[ -x $fourge ]]; then
  "$fourge" conform "${files[@]}" || status=$?
else
  echo "not compared: build the reference (cmake --preset release && cmake --build --preset release), then"
  echo "  build/release/fourge conform $out/*.safetensors"
fi
exit "$status"
