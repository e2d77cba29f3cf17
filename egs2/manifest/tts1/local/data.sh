#!/usr/bin/env bash
# Your own data: a manifest or a dataset on disk -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

manifest=            # file or folder; default: MANIFEST of db.sh
default_speaker=     # speaker of rows that name none; else each is its own
prefix=utt           # begins all ids
valid_size=0.01      # validation set: a share, or a number of utterances
test_size=0.01       # test set, likewise
by_speaker=false     # sets share no speaker either
seed=0               # another one draws other sets
max_dropped=0.01     # fail if a larger share of rows is faulty
downloads=downloads  # folder of what is fetched and unpacked
help_message="Usage: $0 [--manifest ${manifest}] \
    [--default_speaker ${default_speaker}] \
    [--prefix ${prefix}] \
    [--valid_size ${valid_size}] \
    [--test_size ${test_size}] \
    [--by_speaker ${by_speaker}] \
    [--seed ${seed}] \
    [--max_dropped ${max_dropped}] \
    [--downloads ${downloads}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

corpus=${manifest:-${MANIFEST:-}}
[ -n "${corpus}" ] ||
    fail "no data: set MANIFEST in db.sh, or give --local_data_opts '--manifest FILE'"
[ -e "${corpus}" ] || fail "no such file or folder: ${corpus}"

extra=()
[ -z "${default_speaker}" ] || extra+=(--default_speaker "${default_speaker}")
! "${by_speaker}" || extra+=(--by_speaker)
log "Prepare: ${corpus} -> data/{train,valid,test}"
python3 -m espnet_vibevoice.bin.prepare_corpus manifest \
    --source "${corpus}" \
    --data_dir data \
    --audio_dir "${downloads}/manifest_audio" \
    --prefix "${prefix}" \
    --valid_size "${valid_size}" \
    --test_size "${test_size}" \
    --seed "${seed}" \
    --max_dropped "${max_dropped}" \
    "${extra[@]}"
finish
