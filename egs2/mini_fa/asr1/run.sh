#!/usr/bin/env bash
# A small character recogniser for the mini corpus: it hears what synthesis says. It is
# trained and run by ESPnet's own commands. A stage that is up to date is not run again.
set -euo pipefail

log() { echo "$(date '+%Y-%m-%dT%H:%M:%S') (run.sh:${BASH_LINENO[0]}) $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
}
SECONDS=0

stage=1                             # first stage to run
stop_stage=10000                    # last stage to run
nj=2                                # parallel jobs in data preparation and decoding
num_threads=2                       # threads of the training
local_data_opts=                    # options of local/data.sh, e.g. "--sentences DIR"
train_config=conf/train_asr.yaml    # training configuration (YAML)
train_args=                         # further options of asr_train
inference_config=conf/decode_asr.yaml # decoding configuration (YAML)
inference_model=valid.cer_ctc.best.pth # checkpoint to decode with
test_sets="test test_unseen"        # voices as in training, and others
tag=mini                            # name of the experiment
python="python3 -m espnet_vibevoice" # how ESPnet commands are run

help_message="Usage: $0 [options]

Stages: 1 data preparation, 2 audio formatting, 3 token list and noises, 4 training,
        5 decoding and scoring

Options (with their defaults):
$(sed -nE 's/^([a-z_]+)=("[^"]*"|[^ ]*) +# (.*)$/    --\1 [\2]: \3/p' "${BASH_SOURCE[0]}")"

log "$0 $*"
. utils/parse_options.sh
[ $# -eq 0 ] || { echo "run.sh: no positional arguments are taken: $1" >&2; exit 2; }
. ./path.sh
. ./cmd.sh

fs=16000 # sampling rate of the recogniser in Hz
asr_exp=exp/asr_${tag}
token_list=dump/token_list/char/tokens.txt
decoded=${asr_exp}/decode_asr_${inference_model%.*}
# Two runs in one folder would write the same files. Jobs end with the driver.
export TTS_DRIVER_PID=${TTS_DRIVER_PID:-$$}
trap 'exit 130' INT # a command that takes Ctrl-C for a failure must not lead us on
mkdir -p exp
exec 9>>exp/.lock
if command -v flock >/dev/null && ! flock -w 600 9; then
    fail "another run is at work in ${PWD}: wait for it or end it, then try again"
fi

ours() { python3 -m "espnet_vibevoice.bin.$1" "${@:2}"; } # COMMAND ARGS: one of ours
is_done() { # WHAT STAMP INPUTS...: is it up to date? Says so.
    ours stamp check "${@:2}" >/dev/null && log "$1 is up to date"
}
wants() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]; } # STAGE: asked for?
need() { [ -e "$1" ] || fail "$1 is missing: run stage $2 first (--stage $2)"; } # FILE STAGE

if wants 1; then
    log "Stage 1: Data preparation: sentences -> data/"
    # shellcheck disable=SC2086
    local/data.sh --nj "${nj}" ${local_data_opts}
fi

if wants 2; then
    log "Stage 2: Audio formatting: data/ -> dump/raw/ (${fs} Hz)"
    # shellcheck disable=SC2086
    for dset in train valid ${test_sets}; do
        need "data/${dset}/wav.scp" 1
        _dst=dump/raw/${dset}
        _stamp=("${_dst}/.done" --input "data/${dset}" --output "${_dst}/wav.scp"
            --option "fs=${fs}")
        ! is_done "${_dst}" "${_stamp[@]}" || continue
        _nj=$(ours split_scp "data/${dset}/wav.scp" --nj "${nj}" \
            --out "${_dst}/logs/wav.JOB.scp")
        ${train_cmd} JOB=1:"${_nj}" "${_dst}/logs/format.JOB.log" \
            python3 -m espnet_vibevoice.bin.format_wav_scp --fs "${fs}" --job JOB \
            --wav_scp "${_dst}/logs/wav.JOB.scp" --out_dir "${_dst}"
        ours collect_parts --source "data/${dset}" --out_dir "${_dst}" --nj "${_nj}" \
            --fs "${fs}"
        ours stamp write "${_stamp[@]}"
    done
fi

