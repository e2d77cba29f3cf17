"""Recompute the outputs of a multi-speaker folder from its inputs.

All arithmetic is that of the package: nothing of the model is written a second time
here.
"""

from dataclasses import replace

import torch
from multispeaker_settings import MultispeakerSettings
from multispeaker_speech import compute_generation
from multispeaker_training import TrainingPass, compute_gradient_norms
from parity_folder import Tensors
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.multispeaker import MultispeakerModel


@torch.no_grad()
def compute_multispeaker_outputs(
    model: MultispeakerModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute all outputs.

    Args:
        model (MultispeakerModel): Model of the folder.
        inputs (Tensors): Its input tensors; others are not looked at.
        settings (MultispeakerSettings): Ids, guidance, which parts are kept.

    Returns:
        Tensors: Output of each key.
    """
    real = TrainingPass(model, inputs, settings, *encode_segments(model, inputs))
    means = encode_segments(model, inputs, is_padded=True)
    padded = TrainingPass(model, inputs, settings, *means)
    silent = replace(real, semantic=torch.zeros_like(real.semantic))
    return {
        **compute_parts(model, inputs, settings),
        **real.compute_all(),
        **compute_gradient_norms(real),
        **silent.compute_few("train_zero_semantic"),
        **padded.compute_few("train_x3200"),
        "train_x3200.speech_all_features": padded.features,
        "train_x3200.speech_semantic_tensors": padded.semantic,
        **compute_generation(model, inputs, settings),
    }


def compute_parts(
    model: MultispeakerModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute ``codec``, ``head``, ``connector`` and ``lm``."""
    waveform = inputs["codec.waveform"]
    codec, semantic = model.acoustic_tokenizer, model.semantic_tokenizer
    padded = functional.pad(waveform, (0, -len(waveform) % codec.hop_samples))
    hidden = model.run_sequence(model.embed_text(inputs["lm.input_ids"]))
    last = hidden[:, -settings.num_logits :]
    return {
        "codec.acoustic_mean": codec.encode(waveform)[None],
        "codec.acoustic_mean_zero_padded": codec.encode(padded)[None],
        "codec.semantic_mean": semantic.encode(waveform)[None],
        "codec.semantic_mean_zero_padded": semantic.encode(padded)[None],
        "codec.decode_audio": codec.decode(inputs["codec.decode_latents"][0])[
            None, None
        ],
        "connector.acoustic_out": model.acoustic_connector(
            inputs["connector.acoustic_in"]
        ),
        "connector.semantic_out": model.semantic_connector(
            inputs["connector.semantic_in"]
        ),
        "head.output": model.prediction_head(
            inputs["head.noisy"], inputs["head.timesteps"], inputs["head.condition"]
        ),
        "lm.last_hidden_state": hidden,
        f"lm.logits_last{settings.num_logits}": model.compute_logits(last),
    }


def encode_segments(
    model: MultispeakerModel, inputs: Tensors, is_padded: bool = False
) -> tuple[Tensor, Tensor]:
    """Encode the segments of the training batch.

    Args:
        model (MultispeakerModel): The model.
        inputs (Tensors): Inputs.
        is_padded (bool): Whether waveforms are first padded to whole frames.

    Returns:
        tuple[Tensor, Tensor]: Acoustic means (S, T_lat, D) of the segments with the
            silence behind them; semantic features (S, T_lat, D_sem) of each segment
            alone, with zero rows behind it.
    """
    hop = model.acoustic_tokenizer.hop_samples if is_padded else 1
    segments = inputs["train.speech_tensors"]
    segments = functional.pad(segments, (0, -segments.shape[1] % hop))
    mean = torch.stack([model.acoustic_tokenizer.encode(row) for row in segments])
    lengths = inputs["train.segment_num_samples"].tolist()
    features = [
        model.semantic_tokenizer.encode(row[: -(-length // hop) * hop])
        for row, length in zip(segments, lengths, strict=True)
    ]
    semantic = pad_sequence(features, batch_first=True)
    missing = mean.shape[1] - semantic.shape[1]
    return mean, functional.pad(semantic, (0, 0, 0, missing))
