"""Diffusion over acoustic latents: schedule, training loss and guided sampler.

A latent x is mixed with noise e as ``alpha_t x + sigma_t e``; the head predicts the
velocity ``alpha_t e - sigma_t x`` (v-prediction, Salimans and Ho 2022, section 4).
The solver is that of diffusers with the settings of the original.
"""

from collections.abc import Sequence

import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor, nn


def build_solver(num_train_timesteps: int = 1000) -> DPMSolverMultistepScheduler:
    """Build the solver that the base was tuned for; other arguments change samples.

    Args:
        num_train_timesteps (int): Length of the schedule.
    """
    return DPMSolverMultistepScheduler(
        num_train_timesteps=num_train_timesteps,
        beta_schedule="squaredcos_cap_v2",  # the original calls it "cosine"
        prediction_type="v_prediction",
    )


class CosineSchedule(nn.Module):
    """The cosine noise schedule as two tables that follow the model's device.

    Args:
        num_train_timesteps (int): Length of the schedule.

    Attributes:
        alpha (Tensor): Share of the signal (num_train_timesteps,), float32.
        sigma (Tensor): Share of the noise (num_train_timesteps,), float32.
    """

    def __init__(self, num_train_timesteps: int = 1000):
        super().__init__()
        self.num_train_timesteps = num_train_timesteps
        with torch.device("cpu"):  # real tables even inside a meta-device context
            solver = build_solver(num_train_timesteps)
        self.register_buffer("alpha", solver.alpha_t.float(), persistent=False)
        self.register_buffer("sigma", solver.sigma_t.float(), persistent=False)

    def add_noise(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Mix latents with noise.

        diffusers' own ``add_noise`` uses the level of ``999 - t``: not to be used.

        Args:
            clean (Tensor): Latents (N, D).
            noise (Tensor): Standard normal noise (N, D).
            timesteps (Tensor): Integer timesteps (N,).

        Returns:
            Tensor: Noisy latents (N, D).
        """
        alpha, sigma = self.alpha[timesteps], self.sigma[timesteps]
        return alpha[:, None] * clean + sigma[:, None] * noise

    def velocity(self, clean: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Compute the training target; arguments as in `add_noise`.

        Returns:
            Tensor: Velocity (N, D).
        """
        alpha, sigma = self.alpha[timesteps], self.sigma[timesteps]
        return alpha[:, None] * noise - sigma[:, None] * clean

    def estimate_clean(
        self, noisy: Tensor, velocity: Tensor, timesteps: Tensor
    ) -> Tensor:
        """Undo `add_noise` in one step by the velocity.

        Args:
            noisy (Tensor): Noisy latents (N, D).
            velocity (Tensor): Their velocity, predicted or true (N, D).
            timesteps (Tensor): Integer timesteps (N,).

        Returns:
            Tensor: Latents (N, D); the clean ones if the velocity is true.
        """
        alpha, sigma = self.alpha[timesteps], self.sigma[timesteps]
        return alpha[:, None] * noisy - sigma[:, None] * velocity


def draw_noise(
    generators: Sequence[torch.Generator],
    frame_counts: Sequence[int],
    draws: int,
    dim: int,
    num_train_timesteps: int,
) -> tuple[Tensor, Tensor]:
    """Draw what the diffusion loss needs on the CPU, each row from its own source.

    Args:
        generators (Sequence[torch.Generator]): Source of each row, B.
        frame_counts (Sequence[int]): Frames of each row, together N.
        draws (int): Draws per frame, R.
        dim (int): Latent size, D.
        num_train_timesteps (int): Timesteps are uniform in [0, this).

    Returns:
        tuple[Tensor, Tensor]: Noise (N, R, D) and int64 timesteps (N, R), row after
            row.
    """
    rows = list(zip(generators, frame_counts, strict=True))
    noise = [torch.randn(n, draws, dim, generator=source) for source, n in rows]
    timesteps = [
        torch.randint(num_train_timesteps, (n, draws), generator=source)
        for source, n in rows
    ]
    return torch.cat(noise), torch.cat(timesteps)


def compute_diffusion_loss(
    head: nn.Module,
    schedule: CosineSchedule,
    condition: Tensor,
    latents: Tensor,
    noise: Tensor,
    timesteps: Tensor,
) -> Tensor:
    """Mean squared error of the velocity, averaged over draws and latent entries.

    Args:
        head (nn.Module): Diffusion head.
        schedule (CosineSchedule): Noise schedule.
        condition (Tensor): Hidden state before each frame (N, H).
        latents (Tensor): Scaled latents of the frames (N, D).
        noise (Tensor): Standard normal noise (N, R, D).
        timesteps (Tensor): Integer timesteps (N, R).

    Returns:
        Tensor: Loss of each frame (N,).
    """
    num_frames, draws, _ = noise.shape
    clean = latents.repeat_interleave(draws, dim=0)  # (N, D) -> (N * R, D)
    condition = condition.repeat_interleave(draws, dim=0)
    noise, timesteps = noise.flatten(0, 1), timesteps.flatten()
    noisy = schedule.add_noise(clean, noise, timesteps)
    # float32 timesteps: half precision would round integers above 256.
    predicted = head(noisy.to(condition.dtype), timesteps.float(), condition)
    target = schedule.velocity(clean, noise, timesteps)
    error = (predicted.float() - target).square().mean(dim=-1)  # (N * R,)
    return error.view(num_frames, draws).mean(dim=1)


class GuidedSampler:
    """Turns noise into latents under a condition, guided away from a negative one.

    Args:
        num_sampling_steps (int): Solver steps per frame; more is slower.
        cfg_scale (float): Guidance: 1 follows the condition alone, more presses
            harder towards it.
        num_train_timesteps (int): Length of the schedule.

    Raises:
        ValueError: If the number of steps is not in [1, num_train_timesteps].
    """

    def __init__(
        self,
        num_sampling_steps: int,
        cfg_scale: float,
        num_train_timesteps: int = 1000,
    ):
        if not 1 <= num_sampling_steps <= num_train_timesteps:
            raise ValueError(
                f"num_sampling_steps: got {num_sampling_steps}, wanted 1 to "
                f"{num_train_timesteps}. 5 to 20 is usual."
            )
        self.num_sampling_steps = num_sampling_steps
        self.cfg_scale = cfg_scale
        self.solver = build_solver(num_train_timesteps)

    def sample(
        self,
        head: nn.Module,
        condition: Tensor,
        negative_condition: Tensor | None,
        noise: Tensor,
    ) -> Tensor:
        """Denoise N latents.

        Args:
            head (nn.Module): Diffusion head.
            condition (Tensor): Hidden states to follow (N, H).
            negative_condition (Tensor | None): Hidden states of the other branch
                (N, H); None for no guidance, as with a ``cfg_scale`` of 1.
            noise (Tensor): Standard normal noise (N, D).

        Returns:
            Tensor: Scaled latents (N, D).
        """
        # Resets the solver's memory of the frame before.
        self.solver.set_timesteps(self.num_sampling_steps, device=noise.device)
        conditions = condition
        if negative_condition is not None:
            conditions = torch.cat([condition, negative_condition])  # (2N, H)
        copies = len(conditions) // len(condition)
        sample = noise.float()  # the solver works in float32 in every precision
        for timestep in self.solver.timesteps:
            timesteps = timestep.float().expand(len(conditions))
            velocity = head(
                sample.repeat(copies, 1).to(condition.dtype), timesteps, conditions
            ).float()
            if negative_condition is not None:
                followed, avoided = velocity.chunk(2)
                velocity = avoided + self.cfg_scale * (followed - avoided)
            sample = self.solver.step(velocity, timestep, sample).prev_sample
        return sample