if wants 3; then
    log "Stage 3: Token list: ${token_list}; noises: dump/noise"
    need dump/raw/train/.done 2
    _stamp=(dump/token_list/char/.done --input dump/raw/train/text local/make_noise.py
        --output "${token_list}" dump/noise/rir.scp)
    if ! is_done "${token_list}" "${_stamp[@]}"; then
        python3 -m espnet2.bin.tokenize_text --token_type char -f 2- \
            --input dump/raw/train/text --output "${token_list}" \
            --write_vocabulary true --add_symbol "<blank>:0" --add_symbol "<unk>:1" \
            --add_symbol "<sos/eos>:-1"
        python3 local/make_noise.py --out dump/noise
        ours stamp write "${_stamp[@]}"
    fi
fi

if wants 4; then
    log "Stage 4: Training: ${asr_exp}, log: ${asr_exp}/train.log"
    need "${token_list}" 3
    _opts=()
    for _mode in train valid; do
        _opts+=(
            "--${_mode}_data_path_and_name_and_type" "dump/raw/${_mode}/wav.scp,speech,sound"
            "--${_mode}_data_path_and_name_and_type" "dump/raw/${_mode}/text,text,text"
            "--${_mode}_shape_file" "dump/raw/${_mode}/utt2num_samples")
    done
    _inputs=(--option "train_args=${train_args}" "threads=${num_threads}" --input
        "${train_config}" "${token_list}" dump/raw/{train,valid}/{text,wav.scp})
    _stamp=("${asr_exp}/.done" "${_inputs[@]}" --output "${asr_exp}/${inference_model}")
    if ! is_done "${asr_exp}" "${_stamp[@]}"; then
        if ! ours stamp check "${asr_exp}/.started" "${_inputs[@]}" >/dev/null; then
            [ ! -e "${asr_exp}/.done" ] || # a model that is finished is not thrown away
                fail "${asr_exp} was trained with other data or options: remove it or" \
                    "give another --tag"
            rm -rf "${asr_exp}" # begun with other data or options
            mkdir -p "${asr_exp}"
            ours stamp write "${asr_exp}/.started" "${_inputs[@]}"
        fi
        # Threads that wait for each other asleep leave the cores to whoever needs them.
        # shellcheck disable=SC2086
        OMP_NUM_THREADS=${num_threads} OMP_WAIT_POLICY=passive \
            ${cuda_cmd} --num_threads "${num_threads}" \
            --name "asr_${tag}" \
            --progress '(?P<done>[0-9]+)/(?P<total>[0-9]+)epoch started' \
            "${asr_exp}/train.log" \
            ${python} -m espnet2.bin.asr_train --ngpu 0 --resume true \
            --config "${train_config}" --token_type char --token_list "${token_list}" \
            --output_dir "${asr_exp}" "${_opts[@]}" ${train_args} ||
            fail "training failed; its log is ${asr_exp}/train.log"
        ours stamp write "${_stamp[@]}"
    fi
fi

if wants 5; then
    log "Stage 5: Decoding and scoring: ${decoded}"
    need "${asr_exp}/${inference_model}" 4
    # shellcheck disable=SC2086
    for dset in ${test_sets}; do
        need "dump/raw/${dset}/.done" 2
        _dst=${decoded}/${dset}
        _stamp=("${_dst}/.done" --input "dump/raw/${dset}" "${inference_config}"
            "${asr_exp}/${inference_model}" --output "${_dst}/text")
        ! is_done "${_dst}" "${_stamp[@]}" || continue
        _nj=$(ours split_scp "dump/raw/${dset}/wav.scp" --nj "${nj}" \
            --out "${_dst}/logs/keys.JOB.scp")
        ${decode_cmd} JOB=1:"${_nj}" "${_dst}/logs/asr_inference.JOB.log" \
            ${python} -m espnet2.bin.asr_inference --ngpu 0 \
            --config "${inference_config}" --key_file "${_dst}/logs/keys.JOB.scp" \
            --data_path_and_name_and_type "dump/raw/${dset}/wav.scp,speech,sound" \
            --asr_train_config "${asr_exp}/config.yaml" \
            --asr_model_file "${asr_exp}/${inference_model}" \
            --output_dir "${_dst}/logs/output.JOB"
        cat "${_dst}"/logs/output.*/1best_recog/text | sort >"${_dst}/text"
        ours stamp write "${_stamp[@]}"
    done
    # shellcheck disable=SC2086
    python3 local/score.py --decoded "${decoded}" --out "${asr_exp}/RESULTS.md" ${test_sets}
fi
log "Successfully finished. [elapsed=${SECONDS}s]"
