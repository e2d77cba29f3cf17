#!/usr/bin/env bash
# Build the environment of espnet_vibevoice: `make setup` calls this.
# Runs again after any interruption; does nothing when nothing has changed.
# Reads from the environment: VENV PYTHON TORCH_SPEC FORCE (see `make help`).
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}                         # folder of the environment
torch_spec=${TORCH_SPEC:-torch==2.13.0}     # installed only where torch is absent
force=${FORCE:-}                            # any text: check and install again
build_tool='setuptools>=77.0.3,<80.9'       # as in requirements.txt

py="${venv}/bin/python"
log="${venv}/setup.log"
report="${venv}/setup_report.txt"
stamp="${venv}/setup.stamp"
running="${venv}/setup.running"
inputs=(requirements.txt requirements-nodeps.txt setup.py pyproject.toml
    local/setup_env.sh espnet_vibevoice/__init__.py espnet_vibevoice/compat.py)
SECONDS=0

fail() { # fail MESSAGE: one line, exit 1
    echo "setup: $*" >&2
    exit 1
}

is_usable_python() { # is_usable_python COMMAND: 3.11 or newer with venv
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1
}

find_python() { # print the interpreter that builds the environment
    if [ -n "${PYTHON:-}" ]; then
        is_usable_python "${PYTHON}" && echo "${PYTHON}" && return
        fail "PYTHON=${PYTHON}: wanted Python 3.11 or newer with its venv module" \
            "(Debian: package python3-venv)."
    fi
    local name
    for name in python3 python3.11 python3.12 python3.13; do
        is_usable_python "${name}" && echo "${name}" && return
    done
    fail "no Python 3.11 or newer with its venv module in PATH." \
        "Install one (Debian: python3-venv) or name it: make setup PYTHON=/path/python3"
}

fingerprint() { # print what the finished environment depends on
    {
        pwd
        "${py}" -c 'import sys; print(sys.version)'
        cat "${inputs[@]}"
    } | cksum
}

explain() { # explain LOG: what to do about pip's failure
    if grep -q 'No space left on device' "$1"; then
        echo "The disk is full: about 3 GB are needed (8 GB with a CUDA build of" \
            "torch). Free some, or name another disk: make setup VENV=... TMPDIR=..."
    elif grep -qE 'Failed to establish|NameResolution|ConnectTimeout|Read timed out|ProxyError|SSLError|Could not fetch URL|from versions: none' "$1"; then
        echo "The package registry was not reached, or has nothing for this Python:" \
            "check the network and pip's settings (pip config list), then run" \
            "make setup again."
    else
        echo "Mend the cause above, then run make setup again."
    fi
}

step() { # step TITLE COMMAND...: log the output, show one line
    local title=$1 start=${SECONDS}
    shift
    printf '%-46s' "  ${title}"
    echo "=== ${title}: $*" >>"${log}"
    local begin
    begin=$(wc -l <"${log}")
    if "$@" >>"${log}" 2>&1; then
        echo "$((SECONDS - start)) s"
        return
    fi
    echo "failed"
    tail -n "+$((begin + 1))" "${log}" >"${running}.tail"
    tail -n 15 "${running}.tail" >&2
    explain "${running}.tail" >&2
    fail "${title} failed; full log: ${log}"
}

make_environment() { # create, or rebuild when its interpreter no longer runs
    if "${py}" -c '' 2>/dev/null; then
        "${py}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
            fail "${venv} has $("${py}" --version 2>&1), wanted 3.11 or newer." \
                "Remove it or name another: make setup VENV=..."
    else
        if [ -e "${venv}" ] && [ ! -e "${venv}/pyvenv.cfg" ] &&
            [ -n "$(ls -A "${venv}")" ]; then
            fail "${venv} exists and is no Python environment: remove it or name" \
                "another folder (make setup VENV=...)."
        fi
        local python output
        python=$(find_python)
        output=$("${python}" -m venv --clear "${venv}" 2>&1) ||
            fail "${python} -m venv ${venv}: ${output}"
    fi
    # An interrupted venv, or one made by another tool, may have no pip.
    "${py}" -m pip --version >/dev/null 2>&1 ||
        "${py}" -m ensurepip --upgrade >/dev/null ||
        fail "${venv} has no pip and ensurepip failed: remove ${venv}, run again."
}

drop_half_installed() { # a kill inside pip leaves metadata without RECORD
    [ -e "${running}" ] || return 0
    local site
    site=$("${py}" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    find "${site}" -maxdepth 1 -name '*.dist-info' -newer "${running}" \
        ! -exec test -e '{}/RECORD' ';' -exec rm -rf '{}' +
}

installed_torch() { # print torch==<exact version>, nothing if absent
    "${py}" - <<'EOF'
from importlib.metadata import PackageNotFoundError, version
try:
    print(f"torch=={version('torch')}")
except PackageNotFoundError:
    pass
EOF
}

install_parts() {
    local pip=("${py}" -m pip install --no-input --disable-pip-version-check
        --progress-bar off)
    local kept constraint="${venv}/setup.constraint"
    kept=$(installed_torch)
    if [ -n "${kept}" ]; then
        step "${kept/==/ } is there and kept" "${pip[@]}" "${build_tool}"
    else
        step "${torch_spec}" "${pip[@]}" "${build_tool}" "${torch_spec}"
    fi
    # Nothing below may exchange the build of torch.
    installed_torch >"${constraint}"
    step "packages (requirements.txt)" "${pip[@]}" \
        --constraint "${constraint}" --editable '.[test,mini]'
    step "ESPnet and hazm (requirements-nodeps.txt)" "${pip[@]}" --no-deps \
        --requirement requirements-nodeps.txt
    step "torchaudio and placeholders" \
        "${py}" -m espnet_vibevoice.bin.mend_upstream
}

check() {
    printf '%-46s' "  self-check"
    local start=${SECONDS}
    if "${py}" -m espnet_vibevoice.bin.check_install >"${report}.partial" 2>>"${log}"
    then
        echo "$((SECONDS - start)) s"
    else
        echo "failed"
        cat "${report}.partial"
        fail "the self-check failed; full log: ${log}"
    fi
    mv "${report}.partial" "${report}"
    cat "${report}"
}

main() {
    if [ -z "${force}" ] && [ -s "${stamp}" ] && [ -s "${report}" ] &&
        "${py}" -c '' 2>/dev/null && [ "$(cat "${stamp}")" = "$(fingerprint)" ]; then
        cat "${report}"
        echo "setup: ${venv} is up to date (again from the start: make setup FORCE=1)"
        return
    fi
    make_environment
    echo "setup: ${venv} ($("${py}" --version), $("${py}" -m pip --version |
        cut -d' ' -f1,2)), log: ${log}"
    drop_half_installed
    rm -f "${stamp}"
    touch "${running}"
    echo "=== $(date) make setup" >>"${log}"
    install_parts
    check
    fingerprint >"${stamp}.partial"
    mv "${stamp}.partial" "${stamp}"
    rm -f "${running}" "${running}.tail"
    echo "setup: finished in ${SECONDS} s"
}

main
