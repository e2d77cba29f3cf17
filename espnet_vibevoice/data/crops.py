"""Crops of equal length out of a data directory, drawn by number of step."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.kaldi import read_table


class CropSource:
    """Draws crops; long utterances come up more often, silence is zero-padded.

    Args:
        data_dir (Path): Folder with ``wav.scp`` (mono files) and perhaps
            ``utt2num_samples``.
        fs (int): Sampling rate that the files must have, in Hz.
        crop_samples (int): Length of a crop.
        device (str): Where crops go.

    Raises:
        ValueError: If there is no audio.
    """

    def __init__(self, data_dir: Path, fs: int, crop_samples: int, device: str = "cpu"):
        audio = read_table(data_dir / "wav.scp")
        if not audio:
            raise ValueError(f"{data_dir}/wav.scp names no audio")
        counted = data_dir / "utt2num_samples"
        lengths = read_table(counted) if counted.is_file() else {}
        self.audio = audio
        counts = [
            int(lengths.get(utt_id) or soundfile.info(path).frames)
            for utt_id, path in audio.items()
        ]
        self.num_samples = np.array(counts)
        self.fs = fs
        self.crop_samples = crop_samples
        self.device = device

    def draw(self, batch_size: int, seed: int, step: int) -> torch.Tensor:
        """Draw the crops of one step; the same numbers give the same crops.

        Args:
            batch_size (int): Number of crops, B.
            seed (int): Seed of the training.
            step (int): Number of the step.

        Returns:
            Tensor: Samples (B, crop_samples).
        """
        rng = np.random.default_rng([seed, step])
        share = self.num_samples / self.num_samples.sum()
        chosen = rng.choice(len(share), size=batch_size, p=share)
        places = rng.random(batch_size)
        room = np.maximum(self.num_samples[chosen] - self.crop_samples, 0)
        starts = (places * (room + 1)).astype(int)
        return self._load(list(zip(chosen, starts, strict=True)))

    def take_first(self, count: int, batch_size: int) -> list[torch.Tensor]:
        """Cut the middle of the first utterances, always the same.

        Args:
            count (int): Utterances at most.
            batch_size (int): Crops in a batch, B.

        Returns:
            list[Tensor]: Batches (B, crop_samples); the last may be smaller.
        """
        lengths = self.num_samples[:count]
        starts = np.maximum(lengths - self.crop_samples, 0) // 2
        places = list(enumerate(starts))
        return [
            self._load(places[first : first + batch_size])
            for first in range(0, len(places), batch_size)
        ]

    def _load(self, places: list[tuple[int, int]]) -> torch.Tensor:
        """Read crops at (utterance, first sample)."""
        utt_ids = list(self.audio)
        crops = torch.zeros(len(places), self.crop_samples)
        for row, (index, start) in enumerate(places):
            utt_id = utt_ids[index]
            path = self.audio[utt_id]
            end = min(start + self.crop_samples, self.num_samples[index])
            waveform, fs = load_audio(path, start / self.fs, end / self.fs)
            if fs != self.fs or waveform.ndim != 1:
                raise ValueError(
                    f"{utt_id} ({path}): {fs} Hz and {waveform.ndim} dimensions, the "
                    f"codec needs {self.fs} Hz mono. Give a directory that stage 3 made"
                )
            waveform = waveform[: self.crop_samples]
            crops[row, : len(waveform)] = torch.from_numpy(waveform)
        return crops.to(self.device)
