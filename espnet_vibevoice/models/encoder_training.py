"""Train an acoustic encoder against a decoder that stays as it is.

For a base that was released without its encoder. Crops of speech are encoded, decoded
by the frozen decoder and compared with themselves as log-mel spectra at several
resolutions; gradients pass through the decoder. The prior term keeps the latents where
the base's scale and bias imply that they are: scaled, of mean 0 and deviation 1.

Everything random in a step follows from the seed and the step's number, so a training
that was killed and resumed equals an undisturbed one.
"""

import csv
import io
import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.encoder_file import save_encoder
from espnet_vibevoice.models.spectral import compute_log_mel_distance

logger = logging.getLogger(__name__)

LOG_INTERVAL_SEC = 10.0

DrawCrops = Callable[[int], Tensor]  # step to waveforms (B, T_wav)
History = list[dict[str, float]]


@dataclass(frozen=True)
class EncoderTrainingSettings:
    """How an encoder is trained.

    Args:
        max_steps (int): Steps in all.
        lr (float): Learning rate after warm-up; it falls to a tenth as a cosine.
        warmup_steps (int): Steps in which it rises from 0.
        weight_decay (float): Of AdamW.
        grad_clip (float): Largest norm of the gradient.
        prior_weight (float): Weight of the prior term.
        valid_interval (int): Steps between validations and checkpoints.
        seed (int): Seed of initial weights and crops.
    """

    max_steps: int = 100_000
    lr: float = 3e-4
    warmup_steps: int = 500
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    prior_weight: float = 0.1
    valid_interval: int = 1000
    seed: int = 0

    def compute_lr(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.max_steps - self.warmup_steps)
        return self.lr * (0.55 + 0.45 * math.cos(math.pi * done))


