"""What both families of VibeVoice share as ESPnet sees them.

The base is named, not copied: it is loaded, frozen but for what the plan trains, and a
checkpoint holds the trained parameters only.
"""

import argparse
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet2.tts.abs_tts import AbsTTS
from torch import nn

from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.strategies import TrainingPlan
from espnet_vibevoice.adapters.summary import count_parameters, tabulate_training
from espnet_vibevoice.models.batch import seed_rows
from espnet_vibevoice.models.fingerprint import check_fingerprint
from espnet_vibevoice.models.memory import (
    MemorySettings,
    enable_checkpointing,
    prepare_memory,
)
from espnet_vibevoice.tts.checkpoint import keep_trained_parameters_only
from espnet_vibevoice.tts.ema import TrainedAverage
from espnet_vibevoice.tts.preprocessor import VibeVoicePreprocessor

logger = logging.getLogger(__name__)

VALIDATION_SEED = 0


class VibeVoiceTTS(AbsTTS):
    """A base with a plan: strategy, LoRA, memory, averaged weights, checkpoints.

    A family adds the flat keywords of ``tts_conf``, ``forward`` and ``inference``.

    Args:
        model (nn.Module): The base as it was loaded, in float32.
        plan (TrainingPlan): What is trained of it.
        memory (MemorySettings): How it is kept in memory.
        base (str): Where it came from.
        base_fingerprint (str | None): What its weights must be, see
            `models.fingerprint`; None: whatever they are.
        ema_decay (float): Decay of the average of trained weights that validation,
            checkpoints and decoding take; 0: none.
        voice_prompt (str | Sequence[str] | None): File with the voice to decode with;
            of several speakers, one each.

    Attributes:
        preprocessor_class (type): What prepares the family's data.
        base_fingerprint (str): Fingerprint of the base's weights.
        ema (TrainedAverage | None): The average, where there is one.

    Raises:
        ValueError: If the plan, memory or fingerprint do not fit the base.
    """

    preprocessor_class: type[VibeVoicePreprocessor] = VibeVoicePreprocessor
    spks = None
    langs = None
    spk_embed_dim = None

    def __init__(
        self,
        model: nn.Module,
        plan: TrainingPlan,
        memory: MemorySettings,
        *,
        base: str,
        base_fingerprint: str | None,
        ema_decay: float,
        voice_prompt: str | Sequence[str] | None,
    ):
        super().__init__()
        # 1. Base
        self.model = model
        self.fs = model.acoustic_tokenizer.sampling_rate
        self.base_fingerprint = check_fingerprint(base, base_fingerprint)
        # 2. What is trained, and how the rest is kept
        self.plan = plan
        self.memory = memory
        totals = count_parameters(model)
        prepare_memory(model, plan, memory)
        apply_plan(model, plan)
        enable_checkpointing(model, memory)
        table = tabulate_training(model, plan, totals)
        logger.info("what is trained of %s:\n%s", base, table)
        # 3. Checkpoints and averaged weights
        self.ema = TrainedAverage(self, ema_decay) if ema_decay else None
        keep_trained_parameters_only(self, self.base_fingerprint, self.ema)
        # 4. Voices and random draws
        self.voice_prompt = voice_prompt
        self.register_load_state_dict_post_hook(_forget_voices)
        self._epoch_seed: int | None = None
        self._step = 0

    @property
    def require_vocoder(self) -> bool:
        """Whether ESPnet has to make the waveform: no, the codec does."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.speech_scaling_factor.device

    @abstractmethod
    def forget_voices(self) -> None:
        """Forget what was read of voices with weights that may change."""

    @abstractmethod
    def check_decoding(
        self, voice_prompt: str | Sequence[str] | None, options: Mapping[str, Any]
    ) -> None:
        """Read the voice and check the options that texts are to be spoken with.

        Args:
            voice_prompt (str | Sequence[str] | None): Voice, or one of each speaker, in
                place of that of ``tts_conf``.
            options (Mapping): As ``inference`` takes them.

        Raises:
            FileNotFoundError: If there is no such voice.
            RuntimeError: If the base cannot read it.
            ValueError: If it is unusable, or an option is unknown or out of range.
        """

    @abstractmethod
    def speak_texts(
        self,
        texts: Sequence[torch.Tensor],
        seeds: Sequence[int],
        voice_prompt: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> list[dict[str, torch.Tensor]]:
        """Speak several texts side by side.

        Each sounds as by ``inference`` with its seed: exactly so if it is the only
        one, up to rounding among others.

        Args:
            texts (Sequence[Tensor]): Token ids of each (T_text,).
            seeds (Sequence[int]): Seed of the noise of each.
            voice_prompt (Any): Voice of all, as ``inference`` takes it.
            options (Mapping | None): Likewise.

        Returns:
            list[dict]: What ``inference`` returns of each.

        Raises:
            RuntimeError: If the model makes values that are not finite.
            ValueError: If a text cannot be spoken, see ``inference``.
        """

    @abstractmethod
    def speak_first_frame(
        self,
        text: torch.Tensor,
        seed: int,
        voice_prompt: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """Speak a text as a stream and stop at its first frame, to time it.

        Args:
            text (Tensor): Token ids (T_text,).
            seed (int): Seed of the noise.
            voice_prompt (Any): Voice, as ``inference`` takes it.
            options (Mapping | None): Likewise.

        Returns:
            Tensor: Samples of the frame (hop_samples,); (0,) if the model says nothing.

        Raises:
            RuntimeError: If the model makes values that are not finite.
            ValueError: If the text cannot be spoken.
        """

    @abstractmethod
    def speak_row(self, row: Mapping[str, torch.Tensor], seed: int) -> torch.Tensor:
        """Speak the text of a training or validation row.

        The voice is that of ``tts_conf``, else the row's own.

        Args:
            row (Mapping): What `forward` takes, of one utterance, without lengths.
            seed (int): Seed of the noise.

        Returns:
            Tensor: Waveform (T_wav,).
        """

    def train(self, mode: bool = True) -> "VibeVoiceTTS":
        """Set the mode of the trained parts; frozen ones stay in evaluation mode.

        Evaluation is done with the averaged weights where there are any.

        Args:
            mode (bool): Whether to train.
        """
        super().train(mode)
        self.forget_voices()
        for part, module in self.model.named_children():
            if part not in self.plan.parts:
                module.eval()
        if self.ema is not None and mode:
            self.ema.leave_evaluation()
        elif self.ema is not None:
            self.ema.enter_evaluation()
        return self

    def start_epoch(self, seed: int) -> None:
        """Have the training steps that follow draw from a seed of this epoch.

        Args:
            seed (int): Seed; with it, the number of the step and the utterance's id
                each row gets the same draws in any run and with any batch neighbours.
        """
        self._epoch_seed = seed
        self._step = 0

    def draw_row_seeds(self, utt_ids: Sequence[str] | None) -> torch.Tensor | None:
        """Give each row of a batch its seed, and count the training step.

        Args:
            utt_ids (Sequence[str] | None): Utterance of each row.

        Returns:
            Tensor | None: Seeds, int64 (B,); in validation always the same. None
                without ids, or in training that no `start_epoch` has begun.
        """
        if utt_ids is None:
            return None
        if not self.training:
            return seed_rows(utt_ids, VALIDATION_SEED, 0)
        if self._epoch_seed is None:
            return None
        step, self._step = self._step, self._step + 1
        return seed_rows(utt_ids, self._epoch_seed, step)

    def check_sizes(self, idim: int, odim: int, base: str) -> None:
        """Raise ValueError if the data are another base's.

        Args:
            idim (int): Tokens of the token list.
            odim (int): Dimensions of the latents, D_ac.
            base (str): The base, for the message.
        """
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


def refuse_espnet_adapter(args: argparse.Namespace) -> None:
    """Raise ValueError if ESPnet's own adapter is asked for.

    Args:
        args (Namespace): Options of the training.
    """
    if args.use_adapter:
        raise ValueError(
            "--use_adapter true: ESPnet's adapter replaces layers by name anywhere in "
            "the model, in the codec too. Leave it out and choose LoRA by tts_conf: "
            "{strategy: lora}, see conf/realtime_lora.yaml."
        )


def _forget_voices(tts: VibeVoiceTTS, incompatible_keys: object) -> None:
    """Have voices read again once other weights have been loaded."""
    tts.forget_voices()
