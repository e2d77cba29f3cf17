"""How large a batch will be, from a training configuration and typical utterances."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espnet_vibevoice.models.memory_plan import BatchSize
from espnet_vibevoice.tts.prompts import (
    DEFAULT_MAX_PROMPT_SEC,
    DEFAULT_PROMPT_DROP_RATE,
)

FRAMES_PER_SEC = 7.5
PROMPT_TOKENS = 40  # of a multi-speaker prompt around script and voices
# Control tokens that a row of the multi-speaker family learns: speech opens, ends, the
# text ends, and two around a voice.
CONTROL_LABELS = 5
DEFAULT_DRAWS = 4
DEFAULT_BATCH_SIZE = 20  # ESPnet's


@dataclass(frozen=True)
class TypicalUtterance:
    """What an utterance of the corpus is like.

    Args:
        seconds (float): Its duration.
        tokens_per_sec (float): Text tokens per second of speech, as stage 4 reports.
        prompt_sec (float): Duration of its voice prompt.
    """

    seconds: float = 10.0
    tokens_per_sec: float = 6.0
    prompt_sec: float = 10.0


def estimate_batch(
    tts_conf: Mapping[str, Any],
    utterance: TypicalUtterance,
    *,
    is_multispeaker: bool,
    batch_bins: int | None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> tuple[int, BatchSize]:
    """Fill a batch with typical utterances, each with its voice.

    Args:
        tts_conf (Mapping): Settings of the model.
        utterance (TypicalUtterance): What the corpus is like.
        is_multispeaker (bool): Family of the base.
        batch_bins (int | None): Tokens and frames of a batch; None: count utterances.
        batch_size (int): Utterances of a batch.

    Returns:
        tuple: Utterances of the batch, and its size.

    Raises:
        ValueError: If the duration is not above 0, or another figure negative.
    """
    if not utterance.seconds > 0 or min(vars(utterance).values()) < 0:
        raise ValueError(f"{utterance}: wanted a duration above 0, the rest from 0 on")
    frames = math.ceil(utterance.seconds * FRAMES_PER_SEC)
    tokens = math.ceil(utterance.seconds * utterance.tokens_per_sec)
    script = tokens
    if is_multispeaker:
        tokens += PROMPT_TOKENS
    rows = batch_size
    if batch_bins is not None:
        rows = max(1, batch_bins // (tokens + frames))
    key = "voice_prompt_drop_rate" if is_multispeaker else "prompt_drop_rate"
    has_voices = tts_conf.get(key, DEFAULT_PROMPT_DROP_RATE) < 1
    longest = tts_conf.get("max_prompt_sec", DEFAULT_MAX_PROMPT_SEC)
    heard = min(utterance.prompt_sec, longest) if has_voices else 0.0
    voice = math.ceil(heard * FRAMES_PER_SEC)
    transcript = 0 if is_multispeaker else math.ceil(heard * utterance.tokens_per_sec)
    labels = 0
    if is_multispeaker:
        labels = CONTROL_LABELS
        labels += script if tts_conf.get("text_token_weight", 0) > 0 else 0
    return rows, BatchSize(
        positions=rows * (tokens + frames + voice + transcript),
        frames=rows * frames,
        voice_frames=rows * voice,
        labels=rows * labels,
        ddpm_batch_mul=tts_conf.get("ddpm_batch_mul", DEFAULT_DRAWS),
    )
