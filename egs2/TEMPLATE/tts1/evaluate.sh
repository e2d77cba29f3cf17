# shellcheck shell=bash
# Stage 7 of tts.sh, which sources this file: test sets are decoded and scored beside
# natural speech and natural speech through the codec. What is up to date is not done
# again: wavs, hypotheses and measures count until their audio or their model changes.
# shellcheck disable=SC2086,SC2206,SC2154  # options are split on purpose; tts.sh sets them

ceilings=${dumpdir}/ceilings # of natural audio: shared by all experiments
systems=(natural resynthesis synthesis)
model=(--train_config "${tts_exp}/config.yaml") # where settings of the model are
base_names='' base_files=() # its base, by name and as files
voice_files=() # files that --inference_args names
score_opts=() # what to score with, for our commands
recognizers=() # their names, in the order of the tables
declare -A recipe_of=() # recogniser to the recipe to run first, its model is missing
declare -A unusable=() # recogniser to the file that says why it cannot be used

wav_scp_of() { # SYSTEM SET: its audio
    case "$1" in
        natural) echo "${data_feats}/$2/wav.scp" ;;
        resynthesis) echo "${ceilings}/$2/resynthesis/wav.scp" ;;
        synthesis) echo "${tts_exp}/${inference_tag}/$2/wav/wav.scp" ;;
    esac
}

work_dir_of() { # SYSTEM SET: folder of what recognisers heard in it
    if [ "$1" = synthesis ]; then
        echo "${tts_exp}/${inference_tag}/$2/score/synthesis"
    else
        echo "${ceilings}/$2/$1"
    fi
}

prepare_evaluation() { # what both halves need; wrong options are told before hours pass
    local name recipe found word
    for word in ${inference_args}; do # e.g. that of --voice_prompt
        [ ! -f "${word}" ] || voice_files+=("${word}")
    done
    ! "${skip_scoring}" || return 0
    base_names=$(${python} -m espnet_vibevoice.bin.find_base "${model[@]}" --names)
    found=$(${python} -m espnet_vibevoice.bin.find_base "${model[@]}")
    [ -z "${found}" ] || mapfile -t base_files <<<"${found}"
    for name in score_config speaker_model versa_config max_utts; do
        [ -z "${!name}" ] || score_opts+=("--${name}" "${!name}")
    done
    for name in asr_config asr_model_file asr_model_tag whisper_model; do # lists
        [ -z "${!name}" ] || score_opts+=("--${name}" ${!name})
    done
    found=$(ours list_recognizers "${score_opts[@]}")
    while IFS=$'\t' read -r name recipe; do
        [ -n "${name}" ] || continue
        recognizers+=("${name}")
        recipe_of[${name}]=${recipe}
    done <<<"${found}"
}

decode_set() { # SET: texts -> wav/
    local src=${data_feats}/$1 dst=${tts_exp}/${inference_tag}/$1 cmd num_gpus inputs jobs
    local again=()
    "${gpu_inference}" && cmd="${cuda_cmd} --gpu 1" num_gpus=1 || cmd=${decode_cmd} num_gpus=0
    # the checkpoint knows its base, and refuses another one
    inputs=(--option "inference_args=${inference_args}" --input "${src}/text"
        "${tts_exp}/${inference_model}" "${tts_exp}/config.yaml"
        ${inference_config:+"${inference_config}"} "${voice_files[@]}")
    if "${retry_failed}" && [ -e "${dst}/failures.tsv" ]; then
        again=(--retry_failed)
        rm -f "${dst}/.done"
    fi
    ! is_done "${dst}" "${dst}/.done" "${inputs[@]}" --output "${dst}/wav/wav.scp" || return 0
    if ! ours stamp check "${dst}/.started" "${inputs[@]}" >/dev/null; then
        rm -rf "${dst}" # decoded by another model or with other options
        mkdir -p "${dst}"
        ours stamp write "${dst}/.started" "${inputs[@]}"
    fi
    jobs=$(ours divide_decoding --text "${src}/text" --out_dir "${dst}" \
        --nj "${inference_nj}" "${again[@]}")
    if [ "${jobs}" -gt 0 ]; then
        log "${src}: ${jobs} jobs, logs: ${dst}/log/decode.*.log"
        ${cmd} --progress '(?P<done>[0-9]+)/(?P<total>[0-9]+) utterances, ' JOB=1:"${jobs}" "${dst}/log/decode.JOB.log" \
            ${python} -m espnet_vibevoice.bin.decode --ngpu "${num_gpus}" \
            --data_path_and_name_and_type "${src}/text,text,text" \
            --key_file "${dst}/log/keys.JOB.scp" \
            --model_file "${tts_exp}/${inference_model}" \
            --train_config "${tts_exp}/config.yaml" \
            --output_dir "${dst}/log/output.JOB" --vocoder_file "${vocoder_file}" \
            ${batch_size:+--batch_size "${batch_size}"} \
            ${inference_config:+--config "${inference_config}"} ${inference_args}
    fi
    ours collect_decoding --data_dir "${src}" --out_dir "${dst}"
    ours stamp write "${dst}/.done" "${inputs[@]}"
}

