"""A model with adapters and voices, loaded as a command's options name them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.experiment import read_checkpoint
from espnet_vibevoice.adapters.folder import read_adapter
from espnet_vibevoice.adapters.hot_swap import AdapterSet
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.models.generation_settings import (
    GenerationSettings,
    ScriptSettings,
    SpeechSettings,
)
from espnet_vibevoice.models.known_tokens import knows_tokens, tell_tokens
from espnet_vibevoice.models.loading import MODEL_CLASSES
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import MultispeakerConfig
from espnet_vibevoice.models.speech_model import SpeechModel
from espnet_vibevoice.synthesis.experiment_conf import (
    list_voices,
    read_experiment_conf,
)
from espnet_vibevoice.synthesis.realtime_speaker import RealtimeSpeaker
from espnet_vibevoice.synthesis.script_checks import check_scripts
from espnet_vibevoice.synthesis.script_speaker import ScriptSpeaker
from espnet_vibevoice.synthesis.speaker import Speaker
from espnet_vibevoice.synthesis.voice_files import (
    VoiceOptions,
    encode_recordings,
    load_prompts,
    read_recordings,
)
from espnet_vibevoice.synthesis.voice_options import (
    AdapterChoice,
    VoiceFile,
    parse_voices,
)
from espnet_vibevoice.text.cleaners import find_cleaner
from espnet_vibevoice.text.tokenizer import load_tokenizer

Settings = TypeVar("Settings", bound=SpeechSettings)
EXPERIMENT = "experiment"  # name of a trained model among the adapters
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelChoice:
    """Which model is to speak.

    Args:
        base (str | None): Base: folder or hub id; None: that of the experiment.
        experiment (tuple[Path, Path] | None): Its ``config.yaml`` and a checkpoint.
        adapters (Sequence[AdapterChoice]): Adapters to speak with.
        tokenizer (str | None): Tokenizer of a base that brings none.
        device (str): cpu | cuda | mps, ...
        dtype (str): float32 | bfloat16 | float16.
        cleaner (str | None): What reads texts and transcripts; None: as in the
            training of an experiment, nothing for a base.
    """

    base: str | None = None
    experiment: tuple[Path, Path] | None = None
    adapters: Sequence[AdapterChoice] = ()
    tokenizer: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    cleaner: str | None = None


def load_speaker(
    choice: ModelChoice,
    voices: Mapping[int, VoiceFile],
    voice_options: VoiceOptions,
    overrides: Mapping[str, Any],
    texts: Sequence[str] = (),
) -> Speaker:
    """Load what is needed to speak.

    Args:
        choice (ModelChoice): The model.
        voices (Mapping[int, VoiceFile]): Voice of each speaker, counted from 0.
        voice_options (VoiceOptions): How recordings are read.
        overrides (Mapping): Settings of generation by name, in place of those of the
            experiment or the defaults.
        texts (Sequence[str]): What is to be spoken, as far as it is known: scripts
            that cannot be are refused before a multi-speaker model is loaded.

    Returns:
        Speaker: The model, in evaluation mode, with voices that it has read.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If files do not belong together, or a setting is out of range.
        RuntimeError: If a recording is given and there is no encoder.
    """
    conf: dict[str, Any] = {}
    clean = find_cleaner(choice.cleaner)
    if choice.experiment is not None:
        conf = read_experiment_conf(*choice.experiment)
        clean = find_cleaner(choice.cleaner or conf["cleaner"])
    base = choice.base or conf.get("base")
    if base is None:
        raise ValueError("no model is named: give --base, or --model.")
    folder = resolve_base(base)
    tokenizer_name = choice.tokenizer or conf.get("tokenizer")
    tokenizer = load_tokenizer(folder, tokenizer_name)
    voices = voices or parse_voices(list_voices(conf))
    voice_options = voice_options.complete(base, tokenizer_name, conf, clean)
    config = load_config(folder)
    if isinstance(config, MultispeakerConfig):
        script_settings = make_settings(ScriptSettings, conf, overrides)
        recordings = read_recordings(voices, config.codec_shape, voice_options)
        check_scripts(texts, clean, tokenizer, config, recordings)
    model = _load_model(folder, choice)
    if not knows_tokens(model):
        tell_tokens(model, tokenizer)
    model = _adapt(model, folder, choice)
    if isinstance(model, MultispeakerModel):
        latents = encode_recordings(model, recordings, voice_options)
        return ScriptSpeaker(model, tokenizer, script_settings, latents, clean)
    settings = make_settings(GenerationSettings, conf, overrides)
    prompts = load_prompts(model, voices, voice_options)
    return RealtimeSpeaker(model, tokenizer, settings, prompts, clean)


def make_settings(
    kind: type[Settings], conf: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Settings:
    """Gather settings of generation.

    Args:
        kind (type): Class of the family's settings.
        conf (Mapping): ``tts_conf`` of an experiment; other keys are passed over.
        overrides (Mapping): Settings that overrule it.

    Raises:
        ValueError: If a setting is not one of the family's, or out of range.
    """
    names = {field.name for field in fields(kind)}
    unknown = sorted(set(overrides) - names)
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)}: the family of this model has no such setting. "
            f"It has {', '.join(sorted(names))}."
        )
    return kind(**{k: v for k, v in conf.items() if k in names} | dict(overrides))


def _load_model(folder: Path, choice: ModelChoice) -> SpeechModel:
    """Load the base by the class of its family."""
    family = MODEL_CLASSES[load_config(folder).model_type]
    dtype = getattr(torch, choice.dtype)
    return family.from_base(str(folder), dtype, device=choice.device)


def _adapt(model: SpeechModel, folder: Path, choice: ModelChoice) -> SpeechModel:
    """Bring the experiment's weights and the adapters into a view of the model."""
    model_type = model.config.model_type
    found: list[tuple[str, Adapter, float]] = []
    if choice.experiment is not None:
        found.append((EXPERIMENT, read_checkpoint(choice.experiment[1]), 1.0))
    for adapter in choice.adapters:
        read = read_adapter(adapter.path, model_type)
        found.append((adapter.name, read, adapter.scale))
    if not found:
        return model
    rank = sum(_count_rank(adapter) for _, adapter, _ in found)
    adapters = AdapterSet(model, max(rank, 1), fingerprint=fingerprint_weights(folder))
    for name, adapter, scale in found:
        if adapter.model_type != model_type:
            raise ValueError(
                f"{name} was trained on a base of the family {adapter.model_type}, "
                f"this one is of {model_type}. Give the base that it was made for."
            )
        adapters.load(name, adapter)
        adapters.enable(name, scale)
    return adapters.model


def _count_rank(adapter: Adapter) -> int:
    """Largest rank of an adapter's LoRA; 0 without."""
    layers = [f for part in adapter.lora.values() for f in part.values()]
    return max((len(factors.a) for factors in layers), default=0)
