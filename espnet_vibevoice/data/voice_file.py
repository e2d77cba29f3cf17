"""From a recording and its transcript to a voice prompt.

The recording is treated as training audio is: mono at the codec's rate, at -25 dBFS,
encoded without sampling. Prompts of 5 to 30 s of one recording session work best.
"""

import logging
from pathlib import Path

import numpy as np
import torch

from espnet_vibevoice.data.audio import (
    load_audio,
    normalize_loudness,
    resample,
    to_mono,
)
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import (
    PROMPT_TEXT_TYPE,
    VoicePrompt,
    build_voice_prompt,
)
from espnet_vibevoice.score.fit import FitLimits, FitReport, measure_fit
from espnet_vibevoice.text.tokenizer import load_tokenizer

logger = logging.getLogger(__name__)

GOOD_SEC = (5.0, 30.0)
DEFAULT_MAX_SEC = 30.0
SILENT_BELOW = 1e-4  # root mean square, -80 dBFS


def load_prompt_audio(
    path: str | Path, fs: int, max_sec: float = DEFAULT_MAX_SEC
) -> np.ndarray:
    """Read the recording of a voice.

    Args:
        path (str | Path): Audio of any rate and number of channels.
        fs (int): Wanted rate in Hz.
        max_sec (float): Longest recording; a longer one is refused and not cut,
            because its transcript would no longer be that of the audio.

    Returns:
        np.ndarray: Mono samples at -25 dBFS (T_wav,), float32.

    Raises:
        ValueError: If it is unreadable, silent or too long.
    """
    waveform, source_fs = load_audio(path)
    seconds = len(waveform) / source_fs
    if seconds > max_sec:
        raise ValueError(
            f"{path}: {seconds:.1f} s, at most {max_sec:g} s are taken. Cut the audio "
            "and its transcript to the best part, or raise --max_sec "
            "(bin/synthesize: --max_voice_sec)."
        )
    if not GOOD_SEC[0] <= seconds <= GOOD_SEC[1]:
        logger.warning(
            "%s: %.1f s; %g to %g s of one recording session make the best voice",
            path,
            seconds,
            *GOOD_SEC,
        )
    waveform = resample(to_mono(waveform), source_fs, fs)
    rms = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))
    if rms < SILENT_BELOW:
        raise ValueError(f"{path}: silent (root mean square {rms:.1e}). Give speech.")
    return normalize_loudness(waveform)


class VoiceMaker:
    """Makes voice prompts for one base.

    Args:
        base (str): Base: folder or hub id.
        acoustic_encoder (str | None): Encoder in place of the base's own, see
            `models.encoder_file.load_encoder`.
        tokenizer (str | None): Tokenizer in place of the base's own.
        dtype (torch.dtype): Type of the prompts; audio is always encoded in float32.
        device (str): ``cpu``, ``cuda``, ...
        model (RealtimeModel | None): The model that is to read the voices, in place
            of the base's own weights; it tells type and device itself.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If weights do not fit.
        RuntimeError: If there is no encoder.
    """

    def __init__(
        self,
        base: str,
        acoustic_encoder: str | None = None,
        tokenizer: str | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        model: RealtimeModel | None = None,
    ):
        self.base = base
        self.acoustic_encoder = acoustic_encoder or base
        self.tokenizer = load_tokenizer(resolve_base(base), tokenizer)
        if model is None:
            model = RealtimeModel.from_base(base, dtype, device=device)
            model.negative_prompt_id = self.tokenizer.negative_prompt_id
        self.model = model
        device = model.tts_input_types.weight.device
        self.codec = load_codec(base, acoustic_encoder=acoustic_encoder).to(device)

    def make(
        self,
        wav: str | Path,
        text: str,
        *,
        max_sec: float = DEFAULT_MAX_SEC,
        limits: FitLimits | None = None,
        prompt_text_type: int = PROMPT_TEXT_TYPE,
    ) -> VoicePrompt:
        """Make one prompt.

        Args:
            wav (str | Path): Recording.
            text (str): What is said in it, normalised as training texts are.
            max_sec (float): Longest recording.
            limits (FitLimits | None): How well the codec must reconstruct the
                recording, so that a foreign encoder is caught; None for the default.
            prompt_text_type (int): See `models.voice_prompt.build_voice_prompt`.

        Returns:
            VoicePrompt: The prompt.

        Raises:
            ValueError: If audio or text is unusable, or the encoder does not fit.
            RuntimeError: If there is no encoder.
        """
        ids = self.tokenizer.encode(text)
        waveform = load_prompt_audio(wav, self.codec.sampling_rate, max_sec)
        device = self.model.tts_input_types.weight.device
        samples = torch.from_numpy(waveform).to(device)
        figures = {str(wav): measure_fit(self.codec, samples)[1]}
        report = FitReport(
            self.base, self.acoustic_encoder, figures, limits or FitLimits()
        )
        report.require()
        logger.info("%s", report.summarize())
        latents = self.codec.encode(samples)
        return build_voice_prompt(
            self.model, latents, torch.tensor(ids), prompt_text_type
        )
