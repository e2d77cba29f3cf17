"""Where the training of an encoder starts: a given encoder, or fresh weights."""

import torch
from safetensors import safe_open
from torch import Tensor

from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.calibration import set_unit_gain
from espnet_vibevoice.models.checkpoint import choose_names, find_weights
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.encoder_file import Encoder, load_codec

# The released 1e-6 lets residual blocks wake up too slowly; much more drowns the rest.
SCRATCH_GAMMA = 0.01


def read_latent_scale(base: str) -> tuple[float, float]:
    """Read scale and bias of a base's latents.

    Args:
        base (str): Base, see `resolve_base`.

    Returns:
        tuple: Scale and bias, as in ``scaled = (latent + bias) * scale``.

    Raises:
        ValueError: If the base does not tell them.
    """
    folder = resolve_base(base)
    found = find_weights(folder)
    values = []
    for ours in ("speech_scaling_factor", "speech_bias_factor"):
        name = choose_names(found)(ours)
        if name not in found:
            raise ValueError(f"{folder}: has no {name}. Fetch the base again.")
        with safe_open(found[name], "pt") as weights:
            values.append(float(weights.get_tensor(name)))
    scale, bias = values
    if not (scale > 0 and torch.isfinite(torch.tensor(values)).all()):
        raise ValueError(
            f"{folder}: speech_scaling_factor is {scale} and speech_bias_factor is "
            f"{bias}: wanted finite values and a scale above 0. Fetch the base again."
        )
    return scale, bias


def load_codec_to_train(
    base: str, acoustic_encoder: str | None, from_scratch: bool
) -> tuple[AcousticCodec, bool]:
    """Load a base's decoder with the encoder that training starts from.

    Args:
        base (str): Base, see `resolve_base`.
        acoustic_encoder (str | None): Encoder to start from; None: the base's own.
        from_scratch (bool): Take fresh weights even if there is an encoder.

    Returns:
        tuple: The codec, and whether its encoder still has to be drawn by
        `init_encoder`.
    """
    codec = load_codec(base, acoustic_encoder=acoustic_encoder)
    is_fresh = from_scratch or not codec.has_encoder
    if not codec.has_encoder:
        codec.encoder = Encoder(load_config(resolve_base(base)).encoder)
    return codec, is_fresh


@torch.no_grad()
def init_encoder(
    codec: AcousticCodec,
    waveforms: Tensor,
    latent_scale: float,
    latent_bias: float,
    seed: int,
) -> None:
    """Draw the weights of an encoder that starts from scratch.

    Each layer keeps the strength of its input, and the last one gives latents of the
    mean and deviation that the base implies.

    Args:
        codec (AcousticCodec): Its encoder is changed in place; it may hold anything.
        waveforms (Tensor): Speech (B, T_wav) to measure on.
        latent_scale (float): The base's scale of latents.
        latent_bias (float): The base's bias of latents.
        seed (int): Seed of the weights.
    """
    set_unit_gain(codec.encoder, torch.Generator().manual_seed(seed))
    for name, parameter in codec.encoder.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(SCRATCH_GAMMA)
        elif name.endswith("norm.weight"):
            parameter.fill_(1.0)
    latents = codec.run_encoder(waveforms)
    head = codec.encoder.head.conv
    gain = 1.0 / (latent_scale * latents.std())
    head.weight.mul_(gain)
    head.bias.sub_(latents.mean()).mul_(gain).sub_(latent_bias)
