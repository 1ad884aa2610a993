#!/usr/bin/env bash
# Set up and run all tests: bash tests/run.sh [arguments of pytest]
#
#   bash tests/run.sh -n 0 tests/unit/test_files.py     one file, in one process
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. final/setup.sh
set_up tests/requirements.txt
# Tests start hundreds of processes: each would compile the package again where no bytecode is kept.
unset PYTHONDONTWRITEBYTECODE
ruff check final tests
ruff format --check final tests
lint-imports --no-cache --no-logo

# Types are checked beside the tests; what is found is shown at the end.
types="$(mktemp)"
mypy >"$types" 2>&1 &
checking=$!
trap 'kill "$checking" 2>/dev/null || true; rm -f "$types"' EXIT

status=0
# Processes of one thread each take one file of tests after another; tests/conftest.py says how many, and which file first.
# One that dies ends the run: its file would be begun again, and a run whose last process dies never ends.
python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 "$@" || status=$?
wait "$checking" || status=1
cat "$types"
exit "$status"
