"""Every output of a multi-speaker folder, computed by `ReferenceModel`."""

from dataclasses import replace

import torch
from multispeaker_settings import MultispeakerSettings
from reference_generation import generate
from reference_model import ReferenceModel
from reference_parts import Tensors
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

IGNORED = -100


def compute_reference_outputs(
    model: ReferenceModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute all outputs.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Input tensors; others are not looked at.
        settings (MultispeakerSettings): Ids, guidance, which outputs are kept.

    Returns:
        Tensors: Output of each key.
    """
    with torch.no_grad():
        semantic = encode_segments(model, inputs, is_padded=False)[1]
        silent = train(model, inputs, settings, semantic=torch.zeros_like(semantic))
        padded = train(model, inputs, settings, is_padded=True)
        real = train(model, inputs, settings)
        outputs = {
            **compute_modules(model, inputs, settings),
            **{f"train.{name}": value for name, value in real.items()},
            **{f"train_zero_semantic.{k}": silent[k] for k in _KEPT},
            **{f"train_x3200.{k}": padded[k] for k in (*_KEPT, *_KEPT_FEATURES)},
            **generate(model, inputs, settings),
        }
    del outputs["gen.inputs"]
    return outputs | compute_gradient_norms(model, inputs, settings)


_KEPT = ("ce_loss", "diffusion_loss", "hidden_states")
_KEPT_FEATURES = ("speech_all_features", "speech_semantic_tensors")


def compute_modules(
    model: ReferenceModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute ``codec``, ``head``, ``connector`` and ``lm``."""
    waveform = inputs["codec.waveform"]
    padded = functional.pad(waveform, (0, -len(waveform) % model.hop_samples))
    hidden = model.run_backbone(model.embed(inputs["lm.input_ids"]))
    outputs = {
        "codec.decode_audio": model.decode(inputs["codec.decode_latents"][0])[
            None, None
        ],
        "head.output": model.run_head(
            inputs["head.noisy"], inputs["head.timesteps"], inputs["head.condition"]
        ),
        "lm.last_hidden_state": hidden,
        f"lm.logits_last{settings.num_logits}": model.compute_logits(
            hidden[:, -settings.num_logits :]
        ),
    }
    for kind in ("acoustic", "semantic"):
        outputs[f"codec.{kind}_mean"] = model.encode(kind, waveform)[None]
        outputs[f"codec.{kind}_mean_zero_padded"] = model.encode(kind, padded)[None]
        outputs[f"connector.{kind}_out"] = model.connect(
            kind, inputs[f"connector.{kind}_in"]
        )
    return outputs


def encode_segments(
    model: ReferenceModel, inputs: Tensors, is_padded: bool
) -> tuple[Tensor, Tensor]:
    """Encode the segments of the batch.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Inputs.
        is_padded (bool): Whether waveforms are first padded to whole frames.

    Returns:
        tuple[Tensor, Tensor]: Acoustic means (S, T_lat, D_ac), of segments padded to
            one length with silence; semantic means (S, T_lat, D_sem), each of the
            segment alone, with zero rows behind it.
    """
    hop = model.hop_samples if is_padded else 1
    segments = inputs["train.speech_tensors"]
    segments = functional.pad(segments, (0, -segments.shape[1] % hop))
    acoustic = torch.stack([model.encode("acoustic", segment) for segment in segments])
    lengths = inputs["train.segment_num_samples"].tolist()
    semantic = [
        model.encode("semantic", segment[: -(-length // hop) * hop])
        for segment, length in zip(segments, lengths, strict=True)
    ]
    return acoustic, pad_sequence(semantic, batch_first=True)


def train(
    model: ReferenceModel,
    inputs: Tensors,
    settings: MultispeakerSettings,
    *,
    semantic: Tensor | None = None,
    is_padded: bool = False,
) -> Tensors:
    """Compute the training forward.

    Args:
        model (ReferenceModel): The model.
        inputs (Tensors): Inputs.
        settings (MultispeakerSettings): Draws per frame, which logits are kept.
        semantic (Tensor | None): Semantic features in place of the encoded ones.
        is_padded (bool): See `encode_segments`.

    Returns:
        Tensors: Outputs by name without ``train.``.
    """
    given = {k.removeprefix("train."): v for k, v in inputs.items()}
    with torch.no_grad():
        mean, encoded = encode_segments(model, inputs, is_padded)
    semantic = encoded if semantic is None else semantic
    spread = model.latent_std * given["rand.vae_std_draw"][:, None, None]
    features = model.scale(mean + spread * given["rand.vae_noise"])  # (S, T_lat, D)
    connected = model.connect("acoustic", features)
    real, learnt = given["speech_masks"], given["speeches_loss_input"]
    speech = connected + model.connect("semantic", semantic)
    embeds = model.embed(given["input_ids"]).masked_scatter(
        given["acoustic_input_mask"][..., None], speech[real]
    )
    hidden = model.run_backbone(embeds, given["attention_mask"])
    logits = model.compute_logits(hidden)
    example, last = settings.logits_of_example
    labels = given["input_ids"][:, 1:].masked_fill(
        given["acoustic_input_mask"][:, 1:] | (given["attention_mask"][:, 1:] == 0),
        IGNORED,
    )
    return {
        "acoustic_mean": mean,
        "speech_semantic_tensors": semantic,
        "speech_all_features": features,
        "speech_all_connect_features": connected,
        "speech_features": features[learnt],
        "speech_connect_features": connected[learnt],
        "inputs_embeds": embeds,
        "hidden_states": hidden,
        f"logits_example{example}_last{last}": logits[example, -last:],
        "ce_labels": labels,
        "ce_loss": functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels.flatten()
        ),
        **_diffuse(model, given, hidden, features[learnt], settings.ddpm_batch_mul),
    }


def _diffuse(
    model: ReferenceModel,
    given: Tensors,
    hidden: Tensor,
    clean: Tensor,
    num_draws: int,
) -> Tensors:
    """Compute the diffusion losses of the target frames (N, D)."""
    frames = given["acoustic_loss_mask"]
    before = functional.pad(frames[:, 1:], (0, 1))
    condition = hidden[before].repeat_interleave(num_draws, dim=0)
    own = hidden[frames].repeat_interleave(num_draws, dim=0)
    timesteps = given["rand.timesteps"]
    noisy, velocity = model.mix(
        clean.repeat_interleave(num_draws, dim=0),
        given["rand.diffusion_noise"],
        timesteps,
    )
    output = model.run_head(noisy, timesteps, condition)
    unshifted = model.run_head(noisy, timesteps, own)
    share = 1 / clean.shape[1] / num_draws
    return {
        "head_condition": condition,
        "noisy_speech_features": noisy,
        "head_output": output,
        "velocity_target": velocity,
        "diffusion_loss": (output - velocity).square().sum() * share / len(clean),
        "diffusion_loss_unshifted_sum_over_frames": (
            (unshifted - velocity).square().sum() * share
        ),
    }


def compute_gradient_norms(
    model: ReferenceModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute ``train.grad_norm``: norms of the gradient of the sum of both losses."""
    names = settings.gradient_names
    leaves = {name: model.weights[name].clone().requires_grad_() for name in names}
    with torch.enable_grad():
        losses = train(replace(model, weights=model.weights | leaves), inputs, settings)
        loss = losses["ce_loss"] + losses["diffusion_loss"]
        gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        f"train.grad_norm.{name}": gradient.norm()
        for name, gradient in zip(names, gradients, strict=True)
    }
