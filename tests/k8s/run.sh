#!/usr/bin/env bash
# Checks deploy/k8s without a cluster, and what docker-compose.yml tells the services without an engine. The Python
# packages go into a virtual environment under target/; after its first run this needs no network. Manifests are built by
# each of `kubectl` and `kustomize` that is on PATH, and by those named in KUSTOMIZERS (separated by colons). The services'
# programs must have been built.
set -euo pipefail
cd "$(dirname "$0")"

environment=../../target/k8s-check
wanted="$(sha256sum requirements.txt)"
if [ "$(cat "$environment/wanted" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
  echo "$wanted" >"$environment/wanted"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$environment/bin/python" -m unittest "$@"
