"""VibeVoice-Realtime as ESPnet sees it: a batch in, a loss or a waveform out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.tts.abs_tts import AbsTTS

from espnet_vibevoice.models.batch import PromptBatch
from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    start_branches,
)
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.realtime import PARTS, RealtimeModel
from espnet_vibevoice.models.sequence import validate_prompt_text_type
from espnet_vibevoice.models.voice_prompt import VoicePrompt
from espnet_vibevoice.tts.checkpoint import keep_trained_parameters_only
from espnet_vibevoice.tts.conf import load_base_tokenizer
from espnet_vibevoice.tts.decoding_options import override_settings
from espnet_vibevoice.tts.prompts import (
    DEFAULT_MAX_PROMPT_SEC,
    DEFAULT_PROMPT_DROP_RATE,
    validate_prompt_settings,
)
from espnet_vibevoice.tts.trained_parts import DEFAULT_TRAINED_PARTS, freeze_all_but
from espnet_vibevoice.tts.voices import VoiceReader

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
        acoustic_encoder (str | None): Encoder of a base that brings none. Data stages
            load it (`models.encoder_file`); training and decoding need none.
        min_encoder_fit (float): Spectral correlation that encoder and decoder must
            reach in data stages (`score.fit`); 0 refuses nothing.
        text_window (int): Text tokens read at a time (released weights: 5).
        speech_window (int): Frames made before the next tokens (released: 6).
        ddpm_batch_mul (int): Noise draws per frame and step; more costs time in the
            diffusion head and steadies its gradient.
        uncond_rate (float): Share of rows that run the negative prompt in place of
            voice prompt and text, for guidance.
        diffusion_weight (float): Weight of the diffusion loss.
        eos_weight (float): Weight of the end-of-speech loss.
        reconstruction_weight (float): Weight of the waveform term through the frozen
            decoder (0.01 where it is used); 0 leaves it out and saves its time.
        reconstruction_frames (int): Frames decoded of each of at most four rows for
            it; more costs memory.
        prompt_drop_rate (float): Share of the training utterances that go without a
            voice prompt; 1 trains without any.
        prompt_text_type (int): Type of the prompt's transcript: 0 as in the released
            voices, 1 as the text to speak.
        max_prompt_sec (float): Longest voice prompt in training; longer ones are cut
            and lose their transcript.
        voice_prompt (str | None): File with the voice to decode with, see
            `models.voice_prompt.load_voice_prompt`, read anew by the trained
            weights where it holds its recording; None: no prompt.
        cfg_scale (float): Guidance in decoding; 1 is none, more follows the text more.
        num_sampling_steps (int): Solver steps per frame in decoding.
        eos_threshold (float): Probability above which speech ends.
        max_frames_per_token (float): Cap on the length of decoded speech.
        max_frames (int): Cap on its frames (7.5 of them are one second).

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
        acoustic_encoder: str | None = None,
        min_encoder_fit: float = 0.8,
        text_window: int = 5,
        speech_window: int = 6,
        ddpm_batch_mul: int = 4,
        uncond_rate: float = 0.15,
        diffusion_weight: float = 1.0,
        eos_weight: float = 0.1,
        reconstruction_weight: float = 0.0,
        reconstruction_frames: int = 8,
        prompt_drop_rate: float = DEFAULT_PROMPT_DROP_RATE,
        prompt_text_type: int = 0,
        max_prompt_sec: float = DEFAULT_MAX_PROMPT_SEC,
        voice_prompt: str | None = None,
        cfg_scale: float = 1.5,
        num_sampling_steps: int = 10,
        eos_threshold: float = 0.5,
        max_frames_per_token: float = 4.0,
        max_frames: int = 2000,
    ):
        super().__init__()
        validate_prompt_settings(prompt_drop_rate, max_prompt_sec)
        validate_prompt_text_type(prompt_text_type)
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
            prompt_text_type=prompt_text_type,
            reconstruction_weight=reconstruction_weight,
            reconstruction_frames=reconstruction_frames,
        )
        self.generation_settings = GenerationSettings(
            text_window=text_window,
            speech_window=speech_window,
            cfg_scale=cfg_scale,
            num_sampling_steps=num_sampling_steps,
            eos_threshold=eos_threshold,
            max_frames_per_token=max_frames_per_token,
            max_frames=max_frames,
        )
        self.voice_prompt = voice_prompt
        freeze_all_but(self.model, trained_parts)
        self.trained_parts = tuple(trained_parts)
        self._voices = VoiceReader(self.trained_parts)
        keep_trained_parameters_only(self)
        self.register_load_state_dict_post_hook(_forget_voices)

    @property
    def require_vocoder(self) -> bool:
        """Whether ESPnet has to make the waveform: no, the codec does."""
        return False

    def train(self, mode: bool = True) -> "VibeVoiceRealtimeTTS":
        """Set the mode of the trained parts; frozen ones stay in evaluation mode."""
        super().train(mode)
        self._voices.forget()
        for part in set(PARTS) - set(self.trained_parts):
            self.model.get_submodule(part).eval()
        return self

    def forward(
        self,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        feats: torch.Tensor,
        feats_lengths: torch.Tensor,
        prompt_text: torch.Tensor | None = None,
        prompt_text_lengths: torch.Tensor | None = None,
        prompt_feats: torch.Tensor | None = None,
        prompt_feats_lengths: torch.Tensor | None = None,
        **unused: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the training loss of a batch.

        Args:
            text (Tensor): Token ids (B, T_text).
            text_lengths (Tensor): Tokens of each (B,).
            feats (Tensor): Latents, not scaled (B, T_lat, D_ac).
            feats_lengths (Tensor): Frames of each (B,).
            prompt_text (Tensor | None): Token ids of the voice prompts' transcripts
                (B, T_prompt_text); None: no row has a prompt.
            prompt_text_lengths (Tensor | None): Tokens of each, 0 for none (B,).
            prompt_feats (Tensor | None): Latents of the voice prompts, not scaled
                (B, T_prompt_lat, D_ac).
            prompt_feats_lengths (Tensor | None): Frames of each, 0 for none (B,).
            unused: What ESPnet passes besides.

        Returns:
            tuple: Loss, statistics for the reporter, number of utterances.
        """
        generator = None
        if not self.training:  # the same draws in each validation: epochs compare
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
        prompts = None
        if prompt_feats is not None:
            prompts = PromptBatch(
                prompt_text, prompt_text_lengths, prompt_feats, prompt_feats_lengths
            )
        losses = self.model.compute_losses(
            text,
            text_lengths,
            feats,
            feats_lengths,
            self.loss_settings,
            prompts=prompts,
            generator=generator,
        )
        stats = {
            "loss": losses.loss.detach(),
            "diffusion_loss": losses.diffusion_loss,
            "eos_loss": losses.eos_loss,
            "eos_accuracy": losses.eos_accuracy,
            "unfed_tokens": losses.unfed_tokens,
        }
        if losses.reconstruction_loss is not None:
            stats["reconstruction_loss"] = losses.reconstruction_loss
        return force_gatherable((losses.loss, stats, len(text)), losses.loss.device)

    def inference(
        self,
        text: torch.Tensor,
        *,
        voice_prompt: str | Path | VoicePrompt | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> dict[str, torch.Tensor]:
        """Speak one text.

        Randomness comes from ``seed``, else from torch's global generator, which
        ESPnet seeds before each utterance if ``always_fix_seed`` is true.

        Args:
            text (Tensor): Token ids (T_text,).
            voice_prompt (str | Path | VoicePrompt | None): Voice to speak with, in
                place of that of ``tts_conf``; see `tts.voices`.
            seed (int | None): Seed of the noise.
            options: Settings that overrule ``tts_conf`` (``cfg_scale``,
                ``num_sampling_steps``, ``eos_threshold``, ``max_frames_per_token``,
                ``max_frames``), and ESPnet's options for other models.

        Returns:
            dict: ``wav`` (T_wav,) and ``prob`` (T_lat,), the probability that speech
            ends with each frame.

        Raises:
            FileNotFoundError: If there is no such voice prompt.
            RuntimeError: If the model makes values that are not finite.
            ValueError: If the text is empty, an option is unknown or out of range, or
                the voice prompt is of another base.
        """
        settings = override_settings(self.generation_settings, options)
        prompt = self._voices.read(self.model, voice_prompt or self.voice_prompt)
        if seed is None:
            seed = int(torch.randint(2**62, (1,)))
        generator = torch.Generator().manual_seed(seed)
        branches = start_branches(self.model, prompt)
        result = generate(self.model, text, settings, generator, branches=branches)
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


def _forget_voices(tts: VibeVoiceRealtimeTTS, incompatible_keys: Any) -> None:
    """Have voices read again once other weights have been loaded."""
    tts._voices.forget()
