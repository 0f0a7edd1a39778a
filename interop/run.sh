#!/usr/bin/env bash
# Runs the interoperability tests: real clients and brokers against the built binaries.
# Arguments go to pytest, for example: interop/run.sh -k leshan
set -euo pipefail
cd "$(dirname "$0")/.."
interop/install.sh
cargo build --bin lwm2m-gateway --bin lwm2m-sim
exec interop/.cache/pytest/bin/python -m pytest -p no:cacheprovider -v interop/suite "$@"
