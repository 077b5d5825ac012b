#!/usr/bin/env bash
# Sets up what serving needs and starts the service; `./run_service.sh --help` says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_environment.sh

show_help() {
  cat <<'HELP'
Usage: ./run_service.sh [--help]

Starts the PenPress service on http://127.0.0.1:9000 (its reference: /docs) and ends on Ctrl+C.
The first start installs what serving needs into .venv, in this folder, from poetry.lock: about a minute, no torch.
Needs Python 3.11 or later with its venv module; PYTHON=/path/to/python3 chooses one.

  HOST=0.0.0.0 ./run_service.sh    listens on every network interface instead of this machine only
  PORT=8080 ./run_service.sh       listens on another port
  PENPRESS_...                     every other setting, see documentation/docs/operations.md

Exit codes: 0 stopped by Ctrl+C, 143 by SIGTERM, 1 or 2 the service could not start, 3 no suitable Python, 4 the packages could not be installed.
HELP
}

case "${1:-}" in
  "") ;;
  -h | --help) show_help; exit 0 ;;
  *) echo "run_service.sh: unknown argument '$1'; settings are environment variables, see ./run_service.sh --help" >&2; exit 2 ;;
esac

groups=main
[[ -z "${OTEL_EXPORTER_OTLP_ENDPOINT:-}${OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:-}" ]] || groups=main,tracing
set_up "$groups"
exec .venv/bin/python -m app.main
