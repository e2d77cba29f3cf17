"""Speaks the texts of one decoding job, some side by side.

What an utterance sounds like depends on its text and its seed alone, so neither the
batch, nor the order, nor the division into jobs matters. The longest texts go first,
beside others of their length: less is computed for nothing, and memory runs out at
once or not at all. An utterance that cannot be spoken is noted; the others go on.
"""

import datetime
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from espnet_vibevoice.errors import is_out_of_memory
from espnet_vibevoice.score.decoder_faults import describe_error, refuse_device_fault
from espnet_vibevoice.score.decoder_output import draw_probability, write_speech
from espnet_vibevoice.score.decoder_settings import DecoderSettings
from espnet_vibevoice.score.decoding_journal import (
    JOURNAL,
    DecodingRecord,
    append_records,
)
from espnet_vibevoice.synthesis.stopwatch import Stopwatch
from espnet_vibevoice.tts.family import VibeVoiceTTS

logger = logging.getLogger(__name__)

Outputs = list[dict[str, torch.Tensor]]


@dataclass
class Item:
    """One utterance on its way.

    Args:
        utt_id (str): Utterance id.
        ids (Tensor): Token ids, int64 (T_text,).
        seed (int): Seed of its noise.
        first_audio_sec (float | None): Time to its first audio, once measured.
    """

    utt_id: str
    ids: torch.Tensor
    seed: int
    first_audio_sec: float | None = None


