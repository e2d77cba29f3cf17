"""From audio files to latents and semantic features, with the encoders of a base."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from espnet_vibevoice.data.audio import load_audio, resample, to_mono, write_wav
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import find_weights
from espnet_vibevoice.models.encoder_file import list_encoder_files, load_codec
from espnet_vibevoice.models.loading import load_semantic_tokenizer
from espnet_vibevoice.score.fit import FitLimits, FitReport, measure_fit


class AudioEncoder:
    """Encode audio files one at a time, so that neighbours cannot change a latent.

    Args:
        base (str): Base model: folder or hub id.
        acoustic_encoder (str | None): Encoder instead of the base's own, see
            `models.encoder_file.load_encoder`.
        device (str): ``cpu``, ``cuda``, ...

    Attributes:
        fingerprint (str): Changes with the base's weights and configuration, and
            with the encoder's.
        semantic_tokenizer (SemanticTokenizer | None): The base's; None where the
            family has none.
    """

    def __init__(
        self, base: str, acoustic_encoder: str | None = None, device: str = "cpu"
    ):
        codec = load_codec(base, acoustic_encoder=acoustic_encoder)
        self.codec = codec.to(device)
        semantic = load_semantic_tokenizer(base)
        self.semantic_tokenizer = None if semantic is None else semantic.to(device)
        self.base = base
        self.acoustic_encoder = acoustic_encoder or base
        self.device = device
        self.fingerprint = fingerprint_base(resolve_base(base), acoustic_encoder)

    def load_file(self, utt_id: str, path: str, convert: bool = False) -> torch.Tensor:
        """Read one file.

        Args:
            utt_id (str): Utterance id, for messages.
            path (str): Mono audio at the codec's rate.
            convert (bool): Mix and resample what is not so, instead of raising.

        Returns:
            Tensor: Samples (T_wav,), on the encoder's device.

        Raises:
            ValueError: If the audio is not mono at the codec's rate.
        """
        waveform, fs = load_audio(path)
        if convert:
            wanted_fs = self.codec.sampling_rate
            waveform, fs = resample(to_mono(waveform), fs, wanted_fs), wanted_fs
        if fs != self.codec.sampling_rate or waveform.ndim != 1:
            channels = 1 if waveform.ndim == 1 else waveform.shape[1]
            raise ValueError(
                f"{utt_id} ({path}): {fs} Hz and {channels} channels, the codec needs "
                f"{self.codec.sampling_rate} Hz mono. Rerun stage 2 with --fs "
                f"{self.codec.sampling_rate}"
            )
        return torch.from_numpy(waveform).to(self.device)

    def encode_file(self, utt_id: str, path: str) -> np.ndarray:
        """Encode one file; arguments and errors as in `load_file`.

        Returns:
            np.ndarray: Means of the latents, not scaled (T_lat, D_ac), float32.
        """
        with torch.inference_mode():
            latents = self.codec.encode(self.load_file(utt_id, path))
        return latents.float().cpu().numpy()

    def encode_semantic_file(self, utt_id: str, path: str) -> np.ndarray:
        """Encode what is said in one file; arguments and errors as in `load_file`.

        Returns:
            np.ndarray: Semantic features (T_lat, D_sem), float32.
        """
        assert self.semantic_tokenizer is not None, self.base
        with torch.inference_mode():
            features = self.semantic_tokenizer.encode(self.load_file(utt_id, path))
        return features.float().cpu().numpy()

    def check_fit(
        self,
        audio: dict[str, str],
        limits: FitLimits,
        out_dir: Path | None = None,
        convert: bool = False,
    ) -> FitReport:
        """Encode and decode files and compare them with the originals.

        Args:
            audio (dict): Utterance id to audio.
            limits (FitLimits): What the pair must reach.
            out_dir (Path | None): Folder for the decoded wavs, if they are wanted.
            convert (bool): As in `load_file`.

        Returns:
            FitReport: Figures and verdict; nothing is raised for a misfit.
        """
        files = {}
        progress = Progress(len(audio))
        for utt_id, path in audio.items():
            waveform = self.load_file(utt_id, path, convert)
            decoded, files[utt_id] = measure_fit(self.codec, waveform)
            if out_dir is not None:
                samples = decoded.cpu().numpy()
                write_wav(out_dir / f"{utt_id}.wav", samples, self.codec.sampling_rate)
            progress.update()
        return FitReport(self.base, self.acoustic_encoder, files, limits)

    def require_fit(
        self, audio: dict[str, str], limits: FitLimits, report: Path
    ) -> None:
        """Check the fit once, keep the report, and refuse a misfit.

        Args:
            audio (dict): As in `check_fit`.
            limits (FitLimits): What the pair must reach.
            report (Path): JSON file. If it tells of this pair, these utterances and
                these limits already, nothing is encoded again.

        Raises:
            ValueError: If the pair does not fit, with the figures.
        """
        found = self._read_report(report)
        if found is None or list(found.files) != list(audio) or found.limits != limits:
            found = self.check_fit(audio, limits)
            content = {"fingerprint": self.fingerprint} | found.to_dict()
            write_text(report, json.dumps(content, indent=2, sort_keys=False) + "\n")
        found.require()

    def _read_report(self, report: Path) -> FitReport | None:
        """Read a report of this very pair."""
        if not report.is_file():
            return None
        content = json.loads(report.read_text(encoding="utf-8"))
        is_ours = content["fingerprint"] == self.fingerprint
        return FitReport.from_dict(content) if is_ours else None


def fingerprint_base(folder: Path, acoustic_encoder: str | None = None) -> str:
    """Hash configuration, and name, size and time of the weights, of a base.

    Args:
        folder (Path): Base folder.
        acoustic_encoder (str | None): Encoder whose files count as well.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    paths = sorted(set(find_weights(folder).values()))
    if acoustic_encoder is not None:
        paths += list_encoder_files(acoustic_encoder)
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
