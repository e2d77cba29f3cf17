"""The networks of the multi-speaker family, written a second time and plainly.

Every part is a function of the weights under their names in the original checkpoint.
Nothing comes from the package or from transformers, nothing is cached, and a codec in
streaming is the codec run again from the start of its segment. On the weights of a
model of the original implementation it gives that model's numbers (README.md).
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Tensors = dict[str, Tensor]
CONNECTOR_EPS = 1e-6
FREQUENCIES = 128  # of the timestep's sinusoids, with periods up to this:
MAX_PERIOD = 10000


def apply_linear(weights: Tensors, name: str, values: Tensor) -> Tensor:
    """Apply a linear layer (..., in) -> (..., out); its bias may be absent."""
    return functional.linear(
        values, weights[f"{name}.weight"], weights.get(f"{name}.bias")
    )


def normalize(values: Tensor, eps: float, weight: Tensor | None = None) -> Tensor:
    """Divide by the root mean square of the last dimension."""
    values = values * torch.rsqrt(values.square().mean(-1, keepdim=True) + eps)
    return values if weight is None else weight * values


def encode(weights: Tensors, codec: str, eps: float, waveform: Tensor) -> Tensor:
    """Encode a waveform; every strided layer is padded on its right.

    Args:
        weights (Tensors): All weights.
        codec (str): ``model.acoustic_tokenizer`` or ``model.semantic_tokenizer``.
        eps (float): Of its norms.
        waveform (Tensor): Samples (T_wav,).

    Returns:
        Tensor: Means (T_lat, D).
    """
    hidden, layer = waveform[None, None], 0  # (1, C, T)
    while f"{codec}.encoder.downsample_layers.{layer}.0.conv.conv.weight" in weights:
        name = f"{codec}.encoder.downsample_layers.{layer}.0.conv.conv"
        stride = 1 if layer == 0 else weights[f"{name}.weight"].shape[-1] // 2
        missing = -hidden.shape[-1] % stride
        hidden = _convolve(
            weights, name, functional.pad(hidden, (0, missing)), stride=stride
        )
        hidden = _run_blocks(weights, f"{codec}.encoder.stages.{layer}", eps, hidden)
        layer += 1
    return _convolve(weights, f"{codec}.encoder.head.conv.conv", hidden)[0].T


def decode(weights: Tensors, codec: str, eps: float, latents: Tensor) -> Tensor:
    """Decode unscaled latents (T_lat, D) into samples (T_wav,)."""
    start = f"{codec}.decoder.upsample_layers"
    hidden = _convolve(weights, f"{start}.0.0.conv.conv", latents.T[None])
    hidden = _run_blocks(weights, f"{codec}.decoder.stages.0", eps, hidden)
    layer = 1
    while f"{start}.{layer}.0.convtr.convtr.weight" in weights:
        name = f"{start}.{layer}.0.convtr.convtr"
        kernel = weights[f"{name}.weight"].shape[-1]
        length = hidden.shape[-1] * (kernel // 2)
        hidden = functional.conv_transpose1d(
            hidden, weights[f"{name}.weight"], weights[f"{name}.bias"], kernel // 2
        )[..., :length]
        hidden = _run_blocks(weights, f"{codec}.decoder.stages.{layer}", eps, hidden)
        layer += 1
    return _convolve(weights, f"{codec}.decoder.head.conv.conv", hidden)[0, 0]


def _convolve(
    weights: Tensors, name: str, values: Tensor, stride: int = 1, groups: int = 1
) -> Tensor:
    """Convolve causally (1, C, T)."""
    weight = weights[f"{name}.weight"]
    padded = functional.pad(values, (weight.shape[-1] - stride, 0))
    return functional.conv1d(
        padded, weight, weights[f"{name}.bias"], stride, groups=groups
    )


def _run_blocks(weights: Tensors, stage: str, eps: float, hidden: Tensor) -> Tensor:
    """Run the blocks of one stage of a codec (1, C, T)."""
    index = 0
    while f"{stage}.{index}.gamma" in weights:
        name = f"{stage}.{index}"
        normed = normalize(hidden.transpose(1, 2), eps, weights[f"{name}.norm.weight"])
        mixed = _convolve(
            weights,
            f"{name}.mixer.conv.conv.conv",
            normed.transpose(1, 2),
            groups=hidden.shape[1],
        )
        hidden = hidden + mixed * weights[f"{name}.gamma"][:, None]
        inner = hidden.transpose(1, 2)
        inner = normalize(inner, eps, weights[f"{name}.ffn_norm.weight"])
        inner = functional.gelu(apply_linear(weights, f"{name}.ffn.linear1", inner))
        inner = apply_linear(weights, f"{name}.ffn.linear2", inner).transpose(1, 2)
        hidden = hidden + inner * weights[f"{name}.ffn_gamma"][:, None]
        index += 1
    return hidden


def connect(weights: Tensors, kind: str, features: Tensor) -> Tensor:
    """Apply the ``acoustic`` or ``semantic`` connector (..., D) -> (..., H)."""
    name = f"model.{kind}_connector"
    hidden = apply_linear(weights, f"{name}.fc1", features)
    hidden = normalize(hidden, CONNECTOR_EPS, weights[f"{name}.norm.weight"])
    return apply_linear(weights, f"{name}.fc2", hidden)


def run_head(
    weights: Tensors, eps: float, noisy: Tensor, timesteps: Tensor, condition: Tensor
) -> Tensor:
    """Predict the velocity.

    Args:
        weights (Tensors): All weights.
        eps (float): Of its norms.
        noisy (Tensor): Noisy latents (N, D).
        timesteps (Tensor): (N,).
        condition (Tensor): Hidden states (N, H).

    Returns:
        Tensor: Velocity (N, D).
    """
    head = "model.prediction_head"
    falling = torch.arange(FREQUENCIES, dtype=torch.float32) / FREQUENCIES
    angles = timesteps[:, None].float() * torch.exp(-math.log(MAX_PERIOD) * falling)
    time = torch.cat([angles.cos(), angles.sin()], dim=-1).to(condition)
    time = functional.silu(apply_linear(weights, f"{head}.t_embedder.mlp.0", time))
    time = apply_linear(weights, f"{head}.t_embedder.mlp.2", time)
    control = apply_linear(weights, f"{head}.cond_proj", condition) + time
    control = functional.silu(control)
    hidden = apply_linear(weights, f"{head}.noisy_images_proj", noisy)
    index = 0
    while f"{head}.layers.{index}.norm.weight" in weights:
        name = f"{head}.layers.{index}"
        modulation = apply_linear(weights, f"{name}.adaLN_modulation.1", control)
        shift, scale, gate = modulation.chunk(3, dim=-1)
        normed = normalize(hidden, eps, weights[f"{name}.norm.weight"])
        inner = _run_gated(weights, f"{name}.ffn", normed * (1 + scale) + shift)
        hidden = hidden + gate * inner
        index += 1
    modulation = apply_linear(
        weights, f"{head}.final_layer.adaLN_modulation.1", control
    )
    shift, scale = modulation.chunk(2, dim=-1)
    hidden = normalize(hidden, eps) * (1 + scale) + shift
    return apply_linear(weights, f"{head}.final_layer.linear", hidden)


def _run_gated(weights: Tensors, name: str, hidden: Tensor) -> Tensor:
    """Run a gated two-layer network (..., H)."""
    gate = functional.silu(apply_linear(weights, f"{name}.gate_proj", hidden))
    inner = gate * apply_linear(weights, f"{name}.up_proj", hidden)
    return apply_linear(weights, f"{name}.down_proj", inner)


def run_backbone(
    weights: Tensors,
    sizes: dict[str, Any],
    inputs: Tensor,
    attention_mask: Tensor | None = None,
) -> Tensor:
    """Run the language model.

    Args:
        weights (Tensors): All weights.
        sizes (dict): ``decoder_config`` of the original configuration.
        inputs (Tensor): Vectors of the positions (B, T, H).
        attention_mask (Tensor | None): 1 for what may be looked at (B, T).

    Returns:
        Tensor: Hidden states after the last norm (B, T, H).
    """
    length, eps = inputs.shape[1], sizes["rms_norm_eps"]
    visible = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
    if attention_mask is not None:
        visible = visible & (attention_mask[:, None, None] == 1)  # (B, 1, T, T)
    hidden = inputs
    for layer in range(sizes["num_hidden_layers"]):
        name = f"model.language_model.layers.{layer}"
        normed = normalize(hidden, eps, weights[f"{name}.input_layernorm.weight"])
        hidden = hidden + _attend(weights, f"{name}.self_attn", sizes, normed, visible)
        after = weights[f"{name}.post_attention_layernorm.weight"]
        hidden = hidden + _run_gated(
            weights, f"{name}.mlp", normalize(hidden, eps, after)
        )
    return normalize(hidden, eps, weights["model.language_model.norm.weight"])


def _attend(
    weights: Tensors, name: str, sizes: dict[str, Any], hidden: Tensor, visible: Tensor
) -> Tensor:
    """Attend with rotated keys and queries that share key heads in groups."""
    heads, groups = sizes["num_attention_heads"], sizes["num_key_value_heads"]
    query, keys, values = (
        apply_linear(weights, f"{name}.{kind}_proj", hidden)
        .unflatten(-1, (count, -1))
        .transpose(1, 2)  # (B, T, count * dim) -> (B, count, T, dim)
        for kind, count in (("q", heads), ("k", groups), ("v", groups))
    )
    query, keys = (_rotate(part, sizes["rope_theta"]) for part in (query, keys))
    keys, values = (
        part.repeat_interleave(heads // groups, dim=1) for part in (keys, values)
    )
    scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1])
    shares = scores.masked_fill(~visible, -math.inf).softmax(-1)
    mixed = (shares @ values).transpose(1, 2).flatten(-2)
    return apply_linear(weights, f"{name}.o_proj", mixed)


def _rotate(vectors: Tensor, theta: float) -> Tensor:
    """Rotate the halves of each vector (B, heads, T, dim) by its position."""
    length, dim = vectors.shape[-2:]
    speeds = theta ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * speeds
    cosine, sine = angles.cos().to(vectors), angles.sin().to(vectors)
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat(
        [first * cosine - second * sine, second * cosine + first * sine], dim=-1
    )


def compute_logits(weights: Tensors, hidden: Tensor) -> Tensor:
    """Score every token (..., H) -> (..., V); tied if there is no table of its own."""
    embedding = weights["model.language_model.embed_tokens.weight"]
    return hidden @ weights.get("lm_head.weight", embedding).T
