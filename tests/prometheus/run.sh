#!/usr/bin/env bash
# Checks what watches the fleet, without an engine: alerts and when they ring, the dashboard, and the files of compose's
# profile `observe`. Wants promtool (Debian: prometheus); Python's packages are those of tests/k8s.
set -euo pipefail
cd "$(dirname "$0")"

promtool check rules ../../deploy/prometheus/alerts.yml
promtool test rules alerts_test.yml
exec ../k8s/run.sh discover --start-directory ../prometheus "$@"
