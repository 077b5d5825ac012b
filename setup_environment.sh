# shellcheck shell=bash
# Sets up `.venv` from poetry.lock. Sourced by run_service.sh, run_tests.sh and lint_module.sh; runs nothing by itself.
#
#   set_up main      what serving needs
#   set_up main,ui   that and MLflow's browser interface
#   set_up all       every group of pyproject.toml: training, tests and linters too
#
# Poetry lives in a virtual environment of its own, `.poetry`, because its dependencies are not PenPress's. It is told
# to use the package index that pip is configured for (PIP_INDEX_URL or a pip configuration file), and the plugin makes
# it read that index's HTML pages, which every index serves. Nothing outside this folder is changed, except caches.
#
# Exit codes: 3 no suitable Python, 4 the packages could not be installed.

readonly PYTHON_LOWEST="3.11" PYTHON_BEYOND="3.15" # as in pyproject.toml
readonly POETRY_PACKAGES=("poetry==2.5.1" "poetry-plugin-pypi-mirror==0.6.5")
readonly STAMP=".venv/penpress-installed"

set_up() {
  local wanted="$1"
  is_installed "$wanted" && return
  make_environment
  install_poetry
  install_packages "$wanted"
  echo "$wanted $(lock_fingerprint)" >"$STAMP"
}

is_installed() { # what is there must come from this poetry.lock and have every group wanted; `all` has them all
  local found fingerprint group
  [[ -x .venv/bin/python && -f "$STAMP" ]] || return 1
  read -r found fingerprint <"$STAMP" || true
  [[ "$fingerprint" == "$(lock_fingerprint)" ]] || return 1
  [[ "$found" != all ]] || return 0
  for group in ${1//,/ }; do
    [[ ",$found," == *",$group,"* ]] || return 1
  done
}

lock_fingerprint() { cksum <poetry.lock | tr ' ' '-'; }

make_environment() {
  is_suitable .venv/bin/python && return
  local python
  python="$(find_python)"
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear --without-pip .venv
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python; do
    if is_suitable "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  say "no Python from $PYTHON_LOWEST up to (not including) $PYTHON_BEYOND with its venv module was found." \
    "Install one, for instance with 'apt install python3 python3-venv', or name it: PYTHON=/path/to/python3 $0"
  return 3
}

is_suitable() {
  local check="import ensurepip, sys, venv
low, beyond = (tuple(map(int, text.split('.'))) for text in sys.argv[1:])
sys.exit(not low <= sys.version_info[:2] < beyond)"
  "$1" -c "$check" "$PYTHON_LOWEST" "$PYTHON_BEYOND" >/dev/null 2>&1
}

install_poetry() {
  [[ "$(cat .poetry/penpress-installed 2>/dev/null)" == "${POETRY_PACKAGES[*]}" ]] && return
  say "installing Poetry into .poetry"
  .venv/bin/python -m venv --clear .poetry
  .poetry/bin/python -m pip install --quiet --no-compile --disable-pip-version-check "${POETRY_PACKAGES[@]}" || explain_failure
  echo "${POETRY_PACKAGES[*]}" >.poetry/penpress-installed
}

install_packages() {
  local groups=(--only "$1")
  [[ "$1" == all ]] && groups=(--all-groups)
  say "installing the packages of poetry.lock into .venv (groups: $1)"
  run_poetry install --no-interaction --no-ansi "${groups[@]}" || explain_failure
}

run_poetry() (
  unset VIRTUAL_ENV CONDA_PREFIX # Poetry would install into an environment that happens to be active
  export POETRY_VIRTUALENVS_CREATE=true POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_KEYRING_ENABLED=false
  local index certificates
  { read -r index && read -r certificates; } < <(pip_settings) || true
  [[ -z "$index" ]] || export POETRY_PYPI_MIRROR_URL="$index"
  [[ -z "$certificates" ]] || export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-$certificates}"
  .poetry/bin/poetry "$@" >&2
)

pip_settings() { # pip's own reading of its configuration files and variables: the index, then the certificates or ""
  .poetry/bin/python -c "from pip._internal.commands import create_command
options = create_command('install').parser.get_default_values()
print(options.index_url, options.cert or '', sep='\n')"
}

explain_failure() {
  local free
  free="$(df -Pm . | awk 'NR == 2 { print $4 }' || true)"
  say "the packages could not be installed; the reason stands above." \
    "Without a connection to a package index: go online, or set PIP_INDEX_URL to a mirror. Without room on the disk" \
    "($free MB are free; serving takes 600, everything 10000): make some. Then run $0 again: it goes on where it stopped."
  return 4
}

say() { echo "penpress: $*" >&2; }
