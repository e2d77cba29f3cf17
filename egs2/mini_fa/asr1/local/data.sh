#!/usr/bin/env bash
# Speech for the recogniser, made here: sentences by hand and by grammar, in many voices.
# Repeating it redoes only what is missing or out of date.
set -euo pipefail

log() { echo "$(date '+%Y-%m-%dT%H:%M:%S') ${0##*/}: $*"; }
SECONDS=0

cores=$(getconf _NPROCESSORS_ONLN)
nj=$((cores < 8 ? cores : 8))        # processes that synthesize at the same time
sentences=                           # folder with train.txt, valid.txt and test.txt;
                                     # empty: those of ../tts1 and of the grammar
utterances=5000                      # in training; sentences are repeated or left out
downloads=downloads                  # folder for the wavs
seed=0                               # of voices, rates and pitches
help_message="Usage: $0 [--nj ${nj}] [--sentences DIR] [--utterances ${utterances}] \
[--downloads ${downloads}] [--seed ${seed}]"

log "$0 $*"
. utils/parse_options.sh
if [ $# -ne 0 ]; then
    log "error: got '$*', wanted options only. ${help_message}" >&2
    exit 2
fi
. ./path.sh

corpus="${downloads}/mini_fa_asr"

if [ -z "${sentences}" ]; then
    sentences="${downloads}/sentences"
    log "Make sentences: ../tts1/local/sentences, local/grammar -> ${sentences}"
    python3 local/make_sentences.py --add ../tts1/local/sentences --test 25 \
        --out "${sentences}"
fi

log "Synthesize: ${sentences} -> ${corpus}/wav"
python3 local/speak.py \
    --sentences "${sentences}" \
    --out "${corpus}" \
    --utterances "${utterances}" \
    --seed "${seed}" \
    --nj "${nj}"

log "Write data directories: ${corpus} -> data/{train,valid,test,test_unseen}"
python3 local/write_data.py \
    --utterances "${corpus}/utterances.tsv" \
    --wav_dir "${corpus}/wav" \
    --data_dir data

log "Done in ${SECONDS} s: $(wc -l < data/train/text) train," \
    "$(wc -l < data/valid/text) valid, $(wc -l < data/test/text) test utterances"
