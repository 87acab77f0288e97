#!/usr/bin/env bash
# Makes everything that the preset aarch64 needs on an x86-64 Debian 12; says nothing more when it is there.
#
#   tools/setup_aarch64.sh && cmake --preset aarch64 && cmake --build --preset aarch64
#
# 1. The cross compiler, the emulator: Debian packages g++-aarch64-linux-gnu and qemu-user-static.
# 2. build/aarch64-sysroot: libraries for arm64, unpacked from Debian's packages. Nothing is installed for a
#    foreign architecture, and apt's own package lists stay as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cross_packages=(g++-aarch64-linux-gnu qemu-user-static)
arm64_packages=(libgtest-dev libvixl5 libvixl-dev libfmt9 libfmt-dev libhwy1 libhwy-dev libcli11-dev nlohmann-json3-dev libeigen3-dev)
sysroot=$PWD/build/aarch64-sysroot
complete=$sysroot/.complete

missing=()
for package in "${cross_packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || true)
  grep -qx installed <<<"$status" || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  if ((EUID != 0)); then
    echo "setup_aarch64.sh: run as root, then start this script again: apt-get install ${missing[*]}" >&2
    exit 2
  fi
  apt-get update -q || echo "setup_aarch64.sh: could not refresh the package lists" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
fi

wanted="${arm64_packages[*]}"
if [[ -f $complete && $(<"$complete") == "$wanted" ]]; then exit 0; fi

# An apt of its own for arm64: the system's sources and keys, state and cache in a temporary folder.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs"
: >"$work/status"
private_apt=(apt-get -q
  -o APT::Architecture=arm64 -o APT::Architectures=arm64
  -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
  -o APT::Sandbox::User= -o Debug::NoLocking=1)
"${private_apt[@]}" update
(cd "$work/debs" && "${private_apt[@]}" download "${arm64_packages[@]}")

rm -rf "$sysroot"
mkdir -p "$sysroot"
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$sysroot"; done
echo "$wanted" >"$complete"
echo "setup_aarch64.sh: ready: build/aarch64-sysroot"
