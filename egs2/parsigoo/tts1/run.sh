#!/usr/bin/env bash
# ParsiGoo: a few voices, one of them or more synthetic.
# Passes only options that ESPnet's own tts.sh knows, so it runs under that one too.
# The base model goes in here: --python "python3 -m espnet_vibevoice --base BASE"
set -euo pipefail

fs=24000
n_shift=3200    # samples per latent frame: 7.5 frames per second

train_set=train
valid_set=valid
test_sets="test"

train_config=conf/train.yaml
inference_config=conf/decode.yaml

./tts.sh \
    --lang fa \
    --python "python3 -m espnet_vibevoice" \
    --ngpu 1 \
    --feats_type raw \
    --audio_format wav \
    --fs "${fs}" \
    --n_shift "${n_shift}" \
    --win_length null \
    --min_wav_duration 1.0 \
    --max_wav_duration 30 \
    --feats_extract vibevoice_latents \
    --feats_normalize none \
    --write_collected_feats true \
    --token_type hugging_face \
    --cleaner persian \
    --g2p none \
    --train_config "${train_config}" \
    --inference_config "${inference_config}" \
    --inference_model valid.loss.best.pth \
    --vocoder_file none \
    --train_set "${train_set}" \
    --valid_set "${valid_set}" \
    --test_sets "${test_sets}" \
    --srctexts "data/${train_set}/text" "$@"
