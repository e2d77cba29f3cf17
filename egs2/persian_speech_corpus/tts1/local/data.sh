#!/usr/bin/env bash
# The Persian Speech Corpus: one list and wavs -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

downloads=downloads  # folder of what is fetched and unpacked
valid_size=20        # validation set: a share, or a number of utterances
test_size=20         # test set, likewise
seed=0               # another one draws other sets
max_dropped=0.05     # fail if a larger share of rows is faulty; a few wavs
                     # are known to be missing
help_message="Usage: $0 [--downloads ${downloads}] \
    [--valid_size ${valid_size}] \
    [--test_size ${test_size}] \
    [--seed ${seed}] \
    [--max_dropped ${max_dropped}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

url=https://fa.persianspeechcorpus.com/persian-speech-corpus.zip
find_corpus "${PERSIAN_SPEECH_CORPUS:-downloads}" "${url}" \
    "${downloads}/persian_speech_corpus"

log "Prepare: ${corpus} -> data/{train,valid,test}"
python3 -m espnet_vibevoice.bin.prepare_corpus persian_speech_corpus \
    --source "${corpus}" \
    --data_dir data \
    --valid_size "${valid_size}" \
    --test_size "${test_size}" \
    --seed "${seed}" \
    --max_dropped "${max_dropped}"
finish
