#!/usr/bin/env bash
# Set up and run all tests: bash tests/run.sh [arguments of pytest]
#
#   bash tests/run.sh -n 0 tests/unit/test_metrics.py     one file, in one process
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. final/setup.sh
set_up tests/requirements.txt
ruff check final tests
ruff format --check final tests
lint-imports --no-cache --no-logo
# One process per core, of one thread each. A process that has finished takes over tests that wait for another.
exec python -m pytest -n auto --maxprocesses 8 --dist worksteal "$@"
