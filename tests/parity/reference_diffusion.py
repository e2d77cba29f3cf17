"""Noise levels and the solver of the diffusion, written a second time and plainly.

DPM-Solver++ of order two in its midpoint form (Lu et al. 2022, algorithm 2) on evenly
spaced timesteps of the cosine schedule, the last step to zero noise of order one.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

MAX_BETA = 0.999


def compute_levels(num_timesteps: int) -> tuple[Tensor, Tensor]:
    """Tabulate the shares of signal and noise.

    Args:
        num_timesteps (int): Length of the schedule, T.

    Returns:
        tuple[Tensor, Tensor]: alpha and sigma, float64 (T,) each.
    """
    edges = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
    bars = torch.cos((edges + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = (1 - bars[1:] / bars[:-1]).clamp(max=MAX_BETA)
    # The original's tables are float32; its betas are rounded before the product.
    remaining = (1 - betas.float()).cumprod(0).double()
    return remaining.sqrt(), (1 - remaining).sqrt()


def mix(
    clean: Tensor, noise: Tensor, timesteps: Tensor, num_timesteps: int
) -> tuple[Tensor, Tensor]:
    """Mix latents (N, D) with noise (N, D) at timesteps (N,).

    Returns:
        tuple[Tensor, Tensor]: Noisy latents and target velocity, (N, D) each.
    """
    alpha, sigma = (
        table[timesteps, None].to(clean) for table in compute_levels(num_timesteps)
    )
    return alpha * clean + sigma * noise, alpha * noise - sigma * clean


def sample(
    predict: Callable[[Tensor, float], Tensor],
    noise: Tensor,
    num_steps: int,
    num_timesteps: int,
) -> Tensor:
    """Turn noise into latents.

    Args:
        predict (Callable): Velocity (N, D) of a sample (N, D) at a timestep.
        noise (Tensor): Standard normal noise (N, D).
        num_steps (int): Solver steps.
        num_timesteps (int): Length of the schedule.

    Returns:
        Tensor: Latents (N, D).
    """
    spaced = torch.linspace(0, num_timesteps - 1, num_steps + 1, dtype=torch.float64)
    timesteps = spaced.round().long().flip(0)[:-1]
    alpha, sigma = (table[timesteps] for table in compute_levels(num_timesteps))
    alpha = torch.cat([alpha, torch.ones(1, dtype=alpha.dtype)]).tolist()
    sigma = torch.cat([sigma, torch.zeros(1, dtype=sigma.dtype)]).tolist()
    latents, before = noise, None
    for step, timestep in enumerate(timesteps.tolist()):
        clean = alpha[step] * latents - sigma[step] * predict(latents, float(timestep))
        if step + 1 == num_steps:
            return clean
        reached = _log_ratio(alpha, sigma, step + 1)
        width = reached - _log_ratio(alpha, sigma, step)
        share = alpha[step + 1] * math.expm1(-width)
        latents = sigma[step + 1] / sigma[step] * latents - share * clean
        if before is not None:
            last = _log_ratio(alpha, sigma, step) - _log_ratio(alpha, sigma, step - 1)
            latents = latents - 0.5 * share * (clean - before) * width / last
        before = clean
    raise ValueError(f"num_steps: got {num_steps}, wanted at least 1.")


def _log_ratio(alpha: list[float], sigma: list[float], step: int) -> float:
    """Logarithm of signal over noise."""
    return math.log(alpha[step] / sigma[step])
