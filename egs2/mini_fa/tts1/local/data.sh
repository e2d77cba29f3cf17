#!/usr/bin/env bash
# The corpus mini_fa: synthetic Persian speech of four voices, made here, and the
# tiny base model that the recipe trains on it. Repeating it redoes only what is
# missing or out of date.
set -euo pipefail

log() { echo "$(date '+%Y-%m-%dT%H:%M:%S') ${0##*/}: $*"; }
SECONDS=0

# Everything the machine has, up to eight.
cores=$(getconf _NPROCESSORS_ONLN)
nj=$((cores < 8 ? cores : 8))  # processes that synthesize at the same time
downloads=downloads            # folder for the wavs and the tiny base model
seed=0                         # of the random weights of the tiny base model
help_message="Usage: $0 [--nj ${nj}] [--downloads ${downloads}] [--seed ${seed}]"

log "$0 $*"
. utils/parse_options.sh
if [ $# -ne 0 ]; then
    log "error: got '$*', wanted options only. ${help_message}" >&2
    exit 2
fi
. ./path.sh

corpus="${downloads}/mini_fa"

log "Synthesize: local/sentences -> ${corpus}/wav"
python3 local/synthesize.py \
    --sentences local/sentences \
    --out "${corpus}" \
    --nj "${nj}"

log "Write data directories: ${corpus} -> data/{train,valid,test}"
python3 local/write_data.py \
    --utterances "${corpus}/utterances.tsv" \
    --wav_dir "${corpus}/wav" \
    --data_dir data

log "Make the tiny base model: data/train -> ${downloads}/mini_base"
python3 local/make_mini_base.py \
    --text data/train/text \
    --wav_scp data/train/wav.scp \
    --out "${downloads}/mini_base" \
    --seed "${seed}"

log "Done in ${SECONDS} s: $(wc -l < data/train/text) train," \
    "$(wc -l < data/valid/text) valid, $(wc -l < data/test/text) test utterances"
