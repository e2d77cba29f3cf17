"""Recompute the training outputs of a multi-speaker folder from its segments.

The batch of the folder has its voices and targets in one list of segments; the package
takes them by rows, so they are brought into its form first.
"""

from dataclasses import dataclass, replace

import torch
from multispeaker_settings import GRADIENT_PREFIX, MultispeakerSettings
from parity_folder import Tensors
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.diffusion import compute_diffusion_loss
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_draws import LatentNoise, add_latent_noise
from espnet_vibevoice.models.multispeaker_losses import (
    MultispeakerLosses,
    MultispeakerLossSettings,
    compute_losses,
    weigh_labels,
)
from espnet_vibevoice.models.multispeaker_sequence import (
    MultispeakerBatch,
    TrainingSequence,
    build_sequence,
)
from espnet_vibevoice.models.sequence import gather_positions
from espnet_vibevoice.models.weight_names import original_name

IGNORED = -100


@dataclass(frozen=True)
class TrainingPass:
    """The training batch of a folder under given segments.

    Args:
        model (MultispeakerModel): The model.
        inputs (Tensors): Inputs.
        settings (MultispeakerSettings): Ids, draws per frame, which logits are kept.
        mean (Tensor): Acoustic means of the segments (S, T_lat, D).
        semantic (Tensor): Semantic features of the segments (S, T_lat, D_sem).
    """

    model: MultispeakerModel
    inputs: Tensors
    settings: MultispeakerSettings
    mean: Tensor
    semantic: Tensor

    def given(self, name: str) -> Tensor:
        """Pick an input of ``train``."""
        return self.inputs[f"train.{name}"]

    @property
    def noise(self) -> Tensor:
        """Noise of the segments in units of the codec's deviation (S, T_lat, D)."""
        draws = self.given("rand.vae_std_draw")[:, None, None]
        return draws * self.given("rand.vae_noise")

    @property
    def features(self) -> Tensor:
        """Scaled latents of the segments, padding included (S, T_lat, D)."""
        rows = torch.zeros(len(self.mean), dtype=torch.long)
        batch = MultispeakerBatch(rows[:, None], rows, self.mean, self.semantic, rows)
        std = self.model.config.latent_std
        drawn = add_latent_noise(batch, LatentNoise(self.noise), std)
        return self.model.scale_latents(drawn.latents)

    @property
    def batch(self) -> MultispeakerBatch:
        """The batch in the package's form, with means for latents."""
        targets, voices = self.arrange(self.mean)
        features, heard = self.arrange(self.semantic)
        loss_mask = self.given("acoustic_loss_mask")
        first = loss_mask.int().argmax(1)
        num_frames = loss_mask.sum(1)
        num_heard = self.given("acoustic_input_mask").sum(1) - num_frames
        return MultispeakerBatch(
            prompt=self.given("input_ids")[:, : int(first.max())],
            prompt_lengths=first,
            latents=targets,
            semantic=features,
            latents_lengths=num_frames,
            voice_latents=voices,
            voice_lengths=None if voices is None else num_heard,
            voice_semantic=heard,
        )

    @property
    def latent_noise(self) -> LatentNoise:
        """The noise of `batch`."""
        return LatentNoise(*self.arrange(self.noise))

    def arrange(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring values of the segments into rows.

        Args:
            values (Tensor): Values (S, T_lat, D).

        Returns:
            tuple[Tensor, Tensor | None]: Those of targets (B, T_lat, D), and of each
                row's voices one behind the other (B, T_voice, D); None without voices.
        """
        real = self.given("speech_masks")
        learnt = self.given("speeches_loss_input")[real]  # (N,)
        counts = self.given("acoustic_input_mask").sum(1).tolist()
        rows = zip(values[real].split(counts), learnt.split(counts), strict=True)
        pairs = [(row[mask], row[~mask]) for row, mask in rows]
        targets, voices = (
            pad_sequence(list(part), batch_first=True)
            for part in zip(*pairs, strict=True)
        )
        return targets, voices if voices.shape[1] else None

    @property
    def loss_settings(self) -> MultispeakerLossSettings:
        """Both losses of the folder with weight 1, and nothing else."""
        ids, mask = self.given("input_ids"), self.given("attention_mask") == 1
        last = ids.gather(1, mask.sum(1, keepdim=True) - 1)
        return MultispeakerLossSettings(
            ddpm_batch_mul=self.settings.ddpm_batch_mul,
            uncond_rate=0.0,
            append_end_of_text=bool((last == self.settings.eos_id).all()),
            diffusion_weight=1.0,
            token_weight=1.0,
            text_token_weight=1.0,
            stop_weight=0.0,
        )

    @property
    def draws(self) -> dict[str, Tensor]:
        """Recorded noise (N, R, D) and timesteps (N, R) of the diffusion loss."""
        shape = (-1, self.settings.ddpm_batch_mul)
        return {
            "noise": self.given("rand.diffusion_noise").unflatten(0, shape),
            "timesteps": self.given("rand.timesteps").unflatten(0, shape),
        }

    def compute_losses(self) -> MultispeakerLosses:
        """Compute the losses with the recorded draws."""
        return compute_losses(
            self.model,
            self.batch,
            self.loss_settings,
            latent_noise=self.latent_noise,
            uncond_rows=torch.zeros(len(self.given("input_ids")), dtype=torch.bool),
            **self.draws,
        )

    def lay_out(self) -> tuple[TrainingSequence, MultispeakerBatch]:
        """Lay the batch out; also return it with drawn latents."""
        std = self.model.config.latent_std
        drawn = add_latent_noise(self.batch, self.latent_noise, std)
        sequence = build_sequence(
            drawn,
            self.model.get_tokens(),
            append_end_of_text=self.loss_settings.append_end_of_text,
        )
        return sequence, drawn

    def embed(self) -> Tensor:
        """Make the vectors of all positions; those of padding as the folder has it."""
        sequence, drawn = self.lay_out()
        padded = replace(sequence, ids=self.given("input_ids"))
        return self.model.embed_batch(padded, drawn)

    def run(self, inputs_embeds: Tensor) -> Tensor:
        """Run the language model (B, T_seq, H).

        The package lets padding see what it likes, because nobody reads it; the
        folder's padding saw no other padding.
        """
        mask = self.given("attention_mask")
        masked = self.model.language_model(
            inputs_embeds=inputs_embeds, attention_mask=mask, use_cache=False
        ).last_hidden_state
        hidden = self.model.run_sequence(inputs_embeds)
        return torch.where(mask[..., None] == 1, hidden, masked)

    def compute_few(self, name: str) -> Tensors:
        """Compute what is kept of the variants."""
        losses = self.compute_losses()
        return {
            f"{name}.ce_loss": losses.token_loss,
            f"{name}.diffusion_loss": losses.diffusion_loss,
            f"{name}.hidden_states": self.run(self.embed()),
        }

    def compute_all(self) -> Tensors:
        """Compute ``train``, without gradients."""
        inputs_embeds = self.embed()
        hidden = self.run(inputs_embeds)
        sequence, drawn = self.lay_out()
        features = self.features
        scaled = self.model.scale_latents(drawn.latents)[sequence.frame_taken]
        example, last = self.settings.logits_of_example
        logits = self.model.compute_logits(hidden[example, -last:])
        is_label = weigh_labels(sequence, self.model.get_tokens(), 1.0) > 0
        outputs = {
            "acoustic_mean": self.mean,
            "speech_semantic_tensors": self.semantic,
            "speech_all_features": features,
            "speech_all_connect_features": self.model.embed_frames(features),
            "speech_features": scaled,
            "speech_connect_features": self.model.embed_frames(scaled),
            "inputs_embeds": inputs_embeds,
            f"logits_example{example}_last{last}": logits,
            "ce_labels": torch.where(is_label, sequence.next_ids, IGNORED)[:, :-1],
            **self._diffuse(sequence, hidden, scaled),
        }
        outputs = {f"train.{key}": value for key, value in outputs.items()}
        return outputs | self.compute_few("train")

    def _diffuse(
        self, sequence: TrainingSequence, hidden: Tensor, scaled: Tensor
    ) -> Tensors:
        """Compute what goes into the diffusion loss, and its other form."""
        repeats, schedule = self.settings.ddpm_batch_mul, self.model.schedule
        conditions = gather_positions(hidden, sequence.condition_positions)
        conditions = conditions[sequence.frame_taken].repeat_interleave(repeats, dim=0)
        timesteps = self.given("rand.timesteps")
        mixed = (
            scaled.repeat_interleave(repeats, dim=0),
            self.given("rand.diffusion_noise"),
            timesteps,
        )
        noisy = schedule.add_noise(*mixed)
        head = self.model.prediction_head
        unshifted = compute_diffusion_loss(
            head, schedule, hidden[sequence.frame_mask], scaled, **self.draws
        )
        return {
            "head_condition": conditions,
            "noisy_speech_features": noisy,
            "velocity_target": schedule.velocity(*mixed),
            "head_output": head(noisy, timesteps.float(), conditions),
            "diffusion_loss_unshifted_sum_over_frames": unshifted.sum(),
        }


def compute_gradient_norms(training: TrainingPass) -> Tensors:
    """Compute ``train.grad_norm``: norms of the gradients of the sum of both losses."""
    names = training.settings.gradient_names
    weights = {
        original_name(name): weight
        for name, weight in training.model.named_parameters()
    }
    known = [name for name in names if name in weights]
    with torch.enable_grad():
        loss = training.compute_losses().loss
        gradients = torch.autograd.grad(loss, [weights[name] for name in known])
    return {
        GRADIENT_PREFIX + name: gradient.norm()
        for name, gradient in zip(known, gradients, strict=True)
    }