class Decoder:
    """Decodes texts into a folder.

    Args:
        tts (VibeVoiceTTS): The model, in evaluation mode.
        encode (Callable): Makes token ids (T_text,) of utterance id and text.
        folder (Path): Gets ``wav/``, ``probs/`` and the journal.
        settings (DecoderSettings): How.

    Raises:
        FileNotFoundError: If there is no such voice.
        RuntimeError: If the base cannot read it.
        ValueError: If it is unusable, or an option is unknown or out of range.
    """

    def __init__(
        self,
        tts: VibeVoiceTTS,
        encode: Callable[[str, str], torch.Tensor],
        folder: Path,
        settings: DecoderSettings,
    ):
        self._tts = tts
        self._encode = encode
        self._folder = folder
        self._settings = settings
        self._size = settings.batch_size
        self._device = describe_device(tts.device)
        self._total = self._spoken = self._failed = 0
        with torch.no_grad():
            tts.check_decoding(settings.voice_prompt, settings.options)

    @torch.no_grad()
    def decode(self, texts: Mapping[str, str]) -> int:
        """Decode texts; see the module for their order.

        Args:
            texts (Mapping): Utterance id to text.

        Returns:
            int: How many could not be spoken.

        Raises:
            OSError: If a file cannot be written.
            RuntimeError: If the device fails.
        """
        self._total, self._spoken, self._failed = len(texts), 0, 0
        items = [one for pair in texts.items() if (one := self._prepare(*pair))]
        self._time_first_audio(items[: self._settings.num_timed], texts)
        items.sort(key=lambda item: (-len(item.ids), item.utt_id))
        left, start = deque(items), time.perf_counter()
        num_tokens = sum(len(item.ids) for item in items)
        num_left = num_tokens
        while left:
            group = [left.popleft() for _ in range(min(self._size, len(left)))]
            self._finish(group)
            num_left -= sum(len(item.ids) for item in group)
            elapsed_sec = time.perf_counter() - start
            left_sec = elapsed_sec * num_left / (num_tokens - num_left)
            logger.info(
                "%d/%d utterances, %d failed, %s used, about %s left",
                self._spoken + self._failed,
                self._total,
                self._failed,
                datetime.timedelta(seconds=round(elapsed_sec)),
                datetime.timedelta(seconds=round(left_sec)),
            )
        return self._failed

    def _prepare(self, utt_id: str, text: str) -> Item | None:
        """Make the token ids of a text; None, and noted, if there are none."""
        try:
            ids = self._encode(utt_id, text)
        except ValueError as err:
            self._note_failure(utt_id, describe_error(err))
            return None
        return Item(utt_id, ids, self._settings.find_seed(utt_id))

    def _time_first_audio(
        self, items: Sequence[Item], texts: Mapping[str, str]
    ) -> None:
        """Time the first audio of utterances alone; the first of them warms up."""
        for item in [*items[:1], *items]:
            watch = Stopwatch(self._tts.fs)
            try:
                ids = self._encode(item.utt_id, texts[item.utt_id])
                first = self._tts.speak_first_frame(
                    ids.to(self._tts.device),
                    item.seed,
                    self._settings.voice_prompt,
                    self._settings.options,
                )
                watch.add(first.cpu())  # waits for the device
            except (RuntimeError, ValueError, MemoryError) as err:
                refuse_device_fault(err)
                logger.info("%s: not timed: %s", item.utt_id, describe_error(err))
                continue
            item.first_audio_sec = watch.first_audio_sec

    def _finish(self, group: Sequence[Item]) -> None:
        """Speak utterances and write them; one by one if they fail together."""
        watch = Stopwatch(self._tts.fs)
        outputs, reason, is_memory = self._speak(group)
        if outputs is not None:
            for output in outputs:
                watch.add(output["wav"])
            self._write(group, outputs, watch)
        elif len(group) == 1:
            self._note_failure(group[0].utt_id, reason)
        else:
            if is_memory:  # later texts are shorter, but may be nearly as long
                self._size = max(1, self._size // 2)
            logger.warning(
                "%d utterances cannot be spoken side by side (%s): one by one now, "
                "%d side by side after them",
                len(group),
                reason,
                self._size,
            )
            for item in group:
                self._finish([item])

    def _speak(self, group: Sequence[Item]) -> tuple[Outputs | None, str, bool]:
        """Speak utterances.

        Returns:
            tuple: What was made, on the CPU, or None; then the reason, and whether
                it is lack of memory. The error itself is let go, for it would keep
                memory.
        """
        try:
            outputs = self._tts.speak_texts(
                [item.ids.to(self._tts.device) for item in group],
                [item.seed for item in group],
                self._settings.voice_prompt,
                self._settings.options,
            )
            return [_bring_back(output) for output in outputs], "", False
        except (RuntimeError, ValueError, MemoryError) as err:
            refuse_device_fault(err)
            reason, is_memory = describe_error(err), is_out_of_memory(err)
        if is_memory and self._tts.device.type == "cuda":
            torch.cuda.empty_cache()
        return None, reason, is_memory

    def _write(self, group: Sequence[Item], outputs: Outputs, watch: Stopwatch) -> None:
        """Note what was made, then write pictures and wavs, and log a line of each."""
        elapsed_sec, fs = watch.elapsed_sec, self._tts.fs
        records = []
        for item, output in zip(group, outputs, strict=True):
            audio_sec = len(output["wav"]) / fs
            records.append(
                DecodingRecord(
                    utterance=item.utt_id,
                    elapsed_sec=elapsed_sec * audio_sec / watch.audio_sec,
                    audio_sec=audio_sec,
                    first_audio_sec=item.first_audio_sec,
                    batch_size=self._settings.batch_size,
                    device=self._device,
                )
            )
        append_records(self._folder / JOURNAL, records)
        speed = watch.audio_sec * fs / elapsed_sec
        for item, output, record in zip(group, outputs, records, strict=True):
            if "prob" in output:
                picture = self._folder / "probs" / f"{item.utt_id}.png"
                draw_probability(picture, output["prob"].numpy(), item.utt_id)
            wav = self._folder / "wav" / f"{item.utt_id}.wav"
            write_speech(wav, output["wav"].numpy(), fs)
            self._spoken += 1
            logger.info("inference speed = %.1f points / sec.", speed)
            logger.info("%s %s", item.utt_id, describe_record(item, record))

    def _note_failure(self, utt_id: str, reason: str) -> None:
        """Note an utterance that cannot be spoken."""
        self._failed += 1
        logger.error("%s: cannot be spoken: %s", utt_id, reason)
        record = DecodingRecord(
            utterance=utt_id,
            reason=reason,
            batch_size=self._settings.batch_size,
            device=self._device,
        )
        append_records(self._folder / JOURNAL, [record])


def _bring_back(output: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Bring what was made to the CPU, in a precision that files know."""
    return {
        name: tensor.cpu() if tensor.dtype == torch.float64 else tensor.cpu().float()
        for name, tensor in output.items()
    }


def describe_record(item: Item, record: DecodingRecord) -> str:
    """Say how long an utterance is and how fast it was made."""
    line = (
        f"(size:{len(item.ids)}->{record.audio_sec:.2f} s), real-time factor "
        f"{record.elapsed_sec / record.audio_sec:.3f}"
    )
    if record.first_audio_sec is None:
        return line
    return f"{line}, first audio as a stream after {record.first_audio_sec:.3f} s"


def describe_device(device: torch.device) -> str:
    """Name a device: ``cpu, 4 threads`` or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
