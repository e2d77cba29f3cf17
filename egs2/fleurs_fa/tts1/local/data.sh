#!/usr/bin/env bash
# The corpus FLEURS fa_ir: lists and wav archives -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

downloads=downloads  # folder of what is fetched and unpacked
max_dropped=0.01     # fail if a larger share of rows is faulty
help_message="Usage: $0 [--downloads ${downloads}] \
    [--max_dropped ${max_dropped}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

url=https://huggingface.co/datasets/google/fleurs/resolve/main/data/fa_ir
corpus=${FLEURS_FA:-downloads}

get() { # FILE: from the internet or from the folder of the archives
    if [ "${FLEURS_FA:-downloads}" = downloads ]; then
        download "${url}/$1" "${corpus}/$1"
    else
        mkdir -p "$(dirname "${corpus}/$1")"
        ln -sfn "$(realpath -e "${FLEURS_FA}/$1")" "${corpus}/$1"
    fi
}
if [ ! -d "${corpus}/audio/train" ]; then # not unpacked by its owner
    corpus=${downloads}/fleurs_fa
    for split in train dev test; do
        get "${split}.tsv"
        [ -e "${corpus}/audio/${split}/.unpacked" ] || get "audio/${split}.tar.gz"
        unpack "${corpus}/audio/${split}.tar.gz" "${corpus}/audio/${split}"
    done
fi

log "Prepare: ${corpus} -> data/{train,valid,test}"
python3 -m espnet_vibevoice.bin.prepare_corpus fleurs \
    --source "${corpus}" \
    --data_dir data \
    --max_dropped "${max_dropped}"
finish
