#!/usr/bin/env bash
# Stage driver of a VibeVoice recipe, for those who know ESPnet's tts.sh: same option
# names, folders and logs. Parsing and checking is Python (espnet_vibevoice.bin.*);
# this file says in which order. A stage that is up to date is not run again; one that
# was interrupted goes on where it stopped.
# shellcheck disable=SC2086,SC2206  # options and lists of sets are split on purpose
set -euo pipefail

log() {
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}) $*"
}
fail() {
    echo "error: $*" >&2
    exit 1
}
SECONDS=0

# General
stage=1                 # first stage to run
stop_stage=10000        # last stage to run
skip_data_prep=false    # skip stages 1 to 4
skip_train=false        # skip stages 5 and 6
skip_eval=false         # skip stage 7
skip_packing=true       # skip stage 8
skip_upload_hf=true     # no upload: share what stage 8 packs
skip_scoring=false      # decode in stage 7, but do not score
ngpu=1                  # number of GPUs per node; 0: CPU
num_nodes=1             # number of machines in training
nj=8                    # parallel jobs in data preparation and on CPU
inference_nj=8          # parallel jobs in decoding
gpu_inference=false     # decode on GPU
dumpdir=dump            # where formatted audio and latents go
expdir=exp              # where experiments go
python="python3 -m espnet_vibevoice" # how ESPnet commands are run

# Stages 1 to 4: data
local_data_opts=        # options of local/data.sh
feats_type=raw          # only raw
audio_format=wav        # wav | flac
fs=24000                # sampling rate of the codec in Hz
loudness=-25            # root mean square of each utterance in dBFS | none
trim_db=40              # cut ends more than this below the speech in dB | none
trim_margin=0.1         # seconds kept around the speech when ends are cut
min_level=-60           # dBFS; utterances with softer speech are silent | none
max_file_sec=600        # seconds; longer utterances are not even read
audio_root=auto         # folder that links to audio must not leave | auto | none
max_dropped=0.01        # fail if a larger share of the utterances is unusable
min_wav_duration=0.5    # seconds; shorter training utterances are dropped
max_wav_duration=30     # seconds; longer training utterances are dropped
min_chars_per_sec=2     # characters per second; a lower rate hints at missing text
max_chars_per_sec=30    # characters per second; a higher rate: missing speech
max_clipped_share=0.005 # largest share of samples at full scale in training
quality_limits=         # of tables utt2NAME of the corpus, e.g. "cer<=0.1 mos>=3"
train_set=              # name of the training set (required)
valid_set=              # name of the validation set (required)
test_sets=              # names of the test sets (required)
srctexts=               # texts for the token list; default: of the training set
token_type=hugging_face # only hugging_face: the tokenizer of the base
max_lagging_share=0.01  # fail if text lags behind speech in more utterances
nlsyms_txt=none         # accepted for ESPnet's sake: not used
cleaner=none            # how texts are made readable: persian | none
g2p=none                # accepted for ESPnet's sake: not used
lang=noinfo             # language of the corpus

# Stages 5 and 6: latents and training
feats_extract=vibevoice_latents # extractor named in config.yaml
feats_normalize=none    # only none: the base brings scale and bias of the latents
n_fft=1024              # accepted for ESPnet's sake: not used
n_shift=3200            # samples per latent frame
win_length=null         # accepted for ESPnet's sake: not used
write_collected_feats=true # only true: latents are always dumped
train_config=           # training configuration (YAML)
train_args=             # further options of tts_train, e.g. "--max_epoch 1"
tag=                    # name of the experiment
tts_exp=                # folder of the experiment; replaces expdir and tag
tts_stats_dir=          # folder of shapes and statistics

# Stages 7 and 8: decoding, scoring, packing
inference_config=       # decoding configuration (YAML)
inference_args=         # further options of tts_inference
inference_tag=          # name of the decoding folder
inference_model=valid.loss.best.pth # checkpoint to decode with
batch_size=             # texts decoded side by side; empty: as the device likes
retry_failed=false      # decode once more what could not be spoken
score_config=           # what to score with (YAML) | none; conf/score.yaml if there
asr_config=             # config.yaml of ESPnet recognisers, instead of score_config's
asr_model_file=         # their checkpoints, in the same order
asr_model_tag=          # tags of published ESPnet recognisers
whisper_model=          # Whisper models, e.g. openai/whisper-large-v3
speaker_model=          # wavlm:NAME | espnet:TAG | espnet:MODEL.pth | none
versa_config=           # configuration of VERSA | none
max_utts=               # utterances to hear in the report; empty: of score_config
vocoder_file=none       # only none: the codec makes the waveform

