"""The feature extractor that turns audio into latents and semantic features, once.

In ESPnet's statistics stage it encodes audio; in training it only lets dumped
latents through. The encoder is loaded when the first waveform arrives and is no
submodule, so training neither loads nor saves it.
"""

import logging
from typing import Any

import humanfriendly
import torch
from espnet2.tts.feats_extract.abs_feats_extract import AbsFeatsExtract

from espnet_vibevoice.data.latents import SEMANTIC
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.loading import load_semantic_tokenizer
from espnet_vibevoice.models.semantic import SemanticTokenizer
from espnet_vibevoice.score.fit import FitLimits, FitReport, measure_fit

logger = logging.getLogger(__name__)

FIT_UTTS = 4  # waveforms of the first batch that the encoder is checked on


class VibeVoiceLatents(AbsFeatsExtract):
    """Acoustic latents of the base model's encoder (means, not scaled).

    Args:
        base (str | None): Base model, folder or hub id; our task fills it in.
        fs (int | str): Sampling rate in Hz; must be the codec's.
        n_fft (int): Not used; ESPnet's stage driver passes it.
        hop_length (int | None): Samples a frame; must be the codec's if given.
        win_length (int | None): Not used; ESPnet's stage driver passes it.
        acoustic_encoder (str | None): Encoder instead of the base's own; our task
            fills it in, and ``min_encoder_fit``, from ``tts_conf``.
        min_encoder_fit (float): Spectral correlation that it must reach with the
            base's decoder on the first waveforms; 0 refuses nothing.

    Raises:
        ValueError: If there is no base, or rate or hop are not the codec's.
    """

    def __init__(
        self,
        base: str | None = None,
        fs: int | str = 24000,
        n_fft: int = 1024,
        hop_length: int | None = None,
        win_length: int | None = None,
        acoustic_encoder: str | None = None,
        min_encoder_fit: float = FitLimits.min_spectral_correlation,
    ):
        super().__init__()
        if base is None:
            raise ValueError(
                "vibevoice_latents was built by ESPnet's own task, which does not name "
                "the base: run with python -m espnet_vibevoice -m ..., or call "
                "espnet_vibevoice.plugin.use_task() first"
            )
        shape = read_codec_shape(base)
        if humanfriendly.parse_size(str(fs)) != shape.sampling_rate:  # 24k is 24000
            raise ValueError(
                f"feats_extract_conf fs is {fs}, the codec of {base} needs "
                f"{shape.sampling_rate}. Rerun from stage 2 with --fs "
                f"{shape.sampling_rate}"
            )
        if hop_length is not None and hop_length != shape.hop_samples:
            raise ValueError(
                f"hop_length is {hop_length}, the codec of {base} has "
                f"{shape.hop_samples} samples a frame: give --n_shift "
                f"{shape.hop_samples}"
            )
        self.base = base
        self.acoustic_encoder = acoustic_encoder
        self.limits = FitLimits(min_encoder_fit)
        self.shape = shape
        # lists hide them from state_dict()
        self._codec: list[AcousticCodec] = []
        self._semantic: list[SemanticTokenizer | None] = []

    def output_size(self) -> int:
        """Return the number of latent dimensions D_ac."""
        return self.shape.latent_dim

    def get_parameters(self) -> dict[str, Any]:
        """Return what a vocoder would need to know."""
        return {"fs": self.shape.sampling_rate, "hop_length": self.shape.hop_samples}

    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Let latents through or encode waveforms.

        Args:
            input (Tensor): Latents (B, T_lat, D_ac) or waveforms (B, T_wav).
            input_lengths (Tensor | None): Lengths (B,); None means all full.

        Returns:
            tuple: Latents (B, T_lat, D_ac), zero behind their end, and their
            lengths (B,).

        Raises:
            RuntimeError: If audio arrives in a training step.
        """
        if input_lengths is None:
            input_lengths = torch.full((len(input),), input.size(1), dtype=torch.long)
        if input.dim() == 3:
            return input, input_lengths
        if torch.is_grad_enabled():
            raise RuntimeError(
                "audio reached a training step, where latents are wanted: run the "
                "statistics stage with --write_collected_feats true (stage 5 of our "
                "own tts.sh) and train on what it wrote"
            )
        return self.encode_batch(input, input_lengths)

    def encode_batch(
        self, waveforms: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode each waveform on its own, so that neighbours cannot change it.

        Args:
            waveforms (Tensor): Zero-padded waveforms (B, T_wav).
            lengths (Tensor): Samples of each (B,).

        Returns:
            tuple: Latents (B, T_lat, D_ac) and their lengths (B,).

        Raises:
            ValueError: If the encoder does not fit the decoder, with the figures.
        """
        if not self._codec:
            codec = load_codec(self.base, acoustic_encoder=self.acoustic_encoder)
            codec = codec.to(waveforms.device)
            self._require_fit(codec, waveforms, lengths)
            self._codec.append(codec)
        return _encode_each(self._codec[0], waveforms, lengths)

    def collect_semantic(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Encode what is said in each waveform.

        Args:
            input (Tensor): Zero-padded waveforms (B, T_wav).
            input_lengths (Tensor): Samples of each (B,).

        Returns:
            dict: ``semantic`` (B, T_lat, D_sem), ``semantic_lengths`` (B,); empty
            where the family has none, or latents came in place of waveforms.
        """
        if input.dim() == 3:
            return {}
        if not self._semantic:
            tokenizer = load_semantic_tokenizer(self.base)
            self._semantic.append(tokenizer and tokenizer.to(input.device))
        tokenizer = self._semantic[0]
        if tokenizer is None:
            return {}
        features, lengths = _encode_each(tokenizer, input, input_lengths)
        return {SEMANTIC: features, f"{SEMANTIC}_lengths": lengths}

    def _require_fit(
        self, codec: AcousticCodec, waveforms: torch.Tensor, lengths: torch.Tensor
    ) -> None:
        """Check the encoder on the first waveforms (B, T_wav), and log the figures."""
        files = {
            f"waveform {index + 1}": measure_fit(codec, waveforms[index, :length])[1]
            for index, length in enumerate(lengths[:FIT_UTTS].tolist())
        }
        encoder = self.acoustic_encoder or self.base
        report = FitReport(self.base, encoder, files, self.limits)
        logger.info(report.summarize())
        report.require()


def _encode_each(
    encoder: AcousticCodec | SemanticTokenizer,
    waveforms: torch.Tensor,
    lengths: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode each waveform of a batch (B, T_wav) on its own: (B, T_lat, D), (B,)."""
    encoded = [
        encoder.encode(waveform[:length])
        for waveform, length in zip(waveforms, lengths.tolist(), strict=True)
    ]
    frames = torch.tensor([len(x) for x in encoded], dtype=torch.long)
    padded = torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True)
    return padded, frames.to(waveforms.device)
