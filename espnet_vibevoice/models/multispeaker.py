"""The 1.5B and 7B models: one Qwen2 that reads text and hears its own speech.

At a frame the language model reads the sum of two connectors' vectors, one of the
acoustic latent and one of its semantic feature; at a frame of a voice prompt the first
alone. The hidden state before a frame conditions the diffusion head. ``lm_head`` says
whether a frame follows, or speech ends. Parts carry the original's names, networks are
transformers'. Paper: VibeVoice Technical Report, arXiv 2508.19205.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Model
from transformers.models.vibevoice.modeling_vibevoice import (
    VibeVoiceMultiModalProjector,
)

from espnet_vibevoice.models.base_writer import write_base
from espnet_vibevoice.models.checkpoint import collect_state, has_encoder_weights
from espnet_vibevoice.models.conversion import leave_autocast
from espnet_vibevoice.models.diffusion_head import DiffusionHead
from espnet_vibevoice.models.multispeaker_config import (
    CONTROL_TOKENS,
    MultispeakerConfig,
    SpeechTokens,
)
from espnet_vibevoice.models.multispeaker_losses import (
    MultispeakerLosses,
    MultispeakerLossSettings,
    compute_losses,
)
from espnet_vibevoice.models.multispeaker_sequence import (
    MultispeakerBatch,
    TrainingSequence,
)
from espnet_vibevoice.models.native import make_native_config, native_name
from espnet_vibevoice.models.semantic import SemanticTokenizer
from espnet_vibevoice.models.speech_model import SpeechModel

PARTS = (
    "language_model",
    "lm_head",
    "acoustic_connector",
    "semantic_connector",
    "prediction_head",
    "acoustic_tokenizer",
    "semantic_tokenizer",
)


class TiedHead(nn.Module):
    """Scores the vocabulary by the embedding table; has no weight of its own.

    Args:
        embedding (nn.Embedding): The table (V, H); it stays a part of its owner.
    """

    def __init__(self, embedding: nn.Embedding):
        super().__init__()
        self._owner = [embedding]  # a list hides it from parameters()

    @property
    def weight(self) -> Tensor:
        """The table (V, H)."""
        return self._owner[0].weight

    def forward(self, hidden: Tensor) -> Tensor:
        """Score.

        Args:
            hidden (Tensor): Hidden states (..., H).

        Returns:
            Tensor: Logits (..., V).
        """
        return functional.linear(hidden, self.weight)


class MultispeakerModel(SpeechModel):
    """VibeVoice-1.5B or 7B. Both tokenizers are frozen; the rest is up to the user.

    Args:
        config (MultispeakerConfig): Sizes.
        has_encoder (bool): Whether the codec can encode.
        has_semantic_encoder (bool): Whether the semantic tokenizer can encode.

    Attributes:
        tokens (SpeechTokens | None): Control tokens. Set them from the tokenizer if
            the base does not tell.
    """

    family = "multi-speaker"
    config_class = MultispeakerConfig

    def __init__(
        self,
        config: MultispeakerConfig,
        has_encoder: bool = True,
        has_semantic_encoder: bool = True,
    ):
        super().__init__(config)
        self.tokens = config.tokens
        hidden_size = config.hidden_size
        self.language_model = Qwen2Model(config.language_model)
        vocab_size = config.language_model.vocab_size
        self.lm_head = (
            TiedHead(self.language_model.embed_tokens)
            if config.is_tied
            else nn.Linear(hidden_size, vocab_size, bias=False)
        )
        self.acoustic_connector = VibeVoiceMultiModalProjector(
            config.latent_dim, hidden_size
        )
        self.semantic_connector = VibeVoiceMultiModalProjector(
            config.semantic_dim, hidden_size
        )
        self.prediction_head = DiffusionHead(config.prediction_head)
        self._add_speech_parts(has_encoder)
        self.semantic_tokenizer = SemanticTokenizer(config, has_semantic_encoder)

    @classmethod
    def _find_encoders(cls, folder: Path) -> dict[str, bool]:
        """Tell which encoders a base holds, as arguments of the class."""
        return {
            "has_encoder": has_encoder_weights(folder),
            "has_semantic_encoder": has_encoder_weights(folder, "semantic_tokenizer"),
        }

    def save_native(self, folder: Path, max_shard_bytes: int | None = None) -> None:
        """Write the model in the format of transformers' own class.

        Args:
            folder (Path): Folder to write into; made if absent.
            max_shard_bytes (int | None): Largest size of a file; None for one file.

        Raises:
            ValueError: If an encoder is absent, which the native class cannot do
                without, or it cannot have these sizes.
            RuntimeError: If the model does not know its control tokens.
            FileExistsError: If the folder holds a base in another number of files.
        """
        if not (self.has_encoder and self.semantic_tokenizer.has_encoder):
            raise ValueError(
                "the acoustic or the semantic encoder is absent, and transformers' own "
                "format needs both. Save in the original format (save)."
            )
        config = make_native_config(self.config, self.get_tokens())
        dtype = str(self.language_model.norm.weight.dtype).removeprefix("torch.")
        state = collect_state(self, native_name)
        write_base(state, config | {"dtype": dtype}, Path(folder), max_shard_bytes)

    def get_tokens(self) -> SpeechTokens:
        """Tell the control tokens.

        Raises:
            RuntimeError: If neither the base nor the caller has told them.
        """
        if self.tokens is None:
            raise RuntimeError(
                f"The base does not tell the ids of {', '.join(CONTROL_TOKENS)}. Set "
                "model.tokens from the tokenizer (find_speech_tokens)."
            )
        return self.tokens

    def embed_text(self, ids: Tensor) -> Tensor:
        """Look up the vectors of tokens.

        Args:
            ids (Tensor): Token ids (..., T).

        Returns:
            Tensor: Vectors (..., T, H).
        """
        return self.language_model.embed_tokens(ids)

    def embed_frames(self, latents: Tensor, semantic: Tensor | None = None) -> Tensor:
        """Make the vectors that stand for frames.

        Args:
            latents (Tensor): Scaled latents (..., D).
            semantic (Tensor | None): Semantic features of the same frames
                (..., D_sem); None for frames of voice prompts.

        Returns:
            Tensor: Vectors (..., H).
        """
        weight = self.acoustic_connector.linear_1.weight
        vectors = self.acoustic_connector(latents.to(weight.dtype))
        if semantic is None:
            return vectors
        weight = self.semantic_connector.linear_1.weight
        return vectors + self.semantic_connector(semantic.to(weight.dtype))

    def embed_batch(
        self, sequence: TrainingSequence, batch: MultispeakerBatch
    ) -> Tensor:
        """Put text and frames in the places of a sequence.

        Args:
            sequence (TrainingSequence): The layout, see `build_sequence`.
            batch (MultispeakerBatch): Unscaled latents and features; prompts are taken
                from the layout.

        Returns:
            Tensor: Vectors (B, T_seq, H).
        """
        taken = sequence.frame_taken
        scaled = self.scale_latents(batch.latents[taken].float())
        frames = self.embed_frames(scaled, batch.semantic[taken])  # (N, H)
        inputs = _place(self.embed_text(sequence.ids), sequence.frame_mask, frames)
        if batch.voice_latents is None:
            return inputs
        taken = sequence.voice_taken
        scaled = self.scale_latents(batch.voice_latents[taken].float())
        heard = None if batch.voice_semantic is None else batch.voice_semantic[taken]
        voices = self.embed_frames(scaled, heard)
        return _place(inputs, sequence.voice_mask, voices)

    def run_sequence(self, inputs: Tensor) -> Tensor:
        """Run the language model over whole sequences (teacher forcing).

        Args:
            inputs (Tensor): Output of `embed_sequence` (B, T_seq, H). Causal: padding
                on the right changes nothing before.

        Returns:
            Tensor: Hidden states after the final norm (B, T_seq, H).
        """
        return self.language_model(
            inputs_embeds=inputs, use_cache=False
        ).last_hidden_state

    def compute_logits(self, hidden: Tensor) -> Tensor:
        """Score the whole vocabulary; take few positions, the vocabulary is large.

        Args:
            hidden (Tensor): Hidden states (..., H).

        Returns:
            Tensor: Logits, float32 (..., V).
        """
        return self.lm_head(hidden.to(self.lm_head.weight.dtype)).float()

    def compute_control_logits(self, hidden: Tensor) -> Tensor:
        """Score only the tokens that generation chooses among, in float32.

        Four rows cost nothing, and rounded scores could tie.

        Args:
            hidden (Tensor): Hidden states (..., H).

        Returns:
            Tensor: Logits of `SpeechTokens.allowed`, float32 (..., 4).
        """
        allowed = torch.tensor(self.get_tokens().allowed, device=hidden.device)
        weight = self.lm_head.weight[allowed]
        with leave_autocast(hidden):
            return functional.linear(hidden.float(), weight.float())

    def compute_losses(
        self,
        batch: MultispeakerBatch,
        settings: MultispeakerLossSettings,
        **given: object,
    ) -> MultispeakerLosses:
        """Compute the training losses, see `multispeaker_losses.compute_losses`.

        Args:
            batch (MultispeakerBatch): The batch.
            settings (MultispeakerLossSettings): Rates and weights.
            **given: Recorded draws, seeds or a generator.

        Returns:
            MultispeakerLosses: Losses and figures for the log.

        Raises:
            ValueError: If a shape, length or token id does not fit.
        """
        return compute_losses(self, batch, settings, **given)


def _place(inputs: Tensor, mask: Tensor, vectors: Tensor) -> Tensor:
    """Put vectors (N, H) at the N marked positions of inputs (B, T_seq, H)."""
    return inputs.masked_scatter(mask[..., None], vectors.to(inputs.dtype))
