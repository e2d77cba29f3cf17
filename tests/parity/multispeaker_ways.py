"""The same outputs of a multi-speaker folder by other ways: caches, texts, files.

What streams, caches and teacher forcing give is held to the values of the folder, each
from stored values, so that no rounding of generation adds up on the way.
"""

from collections.abc import Iterator

import torch
from multispeaker_folder import RECORDING_PREFIX, MultispeakerFolder
from multispeaker_speech import (
    build_prompt,
    build_script_settings,
    collect_steps,
    follow_negative,
    run_steps,
)
from multispeaker_training import TrainingPass
from parity_folder import Tensors
from parity_ways import Way
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.codec_stream import DecoderStream, EncoderStream
from espnet_vibevoice.models.multispeaker_draws import find_voice_segments
from espnet_vibevoice.models.multispeaker_generation import generate_script
from espnet_vibevoice.models.multispeaker_script import build_prompt_ids, parse_script
from espnet_vibevoice.models.multispeaker_streaming import stream_script
from espnet_vibevoice.models.reading import Reading
from espnet_vibevoice.models.script_prompt import make_row, prepare_script
from espnet_vibevoice.models.script_voice import encode_voice, normalize_voice

PIECE = 3  # positions read at once by the cached language model


@torch.no_grad()
def compute_multispeaker_ways(folder: MultispeakerFolder) -> list[Way]:
    """Compute all second ways of a folder.

    Args:
        folder (MultispeakerFolder): The folder; its expected outputs are used.

    Returns:
        list[Way]: The comparisons.
    """
    return [
        read_in_pieces(folder),
        *stream_codecs(folder),
        *read_training_texts(folder),
        *force_teacher(folder),
        *rerun_codecs(folder),
        *speak_in_batch(folder),
        *speak_from_text(folder),
    ]


def read_in_pieces(folder: MultispeakerFolder) -> Way:
    """Run the language model a few positions at a time with a cache."""
    model, name, reading = folder.model, "lm.last_hidden_state", Reading()
    inputs = model.embed_text(folder.io["lm.input_ids"])
    parts = [
        reading.feed(model.language_model, part) for part in inputs.split(PIECE, dim=1)
    ]
    return Way(f"{name} [in pieces]", torch.cat(parts, dim=1), folder.io[name])


def stream_codecs(folder: MultispeakerFolder) -> Iterator[Way]:
    """Run the codecs frame by frame."""
    model, io = folder.model, folder.io
    hop = model.acoustic_tokenizer.hop_samples
    waveform = io["codec.waveform"]
    padded = functional.pad(waveform, (0, -len(waveform) % hop))[None]
    kinds = {"acoustic": model.acoustic_tokenizer, "semantic": model.semantic_tokenizer}
    for kind, codec in kinds.items():
        encoder, key = EncoderStream(codec.encoder), f"codec.{kind}_mean_zero_padded"
        parts = [encoder.encode(part) for part in padded.split(hop, dim=1)]
        yield Way(f"{key} [streamed]", torch.cat(parts, dim=1), io[key])
    decoder = DecoderStream(model.acoustic_tokenizer.decoder)
    latents = io["codec.decode_latents"]
    parts = [decoder.decode(part) for part in latents.split(1, dim=1)]
    key = "codec.decode_audio"
    yield Way(f"{key} [streamed]", torch.cat(parts, dim=1)[None], io[key])


def read_training_texts(folder: MultispeakerFolder) -> Iterator[Way]:
    """Lay the sequences of the training texts out."""
    model, io = folder.model, folder.io
    means = torch.zeros(*io["train.speech_masks"].shape, model.config.latent_dim)
    features = means.new_zeros(*means.shape[:2], model.config.semantic_dim)
    training = TrainingPass(model, io, folder.settings, means, features)
    sequence = training.lay_out()[0]
    ids, mask = io["train.input_ids"], io["train.attention_mask"]
    position = torch.arange(sequence.ids.shape[1])
    real = position < sequence.lengths[:, None]
    yield Way("train.attention_mask [laid out]", real.to(mask), mask)
    if real.shape == ids.shape:
        padded = torch.where(real, sequence.ids, ids)
        yield Way("train.input_ids [laid out]", padded, ids)
        frames = sequence.voice_mask | sequence.frame_mask
        for name, got in (("input", frames), ("loss", sequence.frame_mask)):
            key = f"train.acoustic_{name}_mask"
            yield Way(f"{key} [laid out]", got, io[key])
    if folder.tokenizer is None:
        return
    starts = io["train.acoustic_loss_mask"].int().argmax(1).tolist()
    prompts = [row[:start] for row, start in zip(ids, starts, strict=True)]
    texts = zip(folder.meta["train_texts"], prompts, strict=True)
    for index, (text, prompt) in enumerate(texts):
        voices = find_voice_segments(prompt, model.get_tokens())
        layout = build_prompt_ids(folder.tokenizer, parse_script(text), voices)
        yield Way(f"train.input_ids [tokenizer, text {index}]", layout.ids, prompt)


