"""What the models of both families share: loading, saving, the scale of the latents."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding
from transformers.models.vibevoice.modeling_vibevoice import (
    VibeVoiceDiffusionHeadSinusoidalEmbedding,
)

from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.attention import check_attention
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import (
    has_encoder_weights,
    load_weights,
    save_base,
)
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.config_parts import SpeechConfig
from espnet_vibevoice.models.conversion import SteadyModel
from espnet_vibevoice.models.diffusion import CosineSchedule


class SpeechModel(SteadyModel):
    """A VibeVoice model. The codec is frozen; what else is trained is up to the user.

    A family names its parts as the original does, in the order that they are built.

    Args:
        config (SpeechConfig): Sizes.
    """

    family = ""  # for messages
    config_class: type[SpeechConfig] = SpeechConfig
    language_parts: tuple[str, ...] = ("language_model",)

    def __init__(self, config: SpeechConfig):
        super().__init__()
        self.config = config

    def _add_speech_parts(self, has_encoder: bool) -> None:
        """Build the parts that every family ends with."""
        self.acoustic_tokenizer = AcousticCodec(self.config, has_encoder)
        self.register_buffer("speech_scaling_factor", torch.tensor(1.0))
        self.register_buffer("speech_bias_factor", torch.tensor(0.0))
        self.schedule = CosineSchedule(self.config.num_train_timesteps)

    @classmethod
    def from_base(
        cls,
        base: str,
        dtype: torch.dtype = torch.float32,
        attn_implementation: str = "sdpa",
        device: torch.device | str = "cpu",
    ) -> Self:
        """Load a base, in one or many files.

        Args:
            base (str): Folder, path of its ``config.json``, or hub id, see
                `base_folder.resolve_base`.
            dtype (torch.dtype): Type of the weights in memory: float32, bfloat16 or
                float16. Constants such as the latent scale stay float32.
            attn_implementation (str): sdpa | eager | flash_attention_2.
            device (torch.device | str): Where the weights go: cpu, cuda, mps, ...

        Returns:
            SpeechModel: The model, in evaluation mode.

        Raises:
            FileNotFoundError: If the base or one of its files does not exist.
            ValueError: If it is another kind of model, its weights do not fit, or
                the attention cannot run in this type.
            RuntimeError: If the attention's package is not installed.
        """
        check_attention(attn_implementation, dtype)
        folder = resolve_base(base)
        config = load_config(folder)
        if not isinstance(config, cls.config_class):
            raise ValueError(
                f"{folder / 'config.json'}: model_type is {config.model_type!r}, which "
                f"is not of the {cls.family} family. Give a base of the {cls.family} "
                "family, or choose the tts class of this base."
            )
        with torch.device("meta"):  # no time spent on initial values
            model = cls(config, **cls._find_encoders(folder))
        for part in cls.language_parts:
            model.get_submodule(part).set_attn_implementation(attn_implementation)
        load_weights(model, folder, dtype)
        model._rebuild_constant_tables()
        return model.to(device).eval()

    @classmethod
    def _find_encoders(cls, folder: Path) -> dict[str, bool]:
        """Tell which encoders a base holds, as arguments of the class."""
        return {"has_encoder": has_encoder_weights(folder)}

    @classmethod
    def from_config(
        cls, config: SpeechConfig, seed: int = 0, has_encoder: bool = True
    ) -> Self:
        """Build a model with random weights.

        Args:
            config (SpeechConfig): Sizes.
            seed (int): Seed of the weights; the global generator is left as it was.
            has_encoder (bool): Whether the codec can encode.

        Returns:
            SpeechModel: The model, on the CPU, in evaluation mode.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, has_encoder).eval()

    def save(
        self,
        folder: Path,
        keep_unused: bool = True,
        max_shard_bytes: int | None = None,
    ) -> None:
        """Write the model as a base, see `checkpoint.save_base`.

        Args:
            folder (Path): Folder to write into; made if absent.
            keep_unused (bool): Whether to write the table that only readers of the
                original realtime format ask for. Ours load either form.
            max_shard_bytes (int | None): Largest size of a file; None for one file.
        """
        original = self.config.original
        save_base(self, original, Path(folder), keep_unused, max_shard_bytes)

    @property
    def has_encoder(self) -> bool:
        """Whether the codec of this base can encode."""
        return self.acoustic_tokenizer.has_encoder

    def scale_latents(self, latents: Tensor) -> Tensor:
        """Bring the codec's latents to the range that the diffusion works in.

        Args:
            latents (Tensor): Latents of the codec (..., D).
        """
        return (latents + self.speech_bias_factor) * self.speech_scaling_factor

    def unscale_latents(self, latents: Tensor) -> Tensor:
        """Undo `scale_latents`.

        Args:
            latents (Tensor): Scaled latents (..., D).
        """
        return latents / self.speech_scaling_factor - self.speech_bias_factor

    def _rebuild_constant_tables(self) -> None:
        """Compute the tables that no file holds, after a build on the meta device."""
        for name in self.language_parts:
            part = self.get_submodule(name)
            part.rotary_emb = Qwen2RotaryEmbedding(part.config)
        self.prediction_head.timestep_embedding = (
            VibeVoiceDiffusionHeadSinusoidalEmbedding(self.config.prediction_head)
        )
        left = [name for name, buffer in self.named_buffers() if buffer.is_meta]
        assert not left, left
