"""Does an encoder fit a decoder? Encode, decode, compare with the original.

Both figures compare log-mel spectrograms (`models.mel`: 80 bands, window 1024, hop 256)
in dB, cut off 60 dB below the loudest cell of the original:

- log-mel distance: root mean square difference of all cells, in dB. The level counts.
- spectral correlation: Pearson's, over all cells, each band around its own mean over
  time, so that a spectrum that never changes earns nothing. The level does not count.

Such spectra know no polarity, which a trained encoder may invert; the correlation of
the waveforms tells it. An original that is silent everywhere is not judged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.mel import MelSpectrogram

N_FFT, HOP_LENGTH, N_MELS = 1024, 256, 80
RANGE_DB = 60.0
SILENT_BELOW_DBFS = -60.0
CLEAR_POLARITY = 0.1  # of the waveforms' correlation


@dataclass(frozen=True)
class FitLimits:
    """What a pair must reach.

    On synthetic Persian speech the two figures are 0.93 and 5.6 dB for random phases,
    0.94 and 7.6 dB with noise 20 dB below, 0.82 and 14 dB with noise 10 dB below; but
    0.47 and 20 dB at a level of -40 dB, 0.39 and 19 dB for noise under the speech's
    envelope, 0 and 17 to 22 dB for other speech or noise.

    Args:
        min_spectral_correlation (float): Mean over the files; 0 refuses nothing, for
            a codec with random weights, and the figures are told all the same.
        max_log_mel_distance (float): Mean over the files in dB.
    """

    min_spectral_correlation: float = 0.8
    max_log_mel_distance: float = 15.0

    @classmethod
    def from_conf(
        cls, tts_conf: Mapping[str, Any], max_log_mel_distance: float = 15.0
    ) -> "FitLimits":
        """Take the least correlation from ``min_encoder_fit`` if that is set."""
        default = cls.min_spectral_correlation
        least = tts_conf.get("min_encoder_fit", default)
        return cls(float(least), max_log_mel_distance)

    def __post_init__(self):
        if not 0 <= self.min_spectral_correlation <= 1:
            raise ValueError(
                f"min_encoder_fit is {self.min_spectral_correlation}: a spectral "
                "correlation from 0 (refuse nothing) to 1 is wanted"
            )


@dataclass(frozen=True)
class FitFigures:
    """How a decoded waveform compares with its original.

    Attributes:
        seconds (float): Duration of the original.
        log_mel_distance (float): dB, 0 is equal.
        spectral_correlation (float): -1 to 1, 1 is equal up to a gain.
        waveform_correlation (float): -1 to 1; its sign is the polarity.
        level_db (float): Level of the decoded, relative to the original.
    """

    seconds: float
    log_mel_distance: float
    spectral_correlation: float
    waveform_correlation: float
    level_db: float

    @property
    def polarity(self) -> str:
        """Return ``same``, ``inverted`` or ``unclear``."""
        if abs(self.waveform_correlation) < CLEAR_POLARITY:
            return "unclear"
        return "same" if self.waveform_correlation > 0 else "inverted"

    def describe(self) -> str:
        """Return one line."""
        return (
            f"spectral correlation {self.spectral_correlation:.3f}, log-mel distance "
            f"{self.log_mel_distance:.2f} dB, level {self.level_db:+.1f} dB, polarity "
            f"{self.polarity} ({self.waveform_correlation:+.3f})"
        )


def compare_waveforms(original: Tensor, decoded: Tensor, fs: int) -> FitFigures | None:
    """Compute the figures of one file.

    Args:
        original (Tensor): Samples (T_wav,).
        decoded (Tensor): Samples (T_dec,), T_dec >= T_wav; what is behind T_wav is
            left out.
        fs (int): Sampling rate of both in Hz.

    Returns:
        FitFigures | None: None if the original is silent.
    """
    pair = torch.stack([original, decoded[: len(original)]]).float()
    rms = pair.square().mean(1).sqrt()
    if rms[0] < 10 ** (SILENT_BELOW_DBFS / 20):
        return None
    mel = MelSpectrogram(fs, N_FFT, HOP_LENGTH, N_MELS).to(pair.device)
    power = mel(pair)  # (2, N_MELS, T_mel)
    floor = power[0].max() * 10 ** (-RANGE_DB / 10)
    cells = 10 * power.maximum(floor).log10()
    moves = (cells - cells.mean(2, keepdim=True)).flatten(1)
    return FitFigures(
        seconds=len(original) / fs,
        log_mel_distance=float((cells[0] - cells[1]).square().mean().sqrt()),
        spectral_correlation=_correlate(moves[0], moves[1]),
        waveform_correlation=_correlate(pair[0], pair[1]),
        level_db=20 * math.log10(max(float(rms[1] / rms[0]), 1e-10)),
    )


@torch.inference_mode()
def measure_fit(
    codec: AcousticCodec, waveform: Tensor
) -> tuple[Tensor, FitFigures | None]:
    """Encode and decode one waveform.

    Args:
        codec (AcousticCodec): Codec with an encoder.
        waveform (Tensor): Samples (T_wav,).

    Returns:
        tuple: Decoded samples (T_wav,) and the figures, None for silence.
    """
    waveform = waveform.to(codec.decoder.head.conv.weight.device)
    decoded = codec.decode(codec.encode(waveform))[: len(waveform)]
    return decoded, compare_waveforms(waveform, decoded, codec.sampling_rate)


@dataclass(frozen=True)
class FitReport:
    """Figures of several files, and whether encoder and decoder fit.

    Args:
        base (str): Base whose decoder was used.
        acoustic_encoder (str): Where the encoder is from.
        files (dict): Utterance id to its figures; None for silence.
        limits (FitLimits): What the means must reach.
    """

    base: str
    acoustic_encoder: str
    files: dict[str, FitFigures | None]
    limits: FitLimits

    @property
    def total(self) -> FitFigures | None:
        """Means weighted by duration; None if all files are silent."""
        judged = [figures for figures in self.files.values() if figures]
        if not judged:
            return None
        seconds = sum(figures.seconds for figures in judged)
        rows = [asdict(figures) for figures in judged]
        means = {
            key: sum(row[key] * row["seconds"] for row in rows) / seconds
            for key in rows[0]
        }
        return FitFigures(**(means | {"seconds": seconds}))

    @property
    def is_checked(self) -> bool:
        """Whether there is a limit and something to judge."""
        return self.limits.min_spectral_correlation > 0 and self.total is not None

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against the pair."""
        total = self.total
        if total is None or not self.is_checked:
            return True
        return (
            total.spectral_correlation >= self.limits.min_spectral_correlation
            and total.log_mel_distance <= self.limits.max_log_mel_distance
        )

    @property
    def verdict(self) -> str:
        """Say it in words, with the limits."""
        if self.total is None:
            return "not judged: all files are silent"
        if not self.is_checked:
            return "not judged: min_encoder_fit is 0"
        wanted = (
            f"wanted: correlation at least {self.limits.min_spectral_correlation:g}, "
            f"distance at most {self.limits.max_log_mel_distance:g} dB"
        )
        return f"{'fits' if self.fits else 'does not fit'} ({wanted})"

    def summarize(self) -> str:
        """Return one line: the means and the verdict."""
        total = self.total
        figures = f"{total.describe()}, " if total else ""
        return f"encoder fit: {len(self.files)} files, {figures}{self.verdict}"

    def describe(self) -> list[str]:
        """Return lines: the pair, each file, the summary."""
        lines = [f"decoder: {self.base}", f"encoder: {self.acoustic_encoder}"]
        for utt_id, figures in self.files.items():
            told = "silent, not judged"
            if figures is not None:
                told = f"{figures.seconds:.2f} s, {figures.describe()}"
            lines.append(f"{utt_id}: {told}")
        return [*lines, self.summarize()]

    def to_dict(self) -> dict[str, Any]:
        """Return what a JSON file holds."""
        return {
            "base": self.base,
            "acoustic_encoder": self.acoustic_encoder,
            "limits": asdict(self.limits),
            "files": {key: row and asdict(row) for key, row in self.files.items()},
            "total": asdict(self.total) if self.total else None,
            "polarity": self.total.polarity if self.total else None,
            "fits": self.fits,
            "verdict": self.verdict,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "FitReport":
        """Undo `to_dict`."""
        files = content["files"]
        return cls(
            base=content["base"],
            acoustic_encoder=content["acoustic_encoder"],
            files={key: row and FitFigures(**row) for key, row in files.items()},
            limits=FitLimits(**content["limits"]),
        )

    @classmethod
    def join(cls, reports: Sequence["FitReport"]) -> "FitReport":
        """Make one report of those of several jobs (at least one)."""
        files = {key: row for report in reports for key, row in report.files.items()}
        first = reports[0]
        return cls(first.base, first.acoustic_encoder, files, first.limits)

    def require(self) -> None:
        """Raise ValueError with the figures and the way out if it does not fit."""
        if self.fits:
            return
        raise ValueError(
            f"the acoustic encoder of {self.acoustic_encoder} does not fit the decoder "
            f"of {self.base}. {self.summarize()}. Give the encoder that belongs to "
            "this decoder (tts_conf: {acoustic_encoder: PATH}), train one (python -m "
            "espnet_vibevoice.bin.train_encoder), or, for a codec that is known to "
            "reconstruct poorly, lower tts_conf: {min_encoder_fit: ...}"
        )


def _correlate(first: Tensor, second: Tensor) -> float:
    """Pearson's correlation of two vectors; 0 if one is constant."""
    first, second = first.double(), second.double()
    first, second = first - first.mean(), second - second.mean()
    is_flat = min(first.abs().max(), second.abs().max()) < 1e-9
    return 0.0 if is_flat else float((first @ second) / (first.norm() * second.norm()))
