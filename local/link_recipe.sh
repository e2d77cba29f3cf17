#!/usr/bin/env bash
# Put a recipe of this tree into an ESPnet checkout, to run it under ESPnet's tts.sh.
#
# Laid out as ESPnet's own egs2/TEMPLATE/tts1/setup.sh does: shared files are relative
# links inside the checkout, cmd.sh and the cluster settings (conf/*.conf) are copies of
# the checkout's, to be edited there. The recipe's own files are links to this tree: one
# version of them. Nothing is overwritten, so repeating it adds only what is missing.
set -euo pipefail

help_message="Usage: $0 ESPNET_ROOT [RECIPE_DIR]
  ESPNET_ROOT  a checkout of ESPnet (git clone https://github.com/espnet/espnet)
  RECIPE_DIR   the recipe to put there (default: egs2/mini_fa/tts1)"

fail() {
    echo "link_recipe.sh: error: $*" >&2
    exit 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ] || [[ "$1" == -* ]]; then
    echo "${help_message}" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
espnet=$(cd "$1" 2>/dev/null && pwd -P) || fail "no such folder: $1"
recipe=$(cd "${2:-${here}/egs2/mini_fa/tts1}" 2>/dev/null && pwd -P) ||
    fail "no such recipe: $2. Give a folder like egs2/mini_fa/tts1"

# ------------------------------------------------------------------ is all there?
template=egs2/TEMPLATE
missing=()
for path in "${template}"/tts1/{tts.sh,path.sh,cmd.sh,conf,sid} \
    "${template}"/asr1/{db.sh,scripts,pyscripts,utils,steps} tools/extra_path.sh; do
    [ -e "${espnet}/${path}" ] || missing+=("${path}")
done
[ ${#missing[@]} -eq 0 ] ||
    fail "${espnet} is no ESPnet checkout, it lacks ${missing[*]}. Get one with" \
        "'git clone https://github.com/espnet/espnet' and give its folder; one from" \
        "before March 2023 needs Kaldi in its tools/kaldi, too"

for path in run.sh conf local; do
    [ -e "${recipe}/${path}" ] || missing+=("${path}")
done
[ ${#missing[@]} -eq 0 ] ||
    fail "${recipe} is no recipe, it lacks ${missing[*]}. Give a folder like" \
        "egs2/mini_fa/tts1"

stage_of() { # TITLE: number of the stage of that title in the checkout's tts.sh
    sed -nE "s/.*log \"Stage ([0-9]+): $1.*/\1/p" "${espnet}/${template}/tts1/tts.sh" |
        head -n 1
}
decoding=$(stage_of Decoding)
packing=$(stage_of Pack)
[ -n "${decoding}" ] && [ -n "${packing}" ] ||
    fail "${espnet}/${template}/tts1/tts.sh has no stage called Decoding or Pack:" \
        "wanted ESPnet of 2021 or newer"

# ------------------------------------------------------------------ what goes where
corpus=$(basename "$(dirname "${recipe}")")
dir=egs2/${corpus}/$(basename "${recipe}")
declare -A links=() # path in the recipe -> what the link says
for path in run.sh local README.md; do
    [ ! -e "${recipe}/${path}" ] || links[${path}]=${recipe}/${path}
done
for path in "${recipe}"/conf/*; do
    [[ "${path}" == *.conf ]] || links[conf/${path##*/}]=${path}
done
for path in tts.sh path.sh sid; do
    links[${path}]=../../TEMPLATE/tts1/${path}
done
for path in db.sh scripts pyscripts utils steps; do
    links[${path}]=../../TEMPLATE/asr1/${path}
done

conflicts=()
for path in "${!links[@]}"; do
    to=${espnet}/${dir}/${path}
    if [ "$(readlink "${to}" || true)" = "${links[${path}]}" ]; then
        unset "links[${path}]"
    elif [ -e "${to}" ] || [ -L "${to}" ]; then
        conflicts+=("${path}")
    fi
done
[ ${#conflicts[@]} -eq 0 ] ||
    fail "${espnet}/${dir} has its own $(printf '%s\n' "${conflicts[@]}" | sort |
        paste -sd ' '), which would have to be links to ${recipe}: move ${dir} away"

# ------------------------------------------------------------------ lay it
laid=0
mkdir -p "${espnet}/${dir}/conf"
for path in "${!links[@]}"; do
    ln -s "${links[${path}]}" "${espnet}/${dir}/${path}"
    laid=$((laid + 1))
done
for path in cmd.sh $(cd "${espnet}/${template}/tts1" && ls -d conf/*); do
    to=${espnet}/${dir}/${path}
    if [ ! -e "${to}" ]; then
        rm -rf "${to}.partial"
        cp -R "${espnet}/${template}/tts1/${path}" "${to}.partial"
        mv "${to}.partial" "${to}"
        laid=$((laid + 1))
    fi
done
echo "${espnet}/${dir}: files laid: ${laid}, the others were there"

# The Python of the checkout's path.sh, which is the active one unless ESPnet's
# installation has written tools/activate_python.sh.
cd "${espnet}/${dir}"
if ! (
    # shellcheck disable=SC1091
    set +eu && . ./path.sh >/dev/null 2>&1
    python3 -c "import importlib.util as u; exit(not u.find_spec('espnet_vibevoice'))"
); then
    echo "warning: its path.sh leads to a Python without espnet_vibevoice: activate the" \
        "environment of ${here} (make setup), or name its Python with" \
        "'cd ${espnet}/tools && ./setup_python.sh PYTHON'" >&2
fi
echo "Decoding is stage ${decoding} and packing stage ${packing} here. Next:
    cd $(printf '%q' "${PWD}")
    ./run.sh --stage 1 --stop-stage ${decoding}"
