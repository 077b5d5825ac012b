#!/usr/bin/env bash
# Sets up everything and runs the tests with branch coverage over app/. Arguments go to pytest:
#
#   ./run_tests.sh                       all tests
#   ./run_tests.sh tests/test_tasks.py   one file
#   ./run_tests.sh -k rotation -x        tests by name, stop at the first failure
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_environment.sh

set_up all
exec .venv/bin/python -m pytest --cov --cov-report=term --durations=10 "$@"
