"""A parity folder: what it holds, and which settings its values were made with.

Everything is read from the folder itself: sizes from ``checkpoint/config.json`` and
from the tensors, numbers of steps from the names of the keys, windows from the type
mask of the long sequence, guidance and prompt type from ``meta.json``. Nothing depends
on one particular fixture but the names of the keys.
"""

import itertools
import json
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.models.config import NEGATIVE_PROMPT_TOKEN
from espnet_vibevoice.models.generation import GenerationSettings
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.text.tokenizer import TextTokenizer, load_tokenizer

Tensors = dict[str, Tensor]

INPUT_KEYS = frozenset(
    [
        "lm.input_ids",
        "tts.latents",
        "head.noisy",
        "head.timesteps",
        "head.condition",
        "sched.x0",
        "sched.noise",
        "sched.timesteps",
        "sample.condition",
        "sample.neg_condition",
        "sample.init_noise",
        "codec.decode_latents",
        "codec.encode_waveform",
        "voice.prompt_text_ids",
        "voice.prompt_latents",
        "gen.text_ids",
        "gen.noise",
        "gen.eos_bias",
        "gen_eos.eos_bias",
    ]
)
# Names under which meta.json may give a setting; the first that is there counts.
META_NAMES = {
    "cfg_scale": ("cfg_scale", "guidance", "guidance_scale"),
    "num_sampling_steps": ("num_sampling_steps", "num_steps", "ddpm_inference_steps"),
    "text_window": ("text_window", "text_window_size"),
    "speech_window": ("speech_window", "speech_window_size"),
    "prompt_text_type": ("prompt_text_type",),
}


@dataclass(frozen=True)
class ParitySettings:
    """What the tensors of a folder were made with.

    Args:
        text_window (int): Text tokens per window.
        speech_window (int): Frames per window.
        trailing_text (int): Text tokens of ``tts_b`` behind its last frame. Generation
            never gets there, but a folder may hold them.
        short_text (int): Text tokens of the short sequence ``tts_a``.
        short_frames (int): Frames of ``tts_a``.
        cfg_scale (float): Guidance of ``sample`` and ``gen``.
        num_sampling_steps (int): Solver steps per frame of ``gen``.
        sample_steps (tuple[int, ...]): Solver steps that ``sample`` was run with.
        schedule_steps (tuple[int, ...]): Solver steps that ``sched`` tabulates.
        prompt_text_type (int): Type id of the voice prompt's transcript.
    """

    text_window: int
    speech_window: int
    trailing_text: int
    short_text: int
    short_frames: int
    cfg_scale: float
    num_sampling_steps: int
    sample_steps: tuple[int, ...]
    schedule_steps: tuple[int, ...]
    prompt_text_type: int


@dataclass(frozen=True)
class ParityFolder:
    """A loaded folder.

    Args:
        path (Path): The folder.
        io (Tensors): Inputs and expected outputs.
        meta (dict): Texts, special ids, settings.
        model (RealtimeModel): Model of ``checkpoint/``, in evaluation mode.
        tokenizer (TextTokenizer | None): Of ``tokenizer/``; None without it.
        settings (ParitySettings): What the outputs were made with.
    """

    path: Path
    io: Tensors
    meta: dict[str, Any]
    model: RealtimeModel
    tokenizer: TextTokenizer | None
    settings: ParitySettings


def load_folder(path: Path) -> ParityFolder:
    """Load a parity folder.

    Args:
        path (Path): Folder with ``checkpoint/``, ``io.safetensors`` and ``meta.json``;
            ``tokenizer/`` may be absent where ``meta.json`` gives the special ids.

    Returns:
        ParityFolder: Its content.

    Raises:
        FileNotFoundError: If the folder or a part of it does not exist.
        ValueError: If a part cannot be read or an input tensor is missing.
    """
    require_files(path)
    io = load_tensors(path / "io.safetensors", INPUT_KEYS)
    meta = load_meta(path / "meta.json")
    model = RealtimeModel.from_base(str(path / "checkpoint"))
    tokenizer = None
    if (path / "tokenizer").is_dir():
        tokenizer = load_tokenizer(path / "checkpoint", path / "tokenizer")
        model.negative_prompt_id = tokenizer.negative_prompt_id
    else:
        model.negative_prompt_id = _read_negative_prompt_id(path, meta)
    settings = read_settings(io, meta, model.config.original)
    return ParityFolder(path, io, meta, model, tokenizer, settings)


