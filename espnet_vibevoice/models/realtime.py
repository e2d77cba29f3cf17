"""The realtime model: a split Qwen2 with a diffusion head over acoustic latents.

The lower part reads text. The upper part reads the lower part's hidden states and the
connector's frame vectors, each with its type added, in the order of `sequence`. The
hidden state before a frame conditions the diffusion head; the one at a frame feeds the
end-of-speech classifier. Parts carry the original's names. Only the type embedding and
the classifier are new code, the rest is transformers'.
Paper: VibeVoice Technical Report, arXiv 2508.19205.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Qwen2Model
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding
from transformers.models.vibevoice.modeling_vibevoice import (
    VibeVoiceDiffusionHeadSinusoidalEmbedding,
    VibeVoiceMultiModalProjector,
)

from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.attention import check_attention
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.batch import PromptBatch
from espnet_vibevoice.models.checkpoint import (
    has_encoder_weights,
    load_weights,
    save_base,
)
from espnet_vibevoice.models.config import RealtimeConfig, load_config
from espnet_vibevoice.models.conversion import SteadyModel
from espnet_vibevoice.models.diffusion import CosineSchedule
from espnet_vibevoice.models.diffusion_head import DiffusionHead
from espnet_vibevoice.models.losses import (
    RealtimeLosses,
    RealtimeLossSettings,
    compute_losses,
)
from espnet_vibevoice.models.sequence import SequenceLayout

PARTS = (
    "language_model",
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    "prediction_head",
    "tts_eos_classifier",
    "acoustic_tokenizer",
)


class EosClassifier(nn.Module):
    """Tells from a frame's hidden state whether speech ends with it.

    Args:
        hidden_size (int): Width of the hidden state, H.
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Classify.

        Args:
            hidden (Tensor): Hidden states (..., H).

        Returns:
            Tensor: Logits (...); above 0 means the end.
        """
        return self.fc2(torch.relu(self.fc1(hidden))).squeeze(-1)


class RealtimeModel(SteadyModel):
    """VibeVoice-Realtime. The codec is frozen; what else is trained is up to the user.

    Args:
        config (RealtimeConfig): Sizes.
        has_encoder (bool): Whether the codec can encode.

    Attributes:
        negative_prompt_id (int | None): Token of the unconditional branch. Set it
            from the tokenizer if the base does not tell.
    """

    def __init__(self, config: RealtimeConfig, has_encoder: bool = True):
        super().__init__()
        hidden_size = config.hidden_size
        self.config = config
        self.negative_prompt_id = config.negative_prompt_id
        self.language_model = Qwen2Model(config.language_model)
        self.language_model.norm = nn.Identity()
        self.tts_language_model = Qwen2Model(config.tts_language_model)
        self.tts_language_model.embed_tokens = nn.Identity()  # fed vectors only
        self.tts_input_types = nn.Embedding(2, hidden_size)  # speech, text
        nn.init.normal_(  # of the size of the text's embeddings
            self.tts_input_types.weight, std=config.language_model.initializer_range
        )
        self.acoustic_connector = VibeVoiceMultiModalProjector(
            config.latent_dim, hidden_size
        )
        self.prediction_head = DiffusionHead(config.prediction_head)
        self.tts_eos_classifier = EosClassifier(hidden_size)
        self.acoustic_tokenizer = AcousticCodec(config, has_encoder)
        self.register_buffer("speech_scaling_factor", torch.tensor(1.0))
        self.register_buffer("speech_bias_factor", torch.tensor(0.0))
        self.schedule = CosineSchedule(config.num_train_timesteps)

    @classmethod
    def from_base(
        cls,
        base: str,
        dtype: torch.dtype = torch.float32,
        attn_implementation: str = "sdpa",
        device: torch.device | str = "cpu",
    ) -> "RealtimeModel":
        """Load a base in the original format.

        Args:
            base (str): Folder, path of its ``config.json``, or hub id, see
                `base_folder.resolve_base`.
            dtype (torch.dtype): Type of the weights in memory: float32, bfloat16 or
                float16. Constants such as the latent scale stay float32.
            attn_implementation (str): sdpa | eager | flash_attention_2.
            device (torch.device | str): Where the weights go: cpu, cuda, mps, ...

        Returns:
            RealtimeModel: The model, in evaluation mode.

        Raises:
            FileNotFoundError: If the base or one of its files does not exist.
            ValueError: If it is another kind of model, its weights do not fit, or
                the attention cannot run in this type.
            RuntimeError: If the attention's package is not installed.
        """
        check_attention(attn_implementation, dtype)
        folder = resolve_base(base)
        config = load_config(folder)
        with torch.device("meta"):  # no time spent on initial values
            model = cls(config, has_encoder_weights(folder))
        for part in (model.language_model, model.tts_language_model):
            part.set_attn_implementation(attn_implementation)
        load_weights(model, folder, dtype)
        model._rebuild_constant_tables()
        return model.to(device).eval()

    @classmethod
    def from_config(
        cls, config: RealtimeConfig, seed: int = 0, has_encoder: bool = True
    ) -> "RealtimeModel":
        """Build a model with random weights.

        Args:
            config (RealtimeConfig): Sizes.
            seed (int): Seed of the weights; the global generator is left as it was.
            has_encoder (bool): Whether the codec can encode.

        Returns:
            RealtimeModel: The model, on the CPU, in evaluation mode.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, has_encoder).eval()

    def save(self, folder: Path, keep_unused: bool = True) -> None:
        """Write the model as a base, see `checkpoint.save_base`.

        Args:
            folder (Path): Folder to write into; made if absent.
            keep_unused (bool): Whether to write the table that only readers of the
                original format ask for. Ours load either form.
        """
        save_base(self, self.config.original, Path(folder), keep_unused)

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

    def get_negative_prompt_id(self) -> int:
        """Token id of the unconditional branch.

        Raises:
            RuntimeError: If neither the base nor the caller has told it.
        """
        if self.negative_prompt_id is None:
            raise RuntimeError(
                "The base does not tell the id of <|image_pad|>, the negative prompt. "
                "Set model.negative_prompt_id from the tokenizer."
            )
        return self.negative_prompt_id

    def embed_text(self, text: Tensor) -> Tensor:
        """Run the lower part.

        Args:
            text (Tensor): Token ids, right-padded with any valid id (B, T_text).

        Returns:
            Tensor: Hidden states (B, T_text, H). Causal: padding changes none before.
        """
        return self.language_model(input_ids=text, use_cache=False).last_hidden_state

    def run_sequence(
        self, text_hidden: Tensor, latents: Tensor, layout: SequenceLayout
    ) -> Tensor:
        """Run the upper part over whole sequences (teacher forcing).

        Args:
            text_hidden (Tensor): Output of `embed_text` (B, T_text, H).
            latents (Tensor): Scaled latents (B, T_lat, D).
            layout (SequenceLayout): Order of the positions.

        Returns:
            Tensor: Hidden states (B, T_seq, H).
        """
        speech = self.acoustic_connector(latents.to(text_hidden.dtype))
        inputs = layout.arrange(text_hidden, speech)
        inputs = inputs + self.tts_input_types(layout.type_ids)
        return self.tts_language_model(
            inputs_embeds=inputs, use_cache=False
        ).last_hidden_state

    def compute_losses(
        self,
        text: Tensor,
        text_lengths: Tensor,
        latents: Tensor,
        latents_lengths: Tensor,
        settings: RealtimeLossSettings,
        **given: PromptBatch | Tensor | torch.Generator | None,
    ) -> RealtimeLosses:
        """Compute the training losses of a batch, see `losses.compute_losses`.

        Args:
            text (Tensor): Token ids, int64 (B, T_text); padding may hold anything.
            text_lengths (Tensor): int64 (B,).
            latents (Tensor): Unscaled latents (B, T_lat, D).
            latents_lengths (Tensor): int64 (B,).
            settings (RealtimeLossSettings): Windows, rates and weights.
            **given: ``prompts``, ``noise``, ``timesteps``, ``uncond_rows`` or
                ``generator``.

        Returns:
            RealtimeLosses: Losses and figures for the log.

        Raises:
            ValueError: If a shape, length or token id does not fit.
        """
        return compute_losses(
            self, text, text_lengths, latents, latents_lengths, settings, **given
        )

    def _rebuild_constant_tables(self) -> None:
        """Compute the tables that no file holds, after a build on the meta device."""
        for part in (self.language_model, self.tts_language_model):
            part.rotary_emb = Qwen2RotaryEmbedding(part.config)
        self.prediction_head.timestep_embedding = (
            VibeVoiceDiffusionHeadSinusoidalEmbedding(self.config.prediction_head)
        )
        left = [name for name, buffer in self.named_buffers() if buffer.is_meta]
        assert not left, left
