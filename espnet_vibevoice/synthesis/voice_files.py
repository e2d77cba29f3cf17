"""Voices from files, in the form that each family reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_vibevoice.data.voice_file import (
    DEFAULT_MAX_SEC,
    VoiceMaker,
    load_prompt_audio,
)
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.config import CodecShape
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.script_voice import encode_voice
from espnet_vibevoice.models.voice_prompt import VoicePrompt, load_voice_prompt
from espnet_vibevoice.score.fit import FitLimits
from espnet_vibevoice.synthesis.texts import read_aloud
from espnet_vibevoice.synthesis.voice_options import VoiceFile
from espnet_vibevoice.text.cleaners import Cleaner, keep_text

MADE_SUFFIXES = (".pt", ".safetensors")


@dataclass(frozen=True)
class VoiceOptions:
    """How recordings are read.

    Args:
        acoustic_encoder (str | None): Encoder in place of the base's own.
        max_sec (float): Longest recording in seconds.
        min_encoder_fit (float | None): Least spectral correlation of a recording and
            its reconstruction, 0: take any encoder; None: that of the experiment, or
            the default. The realtime family alone asks.
        base (str): Base of the model; set by `complete`.
        tokenizer (str | None): Its tokenizer, likewise.
        clean (Cleaner): What reads transcripts, likewise.
    """

    acoustic_encoder: str | None = None
    max_sec: float = DEFAULT_MAX_SEC
    min_encoder_fit: float | None = None
    base: str = ""
    tokenizer: str | None = None
    clean: Cleaner = keep_text

    def complete(
        self,
        base: str,
        tokenizer: str | None,
        conf: Mapping[str, Any],
        clean: Cleaner = keep_text,
    ) -> "VoiceOptions":
        """Fill in what the model and its experiment tell.

        Args:
            base (str): Base of the model.
            tokenizer (str | None): Its tokenizer, if the base brings none.
            conf (Mapping): ``tts_conf`` of the experiment; empty without one.
            clean (Cleaner): What reads texts.
        """
        fit = self.min_encoder_fit
        return replace(
            self,
            base=base,
            tokenizer=tokenizer,
            clean=clean,
            acoustic_encoder=self.acoustic_encoder or conf.get("acoustic_encoder"),
            min_encoder_fit=conf.get("min_encoder_fit") if fit is None else fit,
        )


def load_prompts(
    model: RealtimeModel, voices: Mapping[int, VoiceFile], options: VoiceOptions
) -> dict[int, VoicePrompt]:
    """Let a realtime model read its voices.

    Args:
        model (RealtimeModel): The model that is to speak.
        voices (Mapping[int, VoiceFile]): Recordings with transcripts, presets or made
            prompts.
        options (VoiceOptions): How recordings are read, completed.

    Raises:
        RuntimeError: If there is no encoder for a recording.
        ValueError: If a file is unusable, or a recording has no transcript.
    """
    prompts, maker = {}, None
    for speaker, voice in voices.items():
        if voice.path.suffix in MADE_SUFFIXES:
            prompts[speaker] = load_voice_prompt(voice.path).read_by(model)
            continue
        if voice.transcript is None:
            raise ValueError(
                f"--voice {voice.path}: the realtime family needs what is said in the "
                f"recording. Give --voice_text, or {voice.path.with_suffix('.txt')}."
            )
        if maker is None:
            maker = VoiceMaker(
                options.base, options.acoustic_encoder, options.tokenizer, model=model
            )
        fit = options.min_encoder_fit
        prompts[speaker] = maker.make(
            voice.path,
            read_aloud(voice.transcript, options.clean),
            max_sec=options.max_sec,
            limits=None if fit is None else FitLimits(fit),
        )
    return prompts


def read_recordings(
    voices: Mapping[int, VoiceFile], shape: CodecShape, options: VoiceOptions
) -> dict[int, np.ndarray]:
    """Read the voices of a multi-speaker model.

    Args:
        voices (Mapping[int, VoiceFile]): Recordings.
        shape (CodecShape): Sampling rate and hop of the codec.
        options (VoiceOptions): How they are read.

    Returns:
        dict[int, np.ndarray]: Mono samples of each speaker's voice (T_wav,).

    Raises:
        ValueError: If a file is no recording, or shorter than a frame.
    """
    recordings = {}
    for speaker, voice in voices.items():
        if voice.path.suffix in MADE_SUFFIXES:
            raise ValueError(
                f"--voice {voice.path}: presets and made prompts are of the realtime "
                "family. Give a recording."
            )
        read = load_prompt_audio(voice.path, shape.sampling_rate, options.max_sec)
        if len(read) < shape.hop_samples:
            raise ValueError(
                f"--voice {voice.path}: {len(read)} samples, wanted at least "
                f"{shape.hop_samples}, one frame. Give a longer recording; 5 to 30 s "
                "are best."
            )
        recordings[speaker] = read
    return recordings


def encode_recordings(
    model: MultispeakerModel,
    recordings: Mapping[int, np.ndarray],
    options: VoiceOptions,
) -> dict[int, Tensor]:
    """Encode the voices of a multi-speaker model.

    Args:
        model (MultispeakerModel): The model that is to speak.
        recordings (Mapping): Samples of each voice, from `read_recordings`.
        options (VoiceOptions): How they are encoded, completed.

    Returns:
        dict[int, Tensor]: Unscaled latents of each speaker's voice (S, D).

    Raises:
        RuntimeError: If there is no encoder.
    """
    if not recordings:
        return {}
    codec = _find_codec(model, options)
    return {
        speaker: encode_voice(codec, samples) for speaker, samples in recordings.items()
    }


def _find_codec(model: MultispeakerModel, options: VoiceOptions) -> AcousticCodec:
    """Take the model's codec, or load one: recordings are encoded in float32."""
    codec = model.acoustic_tokenizer
    weight = codec.decoder.head.conv.weight
    if options.acoustic_encoder is None and weight.dtype == torch.float32:
        return codec
    loaded = load_codec(options.base, acoustic_encoder=options.acoustic_encoder)
    return loaded.to(weight.device)