def force_teacher(folder: MultispeakerFolder) -> Iterator[Way]:
    """Compute what generation saw in one pass over its own output."""
    model, io, settings = folder.model, folder.io, folder.settings
    tokens, latents = io["gen.tokens"], io["gen.latents"]
    row = build_row(folder)
    vectors = model.embed_text(tokens)
    is_frame = tokens == settings.speech_diffusion_id
    vectors[is_frame] = model.embed_frames(latents, io["gen.semantic"])
    hidden = model.run_sequence(torch.cat([row, vectors])[None])[0]
    before = hidden[len(row) - 1 : -1]
    results = {
        "gen.condition": before[is_frame],
        "gen.neg_condition": follow_negative(
            model, tokens, latents, io["gen.semantic"]
        ),
        "gen.token_scores_start_end_diffusion_eos": model.compute_control_logits(
            before
        ),
    }
    for key, got in results.items():
        yield Way(f"{key} [teacher forcing]", got, io[key])


def build_row(folder: MultispeakerFolder) -> Tensor:
    """Make the vectors of the prompt of generation (T, H)."""
    settings = build_script_settings(folder.io, folder.settings)
    prompt = build_prompt(folder.model, folder.io)
    return make_row(folder.model, prompt, settings).prompt


def rerun_codecs(folder: MultispeakerFolder) -> Iterator[Way]:
    """Decode each segment of the stored latents, encode that of the stored audio."""
    model, io = folder.model, folder.io
    tokens, known = io["gen.tokens"].tolist(), folder.settings
    lengths = [0]
    for token in tokens:
        if token == known.speech_diffusion_id:
            lengths[-1] += 1
        elif token == known.speech_end_id:
            lengths.append(0)
    lengths = [length for length in lengths if length]
    hop = model.acoustic_tokenizer.hop_samples
    latents = model.unscale_latents(io["gen.latents"]).split(lengths)
    audio = torch.cat([model.acoustic_tokenizer.decode(part) for part in latents])
    yield Way("gen.waveform [from latents]", audio, io["gen.waveform"])
    parts = io["gen.waveform"].split([length * hop for length in lengths])
    heard = torch.cat([model.semantic_tokenizer.encode(part) for part in parts])
    yield Way("gen.semantic [from waveform]", heard, io["gen.semantic"])


def speak_in_batch(folder: MultispeakerFolder) -> Iterator[Way]:
    """Generate beside a script with fewer words, which ends at another step."""
    prompt = build_prompt(folder.model, folder.io)
    ids, mask = prompt.layout.ids, prompt.layout.voice_mask
    kept = ~mask
    shorter = type(prompt)(type(prompt.layout)(ids[kept], mask[kept]), (), len(ids))
    prompts = [shorter, prompt]
    steps = run_steps(folder.model, prompts, folder.io, folder.settings)[1]
    outputs = collect_steps(steps)
    for key in ("gen.tokens", "gen.latents", "gen.waveform"):
        yield Way(f"{key} [in a batch]", outputs[key], folder.io[key])


def speak_from_text(folder: MultispeakerFolder) -> Iterator[Way]:
    """Generate from the script and the recordings, at once and in a stream."""
    model, io = folder.model, folder.io
    numbers = sorted(
        int(key.removeprefix(RECORDING_PREFIX))
        for key in io
        if key.startswith(RECORDING_PREFIX)
    )
    recordings = [io[f"{RECORDING_PREFIX}{number}"] for number in numbers]
    if not recordings:
        return
    codec = model.acoustic_tokenizer
    levelled = [normalize_voice(codec, recording) for recording in recordings]
    key = "gen.speech_tensors"
    together = pad_sequence(levelled, batch_first=True)
    missing = io[key].shape[1] - together.shape[1]
    together = functional.pad(together, (0, max(0, missing)))
    yield Way(f"{key} [levelled]", together, io[key])
    if folder.tokenizer is None:
        return
    yield from _speak_script(folder, recordings)


def _speak_script(folder: MultispeakerFolder, recordings: list[Tensor]) -> list[Way]:
    """Generate from script and recordings (T_wav,)."""
    model, io = folder.model, folder.io
    draws = zip(io["gen.rand.vae_std_draw"], io["gen.rand.vae_noise"], strict=True)
    length = io["gen.speech_tensors"].shape[1]
    voices = [
        encode_voice(
            model.acoustic_tokenizer, recording, draws=draw, padded_samples=length
        )
        for recording, draw in zip(recordings, draws, strict=True)
    ]
    script = folder.meta["gen_text"]
    prompt = prepare_script(model, folder.tokenizer, script, voices)
    settings, noise = build_script_settings(io, folder.settings), io["gen.noise"][:, 0]
    spoken = generate_script(model, prompt, settings, noise=noise)
    chunks = stream_script(model, prompt, settings, noise=noise)
    streamed = torch.cat([chunk.waveform for chunk in chunks])
    results: Tensors = {
        "gen.input_ids": prompt.layout.ids[None],
        "gen.speech_input_mask": prompt.layout.voice_mask[None],
        "gen.tokens": spoken.tokens,
        "gen.latents": model.scale_latents(spoken.latents),
        "gen.waveform": spoken.waveform,
    }
    ways = [Way(f"{key} [from text]", got, io[key]) for key, got in results.items()]
    return [*ways, Way("gen.waveform [streamed]", streamed, io["gen.waveform"])]
