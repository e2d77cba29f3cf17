#!/usr/bin/env bash
# The corpus ManaTTS: Parquet parts -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

downloads=downloads          # folder of what is fetched and unpacked
match_quality="HIGH MIDDLE"  # of HIGH MIDDLE REJECT: what to take
max_cer=0.1                  # highest character error rate of its recognisers
valid_size=0.005             # validation set: a share, or a number of utterances
test_size=0.005              # test set, likewise
seed=0                       # another one draws other sets
max_dropped=0.01             # fail if a larger share of rows is faulty
help_message="Usage: $0 [--downloads ${downloads}] \
    [--match_quality ${match_quality}] \
    [--max_cer ${max_cer}] \
    [--valid_size ${valid_size}] \
    [--test_size ${test_size}] \
    [--seed ${seed}] \
    [--max_dropped ${max_dropped}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

corpus=${MANATTS:-downloads}
if [ "${corpus}" = downloads ]; then
    corpus=${downloads}/manatts
    command -v hf >/dev/null ||
        fail "hf is missing: python3 -m pip install huggingface_hub, or set MANATTS in" \
            "db.sh to the folder of the Parquet parts"
    log "Download: MahtaFetrat/Mana-TTS -> ${corpus}"
    hf download MahtaFetrat/Mana-TTS --repo-type dataset --include "dataset/*.parquet" \
        --local-dir "${corpus}"
fi

log "Prepare: ${corpus} -> data/{train,valid,test}"
# shellcheck disable=SC2086  # several words
python3 -m espnet_vibevoice.bin.prepare_corpus manatts \
    --source "${corpus}" \
    --data_dir data \
    --audio_dir "${downloads}/manatts_audio" \
    --match_quality ${match_quality} \
    --max_cer "${max_cer}" \
    --valid_size "${valid_size}" \
    --test_size "${test_size}" \
    --seed "${seed}" \
    --max_dropped "${max_dropped}"
finish
