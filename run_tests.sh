#!/usr/bin/env bash
# Sets up everything and runs the tests with branch coverage over app/, in a process for each processor, at most four,
# whose libraries use one thread each. Arguments go to pytest:
#
#   ./run_tests.sh                       all tests
#   ./run_tests.sh tests/test_text.py    one file
#   ./run_tests.sh -k rotation -x        tests by name, stop at the first failure
#   ./run_tests.sh -n 0 --pdb            one process, which a debugger needs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_environment.sh

set_up all
export OMP_NUM_THREADS=1
exec .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term --durations=10 "$@"