@dataclass
class EncoderTrainer:
    """Trains the encoder of a codec; the decoder gets no change.

    Args:
        codec (AcousticCodec): Codec with an encoder, on the device to train on.
        latent_scale (float): The base's scale of latents.
        latent_bias (float): The base's bias of latents.
        settings (EncoderTrainingSettings): How to train.
        out_dir (Path): Gets ``encoder.safetensors`` (best validation),
            ``checkpoint.pt``, ``validation.tsv`` and ``settings.json``.
        identity (dict): What the training depends on besides (base, data); a
            checkpoint of another identity is refused.

    Attributes:
        step (int): Steps done.
        history (list[dict]): One row per validation.
    """

    codec: AcousticCodec
    latent_scale: float
    latent_bias: float
    settings: EncoderTrainingSettings
    out_dir: Path
    identity: dict[str, str] = field(default_factory=dict)
    step: int = 0
    history: History = field(default_factory=list)

    def __post_init__(self):
        assert self.codec.encoder is not None
        self.codec.requires_grad_(False)
        self.codec.encoder.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self.codec.encoder.parameters(),
            lr=self.settings.lr,
            weight_decay=self.settings.weight_decay,
        )
        self._losses: list[float] = []  # since the last validation

    def compute_losses(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Encode, decode, compare.

        Args:
            waveforms (Tensor): Speech (B, T_wav), T_wav a multiple of the hop.

        Returns:
            tuple: Log-mel distance in nepers of power () and prior term ().
        """
        latents = self.codec.run_encoder(waveforms)
        decoded = self.codec.run_decoder(latents)
        fs = self.codec.sampling_rate
        distance = compute_log_mel_distance(decoded, waveforms, fs).mean()
        scaled = (latents + self.latent_bias) * self.latent_scale
        log_std = (scaled.std() + 1e-6).log()
        return distance, scaled.mean().square() + log_std.square()

    def train_step(self, waveforms: Tensor) -> float:
        """Do one step on a batch (B, T_wav); return its log-mel distance."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.compute_lr(self.step)
        distance, prior = self.compute_losses(waveforms)
        loss = distance + self.settings.prior_weight * prior
        if not torch.isfinite(loss):
            raise RuntimeError(
                f"step {self.step + 1}: the loss is {float(loss)}. Start again from "
                f"the best encoder in {self.out_dir} with a lower --lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            self.codec.encoder.parameters(), self.settings.grad_clip
        )
        self.optimizer.step()
        self.step += 1
        self._losses.append(float(distance.detach()))
        return self._losses[-1]

    @torch.no_grad()
    def validate(self, batches: list[Tensor]) -> dict[str, float]:
        """Measure on held-out crops, keep the row, save if it is the best.

        Args:
            batches (list[Tensor]): Speech, each (B, T_wav).

        Returns:
            dict: ``step``, ``train_loss``, ``valid_loss`` (log-mel distances in
            nepers, lower is better) and ``valid_prior``.
        """
        rows = [self.compute_losses(batch) for batch in batches]
        losses = self._losses or [math.nan]
        row = {
            "step": self.step,
            "train_loss": sum(losses) / len(losses),
            "valid_loss": sum(float(row[0]) for row in rows) / len(rows),
            "valid_prior": sum(float(row[1]) for row in rows) / len(rows),
        }
        best = min((old["valid_loss"] for old in self.history), default=math.inf)
        self.history.append(row)
        self._losses = []
        if row["valid_loss"] < best:
            save_encoder(self.codec, self.out_dir / "encoder.safetensors")
        self._write_history()
        self.save()
        return row

    def run(
        self,
        draw_crops: DrawCrops,
        valid_batches: list[Tensor],
        on_validation: Callable[[History], None],
    ) -> None:
        """Train until ``max_steps``, validating on the way; go on where it stopped.

        Args:
            draw_crops (Callable): Step, from 0, to waveforms (B, T_wav).
            valid_batches (list[Tensor]): Held-out speech, each (B, T_wav).
            on_validation (Callable): Gets the history after each validation.
        """
        if not self.history:
            self._tell(self.validate(valid_batches))
            on_validation(self.history)
        began, first, told = time.monotonic(), self.step, time.monotonic()
        while self.step < self.settings.max_steps:
            loss = self.train_step(draw_crops(self.step))
            now = time.monotonic()
            if now - told >= LOG_INTERVAL_SEC:
                told = now
                rate = (self.step - first) / (now - began)
                left = (self.settings.max_steps - self.step) / rate
                logger.info(
                    f"step {self.step}/{self.settings.max_steps}, loss {loss:.3f}, "
                    f"{rate:.2f} steps/s, {left / 60:.1f} min left"
                )
            is_last = self.step == self.settings.max_steps
            if is_last or self.step % self.settings.valid_interval == 0:
                self._tell(self.validate(valid_batches))
                on_validation(self.history)

    def save(self) -> None:
        """Write ``checkpoint.pt`` under a temporary name, then rename it."""
        path = self.out_dir / "checkpoint.pt"
        temporary = path.with_name(f".{path.name}.tmp")
        state = {
            "step": self.step,
            "history": self.history,
            "encoder": self.codec.encoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with explain_full_disk(path):
            torch.save(state, temporary)
            os.replace(temporary, path)

    def resume(self) -> bool:
        """Go back to ``checkpoint.pt`` if there is one; tell whether there was.

        Raises:
            ValueError: If the folder holds a training with other settings or data.
        """
        self.out_dir.mkdir(parents=True, exist_ok=True)
        settings = self.out_dir / "settings.json"
        wanted = {**asdict(self.settings), **self.identity}
        path = self.out_dir / "checkpoint.pt"
        if not path.is_file():
            write_text(settings, json.dumps(wanted, indent=2) + "\n")
            return False
        found = json.loads(settings.read_text(encoding="utf-8"))
        changed = [
            f"{key}: was {found.get(key)}, is {wanted.get(key)}"
            for key in sorted(found.keys() | wanted.keys())
            if found.get(key) != wanted.get(key)
        ]
        if changed:
            raise ValueError(
                f"{self.out_dir} holds a training of another kind ({'; '.join(changed)}"
                "). Give the options it was begun with, or another --out"
            )
        device = self.codec.decoder.head.conv.weight.device
        state = torch.load(path, map_location=device, weights_only=True)
        self.codec.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
        return True

    def _tell(self, row: dict[str, float]) -> None:
        start = self.history[0]["valid_loss"]
        logger.info(
            f"step {row['step']}: validation {row['valid_loss']:.4f} "
            f"({row['valid_loss'] / start:.0%} of its start), training "
            f"{row['train_loss']:.4f}, prior {row['valid_prior']:.4f}"
        )

    def _write_history(self) -> None:
        buffer = io.StringIO()
        writer = csv.DictWriter(
            buffer, list(self.history[0]), delimiter="\t", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(self.history)
        write_text(self.out_dir / "validation.tsv", buffer.getvalue())