help_message="Usage: $0 --train_set NAME --valid_set NAME --test_sets NAMES [options]

Stages: 1 data preparation, 2 audio formatting, 3 filtering, 4 token list,
        5 latents, 6 training, 7 decoding and scoring, 8 packing

Options (with their defaults):
$(sed -nE '/^# General/,/^vocoder_file/ {
    s/^# (.*)$/\n  \1/p
    s/^([a-z0-9_]+)=("[^"]*"|[^ ]*) +# (.*)$/    --\1 [\2]: \3/p
}' "${BASH_SOURCE[0]}")"

run_args=$(printf '%q ' "$0" "$@")
log "${run_args}"
. utils/parse_options.sh
[ $# -eq 0 ] || { echo "tts.sh: no positional arguments are taken: $1" >&2; exit 2; }
. ./path.sh
. ./cmd.sh

# ---------------------------------------------------------------- what is asked for
[ -n "${train_set}" ] && [ -n "${valid_set}" ] && [ -n "${test_sets}" ] ||
    { echo "tts.sh: --train_set, --valid_set and --test_sets are required" >&2; exit 2; }
for _rule in feats_type=raw token_type=hugging_face feats_normalize=none \
    vocoder_file=none write_collected_feats=true "cleaner=persian|none"; do
    _name=${_rule%%=*}
    [[ "|${_rule#*=}|" == *"|${!_name}|"* ]] || { echo "tts.sh: --${_name} ${!_name}:" \
        "only ${_rule#*=} is possible with VibeVoice models" >&2; exit 2; }
done
[ -n "${score_config}" ] || [ ! -e conf/score.yaml ] || score_config=conf/score.yaml
[ "${score_config}" != none ] || score_config=
for _file in "${train_config}" "${inference_config}" "${score_config}"; do
    [ -z "${_file}" ] || [ -f "${_file}" ] || { echo "tts.sh: no such file: ${_file}" >&2; exit 2; }
done

data_feats=${dumpdir}/raw
latents=${dumpdir}/latents
token_listdir=${dumpdir}/token_list/${token_type}
token_list=${token_listdir}/tokens.txt
window_args=${token_listdir}/window_args # what "text_window: auto" stands for
all_sets=("${train_set}")
for dset in "${valid_set}" ${test_sets}; do
    [[ " ${all_sets[*]} " == *" ${dset} "* ]] || all_sets+=("${dset}")
done

name_of() { sed -e "s/--/_/g" -e "s/[ |=/]//g" <<<"$1"; } # options in a folder name
_config=$(basename "${train_config:-train}" .yaml)
tag=${tag:-${_config}_${feats_type}_${token_type}$(name_of "${train_args}")}
_config=$(basename "${inference_config:-inference}" .yaml)
inference_tag=${inference_tag:-${_config}$(name_of "${inference_args}")_${inference_model%.*}}
tts_stats_dir=${tts_stats_dir:-${expdir}/tts_stats_${feats_type}_${feats_extract}_${token_type}}
tts_exp=${tts_exp:-${expdir}/tts_${tag}}
[ "${ngpu}" -gt 0 ] && gpu_data_cmd="${cuda_cmd} --gpu 1" || gpu_data_cmd=${train_cmd}

# Two runs in one folder would write the same files. The lock is inherited by jobs;
# those of a run that was killed end by themselves within seconds.
export TTS_DRIVER_PID=$$
trap 'exit 130' INT # a command that takes Ctrl-C for a failure must not lead us on
exec 9>>.tts.lock
if command -v flock >/dev/null && ! flock -w 30 9; then
    fail "another run is at work in ${PWD}: wait for it or end it, then try again"
fi

ours() { python3 -m "espnet_vibevoice.bin.$1" "${@:2}"; } # COMMAND ARGS: one of ours
is_done() { # WHAT STAMP INPUTS...: is it up to date? Says so.
    ours stamp check "${@:2}" >/dev/null && log "$1 is up to date"
}
need() { [ -e "$1" ] || fail "$1 is missing: run stage $2 first (--stage $2)"; } # FILE STAGE
need_model() { # the checkpoint that is asked for
    need "${tts_exp}/config.yaml" 6
    [ -e "${tts_exp}/${inference_model}" ] ||
        fail "${tts_exp}/${inference_model} is missing: train longer (stage 6), or give" \
            "--inference_model one of: $(cd "${tts_exp}" && echo *.pth)"
}
wants() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]; } # STAGE: asked for?
finish() { # STAGE: its last line
    log "Stage $1: done [stage: $((SECONDS - stage_began)) s, in all: ${SECONDS} s]"
}
begin() { # STAGE TEXT: its first line
    stage_began=${SECONDS}
    log "Stage $1: $2"
}
# The settings of the model that data stages need, as the training would see them.
model_opts=(--train_config "${train_config}" --train_args "${train_args}")
scoring_status=0 # 3: some scores have no value

