"""The tables of a set's features: what all jobs wrote, joined, counted and checked.

``feats.scp`` names acoustic latents; beside it, for multi-speaker bases,
``semantic.scp`` names semantic features, as many of them for each utterance.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import kaldiio
import numpy as np

from espnet_vibevoice.data.atomic import write_bytes_atomic
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.latents import FEATS, SEMANTIC
from espnet_vibevoice.errors import summarize_faults


@dataclass(frozen=True)
class LatentSummary:
    """What the latents of a set are like.

    Attributes:
        frames (dict): Utterance id to number of frames.
        count (int): Frames in all.
        total (np.ndarray): Sum over frames (D_ac,).
        square (np.ndarray): Sum of squares over frames (D_ac,).
    """

    frames: dict[str, int]
    count: int
    total: np.ndarray
    square: np.ndarray

    def describe(self, hop_seconds: float) -> str:
        """Return one line; ``hop_seconds`` is the duration of a frame."""
        mean = self.total / self.count
        std = np.sqrt(np.maximum(self.square / self.count - mean**2, 0))
        hours = self.count * hop_seconds / 3600
        return (
            f"{len(self.frames)} utterances, {self.count} frames, {hours:.2f} h, "
            f"{len(mean)} dimensions, mean {mean.mean():.3f}, deviation "
            f"{std.mean():.3f}"
        )


def collect_latents(
    directory: Path, nj: int, tokens: dict[str, int], stats_dir: Path, token_type: str
) -> LatentSummary:
    """Join the scps of all jobs and write what ESPnet's training asks for.

    Shapes are counted in positions of the language model (tokens and frames, no
    second dimension), so that ``batch_bins`` counts those. Statistics have the form
    of ESPnet's ``feats_stats.npz``.

    Args:
        directory (Path): Latents of the set; gets ``feats.scp``.
        nj (int): Number of jobs that dumped them.
        tokens (dict): Utterance id to number of text tokens.
        stats_dir (Path): Gets ``speech_shape``, ``text_shape``, the same with the
            token type as suffix, and ``feats_stats.npz``.
        token_type (str): ESPnet's token type.

    Raises:
        ValueError: If utterances are missing, or latents are not finite.
    """
    summary = summarize_latents(join_tables(directory, nj, FEATS, tokens))
    write_table(stats_dir / "speech_shape", summary.frames)
    for name in ("text_shape", f"text_shape.{token_type}"):
        write_table(stats_dir / name, tokens)
    buffer = io.BytesIO()
    np.savez(buffer, count=summary.count, sum=summary.total, sum_square=summary.square)
    write_bytes_atomic(stats_dir / "feats_stats.npz", buffer.getvalue())
    return summary


def collect_semantic(directory: Path, nj: int, frames: Mapping[str, int]) -> None:
    """Join the semantic features of all jobs beside the latents.

    Args:
        directory (Path): Latents of the set; gets ``semantic.scp``.
        nj (int): Number of jobs that dumped them.
        frames (Mapping[str, int]): Latent frames of each utterance.

    Raises:
        ValueError: If utterances are missing, features are not finite, or an
            utterance has more or fewer of them than latents.
    """
    found = summarize_latents(join_tables(directory, nj, SEMANTIC, frames)).frames
    wrong = [
        f"{utt_id} ({found[utt_id]} features, {count} latents)"
        for utt_id, count in frames.items()
        if found[utt_id] != count
    ]
    if wrong:
        raise ValueError(
            f"{directory}: {len(wrong)} utterances have another number of semantic "
            f"features than of latents: {summarize_faults(wrong)}. The two encoders "
            "of the base do not belong together, or the audio changed: rerun stage 5"
        )


def join_tables(directory: Path, nj: int, name: str, wanted: Iterable[str]) -> Path:
    """Join the scps of all jobs.

    Args:
        directory (Path): Features of the set; gets ``NAME.scp``.
        nj (int): Number of jobs that dumped them.
        name (str): feats | semantic.
        wanted (Iterable[str]): Utterances in their order.

    Returns:
        Path: The joined scp.

    Raises:
        ValueError: If utterances are missing.
    """
    table: dict[str, str] = {}
    for job in range(1, nj + 1):
        table |= read_table(directory / f"{name}.{job}.scp")
    missing = sorted(set(wanted) - table.keys())
    if missing:
        what = "latents" if name == FEATS else "semantic features"
        raise ValueError(
            f"{directory}: {len(missing)} utterances have no {what}: "
            f"{summarize_faults(missing)}. Rerun stage 5"
        )
    joined = directory / f"{name}.scp"
    write_table(joined, {key: table[key] for key in wanted})
    return joined


def find_semantic(latents_scp: Path) -> Path:
    """Find the semantic features beside the latents of a set.

    Args:
        latents_scp (Path): ``feats.scp`` of the set.

    Raises:
        FileNotFoundError: If there are none.
    """
    scp = latents_scp.parent / f"{SEMANTIC}.scp"
    if not scp.is_file():
        raise FileNotFoundError(
            f"{scp}: no such file, but tts: vibevoice trains on semantic features "
            f"beside {latents_scp}. Rerun stage 5 (ESPnet's own driver: the statistics "
            "stage with --write_collected_feats true) with a multi-speaker base"
        )
    return scp


def summarize_latents(scp: Path) -> LatentSummary:
    """Read all latents of a set once; count frames and add up.

    Raises:
        ValueError: If latents are not finite, with the utterance.
    """
    frames: dict[str, int] = {}
    total, square = np.zeros(1), np.zeros(1)
    for utt_id, latents in kaldiio.load_scp_sequential(str(scp)):
        if not np.isfinite(latents).all():
            raise ValueError(
                f"{utt_id} ({scp}): latents are not finite. Listen to its audio; "
                "drop the utterance or check the base's encoder"
            )
        frames[utt_id] = len(latents)
        total = total + latents.sum(0, dtype=np.float64)
        square = square + (latents.astype(np.float64) ** 2).sum(0)
    return LatentSummary(frames, sum(frames.values()), total, square)