resynthesize_set() { # SET: natural audio through the codec of the base
    local src=${data_feats}/$1 dst=${ceilings}/$1/resynthesis
    local audio stamp jobs
    audio=$(ours fingerprint_audio "${src}/wav.scp")
    stamp=(--option "model=${base_names}" "audio=${audio}"
        --input "${src}/wav.scp" "${base_files[@]}")
    ! is_done "${dst}" "${dst}/.done" "${stamp[@]}" --output "${dst}/wav.scp" || return 0
    if ! ours stamp check "${dst}/.started" "${stamp[@]}" >/dev/null; then
        rm -rf "${dst}" # of other audio or another codec
        mkdir -p "${dst}"
        ours stamp write "${dst}/.started" "${stamp[@]}"
    fi
    jobs=$(ours split_scp "${src}/wav.scp" --out "${dst}/log/wav.JOB.scp" \
        --nj "$([ "${ngpu}" -gt 0 ] && echo "${ngpu}" || echo "${nj}")")
    log "${dst}: ${jobs} jobs, logs: ${dst}/log/resynthesize.*.log"
    ${gpu_data_cmd} JOB=1:"${jobs}" "${dst}/log/resynthesize.JOB.log" \
        ${python} -m espnet_vibevoice.bin.resynthesize "${model[@]}" \
        --wav_scp "${dst}/log/wav.JOB.scp" --out_dir "${dst}" --job JOB \
        --ngpu "$((ngpu > 0 ? 1 : 0))"
    ours collect_resynthesis --wav_scp "${src}/wav.scp" --out_dir "${dst}" --nj "${jobs}"
    ours stamp write "${dst}/.done" "${stamp[@]}"
}

recognize_set() { # SYSTEM SET RECOGNIZER: audio -> what is heard in it
    local scp dst cmd num_gpus jobs digest stamp
    scp=$(wav_scp_of "$1" "$2")
    dst=$(work_dir_of "$1" "$2")/asr_$3
    [ -s "${scp}" ] || return 0 # nothing to hear: the scores say why
    digest=$(ours fingerprint_audio "${scp}" --recognizer "$3" "${score_opts[@]}")
    stamp=("${dst}/.done" --option "audio=${digest}" --output "${dst}/text")
    ! is_done "${dst}" "${stamp[@]}" || return 0
    rm -f "${dst}/.done" "${dst}/unavailable.txt"
    if [ -e "${unusable[$3]:-}" ]; then # it did not load a moment ago
        mkdir -p "${dst}"
        cp "${unusable[$3]}" "${dst}/unavailable.txt"
        return 0
    fi
    "${gpu_inference}" && cmd="${cuda_cmd} --gpu 1" num_gpus=1 || cmd=${decode_cmd} num_gpus=0
    jobs=$((($(wc -l <"${scp}") + 24) / 25)) # loading a model takes as long as some hearing
    jobs=$((jobs < inference_nj ? jobs : inference_nj))
    jobs=$(ours split_scp "${scp}" --out "${dst}/parts/wav.JOB.scp" --nj "${jobs}")
    log "${dst}: ${jobs} jobs, logs: ${dst}/log/recognize.*.log"
    if ${cmd} JOB=1:"${jobs}" "${dst}/log/recognize.JOB.log" \
        python3 -m espnet_vibevoice.bin.recognize --wav_scp "${dst}/parts/wav.JOB.scp" \
        --out_dir "${dst}" --recognizer "$3" --job JOB --ngpu "${num_gpus}" \
        "${score_opts[@]}"; then
        ours collect_recognition --wav_scp "${scp}" --out_dir "${dst}" --nj "${jobs}"
        ours stamp write "${stamp[@]}"
    elif [ -e "${dst}/unavailable.txt" ]; then
        unusable[$3]=${dst}/unavailable.txt
        log "recogniser $3 cannot be used, scoring goes on without it:" \
            "$(<"${dst}/unavailable.txt")"
    else
        fail "recogniser $3 failed on ${scp}; its logs are ${dst}/log/recognize.*.log"
    fi
}

score_sets() { # SETS...: ceilings, hypotheses, figures, RESULTS.md, report
    local dset name recipe system result
    for name in "${recognizers[@]}"; do
        recipe=${recipe_of[${name}]}
        [ -n "${recipe}" ] || continue
        log "recogniser ${name} is not there yet: ${recipe}/run.sh makes it"
        (cd "${recipe}" && ./run.sh </dev/null) ||
            log "${recipe}/run.sh failed, its last lines are above; scoring goes on"
    done
    for dset in "$@"; do
        resynthesize_set "${dset}"
        for name in "${recognizers[@]}"; do
            for system in "${systems[@]}"; do
                recognize_set "${system}" "${dset}" "${name}"
            done
        done
        result=0
        ours score --data_dir "${data_feats}/${dset}" --ceilings "${ceilings}/${dset}" \
            --decode_dir "${tts_exp}/${inference_tag}/${dset}" --experiment "${tts_exp}" \
            --report --command "${run_args% }" --nj "${nj}" \
            --ngpu "$("${gpu_inference}" && echo 1 || echo 0)" "${score_opts[@]}" || result=$?
        case ${result} in
            0) ;;
            3) scoring_status=3 ;; # told above
            *) fail "${dset} could not be scored" ;;
        esac
    done
    log "scores: ${tts_exp}/RESULTS.md; to listen: ${tts_exp}/${inference_tag}/*/score/report.html"
}