# ------------------------------------------------------------------ stages 1 to 4
if ! "${skip_data_prep}"; then
    if wants 1; then
        begin 1 "Data preparation: corpus -> data/"
        [ -x local/data.sh ] || fail "local/data.sh is missing in ${PWD}"
        local/data.sh ${local_data_opts}
        _dirs=("${all_sets[@]/#/data/}")
        ours normalize_data_dir --only_drop_stale "${_dirs[@]}"
        ours fix_data_dir --max_dropped "${max_dropped}" --audio_root "${audio_root}" \
            "${_dirs[@]}"
        ours normalize_data_dir --cleaner "${cleaner}" "${_dirs[@]}"
        ours validate_data_dir "${_dirs[@]}"
        ours check_disjoint --utterances_only "${_dirs[@]}"
        finish 1
    fi

    if wants 2; then
        begin 2 "Audio formatting: data/ -> ${data_feats}/org/ (${fs} Hz, mono, ${loudness} dBFS)"
        _opts=(--fs "${fs}" --loudness "${loudness}" --audio_format "${audio_format}"
            --trim_db "${trim_db}" --trim_margin "${trim_margin}"
            --min_level "${min_level}" --max_file_sec "${max_file_sec}")
        for dset in "${all_sets[@]}"; do
            _src=data/${dset} _dst=${data_feats}/org/${dset}
            need "${_src}/wav.scp" 1
            _stamp=("${_dst}/.done" --input "${_src}" --output "${_dst}/wav.scp"
                --option "options=${_opts[*]}")
            ! is_done "${_dst}" "${_stamp[@]}" || continue
            ours validate_data_dir "${_src}"
            _logdir=${_dst}/logs
            _key_file=wav.scp _part_opt=(--wav_scp "${_logdir}/wav.JOB.scp")
            [ ! -e "${_src}/segments" ] || _key_file=segments \
                _part_opt=(--wav_scp "${_src}/wav.scp"
                    --segments "${_logdir}/segments.JOB.scp")
            _nj=$(ours split_scp "${_src}/${_key_file}" --nj "${nj}" \
                --out "${_logdir}/${_key_file%.scp}.JOB.scp")
            log "${_src}: ${_nj} jobs, logs: ${_logdir}/format.*.log"
            ${train_cmd} JOB=1:"${_nj}" "${_logdir}/format.JOB.log" \
                python3 -m espnet_vibevoice.bin.format_wav_scp "${_part_opt[@]}" \
                --job JOB --out_dir "${_dst}" "${_opts[@]}" \
                --max_dropped "${max_dropped}" \
                --set_size "$(wc -l <"${_src}/${_key_file}")"
            ours collect_parts --source "${_src}" --out_dir "${_dst}" --nj "${_nj}" \
                --fs "${fs}" --max_dropped "${max_dropped}"
            ours stamp write "${_stamp[@]}"
        done
        finish 2
    fi

    if wants 3; then
        begin 3 "Filtering: ${data_feats}/org/ -> ${data_feats}/"
        for dset in "${all_sets[@]}"; do
            _src=${data_feats}/org/${dset} _dst=${data_feats}/${dset}
            need "${_src}/.done" 2
            # Test sets are kept whole: only what cannot be used at all is dropped.
            _opts=(--keep_all) _held_out=()
            if [ "${dset}" = "${train_set}" ] || [ "${dset}" = "${valid_set}" ]; then
                _opts=(--min_wav_duration "${min_wav_duration}"
                    --max_wav_duration "${max_wav_duration}"
                    --min_chars_per_sec "${min_chars_per_sec}"
                    --max_chars_per_sec "${max_chars_per_sec}"
                    --max_clipped_share "${max_clipped_share}"
                    --quality_limits ${quality_limits})
                for _other in "${all_sets[@]}"; do
                    [ "${_other}" = "${train_set}" ] || [ "${_other}" = "${dset}" ] ||
                        _held_out+=("${data_feats}/org/${_other}")
                done
            fi
            _stamp=("${_dst}/.done" --option "limits=${_opts[*]}" "fs=${fs}"
                --output "${_dst}/wav.scp" --input "${_src}" "${_held_out[@]/%//text}")
            ! is_done "${_dst}" "${_stamp[@]}" || continue
            ours filter_data_dir --source "${_src}" --target "${_dst}" --fs "${fs}" \
                "${_opts[@]}" --held_out "${_held_out[@]}" --max_dropped "${max_dropped}"
            ours stamp write "${_stamp[@]}"
        done
        ours check_disjoint "${all_sets[@]/#/${data_feats}/}"
        finish 3
    fi

    if wants 4; then
        begin 4 "Token list and token rate: ${token_listdir}"
        _dirs=("${all_sets[@]/#/${data_feats}/}")
        for _dir in "${_dirs[@]}"; do need "${_dir}/.done" 3; done
        _base=$(${python} -m espnet_vibevoice.bin.find_base "${model_opts[@]}")
        _stamp=("${token_listdir}/.done" --output "${token_list}" --option
            "python=${python}" "train_args=${train_args}" "share=${max_lagging_share}"
            --input ${train_config} ${_base} "${_dirs[@]/%//text}"
            "${_dirs[@]/%//utt2num_samples}")
        if ! is_done "${token_listdir}" "${_stamp[@]}"; then
            cat ${srctexts:-${data_feats}/${train_set}/text} >"${data_feats}/srctexts"
            ${python} -m espnet2.bin.tokenize_text --token_type "${token_type}" -f 2- \
                --input "${data_feats}/srctexts" --output "${token_list}" \
                --cleaner "${cleaner}" --g2p "${g2p}" --write_vocabulary true \
                --non_linguistic_symbols "${nlsyms_txt}" "${model_opts[@]}"
            ${python} -m espnet_vibevoice.bin.report_token_rate "${_dirs[@]}" \
                "${model_opts[@]}" --max_lagging_share "${max_lagging_share}" \
                --output "${token_listdir}/token_rate.txt" --window_args "${window_args}"
            ours stamp write "${_stamp[@]}"
        fi
        finish 4
    fi
