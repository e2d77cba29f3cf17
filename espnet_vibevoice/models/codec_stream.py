"""Codec networks that run on, frame after frame, for the rows of a batch.

Each causal convolution keeps what it needs of the inputs before. Rows may skip steps
or begin again; zeros are the past of a beginning, as in one pass over all frames.
"""

import torch
from torch import Tensor, nn

from espnet_vibevoice.models.conversion import leave_autocast


class ConvolutionPast:
    """Past inputs of every convolution, in the form that transformers' codec asks for.

    Args:
        batch (int): Rows, B.
    """

    def __init__(self, batch: int):
        self._batch = batch
        self._past: dict[str, Tensor] = {}
        self._rows: Tensor | None = None

    def select(self, rows: Tensor | None) -> None:
        """Say whose inputs come next.

        Args:
            rows (Tensor | None): Indices, int64 (N,); None: all.
        """
        self._rows = rows

    def update(
        self, hidden_states: Tensor, cache_key: str, conv_module: nn.Module
    ) -> Tensor:
        """Put the past of the selected rows before their inputs, and keep the new past.

        Args:
            hidden_states (Tensor): Inputs (N, C, T).
            cache_key (str): Name of the convolution.
            conv_module (nn.Module): The convolution.

        Returns:
            Tensor: Inputs with their past (N, C, left_pad + T).
        """
        length = conv_module.left_pad
        past = self._past.get(cache_key)
        if past is None:
            size = (self._batch, hidden_states.shape[1], length)
            past = hidden_states.new_zeros(size)
            self._past[cache_key] = past
        own = past if self._rows is None else past[self._rows]
        joined = torch.cat([own, hidden_states], dim=-1)
        newest = joined[..., joined.shape[-1] - length :]
        if self._rows is None:
            past.copy_(newest)
        else:
            past[self._rows] = newest
        return joined

    def clear(self, rows: Tensor) -> None:
        """Let some rows begin again.

        Args:
            rows (Tensor): Indices, int64 (N,).
        """
        for past in self._past.values():
            past[rows] = 0

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but some.

        Args:
            rows (Tensor): Indices of those that stay, int64 (B_new,).
        """
        self._batch = len(rows)
        self._past = {key: past[rows] for key, past in self._past.items()}

    def count_values(self) -> int:
        """Numbers that are kept: constant however long the speech is."""
        return sum(past.numel() for past in self._past.values())


class DecoderStream:
    """Decodes frames of a batch of utterances as they come.

    Args:
        decoder (nn.Module): Decoder of the acoustic codec; nothing of it changes.
        batch (int): Utterances, B.

    Attributes:
        past (ConvolutionPast): What it keeps.
    """

    def __init__(self, decoder: nn.Module, batch: int = 1):
        self.past = ConvolutionPast(batch)
        self._decoder = decoder

    @torch.no_grad()
    def decode(self, latents: Tensor, rows: Tensor | None = None) -> Tensor:
        """Decode the next frames.

        Args:
            latents (Tensor): Unscaled latents (N, T_lat, D), at least one frame.
            rows (Tensor | None): Utterances that they are of, int64 (N,); None: all.

        Returns:
            Tensor: Their samples (N, T_lat * hop_samples), float32.
        """
        self.past.select(rows)
        weight = self._decoder.head.conv.weight
        with leave_autocast(weight):
            hidden = latents.to(weight).transpose(1, 2)  # (N, D, T_lat)
            output = self._decoder(hidden, padding_cache=self.past, use_cache=True)
        return output.audio[:, 0].float()


class EncoderStream:
    """Encodes whole frames of a batch of waveforms as they come.

    Args:
        encoder (nn.Module): Encoder of a codec; nothing of it changes.
        batch (int): Waveforms, B.

    Attributes:
        past (ConvolutionPast): What it keeps.
    """

    def __init__(self, encoder: nn.Module, batch: int = 1):
        self.past = ConvolutionPast(batch)
        self._encoder = encoder

    @torch.no_grad()
    def encode(self, waveforms: Tensor, rows: Tensor | None = None) -> Tensor:
        """Encode the next frames.

        Args:
            waveforms (Tensor): Samples (N, T_lat * hop_samples).
            rows (Tensor | None): Waveforms that they are of, int64 (N,); None: all.

        Returns:
            Tensor: Latents (N, T_lat, D), float32.
        """
        self.past.select(rows)
        weight = self._encoder.head.conv.weight
        with leave_autocast(weight):
            samples = waveforms.to(weight)[:, None]  # (N, 1, T_wav)
            output = self._encoder(samples, padding_cache=self.past, use_cache=True)
        return output.latents.float()
