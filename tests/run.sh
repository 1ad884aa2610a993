#!/usr/bin/env bash
# Set up and run all tests: bash tests/run.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. final/setup.sh
set_up
ruff check final tests
exec python -m pytest "$@"
