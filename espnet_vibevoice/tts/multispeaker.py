"""The 1.5B and 7B models as ESPnet sees them: scripts and voices in, loss or sound out.

Text is the prompt of `tts.script_tokenizer`. In training it holds the frames of its
voices; in decoding they are put in here, since ESPnet hands on ids alone. Long only
because each setting is a keyword of its own, with its line of explanation.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable

from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.memory import MemorySettings, autocast
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import MULTISPEAKER_TYPE
from espnet_vibevoice.models.multispeaker_generation import (
    ScriptPrompt,
    generate_scripts,
)
from espnet_vibevoice.models.multispeaker_losses import MultispeakerLossSettings
from espnet_vibevoice.models.multispeaker_script import find_speech_tokens
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch
from espnet_vibevoice.models.multispeaker_streaming import stream_script
from espnet_vibevoice.tts.conf import load_base_tokenizer
from espnet_vibevoice.tts.decoding_options import override_settings
from espnet_vibevoice.tts.decoding_prompt import make_prompt, take_prompt
from espnet_vibevoice.tts.family import VALIDATION_SEED, VibeVoiceTTS
from espnet_vibevoice.tts.prompts import (
    DEFAULT_MAX_PROMPT_SEC,
    DEFAULT_PROMPT_DROP_RATE,
    validate_prompt_settings,
)
from espnet_vibevoice.tts.script_preprocessor import ScriptPreprocessor
from espnet_vibevoice.tts.voice_latents import VoiceFile, VoiceLatents

logger = logging.getLogger(__name__)


class VibeVoiceMultispeakerTTS(VibeVoiceTTS):
    """One language model for text and speech, diffusion head, two tokenizers.

    Paper: VibeVoice Technical Report, arXiv 2508.19205. ``strategy`` says what is
    trained, and checkpoints hold just that; both tokenizers are always frozen.

    Args:
        idim (int): Size of the vocabulary, given by the task.
        odim (int): Latent dimensions D_ac, given by the task.
        base (str): Base model: folder, its config.json, or hub id[@revision].
        tokenizer (str | None): Tokenizer of a base that brings none (the released
            1.5B and 7B: Qwen/Qwen2.5-1.5B), folder or hub id.
        strategy (str): See `VibeVoiceRealtimeTTS`, as all down to ``min_encoder_fit``.
        trained_parts (Sequence[str] | None): Parts trained in full; custom only.
        lora_parts (Mapping | None): More parts with LoRA: ``prediction_head``, ...
        lora_targets (str | Sequence[str]): Layers that get LoRA.
        lora_rank (int): Rank of LoRA.
        lora_alpha (float): Strength of LoRA, divided by the rank.
        lora_dropout (float): Share of LoRA's inputs dropped in training.
        use_rslora (bool): Divide by the root of the rank.
        use_dora (bool): Learn lengths of rows apart.
        train_connectors (bool | None): None: as the strategy has it.
        freeze_head_layers (Sequence[int]): Layers of the head that stay frozen.
        precision (str): float32 | bfloat16.
        base_dtype (str): float32 | bfloat16.
        quantize_base (str | None): 8bit | 4bit.
        gradient_checkpointing (bool): Compute activations twice: less memory.
        ema_decay (float): Decay of averaged weights; 0 is off.
        base_fingerprint (str | None): What the base's weights must be.
        acoustic_encoder (str | None): Encoder in place of the base's own.
        min_encoder_fit (float): Correlation that encoder and decoder must reach.
        ddpm_batch_mul (int): Noise draws per frame and step; more costs time and
            memory in the diffusion head and steadies its gradient.
        uncond_rate (float): Share of rows without voices and text, for guidance.
        sample_latents (bool): Draw latents around their means, as the base was trained.
        append_end_of_text (bool): Teach the end of text behind the end of speech; if
            not, decoding stops at the end of speech.
        diffusion_weight (float): Weight of the diffusion loss.
        token_weight (float): Weight of the token loss (control tokens, text).
        text_token_weight (float): Weight of a text token in it; 0 leaves text out.
        stop_weight (float): Weight of the loss on "go on" against "end".
        stop_positive_weight (float | None): Weight of the end in it; more ends speech
            earlier. None: as much as all frames of the utterance.
        voice_prompt_drop_rate (float): Share of the training utterances that go
            without voices; 1 trains without any.
        max_prompt_sec (float): Longest voice in training; longer ones are cut.
        voice_prompt (str | Sequence[str] | None): Recordings of the voices to decode
            with, one for each speaker in order; None: the model finds its own.
        cfg_scale (float): Guidance in decoding; 1 is none.
        num_sampling_steps (int): Solver steps per frame in decoding.
        max_frames_per_token (float): Cap on the length of decoded speech.
        max_frames (int): Cap on its frames (7.5 of them are one second).

    Raises:
        ValueError: If a setting does not fit the base.
    """

    preprocessor_class = ScriptPreprocessor

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
        ddpm_batch_mul: int = 4,
        uncond_rate: float = 0.15,
        sample_latents: bool = True,
        append_end_of_text: bool = True,
        diffusion_weight: float = 1.4,
        token_weight: float = 0.04,
        text_token_weight: float = 0.0,
        stop_weight: float = 0.1,
        stop_positive_weight: float | None = None,
        voice_prompt_drop_rate: float = DEFAULT_PROMPT_DROP_RATE,
        max_prompt_sec: float = DEFAULT_MAX_PROMPT_SEC,
        voice_prompt: str | Sequence[str] | None = None,
        cfg_scale: float = 1.3,
        num_sampling_steps: int = 10,
        max_frames_per_token: float = 6.0,
        max_frames: int = 45000,
    ):
        validate_prompt_settings(
            voice_prompt_drop_rate, max_prompt_sec, "voice_prompt_drop_rate"
        )
        plan = build_plan(
            MULTISPEAKER_TYPE,
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
            MultispeakerModel.from_base(base),
            plan,
            MemorySettings(
                precision, base_dtype, quantize_base, gradient_checkpointing
            ),
            base=base,
            base_fingerprint=base_fingerprint,
            ema_decay=ema_decay,
            voice_prompt=voice_prompt,
        )
        self.check_sizes(idim, odim, base)
        self.tokenizer = load_base_tokenizer({"base": base, "tokenizer": tokenizer})
        self.model.tokens = find_speech_tokens(self.tokenizer)
        self._voices = VoiceLatents()
        self.loss_settings = MultispeakerLossSettings(
            ddpm_batch_mul=ddpm_batch_mul,
            uncond_rate=uncond_rate,
            sample_latents=sample_latents,
            append_end_of_text=append_end_of_text,
            diffusion_weight=diffusion_weight,
            token_weight=token_weight,
            text_token_weight=text_token_weight,
            stop_weight=stop_weight,
            stop_positive_weight=stop_positive_weight,
        )
        self.generation_settings = ScriptSettings(
            cfg_scale=cfg_scale,
            num_sampling_steps=num_sampling_steps,
            max_frames_per_token=max_frames_per_token,
            max_frames=max_frames,
            ends_with_segment=not append_end_of_text,
        )

    def forward(
        self,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        feats: torch.Tensor,
        feats_lengths: torch.Tensor,
        semantic: torch.Tensor | None = None,
        prompt_feats: torch.Tensor | None = None,
        prompt_feats_lengths: torch.Tensor | None = None,
        utt_ids: Sequence[str] | None = None,
        **unused: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the training loss of a batch.

        Args:
            text (Tensor): Ids of the prompts, frames of voices included (B, T_text).
            text_lengths (Tensor): Tokens of each (B,).
            feats (Tensor): Latents, not scaled (B, T_lat, D_ac).
            feats_lengths (Tensor): Frames of each (B,).
            semantic (Tensor | None): Semantic features of the same frames
                (B, T_lat, D_sem).
            prompt_feats (Tensor | None): Latents of all voices of a row, not scaled
                (B, T_voice, D_ac); None: no row has any.
            prompt_feats_lengths (Tensor | None): Frames of each, 0 for none (B,).
            utt_ids (Sequence[str] | None): Utterance of each row; with them draws do
                not depend on the batch, see `start_epoch`.
            unused: What ESPnet passes besides.

        Returns:
            tuple: Loss, statistics for the reporter, number of utterances.

        Raises:
            ValueError: If there are no semantic features, or sizes do not fit.
        """
        if semantic is None:
            raise ValueError(
                "the batch has no semantic features: name them as data, "
                "DIR/semantic.scp,semantic,kaldi_ark beside DIR/feats.scp, as stage 5 "
                "writes them for this base"
            )
        generator = None
        if not self.training:  # the same draws in each validation: epochs compare
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
        batch = MultispeakerBatch(
            text,
            text_lengths,
            feats,
            semantic,
            feats_lengths,
            prompt_feats,
            prompt_feats_lengths,
        )
        with autocast(self.memory, text.device):
            losses = self.model.compute_losses(
                batch,
                self.loss_settings,
                row_seeds=self.draw_row_seeds(utt_ids),
                generator=generator,
            )
        names = ("diffusion_loss", "token_loss", "stop_loss", "stop_accuracy")
        stats = {"loss": losses.loss.detach()} | {n: vars(losses)[n] for n in names}
        return force_gatherable((losses.loss, stats, len(text)), losses.loss.device)

    def inference(
        self,
        text: torch.Tensor,
        *,
        voice_prompt: VoiceFile | Sequence[VoiceFile] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> dict[str, torch.Tensor]:
        """Speak one script.

        Randomness comes from ``seed``, else from torch's global generator, which
        ESPnet seeds before each utterance if ``always_fix_seed`` is true.

        Args:
            text (Tensor): Ids of the prompt without voices (T_text,).
            voice_prompt (str | Path | Tensor | Sequence | None): Voice of each
                speaker in order, in place of those of ``tts_conf``: recordings, or
                their latents, not scaled (T_lat, D_ac).
            seed (int | None): Seed of the noise.
            options: Settings that overrule ``tts_conf`` (``cfg_scale``,
                ``num_sampling_steps``, ``max_frames_per_token``, ``max_frames``), and
                ESPnet's options for other models.

        Returns:
            dict: ``wav`` (T_wav,); a frame of silence, with a warning, where the model
            says nothing at all, because ESPnet divides by its length.

        Raises:
            RuntimeError: If the model makes values that are not finite.
            ValueError: If a speaker has no voice, a recording is absent, unreadable or
                too short, the prompt is too long, or an option is unknown or out of
                range.
        """
        if seed is None:
            seed = int(torch.randint(2**62, (1,)))
        return self.speak_texts([text], [seed], voice_prompt, options)[0]

    def check_decoding(
        self, voice_prompt: str | Sequence[str] | None, options: Mapping[str, Any]
    ) -> None:
        """Read the voices and check options, see `VibeVoiceTTS.check_decoding`."""
        override_settings(self.generation_settings, options)
        self._read_voices(voice_prompt)

    def speak_texts(
        self,
        texts: Sequence[torch.Tensor],
        seeds: Sequence[int],
        voice_prompt: VoiceFile | Sequence[VoiceFile] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> list[dict[str, torch.Tensor]]:
        """Speak several scripts side by side, see `VibeVoiceTTS.speak_texts`."""
        settings = override_settings(self.generation_settings, options or {})
        voices = self._read_voices(voice_prompt)
        prompts = [make_prompt(self.tokenizer, text, voices) for text in texts]
        waveforms = self._speak(prompts, settings, seeds)
        return [{"wav": waveform} for waveform in waveforms]

    def speak_first_frame(
        self,
        text: torch.Tensor,
        seed: int,
        voice_prompt: VoiceFile | Sequence[VoiceFile] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """Make the first frame, see `VibeVoiceTTS.speak_first_frame`."""
        settings = override_settings(self.generation_settings, options or {})
        prompt = make_prompt(self.tokenizer, text, self._read_voices(voice_prompt))
        generator = torch.Generator().manual_seed(seed)
        with autocast(self.memory, self.device):
            chunks = stream_script(self.model, prompt, settings, generator)
            return next(chunks).waveform

    def speak_row(self, row: Mapping[str, torch.Tensor], seed: int) -> torch.Tensor:
        """Speak the script of a row with its own voices, see `VibeVoiceTTS.speak_row`.

        Its text holds the frames of its voices, so voices of ``tts_conf``, which may
        have other lengths, do not take their place.
        """
        prompt = take_prompt(self.tokenizer, row)
        return self._speak([prompt], self.generation_settings, [seed])[0]

    def forget_voices(self) -> None:
        """Keep the voices: they come from the codec, which nothing trains."""

    def _read_voices(
        self, voice_prompt: VoiceFile | Sequence[VoiceFile] | None
    ) -> list[torch.Tensor]:
        """Read voices, or those of ``tts_conf``, (T_lat, D_ac) each."""
        given = self.voice_prompt if voice_prompt is None else voice_prompt
        return self._voices.read(self.model, given)

    def _speak(
        self,
        prompts: Sequence[ScriptPrompt],
        settings: ScriptSettings,
        seeds: Sequence[int],
    ) -> list[torch.Tensor]:
        """Speak from prompts: waveform of each (T_wav,), a frame at least."""
        with autocast(self.memory, self.device):
            results = generate_scripts(self.model, prompts, settings, seeds)
        hop_samples = self.model.acoustic_tokenizer.hop_samples
        waveforms = [result.waveform for result in results]
        for row, waveform in enumerate(waveforms):
            if len(waveform) == 0:
                logger.warning(
                    "the model made no frame of speech: a frame of silence is given"
                )
                waveforms[row] = waveform.new_zeros(hop_samples)
        return waveforms
