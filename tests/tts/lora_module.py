"""A small module with LoRA on one part and another part in full."""

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from espnet_vibevoice.adapters.lora import list_lora_layers
from espnet_vibevoice.tts.checkpoint import keep_trained_parameters_only
from espnet_vibevoice.tts.ema import TrainedAverage

FINGERPRINT = "0f1e2d3c4b5a6978" * 4


class LoraModule(nn.Module):
    """What the hooks of checkpoints are set on; all of them start alike."""

    def __init__(self, fingerprint=FINGERPRINT, decay=0.0, has_lora=True, **settings):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            stack = nn.Sequential(nn.Linear(9, 8), nn.Linear(8, 7))
            head = nn.Linear(7, 3)
            self.model = nn.ModuleDict(
                {"tts_language_model": stack, "prediction_head": head}
            )
            stack.requires_grad_(False)
            if has_lora:
                options = {"target_modules": ["0", "1"], "r": 2, "lora_alpha": 6}
                inject_adapter_in_model(LoraConfig(**options | settings), stack)
        self.ema = TrainedAverage(self, decay) if decay else None
        keep_trained_parameters_only(self, fingerprint, self.ema)

    def train(self, mode=True):
        super().train(mode)
        if self.ema is not None and mode:
            self.ema.leave_evaluation()
        elif self.ema is not None:
            self.ema.enter_evaluation()
        return self

    def forward(self, x):
        return self.model["prediction_head"](self.model["tts_language_model"](x))


class Holder(nn.Module):
    """Holds it where ESPnet's model holds ours."""

    def __init__(self, **settings):
        super().__init__()
        self.tts = LoraModule(**settings)


def tune(module, seed, size=1.0, start=None):
    """Give the trained parameters random values, around those of a seed or zero."""
    for index, parameter in enumerate(trained(module).values()):
        generator = torch.Generator().manual_seed(100 * seed + index)
        change = size * torch.randn(parameter.shape, generator=generator)
        if start is not None:
            generator = torch.Generator().manual_seed(100 * start + index)
            change += torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(change)
    return module


def trained(module):
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def deltas(module):
    """What LoRA adds to each weight, by path of the layer, in float64."""
    return {
        path: layer.lora_B["default"].weight.detach().double()
        @ layer.lora_A["default"].weight.detach().double()
        * layer.scaling["default"]
        for path, layer in list_lora_layers(module).items()
    }
