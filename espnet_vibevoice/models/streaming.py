"""Speech that is heard while it is being made.

Each frame is decoded once, as soon as it is there; the codec's decoder keeps what it
needs of the frames before. The chunks together are the waveform of `generate`. Text
may arrive in pieces too, so the first audio waits for one window of text only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.models.vibevoice_acoustic_tokenizer import (
    modeling_vibevoice_acoustic_tokenizer as native,
)

from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.branch import Branch, start_branches
from espnet_vibevoice.models.conversion import leave_autocast
from espnet_vibevoice.models.frame_loop import Utterance, run_frame_loop
from espnet_vibevoice.models.generation import make_utterance, warn_if_cut
from espnet_vibevoice.models.generation_settings import GenerationSettings
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.text.stream import tokenize_pieces
from espnet_vibevoice.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from espnet_vibevoice.models.voice_prompt import VoicePrompt


@dataclass(frozen=True)
class AudioChunk:
    """The audio of one frame.

    Args:
        waveform (Tensor): Samples (hop_samples,).
        latent (Tensor): Unscaled latent (D,).
        eos_probability (float): Probability that speech ends here.
        is_last (bool): Whether no chunk follows.
        stopped_by_eos (bool): Whether speech ended here by itself, not by a limit.
    """

    waveform: Tensor
    latent: Tensor
    eos_probability: float
    is_last: bool
    stopped_by_eos: bool


class StreamingDecoder:
    """Decodes the latents of one utterance as they come.

    Args:
        codec (AcousticCodec): Its decoder is used; nothing of it changes.
    """

    def __init__(self, codec: AcousticCodec):
        self._decoder = codec.decoder
        self._past = native.VibeVoiceAcousticTokenizerConv1dPaddingCache()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode the next frames.

        Args:
            latents (Tensor): Unscaled latents (T_lat, D), at least one.

        Returns:
            Tensor: Their samples (T_lat * hop_samples,), float32.
        """
        weight = self._decoder.head.conv.weight
        with leave_autocast(weight):
            hidden = latents.to(weight).T[None]  # (1, D, T_lat)
            output = self._decoder(hidden, padding_cache=self._past, use_cache=True)
        return output.audio[0, 0].float()


def stream(
    model: RealtimeModel,
    text: Tensor | str | Iterable[Tensor] | Iterable[str],
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    *,
    tokenizer: TextTokenizer | None = None,
    prompt: "VoicePrompt | None" = None,
    noise: Tensor | None = None,
) -> Iterator[AudioChunk]:
    """Speak a text and hand out each frame's audio at once.

    Args:
        model (RealtimeModel): The model.
        text (Tensor | str | Iterable): Token ids, int64 (T_text,), or a string; or
            pieces of either as they arrive. The next piece is waited for only when
            the next frame needs it.
        settings (GenerationSettings): All settings.
        generator (torch.Generator | None): Source of the noise; default global.
        tokenizer (TextTokenizer | None): Needed for strings.
        prompt (VoicePrompt | None): Voice to speak with.
        noise (Tensor | None): Noise of the frames (T_max, D), in place of drawing;
            speech ends with it.

    Returns:
        Iterator[AudioChunk]: Chunks of one frame. A warning is logged if a limit cut
            the speech.

    Raises:
        RuntimeError: If a latent is not finite (while iterating).
        ValueError: If there is no text, a token is unknown, strings come without a
            tokenizer or the voice prompt is of another base.
    """
    parts = _tokenize(text, tokenizer)
    utterance = make_utterance(model, parts, settings, generator, noise)
    return _speak(model, utterance, settings, start_branches(model, prompt))


def _speak(
    model: RealtimeModel,
    utterance: Utterance,
    settings: GenerationSettings,
    branches: tuple[Branch, Branch],
) -> Iterator[AudioChunk]:
    """Run the loop and decode each frame."""
    decoder = StreamingDecoder(model.acoustic_tokenizer)
    for frames in run_frame_loop(model, [utterance], settings, branches):
        frame = frames[0]
        latent = model.unscale_latents(frame.step.latent)
        warn_if_cut(frame, utterance)
        yield AudioChunk(
            waveform=decoder.decode(latent[None]),
            latent=latent,
            eos_probability=frame.eos_probability,
            is_last=frame.is_end or bool(frame.limit),
            stopped_by_eos=frame.is_end,
        )


def _tokenize(
    text: Tensor | str | Iterable[Tensor] | Iterable[str],
    tokenizer: TextTokenizer | None,
) -> Iterator[Tensor]:
    """Turn any form of text into parts of token ids (T,)."""
    if isinstance(text, Tensor):
        return iter([text])
    if tokenizer is None:
        return map(_refuse_string, [text] if isinstance(text, str) else text)
    pieces = [text] if isinstance(text, str) else text
    return (torch.tensor(ids) for ids in tokenize_pieces(tokenizer, pieces))


def _refuse_string(part: Tensor | str) -> Tensor:
    """Return a part of token ids; raise ValueError for a string."""
    if isinstance(part, str):
        raise ValueError(
            f"text {part!r} is a string: give the base's tokenizer as well, or token "
            "ids."
        )
    return part