def require_files(path: Path) -> None:
    """See that a folder has the files of every family.

    Args:
        path (Path): The folder.

    Raises:
        FileNotFoundError: If the folder or a part of it does not exist.
    """
    wanted = ["checkpoint/config.json", "io.safetensors", "meta.json"]
    absent = [name for name in wanted if not (path / name).is_file()]
    if absent:
        raise FileNotFoundError(
            f"{path}: no {', no '.join(absent)}. Give a folder of the form described "
            "in tests/parity/README.md."
        )


def read_settings(
    io: Tensors, meta: dict[str, Any], original: dict[str, Any]
) -> ParitySettings:
    """Find out what the outputs of a folder were made with.

    Args:
        io (Tensors): Tensors of the folder.
        meta (dict): Its ``meta.json``.
        original (dict): Its ``config.json``.

    Returns:
        ParitySettings: The settings.

    Raises:
        ValueError: If a tensor that tells one of them is missing.
    """
    absent = [key for key in ("tts_a.type_mask", "tts_b.type_mask") if key not in io]
    if absent:
        raise ValueError(
            f"io.safetensors: {', '.join(absent)} missing, which tell the windows. "
            "Make the folder again."
        )
    found = {
        name: next((meta[key] for key in keys if key in meta), None)
        for name, keys in META_NAMES.items()
    }
    windows = read_windows(io["tts_b.type_mask"])
    short, types = io["tts_a.type_mask"].flatten(), io["tts_b.type_mask"].flatten()
    steps = original["diffusion_head_config"].get("ddpm_num_inference_steps", 5)
    return ParitySettings(
        text_window=_first_given(found["text_window"], windows[0]),
        speech_window=_first_given(found["speech_window"], windows[1]),
        trailing_text=int(types.flip(0).cumprod(0).sum()),
        short_text=int(short.sum()),
        short_frames=int((1 - short).sum()),
        cfg_scale=_first_given(found["cfg_scale"], 1.5),
        num_sampling_steps=_first_given(found["num_sampling_steps"], steps),
        sample_steps=_read_steps(io, r"sample\.(?:latents|trajectory)_(\d+)steps"),
        schedule_steps=_read_steps(io, r"sched\.inference_(?:timesteps|sigmas)_(\d+)"),
        prompt_text_type=_first_given(found["prompt_text_type"], 0),
    )


def read_windows(type_mask: Tensor) -> tuple[int, int]:
    """Read the window sizes off a sequence.

    Args:
        type_mask (Tensor): Type of each position, 1 for text (1, T_seq).

    Returns:
        tuple[int, int]: Text tokens and frames per window. Those of the released
            base if the text fits into one window, where both could be anything.
    """
    kinds = type_mask.flatten().tolist()
    runs = [len(list(run)) for _, run in itertools.groupby(kinds)]
    if len(runs) < 3:
        default = GenerationSettings()
        return default.text_window, default.speech_window
    return runs[0], runs[1]


def _first_given(*values: Any) -> Any:
    """First value that is not None."""
    return next(value for value in values if value is not None)


def _read_steps(io: Tensors, pattern: str) -> tuple[int, ...]:
    """Numbers of steps in the names of the keys, ascending."""
    matches = [re.fullmatch(pattern, key) for key in io]
    return tuple(sorted({int(match[1]) for match in matches if match}))


def load_tensors(path: Path, input_keys: Set[str]) -> Tensors:
    """Load ``io.safetensors`` and see that every input is there.

    Args:
        path (Path): The file.
        input_keys (Set[str]): Keys of the inputs.

    Raises:
        ValueError: If it cannot be read or an input is missing.
    """
    try:
        io = load_file(path)
    except SafetensorError as err:
        raise ValueError(f"{path}: not a safetensors file ({err}).") from err
    missing = sorted(input_keys - io.keys())
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} inputs missing: {summarize_faults(missing)}. "
            "Make the folder again."
        )
    return io


def load_meta(path: Path) -> dict[str, Any]:
    """Load a file of JSON that holds an object.

    Args:
        path (Path): The file.

    Raises:
        ValueError: If it cannot be read or holds something else.
    """
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path}: not valid JSON ({err}).") from err
    if not isinstance(meta, dict):
        raise ValueError(f"{path}: got {type(meta).__name__}, wanted an object.")
    return meta


def _read_negative_prompt_id(path: Path, meta: dict[str, Any]) -> int:
    """Id of the negative prompt in the special ids of ``meta.json``."""
    for name, token_id in meta.get("special_ids", {}).items():
        if NEGATIVE_PROMPT_TOKEN in name:
            return token_id
    raise ValueError(
        f"{path}: neither tokenizer/ nor special_ids in meta.json tell the id of "
        f"{NEGATIVE_PROMPT_TOKEN}. Add one of them."
    )
