"""A parity folder of the multi-speaker family: what it holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multispeaker_settings import MultispeakerSettings, read_multispeaker_settings
from parity_folder import Tensors, load_meta, load_tensors, require_files

from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import SpeechTokens
from espnet_vibevoice.text.tokenizer import TextTokenizer, load_tokenizer

RECORDING_PREFIX = "gen.raw_voice."
MULTISPEAKER_INPUT_KEYS = frozenset(
    [
        "codec.waveform",
        "codec.decode_latents",
        "connector.acoustic_in",
        "connector.semantic_in",
        "head.noisy",
        "head.timesteps",
        "head.condition",
        "lm.input_ids",
        "train.input_ids",
        "train.attention_mask",
        "train.acoustic_input_mask",
        "train.acoustic_loss_mask",
        "train.speech_tensors",
        "train.segment_num_samples",
        "train.speech_masks",
        "train.speeches_loss_input",
        "train.rand.vae_std_draw",
        "train.rand.vae_noise",
        "train.rand.diffusion_noise",
        "train.rand.timesteps",
        "gen.input_ids",
        "gen.attention_mask",
        "gen.speech_input_mask",
        "gen.speech_tensors",
        "gen.speech_masks",
        "gen.rand.vae_std_draw",
        "gen.rand.vae_noise",
        "gen.noise",
    ]
)


@dataclass(frozen=True)
class MultispeakerFolder:
    """A loaded folder.

    Args:
        path (Path): The folder.
        io (Tensors): Inputs and expected outputs.
        meta (dict): Texts, special ids, settings.
        model (MultispeakerModel): Model of ``checkpoint/``, in evaluation mode.
        tokenizer (TextTokenizer | None): Of ``tokenizer/``; None without it.
        settings (MultispeakerSettings): What the outputs were made with.
    """

    path: Path
    io: Tensors
    meta: dict[str, Any]
    model: MultispeakerModel
    tokenizer: TextTokenizer | None
    settings: MultispeakerSettings


def load_multispeaker_folder(path: Path) -> MultispeakerFolder:
    """Load a parity folder of the multi-speaker family.

    Args:
        path (Path): Folder with ``checkpoint/``, ``io.safetensors`` and ``meta.json``;
            ``tokenizer/`` may be absent.

    Returns:
        MultispeakerFolder: Its content.

    Raises:
        FileNotFoundError: If the folder or a part of it does not exist.
        ValueError: If a part cannot be read or an input tensor is missing.
    """
    require_files(path)
    io = load_tensors(path / "io.safetensors", MULTISPEAKER_INPUT_KEYS)
    meta = load_meta(path / "meta.json")
    settings = read_multispeaker_settings(io, meta)
    model = MultispeakerModel.from_base(str(path / "checkpoint"))
    model.tokens = SpeechTokens(*settings.allowed_ids)
    tokenizer = None
    if (path / "tokenizer").is_dir():
        tokenizer = load_tokenizer(path / "checkpoint", path / "tokenizer")
    return MultispeakerFolder(path, io, meta, model, tokenizer, settings)


def is_multispeaker_input(key: str) -> bool:
    """Tell whether a key names an input, or a recording that one is made from.

    Args:
        key (str): Key of ``io.safetensors``.
    """
    return key in MULTISPEAKER_INPUT_KEYS or key.startswith(RECORDING_PREFIX)
