#!/usr/bin/env bash
# The corpus ParsiGoo: a list and wavs per voice -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

downloads=downloads                         # folder of what is fetched and unpacked
unwanted_speakers="edge_Dilara edge_Farid"  # voices of a commercial synthesiser
valid_size=0.02                             # validation set: a share, or a number of utterances
test_size=0.02                              # test set, likewise
seed=0                                      # another one draws other sets
max_dropped=0.02                            # fail if a larger share of rows is faulty
help_message="Usage: $0 [--downloads ${downloads}] \
    [--unwanted_speakers ${unwanted_speakers}] \
    [--valid_size ${valid_size}] \
    [--test_size ${test_size}] \
    [--seed ${seed}] \
    [--max_dropped ${max_dropped}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

url=https://huggingface.co/datasets/Kamtera/ParsiGoo/resolve/main/datasets.zip
find_corpus "${PARSIGOO:-downloads}" "${url}" "${downloads}/parsigoo"

log "Prepare: ${corpus} -> data/{train,valid,test}"
# shellcheck disable=SC2086  # several words
python3 -m espnet_vibevoice.bin.prepare_corpus parsigoo \
    --source "${corpus}" \
    --data_dir data \
    --unwanted_speakers ${unwanted_speakers} \
    --valid_size "${valid_size}" \
    --test_size "${test_size}" \
    --seed "${seed}" \
    --max_dropped "${max_dropped}"
finish
