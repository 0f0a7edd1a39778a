#!/usr/bin/env bash
# Installs what `.ci/run` needs beyond Rust: a C compiler for the build, and the clients and
# brokers of the interoperability tests (interop/install.sh lists and pins those).
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
command -v cc >/dev/null 2>&1 || packages+=(gcc libc6-dev)
command -v make >/dev/null 2>&1 || packages+=(make)
command -v git >/dev/null 2>&1 || packages+=(git)
# callgrind, for the counts of instructions.
command -v valgrind >/dev/null 2>&1 || packages+=(valgrind)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

if ! command -v cargo >/dev/null 2>&1; then
  echo "Rust is missing: install rustup from https://rustup.rs, it takes the pinned toolchain" >&2
  exit 1
fi
# The toolchain that rust-toolchain.toml pins, with clippy and rustfmt.
cargo --version

interop/install.sh
