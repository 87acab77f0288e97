#!/usr/bin/env bash
# Installs what building and testing fourge takes on Debian 12 and says nothing more when all of it is there.
set -euo pipefail

# The one list of Debian packages.
packages=(
  # build
  g++ clang lld cmake ninja-build ccache binutils git python3
  # libraries: assembler, SIMD, linear algebra, OpenMP for clang
  libxbyak-dev libvixl-dev libhwy-dev libeigen3-dev libomp-dev
  # command line program
  libcli11-dev libfmt-dev nlohmann-json3-dev
  # tests, sanitizers, checks
  libgtest-dev libclang-rt-14-dev clang-format clang-tidy gdb
  # the reference of the public headers
  doxygen
  # benchmarks and the peers that they compare with
  libbenchmark-dev libopenblas-dev libdnnl-dev
  # Python module, packages, tests of the installed tree
  python3-dev python3-numpy pybind11-dev python3-pip python3-setuptools python3-wheel dpkg-dev pkg-config
)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup.sh: this script knows Debian and its relatives only." >&2
  echo "Install the equivalents of these packages, then use cmake --preset release:" >&2
  printf '  %s\n' "${packages[@]}" >&2
  exit 2
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  grep -qx installed <<<"$status" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if ((EUID != 0)); then
  echo "setup.sh: packages are missing and only root can install them. Run:" >&2
  echo "  sudo sh -c 'apt-get update && ${install[*]}'" >&2
  echo "(without sudo: the same commands in a root shell), then start this script again." >&2
  exit 2
fi

export DEBIAN_FRONTEND=noninteractive
echo "setup.sh: installing ${missing[*]}"
apt-get update -q || echo "setup.sh: could not refresh the package lists; trying with those at hand" >&2
if ! "${install[@]}"; then
  echo "setup.sh: apt-get could not install: ${missing[*]}" >&2
  echo "The list is for Debian 12 (bookworm). Look at the messages above, mend, and start this script again." >&2
  exit 2
fi
