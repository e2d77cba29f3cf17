"""VibeVoice-Realtime as ESPnet sees it: a batch in, a loss or a waveform out.

Long only because each setting is a keyword of its own, with its line of explanation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable

from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.batch import PromptBatch
from espnet_vibevoice.models.config import REALTIME_TYPE
from espnet_vibevoice.models.generation import GenerationSettings, generate_batch
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.memory import MemorySettings, autocast
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.sequence import validate_prompt_text_type
from espnet_vibevoice.models.streaming import stream
from espnet_vibevoice.models.voice_prompt import VoicePrompt
from espnet_vibevoice.tts.conf import load_base_tokenizer
from espnet_vibevoice.tts.decoding_options import override_settings
from espnet_vibevoice.tts.family import VALIDATION_SEED, VibeVoiceTTS
from espnet_vibevoice.tts.prompts import (
    DEFAULT_MAX_PROMPT_SEC,
    DEFAULT_PROMPT_DROP_RATE,
    validate_prompt_settings,
)
from espnet_vibevoice.tts.voices import VoiceReader, read_row_voice


class VibeVoiceRealtimeTTS(VibeVoiceTTS):
    """The realtime family: text part, TTS part, diffusion head, classifier, codec.

    Paper: VibeVoice Technical Report, arXiv 2508.19205. ``strategy`` says what is
    trained, and checkpoints hold just that; the codec is always frozen.

    Args:
        idim (int): Size of the vocabulary, given by the task.
        odim (int): Latent dimensions D_ac, given by the task.
        base (str): Base model: folder, its config.json, or hub id[@revision].
        tokenizer (str | None): Tokenizer of a base that brings none (the released
            realtime base: Qwen/Qwen2.5-0.5B), folder or hub id.
        strategy (str): lora | conservative | full | head_only | custom: what is
            trained, see `adapters.strategies.build_plan`, as the ten that follow.
        trained_parts (Sequence[str] | None): Parts trained in full; custom only.
        lora_parts (Mapping | None): More parts with LoRA, or settings of their own.
        lora_targets (str | Sequence[str]): attention | attention_mlp | linear, or
            names of layers that get LoRA.
        lora_rank (int): Rank of LoRA; more learns more and takes more memory.
        lora_alpha (float): Strength of LoRA, divided by the rank.
        lora_dropout (float): Share of LoRA's inputs dropped in training.
        use_rslora (bool): Divide by the root of the rank.
        use_dora (bool): Learn lengths of rows apart; slower.
        train_connectors (bool | None): None: as the strategy has it.
        freeze_head_layers (Sequence[int]): Layers of the head that stay frozen.
        precision (str): float32 | bfloat16 (autocast); see `models.memory`, as the
            three that follow.
        base_dtype (str): float32 | bfloat16: how frozen weights are kept.
        quantize_base (str | None): 8bit | 4bit: frozen language model, less memory.
        gradient_checkpointing (bool): Compute activations twice: less memory.
        ema_decay (float): Decay of averaged weights for validation and decoding;
            nearer to 1 averages longer, 0 is off.
        base_fingerprint (str | None): What the base's weights must be; written into
            config.yaml by the training.
        acoustic_encoder (str | None): Encoder of a base that brings none. Data stages
            load it (`models.encoder_file`); training and decoding need none.
        min_encoder_fit (float): Spectral correlation that encoder and decoder must
            reach in data stages (`score.fit`); 0 refuses nothing.
        text_window (int): Text tokens read at a time (released weights: 5).
        speech_window (int): Frames made before the next tokens (released: 6).
        ddpm_batch_mul (int): Noise draws per frame and step; more costs time in the
            diffusion head and steadies its gradient.
        uncond_rate (float): Share of rows without voice and text, for guidance.
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

    def __init__(
        self,
        idim: int,
        odim: int,
        *,
        base: str,
        tokenizer: str | None = None,
        strategy: str = "lora",
        trained_parts: Sequence[str] | None = None,
        lora_parts: Mapping[str, Mapping[str, Any] | None] | None = None,
        lora_targets: str | Sequence[str] = "attention",
        lora_rank: int = 16,
        lora_alpha: float = 32,
        lora_dropout: float = 0.05,
        use_rslora: bool = False,
        use_dora: bool = False,
        train_connectors: bool | None = None,
        freeze_head_layers: Sequence[int] = (),
        precision: str = "float32",
        base_dtype: str = "float32",
        quantize_base: str | None = None,
        gradient_checkpointing: bool = False,
        ema_decay: float = 0.0,
        base_fingerprint: str | None = None,
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
        validate_prompt_settings(prompt_drop_rate, max_prompt_sec)
        validate_prompt_text_type(prompt_text_type)
        plan = build_plan(
            REALTIME_TYPE,
            strategy=strategy,
            trained_parts=trained_parts,
            lora_parts=lora_parts,
            lora_targets=lora_targets,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            use_rslora=use_rslora,
            use_dora=use_dora,
            train_connectors=train_connectors,
            freeze_head_layers=freeze_head_layers,
        )
        super().__init__(
            RealtimeModel.from_base(base),
            plan,
            MemorySettings(
                precision, base_dtype, quantize_base, gradient_checkpointing
            ),
            base=base,
            base_fingerprint=base_fingerprint,
            ema_decay=ema_decay,
            voice_prompt=voice_prompt,
        )
        self._voices = VoiceReader(plan.parts)
        self.check_sizes(idim, odim, base)
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
        utt_ids: Sequence[str] | None = None,
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
            utt_ids (Sequence[str] | None): Utterance of each row; with them draws do
                not depend on the batch, see `start_epoch`.
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
        with autocast(self.memory, text.device):
            losses = self.model.compute_losses(
                text,
                text_lengths,
                feats,
                feats_lengths,
                self.loss_settings,
                prompts=prompts,
                row_seeds=self.draw_row_seeds(utt_ids),
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
        if seed is None:
            seed = int(torch.randint(2**62, (1,)))
        return self.speak_texts([text], [seed], voice_prompt, options)[0]

    def check_decoding(
        self, voice_prompt: str | None, options: Mapping[str, Any]
    ) -> None:
        """Read the voice and check options, see `VibeVoiceTTS.check_decoding`."""
        override_settings(self.generation_settings, options)
        self._read_voice(voice_prompt)

    def speak_texts(
        self,
        texts: Sequence[torch.Tensor],
        seeds: Sequence[int],
        voice_prompt: str | Path | VoicePrompt | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> list[dict[str, torch.Tensor]]:
        """Speak several texts side by side, see `VibeVoiceTTS.speak_texts`."""
        settings = override_settings(self.generation_settings, options or {})
        with autocast(self.memory, self.device):
            voices = [self._read_voice(voice_prompt)] * len(texts)
            results = generate_batch(self.model, texts, settings, seeds, voices)
        return [{"wav": r.waveform, "prob": r.eos_probability} for r in results]

    def speak_first_frame(
        self,
        text: torch.Tensor,
        seed: int,
        voice_prompt: str | Path | VoicePrompt | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """Make the first frame, see `VibeVoiceTTS.speak_first_frame`."""
        settings = override_settings(self.generation_settings, options or {})
        generator = torch.Generator().manual_seed(seed)
        with autocast(self.memory, self.device):
            voice = self._read_voice(voice_prompt)
            chunks = stream(self.model, text, settings, generator, prompt=voice)
            return next(chunks).waveform

    def speak_row(self, row: Mapping[str, torch.Tensor], seed: int) -> torch.Tensor:
        """Speak the text of a row, see `VibeVoiceTTS.speak_row`."""
        given = {name: tensor.to(self.device) for name, tensor in row.items()}
        prompt = None  # leaves the choice to tts_conf
        if self.voice_prompt is None:
            with autocast(self.memory, self.device):
                text_type = self.loss_settings.prompt_text_type
                prompt = read_row_voice(self.model, given, text_type)
        return self.inference(given["text"], voice_prompt=prompt, seed=seed)["wav"]

    def forget_voices(self) -> None:
        """Have voices read again: their caches come from the weights."""
        self._voices.forget()

    def _read_voice(
        self, voice_prompt: str | Path | VoicePrompt | None
    ) -> VoicePrompt | None:
        """Read a voice, or that of ``tts_conf``."""
        with autocast(self.memory, self.device):
            return self._voices.read(self.model, voice_prompt or self.voice_prompt)
