"""Make a codec with random weights usable: alive, and as loud as speech.

Seven layers of default initial values would leave nothing of a waveform. Here each
layer keeps the strength of its input, and what is measured on real speech sets the
decoder's loudness and the scale and bias of the latents, as in a released base.
"""

import math

import torch
from torch import Tensor, nn

from espnet_vibevoice.models.speech_model import SpeechModel


@torch.no_grad()
def set_unit_gain(codec: nn.Module, generator: torch.Generator) -> None:
    """Draw a codec's weights so that each layer's output is as strong as its input.

    Args:
        codec (nn.Module): Codec, or its encoder alone; changed in place.
        generator (torch.Generator): Source of the weights.
    """
    for module in codec.modules():
        if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            continue
        fan_in = module.weight[0].numel()
        if isinstance(module, nn.ConvTranspose1d):
            # An output sample is reached by kernel / stride inputs of each channel.
            fan_in = module.in_channels * module.kernel_size[0] // module.stride[0]
        module.weight.normal_(0.0, 1.0 / math.sqrt(fan_in), generator=generator)
        module.bias.zero_()


@torch.no_grad()
def calibrate_codec(
    model: SpeechModel,
    waveforms: list[Tensor],
    *,
    target_rms: float,
    max_peak: float = 0.9,
) -> None:
    """Set loudness and offset of the decoder, and scale and bias of the latents.

    Args:
        model (SpeechModel): Changed in place; its codec must have an encoder.
        waveforms (list[Tensor]): Speech at the codec's rate, each (T_wav,).
        target_rms (float): Root mean square that decoded speech is to have.
        max_peak (float): Its largest sample; goes before the root mean square.
    """
    codec = model.acoustic_tokenizer
    latents = [codec.encode(waveform) for waveform in waveforms]
    together = torch.cat(latents)
    model.speech_bias_factor.fill_(-together.mean())
    model.speech_scaling_factor.fill_(1.0 / together.std())
    decoded = torch.cat([codec.decode(sequence) for sequence in latents])
    offset = decoded.mean()
    centred = decoded - offset
    rms = centred.square().mean().sqrt()
    gain = min(target_rms / rms, max_peak / centred.abs().max())
    head = codec.decoder.head.conv
    head.bias.sub_(offset).mul_(gain)
    head.weight.mul_(gain)
