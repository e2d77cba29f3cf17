# shellcheck shell=bash
# Sourced by every script of a recipe: where Python is and how it reads text.
# Laid out as ESPnet's path.sh, so that a recipe folder works in either tree.
MAIN_ROOT=$(cd "${PWD}/../../.." && pwd)

export PATH="${PWD}/utils:${PATH}"
export LC_ALL=C
# With LC_ALL=C Python would read Persian text as bytes it cannot decode.
export PYTHONIOENCODING=UTF-8 PYTHONUTF8=1

# The environment that `make setup` builds, unless another one is active.
if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "${MAIN_ROOT}/.venv/bin/python3" ]; then
    export PATH="${MAIN_ROOT}/.venv/bin:${PATH}"
fi
if ! python3 -c "import importlib.util as u; exit(not u.find_spec('espnet_vibevoice'))"; then
    echo "error: $(command -v python3) has no espnet_vibevoice: run 'make setup' in ${MAIN_ROOT}" >&2
    exit 1
fi

# One thread for each of the parallel jobs; training sets its own number.
export OMP_NUM_THREADS=1

if [ -f local/path.sh ]; then
    . local/path.sh
fi
