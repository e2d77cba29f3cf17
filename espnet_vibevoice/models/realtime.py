"""The realtime model: a split Qwen2 with a diffusion head over acoustic latents.

The lower part reads text. The upper part reads the lower part's hidden states and the
connector's frame vectors, each with its type added, in the order of `sequence`. The
hidden state before a frame conditions the diffusion head; the one at a frame feeds the
end-of-speech classifier. Parts carry the original's names. Only the type embedding and
the classifier are new code, the rest is transformers'.
Paper: VibeVoice Technical Report, arXiv 2508.19205.
"""

import torch
from torch import Tensor, nn
from transformers import Qwen2Model
from transformers.models.vibevoice.modeling_vibevoice import (
    VibeVoiceMultiModalProjector,
)

from espnet_vibevoice.models.batch import PromptBatch
from espnet_vibevoice.models.config import RealtimeConfig
from espnet_vibevoice.models.diffusion_head import DiffusionHead
from espnet_vibevoice.models.losses import (
    RealtimeLosses,
    RealtimeLossSettings,
    compute_losses,
)
from espnet_vibevoice.models.sequence import SequenceLayout
from espnet_vibevoice.models.speech_model import SpeechModel

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


class RealtimeModel(SpeechModel):
    """VibeVoice-Realtime. The codec is frozen; what else is trained is up to the user.

    Args:
        config (RealtimeConfig): Sizes.
        has_encoder (bool): Whether the codec can encode.

    Attributes:
        negative_prompt_id (int | None): Token of the unconditional branch. Set it
            from the tokenizer if the base does not tell.
    """

    family = "realtime"
    config_class = RealtimeConfig
    language_parts = ("language_model", "tts_language_model")

    def __init__(self, config: RealtimeConfig, has_encoder: bool = True):
        super().__init__(config)
        hidden_size = config.hidden_size
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
        self._add_speech_parts(has_encoder)

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
