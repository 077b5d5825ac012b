#!/usr/bin/env bash
# Checks form, types, layers and documentation; every check runs, and the exit code is 1 if any failed.
#
#   ./lint_module.sh         check only
#   ./lint_module.sh --fix   first mend what can be mended: format, lint, outputs in notebooks
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./setup_environment.sh

failed=()

check() {
  local name="$1"
  shift
  echo "== $name" >&2
  "$@" || failed+=("$name")
}

mend() {
  .venv/bin/ruff check --fix-only --quiet
  .venv/bin/ruff format --quiet
  strip_notebooks
}

strip_notebooks() { git ls-files -z '*.ipynb' | xargs -0 -r .venv/bin/nbstripout "$@"; }

build_documentation() (
  site="$(mktemp -d)"
  trap 'rm -rf "$site"' EXIT
  NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet --site-dir "$site"
)

case "${1:-}" in
  "" | --fix) ;;
  *) echo "lint_module.sh: unknown argument '$1'; only --fix is understood" >&2; exit 2 ;;
esac

set_up all
if [[ "${1:-}" == --fix ]]; then mend; fi

check "ruff format" .venv/bin/ruff format --check --quiet
check "ruff check" .venv/bin/ruff check
check "mypy" .venv/bin/mypy
check "import-linter" .venv/bin/lint-imports
check "notebooks without outputs" strip_notebooks --verify
check "mkdocs" build_documentation

if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "all checks passed" >&2
