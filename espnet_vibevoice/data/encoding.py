"""From audio files to latents, with the encoder of a base model."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import find_weights, load_codec


class AudioEncoder:
    """Encode audio files one at a time, so that neighbours cannot change a latent.

    Args:
        base (str): Base model: folder or hub id.
        device (str): ``cpu``, ``cuda``, ...

    Attributes:
        fingerprint (str): Changes with the base's weights and configuration.
    """

    def __init__(self, base: str, device: str = "cpu"):
        self.codec = load_codec(base).to(device)
        self.device = device
        self.fingerprint = fingerprint_base(resolve_base(base))

    def encode_file(self, utt_id: str, path: str) -> np.ndarray:
        """Encode one file.

        Args:
            utt_id (str): Utterance id, for messages.
            path (str): Mono audio at the codec's rate.

        Returns:
            np.ndarray: Means of the latents, not scaled (T_lat, D_ac), float32.

        Raises:
            ValueError: If the audio is not mono at the codec's rate.
        """
        waveform, fs = load_audio(path)
        if fs != self.codec.sampling_rate or waveform.ndim != 1:
            channels = 1 if waveform.ndim == 1 else waveform.shape[1]
            raise ValueError(
                f"{utt_id} ({path}): {fs} Hz and {channels} channels, the codec needs "
                f"{self.codec.sampling_rate} Hz mono. Rerun stage 2 with --fs "
                f"{self.codec.sampling_rate}"
            )
        with torch.inference_mode():
            latents = self.codec.encode(torch.from_numpy(waveform).to(self.device))
        return latents.float().cpu().numpy()


def fingerprint_base(folder: Path) -> str:
    """Hash the configuration, and name, size and time of the weights, of a base."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(set(find_weights(folder).values())):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
