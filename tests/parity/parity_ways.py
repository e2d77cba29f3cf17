"""The same outputs by other ways: caches, teacher forcing, files.

A model that trains on one way and speaks on another must give the same numbers on
both. Each row here compares such a second way with the expected values of the folder.
"""

from dataclasses import dataclass

import torch
from parity_folder import ParityFolder
from parity_generation import (
    build_generation_settings,
    build_prompt,
    compute_generation,
    flatten_prompt,
    replace_eos_bias,
    run_generation,
)
from torch import Tensor
from transformers import DynamicCache

from espnet_vibevoice.models.generation import Branch
from espnet_vibevoice.models.sequence import build_layout, gather_positions
from espnet_vibevoice.models.streaming import stream
from espnet_vibevoice.models.voice_prompt import (
    BRANCHES,
    StoredBranch,
    VoicePrompt,
    load_voice_prompt,
)


@dataclass(frozen=True)
class Way:
    """One comparison.

    Args:
        name (str): Key of the output and the way in brackets.
        got (Tensor): Computed by that way.
        wanted (Tensor): Expected, of the same shape.
    """

    name: str
    got: Tensor
    wanted: Tensor


@torch.no_grad()
def compute_ways(folder: ParityFolder) -> list[Way]:
    """Compute all second ways of a folder.

    Args:
        folder (ParityFolder): The folder; its expected outputs are used.

    Returns:
        list[Way]: The comparisons.
    """
    return [
        run_text_windows(folder),
        run_steps(folder, "tts_a"),
        run_steps(folder, "tts_b"),
        *force_teacher(folder),
        *generate_from_built_prompt(folder),
        end_speech(folder),
        stream_speech(folder),
        *read_tokenizer(folder),
        *read_voice_file(folder),
    ]


def run_text_windows(folder: ParityFolder) -> Way:
    """Run the lower part window by window with a cache."""
    cache = DynamicCache()
    parts = [
        folder.model.language_model(
            input_ids=ids, past_key_values=cache, use_cache=True
        ).last_hidden_state
        for ids in folder.io["lm.input_ids"].split(folder.settings.text_window, dim=1)
    ]
    name = "lm.last_hidden_state"
    return Way(f"{name} [windows]", torch.cat(parts, dim=1), folder.io[name])


def run_steps(folder: ParityFolder, name: str) -> Way:
    """Feed a sequence step by step as generation does.

    Args:
        folder (ParityFolder): The folder.
        name (str): ``tts_a`` or ``tts_b``.

    Returns:
        Way: Hidden states at each frame and at the end of each text window.
    """
    model, io = folder.model, folder.io
    branch, states, positions = Branch(), [], []
    text, position = io["lm.input_ids"], 0
    vectors = iter(model.acoustic_connector(io["tts.latents"]).split(1, dim=1))
    types = io[f"{name}.type_mask"][0]
    for run in _split_runs(types, folder.settings.text_window):
        if types[position] == 1:
            branch.feed_text(model, text[:, :run])
            text = text[:, run:]
            position += run
        else:
            branch.feed_frame(model, next(vectors))
            position += 1
        states.append(branch.hidden[0])
        positions.append(position - 1)
    wanted = io[f"{name}.hidden"][0, positions]
    return Way(f"{name}.hidden [step by step]", torch.stack(states), wanted)


def _split_runs(types: Tensor, text_window: int) -> list[int]:
    """Lengths of what is fed at once: windows of text, single frames."""
    runs: list[int] = []
    for position, kind in enumerate(types.tolist()):
        same = position > 0 and kind == 1 and types[position - 1] == 1
        if same and runs[-1] < text_window:
            runs[-1] += 1
        else:
            runs.append(1)
    return runs


def force_teacher(folder: ParityFolder) -> list[Way]:
    """Compute the conditions of generation in one pass over its own frames."""
    io, settings = folder.io, folder.settings
    frames = io["gen.latents"][None]  # (1, T_lat, D)
    prompt_text, prompt = io["voice.prompt_text_ids"], io["voice.prompt_latents"]
    num_prompt = torch.tensor([prompt.shape[1]])
    layout = build_layout(
        torch.tensor([io["gen.text_ids"].shape[1]]),
        torch.tensor([frames.shape[1]]),
        settings.text_window,
        settings.speech_window,
        prompt_text_lengths=torch.tensor([prompt_text.shape[1]]),
        prompt_latents_lengths=num_prompt,
        prompt_text_type=settings.prompt_text_type,
    )
    text = folder.model.embed_text(torch.cat([prompt_text, io["gen.text_ids"]], dim=1))
    hidden = folder.model.run_sequence(text, torch.cat([prompt, frames], dim=1), layout)
    conditions = gather_positions(hidden, layout.condition_positions)[0, num_prompt:]

    only = torch.tensor([1]), torch.tensor([frames.shape[1]])
    layout = build_layout(*only, settings.text_window, settings.speech_window)
    text = folder.model.embed_text(
        torch.tensor([[folder.model.get_negative_prompt_id()]])
    )
    hidden = folder.model.run_sequence(text, frames, layout)
    avoided = gather_positions(hidden, layout.condition_positions)[0]
    return [
        Way("gen.condition [teacher forcing]", conditions, io["gen.condition"]),
        Way("gen.neg_condition [teacher forcing]", avoided, io["gen.neg_condition"]),
    ]