fi

# ------------------------------------------------------------------ stages 5 and 6
if ! "${skip_train}"; then
    if wants 5; then
        begin 5 "Latents: ${data_feats}/ -> ${latents}/, statistics: ${tts_stats_dir}"
        _modes=(train valid) _i=0
        for dset in "${train_set}" "${valid_set}"; do
            _src=${data_feats}/${dset} _dst=${latents}/${dset}
            _stats=${tts_stats_dir}/${_modes[_i++]}
            need "${_src}/.done" 3
            need "${token_list}" 4
            _base=$(${python} -m espnet_vibevoice.bin.find_base "${model_opts[@]}")
            _names=$(${python} -m espnet_vibevoice.bin.find_base "${model_opts[@]}" --names)
            _stamp=("${_dst}/.done" --option "python=${python}" "model=${_names}"
                --input "${_src}" ${_base} --output "${_dst}/feats.scp" "${_stats}/speech_shape")
            ! is_done "${_dst}" "${_stamp[@]}" || continue
            _logdir=${_dst}/logs
            _nj=$(ours split_scp "${_src}/wav.scp" --out "${_logdir}/wav.JOB.scp" \
                --nj "$([ "${ngpu}" -gt 0 ] && echo "${ngpu}" || echo "${nj}")")
            log "${_src}: ${_nj} jobs, logs: ${_logdir}/dump_latents.*.log"
            ${gpu_data_cmd} JOB=1:"${_nj}" "${_logdir}/dump_latents.JOB.log" \
                ${python} -m espnet_vibevoice.bin.dump_latents "${model_opts[@]}" \
                --wav_scp "${_logdir}/wav.JOB.scp" --out_dir "${_dst}" --job JOB \
                --ngpu "$((ngpu > 0 ? 1 : 0))"
            ${python} -m espnet_vibevoice.bin.collect_latents "${model_opts[@]}" \
                --data_dir "${_src}" --latents_dir "${_dst}" --nj "${_nj}" \
                --stats_dir "${_stats}" --token_type "${token_type}"
            ours stamp write "${_stamp[@]}"
        done
        finish 5
    fi

    if wants 6; then
        begin 6 "Training: ${tts_exp}"
        need "${latents}/${train_set}/.done" 5
        need "${latents}/${valid_set}/.done" 5
        _data_opts=() _inputs=() _window=
        [ ! -s "${window_args}" ] ||
            _inputs=("${window_args}") _window=$(<"${window_args}")
        for _mode in train valid; do
            [ "${_mode}" = train ] && dset=${train_set} || dset=${valid_set}
            _text=${data_feats}/${dset}/text _feats=${latents}/${dset}/feats.scp
            _shapes=${tts_stats_dir}/${_mode}
            _data_opts+=(
                "--${_mode}_data_path_and_name_and_type" "${_text},text,text"
                "--${_mode}_data_path_and_name_and_type" "${_feats},speech,kaldi_ark"
                "--${_mode}_shape_file" "${_shapes}/text_shape.${token_type}"
                "--${_mode}_shape_file" "${_shapes}/speech_shape")
            _inputs+=("${_text}" "${latents}/${dset}/.done")
        done
        _started=("${tts_exp}/.started" --input "${_inputs[@]}")
        _stamp=("${tts_exp}/.done" --option "train_args=${train_args}" "python=${python}"
            "cleaner=${cleaner}" --input ${train_config} "${_inputs[@]}" --output "${tts_exp}/${inference_model}")
        if ! is_done "${tts_exp}" "${_stamp[@]}"; then
            if [ -e "${tts_exp}/.started" ] && ! _why=$(ours stamp check "${_started[@]}"); then
                fail "${tts_exp} was begun with other data (${_why}): remove it or give" \
                    "another --tag"
            fi
            mkdir -p "${tts_exp}"
            ours stamp write "${_started[@]}"
            ours mend_checkpoints "${tts_exp}"
            echo "${run_args} --stage 6 \"\$@\"" >"${tts_exp}/run.sh"
            chmod +x "${tts_exp}/run.sh"
            log "log: ${tts_exp}/train.log; curves: tensorboard --logdir ${tts_exp}/tensorboard"
            _progress="--progress '(?P<done>[0-9]+)/(?P<total>[0-9]+)epoch started'"
            ${python} -m espnet2.bin.launch \
                --cmd "${cuda_cmd} --name $(basename "${tts_exp}") ${_progress}" \
                --log "${tts_exp}/train.log" --ngpu "${ngpu}" --num_nodes "${num_nodes}" \
                --init_file_prefix "${tts_exp}/.dist_init_" \
                --multiprocessing_distributed true -- \
                ${python} -m espnet2.bin.tts_train --use_preprocessor true \
                --token_type "${token_type}" --token_list "${token_list}" \
                --cleaner "${cleaner}" --g2p "${g2p}" --normalize "${feats_normalize}" \
                --feats_extract "${feats_extract}" \
                --feats_extract_conf hop_length="${n_shift}" --resume true \
                --output_dir "${tts_exp}" ${train_config:+--config ${train_config}} \
                "${_data_opts[@]}" ${train_args} ${_window} ||
                fail "training failed; its log is ${tts_exp}/train.log"
            ours stamp write "${_stamp[@]}"
        fi
        ours report_training "${tts_exp}"
        log "pictures of the losses: ${tts_exp}/images"
        finish 6
    fi
