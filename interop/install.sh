#!/usr/bin/env bash
# Installs the clients and brokers that the interoperability tests run: Debian packages (as root),
# and below interop/.cache a Maven build, npm packages and two Python environments.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .cache

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need mosquitto mosquitto
need mosquitto_rr mosquitto-clients
need coap-client-notls libcoap3-bin
need java default-jdk-headless
need mvn maven
need npm npm
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# Each part is made once and again when what describes it has changed.
made() { cmp -s "$1" ".cache/$2.made"; }
mark() { cp "$1" ".cache/$2.made"; }

stamp=$(mktemp)
trap 'rm -f "$stamp"' EXIT
find leshan-client -name target -prune -o -type f -print0 | sort -z | xargs -0 sha256sum > "$stamp"
if ! made "$stamp" leshan || ! [ -d leshan-client/target/dependency ]; then
  (cd leshan-client && mvn -q -B package dependency:copy-dependencies)
  mark "$stamp" leshan
fi

if ! made node-client/package.json node; then
  mkdir -p .cache/node
  cp node-client/package.json .cache/node/
  (cd .cache/node && npm install --no-audit --no-fund --silent)
  mark node-client/package.json node
fi

environment() {
  if ! made "$1" "$2"; then
    rm -rf ".cache/$2"
    python3 -m venv ".cache/$2"
    ".cache/$2/bin/pip" install -q --disable-pip-version-check -r "$1"
    mark "$1" "$2"
  fi
}
environment requirements.txt pytest
environment requirements-emqxlwm2m.txt emqxlwm2m
environment requirements-schemathesis.txt schemathesis