def generate_from_built_prompt(folder: ParityFolder) -> list[Way]:
    """Generate after a prompt that the package has built itself."""
    model, io, settings = folder.model, folder.io, folder.settings
    prompt = build_prompt(model, io, settings)
    outputs = compute_generation(model, io, settings, prompt)
    names = ("gen.condition", "gen.latents", "gen.waveform")
    return [Way(f"{name} [built prompt]", outputs[name], io[name]) for name in names]


def read_stored_prompt(folder: ParityFolder) -> VoicePrompt | None:
    """Put the expected outputs of ``voice`` together as a prompt; None if some lack."""
    model, branches = folder.model, {}
    for name in BRANCHES:
        part = model.tts_language_model if "tts" in name else model.language_model
        layers = range(part.config.num_hidden_layers)
        hidden = f"voice.{name}.last_hidden_state"
        keys = [f"voice.{name}.key_cache.{layer}" for layer in layers]
        values = [f"voice.{name}.value_cache.{layer}" for layer in layers]
        if not folder.io.keys() >= {hidden, *keys, *values}:
            return None
        branches[name] = StoredBranch(
            folder.io[hidden],
            [folder.io[key] for key in keys],
            [folder.io[key] for key in values],
        )
    return VoicePrompt(**branches)


def end_speech(folder: ParityFolder) -> Way:
    """Let the classifier end speech: the audio up to there does not change."""
    io, prompt = folder.io, read_stored_prompt(folder)
    with replace_eos_bias(folder.model, io["gen_eos.eos_bias"]):
        result = run_generation(folder.model, io, folder.settings, prompt)
    wanted = io["gen.waveform"][: int(io["gen_eos.num_samples"])]
    return Way("gen.waveform [ended by eos]", result.waveform, wanted)


def stream_speech(folder: ParityFolder) -> Way:
    """Stream the audio while the text arrives in small pieces."""
    io = folder.io
    with replace_eos_bias(folder.model, io["gen.eos_bias"]):
        chunks = stream(
            folder.model,
            iter(io["gen.text_ids"][0].split(2)),
            build_generation_settings(io, folder.settings),
            prompt=read_stored_prompt(folder),
            noise=io["gen.noise"][:, 0],
        )
        waveform = torch.cat([chunk.waveform for chunk in chunks])
    return Way("gen.waveform [streamed]", waveform, io["gen.waveform"])


def read_tokenizer(folder: ParityFolder) -> list[Way]:
    """Encode the texts of ``meta.json``; each id tensor must be one of them."""
    if folder.tokenizer is None:
        return []
    texts = [value for key, value in folder.meta.items() if _is_text(key)]
    encoded = [torch.tensor([folder.tokenizer.encode(text)]) for text in texts]
    ways = []
    for key in ("lm.input_ids", "gen.text_ids", "voice.prompt_text_ids"):
        wanted = folder.io[key]
        same_length = [ids for ids in encoded if ids.shape == wanted.shape]
        # Several texts of that length: the closest one is meant.
        same_length.sort(key=lambda ids, wanted=wanted: int((ids != wanted).sum()))
        got = same_length[0] if same_length else torch.zeros(1, 0, dtype=torch.long)
        ways.append(Way(f"{key} [tokenizer]", got, wanted))
    return ways


def _is_text(key: str) -> bool:
    """Whether a key of ``meta.json`` names a text: ``text_13``, ``prompt_text``."""
    return key == "prompt_text" or key.startswith("text_")


def read_voice_file(folder: ParityFolder) -> list[Way]:
    """Read the stored voice files of the folder."""
    ways = []
    for path in sorted(folder.path.glob("voice_prompt.*")):
        for key, got in flatten_prompt(load_voice_prompt(path)).items():
            ways.append(Way(f"{key} [{path.name}]", got, folder.io[key]))
    return ways