fi

# ------------------------------------------------------------------ stages 7 and 8
if ! "${skip_eval}" && wants 7; then
    begin 7 "Decoding and scoring: ${tts_exp}/${inference_tag}"
    need_model
    . ./evaluate.sh
    prepare_evaluation
    for dset in ${test_sets}; do
        need "${data_feats}/${dset}/.done" 3
        decode_set "${dset}"
    done
    log "in ${tts_exp}/${inference_tag}/{${test_sets// /,}}: wav, images, probs"
    "${skip_scoring}" || score_sets ${test_sets}
    finish 7
fi

if ! "${skip_packing}" && wants 8; then
    packed_model=${tts_exp}/${tts_exp##*/}_${inference_model%.*}.zip
    begin 8 "Packing: ${packed_model}"
    need_model
    # a local base is packed as well: espnet_vibevoice.bin.pack sees to that
    ${python} -m espnet2.bin.pack tts --train_config "${tts_exp}/config.yaml" \
        --model_file "${tts_exp}/${inference_model}" --option "${tts_exp}/images" \
        --outpath "${packed_model}"
    finish 8
fi
[ "${scoring_status}" -eq 0 ] || log "Some scores have no value, with reasons above"
log "Successfully finished. [elapsed=${SECONDS}s]"
exit "${scoring_status}"
