#!/usr/bin/env bash
# The corpus Common Voice fa: lists and mp3 -> data/{train,valid,test}.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/../../../../local/corpus.sh"
SECONDS=0

downloads=downloads   # folder of what is fetched and unpacked
train_list=validated  # validated | train: all good clips, or the release's set
min_up_votes=2        # votes for a training clip
max_down_votes=0      # votes against a training clip
max_dropped=0.01      # fail if a larger share of rows is faulty
help_message="Usage: $0 [--downloads ${downloads}] \
    [--train_list ${train_list}] \
    [--min_up_votes ${min_up_votes}] \
    [--max_down_votes ${max_down_votes}] \
    [--max_dropped ${max_dropped}]"

log "$0 $*"
. utils/parse_options.sh
no_positional "$@"
. ./path.sh
. ./db.sh

[ -n "${COMMONVOICE_FA:-}" ] ||
    fail "Common Voice asks you to accept its terms. Get Persian (fa) from" \
        "https://datacollective.mozillafoundation.org, then set COMMONVOICE_FA in db.sh" \
        "to the archive or to the folder that was in it"
find_corpus "${COMMONVOICE_FA}" none "${downloads}/commonvoice_fa"

log "Prepare: ${corpus} -> data/{train,valid,test}"
python3 -m espnet_vibevoice.bin.prepare_corpus common_voice \
    --source "${corpus}" \
    --data_dir data \
    --by_speaker \
    --train_list "${train_list}" \
    --min_up_votes "${min_up_votes}" \
    --max_down_votes "${max_down_votes}" \
    --max_dropped "${max_dropped}"
finish
