"""Random weights of a multi-speaker checkpoint in the original format.

Weights are drawn so that every part is alive: each layer keeps the strength of its
input or a good part of it, and scale, bias and loudness are measured afterwards.
"""

import math
from functools import partial
from typing import Any

import torch
from reference_model import ReferenceModel
from reference_parts import Tensors
from torch import Tensor

LOUDNESS = 0.1
# Generation feeds on its own output; more gain lets roundings grow in it.
HEAD_GAIN, LAYER_GAIN = 0.3, 0.5
EMBEDDING_STD = 0.5  # also of the vectors of frames, roughly
EMBEDDING = "model.language_model.embed_tokens.weight"


class WeightMaker:
    """Draws weights under their original names.

    Args:
        config (dict): Sizes in the original form.
        generator (torch.Generator): Source of the weights.

    Attributes:
        weights (Tensors): What is drawn so far.
    """

    def __init__(self, config: dict[str, Any], generator: torch.Generator):
        self.config = config
        self.weights: Tensors = {}
        self._randn = partial(torch.randn, generator=generator)

    def make(self) -> Tensors:
        """Draw every weight."""
        head = self.config["diffusion_head_config"]
        hidden, latent_dim = head["hidden_size"], head["latent_size"]
        self._make_backbone()
        self._make_head(hidden, latent_dim, int(hidden * head["head_ffn_ratio"]))
        for kind in ("acoustic", "semantic"):
            dim = self.config[f"{kind}_vae_dim"]
            self._linear(f"model.{kind}_connector.fc1", dim, hidden)
            self._norm(f"model.{kind}_connector.norm", hidden)
            output = f"model.{kind}_connector.fc2"
            self._linear(output, hidden, hidden, gain=EMBEDDING_STD)
            self._make_encoder(kind, self.config[f"{kind}_tokenizer_config"])
        self._make_decoder(self.config["acoustic_tokenizer_config"])
        self.weights["model.speech_scaling_factor"] = torch.tensor(1.0)
        self.weights["model.speech_bias_factor"] = torch.tensor(0.0)
        return self.weights

    def _make_backbone(self) -> None:
        """Draw the language model and its output."""
        sizes = self.config["decoder_config"]
        hidden, inner = sizes["hidden_size"], sizes["intermediate_size"]
        shared = sizes["num_key_value_heads"] * (hidden // sizes["num_attention_heads"])
        shape = sizes["vocab_size"], hidden
        self.weights[EMBEDDING] = EMBEDDING_STD * self._randn(shape)
        if not sizes["tie_word_embeddings"]:
            self.weights["lm_head.weight"] = EMBEDDING_STD * self._randn(shape)
        for layer in range(sizes["num_hidden_layers"]):
            name = f"model.language_model.layers.{layer}"
            self._norm(f"{name}.input_layernorm", hidden)
            self._norm(f"{name}.post_attention_layernorm", hidden)
            for kind, width in (("q", hidden), ("k", shared), ("v", shared)):
                projection = f"{name}.self_attn.{kind}_proj"
                self._linear(projection, hidden, width, gain=LAYER_GAIN)
            output = f"{name}.self_attn.o_proj"
            self._linear(output, hidden, hidden, has_bias=False, gain=LAYER_GAIN)
            self._make_gated(f"{name}.mlp", hidden, inner, gain=LAYER_GAIN)
        self._norm("model.language_model.norm", hidden)

    def _make_gated(
        self, name: str, hidden: int, inner: int, gain: float = 1.0
    ) -> None:
        """Draw a gated two-layer network."""
        linear = partial(self._linear, has_bias=False, gain=gain)
        linear(f"{name}.gate_proj", hidden, inner)
        linear(f"{name}.up_proj", hidden, inner)
        linear(f"{name}.down_proj", inner, hidden)

    def _make_head(self, hidden: int, latent_dim: int, inner: int) -> None:
        """Draw the diffusion head."""
        head = "model.prediction_head"
        linear = partial(self._linear, has_bias=False)
        linear(f"{head}.noisy_images_proj", latent_dim, hidden)
        linear(f"{head}.cond_proj", hidden, hidden)
        linear(f"{head}.t_embedder.mlp.0", 256, hidden)
        linear(f"{head}.t_embedder.mlp.2", hidden, hidden)
        for layer in range(self.config["diffusion_head_config"]["head_layers"]):
            name = f"{head}.layers.{layer}"
            linear(f"{name}.adaLN_modulation.1", hidden, 3 * hidden)
            self._norm(f"{name}.norm", hidden)
            self._make_gated(f"{name}.ffn", hidden, inner)
        linear(f"{head}.final_layer.adaLN_modulation.1", hidden, 2 * hidden)
        linear(f"{head}.final_layer.linear", hidden, latent_dim, gain=HEAD_GAIN)

    def _make_encoder(self, kind: str, sizes: dict[str, Any]) -> None:
        """Draw the encoder of a codec."""
        start = f"model.{kind}_tokenizer.encoder"
        width = sizes["encoder_n_filters"]
        depths = [int(depth) for depth in sizes["encoder_depths"].split("-")]
        strides = [None, *reversed(sizes["encoder_ratios"])]
        channels = 1
        for layer, (stride, depth) in enumerate(zip(strides, depths, strict=True)):
            kernel = 7 if stride is None else 2 * stride
            name = f"{start}.downsample_layers.{layer}.0.conv.conv"
            self._convolution(name, (width << layer, channels, kernel))
            channels = width << layer
            self._make_blocks(f"{start}.stages.{layer}", channels, depth)
        self._convolution(f"{start}.head.conv.conv", (sizes["vae_dim"], channels, 7))

    def _make_decoder(self, sizes: dict[str, Any]) -> None:
        """Draw the decoder of the acoustic codec."""
        start = "model.acoustic_tokenizer.decoder"
        ratios = sizes["decoder_ratios"]
        depths = [int(depth) for depth in reversed(sizes["encoder_depths"].split("-"))]
        channels = sizes["decoder_n_filters"] << len(ratios)
        name = f"{start}.upsample_layers.0.0.conv.conv"
        self._convolution(name, (channels, sizes["vae_dim"], 7))
        self._make_blocks(f"{start}.stages.0", channels, depths[0])
        for layer, (ratio, depth) in enumerate(
            zip(ratios, depths[1:], strict=True), start=1
        ):
            name = f"{start}.upsample_layers.{layer}.0.convtr.convtr"
            shape = (channels, channels // 2, 2 * ratio)
            # A sample is reached by two inputs of each channel.
            self._convolution(name, shape, fan_in=2 * channels, width=channels // 2)
            channels //= 2
            self._make_blocks(f"{start}.stages.{layer}", channels, depth)
        self._convolution(f"{start}.head.conv.conv", (1, channels, 7))

    def _make_blocks(self, stage: str, channels: int, depth: int) -> None:
        """Draw the blocks of one stage."""
        for index in range(depth):
            name = f"{stage}.{index}"
            self._norm(f"{name}.norm", channels)
            self._norm(f"{name}.ffn_norm", channels)
            self._convolution(f"{name}.mixer.conv.conv.conv", (channels, 1, 7))
            self._linear(f"{name}.ffn.linear1", channels, 4 * channels)
            self._linear(f"{name}.ffn.linear2", 4 * channels, channels)
            for gamma in ("gamma", "ffn_gamma"):
                self.weights[f"{name}.{gamma}"] = 0.3 + 0.1 * self._randn(channels)

    def _convolution(
        self,
        name: str,
        shape: tuple[int, int, int],
        fan_in: int | None = None,
        width: int | None = None,
    ) -> None:
        """Draw a convolution."""
        fan_in = shape[1] * shape[2] if fan_in is None else fan_in
        self.weights[f"{name}.weight"] = self._randn(shape) / math.sqrt(fan_in)
        self.weights[f"{name}.bias"] = 0.02 * self._randn(width or shape[0])

    def _linear(
        self,
        name: str,
        width: int,
        out: int,
        has_bias: bool = True,
        gain: float = 1.0,
    ) -> None:
        """Draw a linear layer."""
        weight = self._randn(out, width) * (gain / math.sqrt(width))
        self.weights[f"{name}.weight"] = weight
        if has_bias:
            self.weights[f"{name}.bias"] = 0.1 * self._randn(out)

    def _norm(self, name: str, width: int) -> None:
        """Draw the weight of a norm."""
        self.weights[f"{name}.weight"] = 1 + 0.1 * self._randn(width)


def calibrate(model: ReferenceModel, waveform: Tensor) -> None:
    """Set scale and bias of the latents, loudness, and size of semantic features.

    Args:
        model (ReferenceModel): Its weights are changed in place.
        waveform (Tensor): What is measured (T_wav,).
    """
    weights, latents = model.weights, model.encode("acoustic", waveform)
    weights["model.speech_bias_factor"].copy_(-latents.mean())
    weights["model.speech_scaling_factor"].copy_(1 / latents.std())
    gains = {
        "acoustic_tokenizer.decoder": LOUDNESS / model.decode(latents).std(),
        "semantic_tokenizer.encoder": 1 / model.encode("semantic", waveform).std(),
    }
    for part, gain in gains.items():
        weights[f"model.{part}.head.conv.conv.weight"].mul_(gain)
        weights[f"model.{part}.head.conv.conv.bias"].mul_(gain)
