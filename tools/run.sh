#!/usr/bin/env bash
# From a fresh clone to the demonstration: installs what is missing, builds, runs `fourge demo`.
# Arguments go to the demo: tools/run.sh --json
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh
{
  cmake --preset release
  cmake --build --preset release --target fourge_cli
} >&2
exec build/release/fourge demo "$@"
