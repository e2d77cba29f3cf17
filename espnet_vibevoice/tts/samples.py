"""Speech of the model in training: a few validation texts, to be listened to.

ESPnet calls its attention plots each epoch, in the first process; these samples take
their place. They draw nothing from the generators of the training.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from espnet2.torch_utils.device_funcs import to_device
from torch import Tensor

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.models.memory import autocast
from espnet_vibevoice.models.voice_prompt import VoicePrompt, build_voice_prompt
from espnet_vibevoice.tts.random_states import keep_random_states
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS
from espnet_vibevoice.tts.throughput import Batch

if TYPE_CHECKING:  # starting takes seconds less without it
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

SAMPLE_SEED = 0  # the same noise in each epoch: epochs compare


@dataclass(frozen=True)
class SampleWriter:
    """Where samples of an epoch go.

    Args:
        folder (Path): Gets ``epoch<N>/<utterance>.wav`` and ``.png``, and
            ``natural/<utterance>.wav``, the codec's own rendering.
        epoch (int): Epoch that has ended.
        fs (int): Sampling rate in Hz.
        summary_writer (SummaryWriter | None): TensorBoard, or none.
        use_wandb (bool): Whether a run of W&B is open.
    """

    folder: Path
    epoch: int
    fs: int
    summary_writer: "SummaryWriter | None" = None
    use_wandb: bool = False

    def write(self, utt_id: str, waveform: Tensor, natural: Tensor) -> None:
        """Write one sample and show it.

        Args:
            utt_id (str): Utterance id.
            waveform (Tensor): What the model said (T_wav,).
            natural (Tensor): What the codec makes of the recording (T_wav,).
        """
        # imported here: librosa takes seconds, and most runs start without samples
        from espnet_vibevoice.score.pictures import draw_mels

        name = utt_id.replace("/", "_")
        epoch_folder = self.folder / f"epoch{self.epoch}"
        recording = self.folder / "natural" / f"{name}.wav"
        sample = epoch_folder / f"{name}.wav"
        picture = epoch_folder / f"{name}.png"
        if not recording.is_file():
            write_wav(recording, natural.cpu().numpy(), self.fs)
        write_wav(sample, waveform.cpu().numpy(), self.fs)
        label = f"epoch {self.epoch}"
        draw_mels({"natural": recording, label: sample}, picture, name)
        self._show(name, waveform, picture)

    def _show(self, name: str, waveform: Tensor, picture: Path) -> None:
        if self.summary_writer is not None:
            import matplotlib.image

            pixels = matplotlib.image.imread(picture)  # (height, width, 4), 0 to 1
            peak = waveform.abs().max().clamp(min=1.0)
            self.summary_writer.add_audio(
                f"sample/{name}", waveform[None] / peak, self.epoch, self.fs
            )
            self.summary_writer.add_image(
                f"sample_mel/{name}", pixels[..., :3], self.epoch, dataformats="HWC"
            )
        if self.use_wandb:
            import wandb

            audio = wandb.Audio(waveform.cpu().numpy(), sample_rate=self.fs)
            image = wandb.Image(str(picture))
            wandb.log({f"sample/{name}": audio, f"sample_mel/{name}": image})


def is_sample_epoch(epoch: int, sample_interval: int, max_epoch: int) -> bool:
    """Tell whether samples are made after an epoch.

    Args:
        epoch (int): Epoch that has ended, from 1.
        sample_interval (int): Epochs from one set of samples to the next; 0: none.
        max_epoch (int): Last epoch, which gets samples in any case but that.
    """
    if sample_interval == 0:
        return False
    return epoch % sample_interval == 0 or epoch == max_epoch


@torch.no_grad()
def write_samples(
    tts: VibeVoiceRealtimeTTS, batches: Iterable[Batch], writer: SampleWriter
) -> None:
    """Speak the texts of some batches. An utterance that fails is logged by name.

    Args:
        tts (VibeVoiceRealtimeTTS): The model; it is left in evaluation mode.
        batches (Iterable): Ids and tensors of validation batches.
        writer (SampleWriter): Where samples go.
    """
    tts.eval()
    with keep_random_states():
        for utt_ids, batch in batches:
            for row, utt_id in enumerate(utt_ids):
                natural = _cut(batch, "speech", row)
                try:
                    waveform = _speak(tts, batch, row)
                except (RuntimeError, ValueError) as err:
                    logger.warning(
                        "%s: no sample of epoch %d: %s", utt_id, writer.epoch, err
                    )
                    continue
                device = tts.model.tts_input_types.weight.device
                codec = tts.model.acoustic_tokenizer
                writer.write(utt_id, waveform, codec.decode(to_device(natural, device)))


def _speak(tts: VibeVoiceRealtimeTTS, batch: dict[str, Tensor], row: int) -> Tensor:
    """Speak the text of a row with its voice prompt, (T_wav,)."""
    device = tts.model.tts_input_types.weight.device
    text = _cut(batch, "text", row).to(device)
    prompt = _read_prompt(tts, batch, row)
    return tts.inference(text, voice_prompt=prompt, seed=SAMPLE_SEED)["wav"]


def _read_prompt(
    tts: VibeVoiceRealtimeTTS, batch: dict[str, Tensor], row: int
) -> VoicePrompt | None:
    """Read the voice of a row; None leaves the choice to ``tts_conf``."""
    if "prompt_feats" not in batch or tts.voice_prompt is not None:
        return None
    latents, text = _cut(batch, "prompt_feats", row), _cut(batch, "prompt_text", row)
    if len(latents) == 0 or len(text) == 0:
        return None
    text_type = tts.loss_settings.prompt_text_type
    with autocast(tts.memory, tts.model.tts_input_types.weight.device):
        return build_voice_prompt(tts.model, latents, text, text_type)


def _cut(batch: dict[str, Tensor], name: str, row: int) -> Tensor:
    """Take a row without its padding."""
    return batch[name][row, : int(batch[f"{name}_lengths"][row])]
