"""VibeVoice-Realtime as ESPnet sees it: a batch in, a loss or a waveform out."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.tts.abs_tts import AbsTTS

from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.realtime import PARTS, RealtimeModel
from espnet_vibevoice.tts.checkpoint import keep_trained_parameters_only
from espnet_vibevoice.tts.conf import load_base_tokenizer

logger = logging.getLogger(__name__)

DEFAULT_TRAINED_PARTS = (
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    "prediction_head",
    "tts_eos_classifier",
)
VALIDATION_SEED = 0


class VibeVoiceRealtimeTTS(AbsTTS):
    """The realtime family: text part, TTS part, diffusion head, classifier, codec.

    Paper: VibeVoice Technical Report, arXiv 2508.19205. The base is named, not
    copied: a checkpoint holds the parameters of the trained parts only.

    Args:
        idim (int): Size of the vocabulary, given by the task.
        odim (int): Latent dimensions D_ac, given by the task.
        base (str): Base model: folder, its config.json, or hub id[@revision].
        tokenizer (str | None): Tokenizer of a base that brings none (the released
            realtime base: Qwen/Qwen2.5-0.5B), folder or hub id.
        trained_parts (Sequence[str]): Parts that are trained, by module name; the
            codec cannot be among them.
        text_window (int): Text tokens read at a time (released weights: 5).
        speech_window (int): Frames made before the next tokens (released: 6).
        ddpm_batch_mul (int): Noise draws per frame and step; more costs time in the
            diffusion head and steadies its gradient.
        uncond_rate (float): Share of rows that run the negative prompt, for guidance.
        diffusion_weight (float): Weight of the diffusion loss.
        eos_weight (float): Weight of the end-of-speech loss.
        cfg_scale (float): Guidance in decoding; 1 is none, more follows the text more.
        num_sampling_steps (int): Solver steps per frame in decoding.
        eos_threshold (float): Probability above which speech ends.
        max_frames_per_token (float): Cap on the length of decoded speech.

    Raises:
        ValueError: If a setting does not fit the base.
    """

    spks = None
    langs = None
    spk_embed_dim = None

    def __init__(
        self,
        idim: int,
        odim: int,
        *,
        base: str,
        tokenizer: str | None = None,
        trained_parts: Sequence[str] = DEFAULT_TRAINED_PARTS,
        text_window: int = 5,
        speech_window: int = 6,
        ddpm_batch_mul: int = 4,
        uncond_rate: float = 0.15,
        diffusion_weight: float = 1.0,
        eos_weight: float = 0.1,
        cfg_scale: float = 1.5,
        num_sampling_steps: int = 10,
        eos_threshold: float = 0.5,
        max_frames_per_token: float = 4.0,
    ):
        super().__init__()
        self.model = RealtimeModel.from_base(base)
        self.fs = self.model.acoustic_tokenizer.sampling_rate
        self._check_sizes(idim, odim, base)
        if self.model.negative_prompt_id is None:
            conf = {"base": base, "tokenizer": tokenizer}
            self.model.negative_prompt_id = load_base_tokenizer(conf).negative_prompt_id
        self.loss_settings = RealtimeLossSettings(
            text_window=text_window,
            speech_window=speech_window,
            ddpm_batch_mul=ddpm_batch_mul,
            uncond_rate=uncond_rate,
            diffusion_weight=diffusion_weight,
            eos_weight=eos_weight,
        )
        self.generation_settings = GenerationSettings(
            text_window=text_window,
            speech_window=speech_window,
            cfg_scale=cfg_scale,
            num_sampling_steps=num_sampling_steps,
            eos_threshold=eos_threshold,
            max_frames_per_token=max_frames_per_token,
        )
        self._freeze_all_but(trained_parts)
        keep_trained_parameters_only(self)

    @property
    def require_vocoder(self) -> bool:
        """Whether ESPnet has to make the waveform: no, the codec does."""
        return False

    def train(self, mode: bool = True) -> "VibeVoiceRealtimeTTS":
        """Set the mode of the trained parts; frozen ones stay in evaluation mode."""
        super().train(mode)
        for part in set(PARTS) - set(self.trained_parts):
            self.model.get_submodule(part).eval()
        return self

    def forward(
        self,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        feats: torch.Tensor,
        feats_lengths: torch.Tensor,
        **unused: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the training loss of a batch.

        Args:
            text (Tensor): Token ids (B, T_text).
            text_lengths (Tensor): Tokens of each (B,).
            feats (Tensor): Latents, not scaled (B, T_lat, D_ac).
            feats_lengths (Tensor): Frames of each (B,).
            unused: What ESPnet passes besides.

        Returns:
            tuple: Loss, statistics for the reporter, number of utterances.
        """
        generator = None
        if not self.training:  # the same draws in each validation: epochs compare
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
        losses = self.model.compute_losses(
            text,
            text_lengths,
            feats,
            feats_lengths,
            self.loss_settings,
            generator=generator,
        )
        stats = {
            "loss": losses.loss.detach(),
            "diffusion_loss": losses.diffusion_loss,
            "eos_loss": losses.eos_loss,
            "eos_accuracy": losses.eos_accuracy,
            "unfed_tokens": losses.unfed_tokens,
        }
        return force_gatherable((losses.loss, stats, len(text)), losses.loss.device)

    def inference(self, text: torch.Tensor, **unused: Any) -> dict[str, torch.Tensor]:
        """Speak one text.

        Randomness comes from torch's global generator, which ESPnet seeds before
        each utterance if ``always_fix_seed`` is true.

        Args:
            text (Tensor): Token ids (T_text,).
            unused: ESPnet's decoding options for other models.

        Returns:
            dict: ``wav`` (T_wav,) and ``prob`` (T_lat,), the probability that speech
            ends with each frame.
        """
        seed = int(torch.randint(2**62, (1,)))
        generator = torch.Generator().manual_seed(seed)
        result = generate(self.model, text, self.generation_settings, generator)
        if not result.stopped_by_eos:
            logger.warning(
                "speech did not end by itself: cut after %d frames", len(result.latents)
            )
        return {"wav": result.waveform, "prob": result.eos_probability}

    def _check_sizes(self, idim: int, odim: int, base: str) -> None:
        rows = self.model.config.language_model.vocab_size
        if idim > rows:
            raise ValueError(
                f"the token list has {idim} tokens, {base} knows {rows}: rerun the "
                "token stage with the tokenizer of this base"
            )
        if odim != self.model.config.latent_dim:
            raise ValueError(
                f"latents have {odim} dimensions, {base} has "
                f"{self.model.config.latent_dim}: dump them with this base (stage 5)"
            )

    def _freeze_all_but(self, trained_parts: Sequence[str]) -> None:
        """Freeze what is not trained, and log what each part holds."""
        known = [part for part in PARTS if part != "acoustic_tokenizer"]
        wrong = sorted(set(trained_parts) - set(known))
        if wrong or not trained_parts:
            raise ValueError(
                f"tts_conf trained_parts is {list(trained_parts)}: choose at least one "
                f"of {', '.join(known)}"
            )
        self.trained_parts = tuple(trained_parts)
        for part in PARTS:
            module = self.model.get_submodule(part)
            is_trained = part in self.trained_parts
            module.requires_grad_(is_trained)
            logger.info(
                "%s: %s, %d parameters, %s",
                part,
                type(module).__name__,
                sum(p.numel() for p in module.parameters()),
                "trained" if is_trained else "frozen",
            )
