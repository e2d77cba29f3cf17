"""The multi-speaker model of `reference_parts`, with its weights and sizes bound."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import reference_diffusion as diffusion
import reference_parts as parts
import torch
from reference_parts import Tensors
from safetensors.torch import load_file
from torch import Tensor


@dataclass(frozen=True)
class ReferenceModel:
    """Weights and sizes of a checkpoint in the original format.

    Args:
        weights (Tensors): Weights under their original names.
        config (dict): The original ``config.json``.
    """

    weights: Tensors
    config: dict[str, Any]

    @property
    def hop_samples(self) -> int:
        """Samples in one latent frame."""
        ratios = self.config["acoustic_tokenizer_config"]["encoder_ratios"]
        return int(torch.tensor(ratios).prod())

    @property
    def num_timesteps(self) -> int:
        """Length of the diffusion schedule."""
        return self.config["diffusion_head_config"]["ddpm_num_steps"]

    @property
    def latent_std(self) -> float:
        """Standard deviation that a draw of the codec's noise level is scaled by."""
        return self.config["acoustic_tokenizer_config"]["fix_std"] / 0.8

    def encode(self, kind: str, waveform: Tensor) -> Tensor:
        """Encode samples (T_wav,) by the ``acoustic`` or ``semantic`` codec."""
        eps = self.config[f"{kind}_tokenizer_config"]["layernorm_eps"]
        return parts.encode(self.weights, f"model.{kind}_tokenizer", eps, waveform)

    def decode(self, latents: Tensor) -> Tensor:
        """Decode unscaled latents (T_lat, D)."""
        eps = self.config["acoustic_tokenizer_config"]["layernorm_eps"]
        return parts.decode(self.weights, "model.acoustic_tokenizer", eps, latents)

    def scale(self, latents: Tensor) -> Tensor:
        """Bring latents to the range of the diffusion."""
        bias = self.weights["model.speech_bias_factor"]
        return (latents + bias) * self.weights["model.speech_scaling_factor"]

    def unscale(self, latents: Tensor) -> Tensor:
        """Undo `scale`."""
        bias = self.weights["model.speech_bias_factor"]
        return latents / self.weights["model.speech_scaling_factor"] - bias

    def connect(self, kind: str, features: Tensor) -> Tensor:
        """Apply the ``acoustic`` or ``semantic`` connector."""
        return parts.connect(self.weights, kind, features)

    def embed(self, ids: Tensor) -> Tensor:
        """Look token ids up (...) -> (..., H)."""
        return self.weights["model.language_model.embed_tokens.weight"][ids]

    def run_backbone(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Run the language model over (B, T, H)."""
        sizes = self.config["decoder_config"]
        return parts.run_backbone(self.weights, sizes, inputs, mask)

    def compute_logits(self, hidden: Tensor) -> Tensor:
        """Score every token (..., H) -> (..., V)."""
        return parts.compute_logits(self.weights, hidden)

    def run_head(self, noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        """Predict the velocity (N, D)."""
        eps = self.config["diffusion_head_config"]["rms_norm_eps"]
        return parts.run_head(self.weights, eps, noisy, timesteps, condition)

    def mix(
        self, clean: Tensor, noise: Tensor, timesteps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give noisy latents and target velocity (N, D)."""
        return diffusion.mix(clean, noise, timesteps, self.num_timesteps)

    def sample(
        self,
        condition: Tensor,
        negative: Tensor,
        noise: Tensor,
        cfg_scale: float,
        num_steps: int,
    ) -> Tensor:
        """Sample a latent (D,) under two hidden states (H,) from noise (D,)."""
        predict = partial(
            self._guide, torch.stack([condition, negative]), cfg_scale=cfg_scale
        )
        return diffusion.sample(predict, noise[None], num_steps, self.num_timesteps)[0]

    def _guide(
        self, conditions: Tensor, latents: Tensor, timestep: float, cfg_scale: float
    ) -> Tensor:
        """Guide the velocity from the second condition to the first."""
        timesteps = torch.full((2,), timestep)
        followed, avoided = self.run_head(latents.repeat(2, 1), timesteps, conditions)
        return (avoided + cfg_scale * (followed - avoided))[None]


def load_reference(folder: Path) -> ReferenceModel:
    """Load a checkpoint in the original format, in one file or several.

    Args:
        folder (Path): Folder with ``config.json`` and ``.safetensors`` files.
    """
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return ReferenceModel(weights, config)
