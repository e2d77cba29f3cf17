"""The memory that a training step will take, predicted from sizes alone.

With P positions of the language model (padding included), N target frames, R noise
draws per frame and L labelled positions; bytes per number: c = 2 under bfloat16
autocast, else 4; norms always work in float32.

- weights: 4 per trained number; frozen ones 4 or 2 (``base_dtype``), 1 (8 bit) or
  0.52 (4 bit) for linear layers of the language model; codecs 4;
- copies: 2 per number of a float32 linear layer that runs under bfloat16 autocast;
- gradients 4, AdamW 8, averaged weights 4, per trained number;
- a layer of the language model, per position, frozen: 8 H for its two norms, and
  c (2 H + 2 K + 3 I) for query, output, key, value and MLP, where K is the width of
  the keys and I that of the MLP. Trained in full: 8 H more for the norms, and
  c (2 H + A + I) for the inputs of its linear layers, A being the width of the queries.
  With LoRA: c (w + r) and w for the dropout's mask (a byte on a GPU), for each layer
  with w inputs;
- with checkpointing: 4 H per position and layer, and all of the above for one layer;
- the diffusion head, for each of N R rows: 7 c H + 3 c I per layer, trained
  10 c H + 4 c I, and 8 c H around the layers;
- logits: 4 V for each of L positions, V being the vocabulary, and as much for their
  gradient.

Not predicted: the allocator's unused rest and libraries, about 1 GB on a GPU.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from espnet_vibevoice.adapters.parts import HEAD
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.models.builtin import build_parts
from espnet_vibevoice.models.memory import CODEC_PARTS, LANGUAGE_PARTS, MemorySettings

FLOAT, HALF = 4, 2
STATES_OF_ADAM = 2
BYTE_PER_WEIGHT_8BIT = 1.0
# 4 bits; a scale of 8 bits for 64 weights and one of 32 bits for 256 scales.
BYTE_PER_WEIGHT_4BIT = 0.5 + 1 / 64 + 4 / (64 * 256)
ROUND_HEAD = 8  # tensors of width H around the layers of the diffusion head
CONNECTOR = 4  # tensors of width H that a connector keeps of a frame
OUTSIDE_LAYERS = 3  # tensors of width H before and behind the language model


@dataclass(frozen=True)
class BatchSize:
    """What a batch brings to the model.

    Args:
        positions (int): Positions of the language model, with padding, P.
        frames (int): Target frames, N.
        voice_frames (int): Frames of voice prompts.
        labels (int): Positions at which logits over the vocabulary are computed, L.
        ddpm_batch_mul (int): Noise draws per frame, R.
    """

    positions: int
    frames: int
    voice_frames: int = 0
    labels: int = 0
    ddpm_batch_mul: int = 4


@dataclass(frozen=True)
class MemoryPlan:
    """Predicted memory of a training step in bytes.

    Args:
        parameters (int): Parameters of the base.
        trained (int): Parameters that are trained.
        standing (dict[str, int]): What is there all the time.
        activations (dict[str, int]): What a forward pass keeps for the backward pass.
        working (dict[str, int]): What the backward pass adds at its largest moment.
    """

    parameters: int
    trained: int
    standing: dict[str, int] = field(default_factory=dict)
    activations: dict[str, int] = field(default_factory=dict)
    working: dict[str, int] = field(default_factory=dict)

    @property
    def items(self) -> dict[str, int]:
        """All of it by name."""
        return {**self.standing, **self.activations, **self.working}

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.items.values())

    def describe(self) -> str:
        """Write as a table in GB (10^9 bytes)."""
        share = self.trained / self.parameters if self.parameters else 0.0
        lines = [
            f"{'parameters':36} {self.parameters:>16,}",
            f"{'trained':36} {self.trained:>16,}  {share:.2%}",
        ]
        lines += [
            f"{name:36} {count / 1e9:>13.2f} GB" for name, count in self.items.items()
        ]
        return "\n".join([*lines, f"{'total':36} {self.total / 1e9:>13.2f} GB"])


def plan_memory(
    original: dict[str, Any],
    plan: TrainingPlan,
    settings: MemorySettings,
    batch: BatchSize,
    *,
    has_average: bool = False,
    has_encoder: bool = True,
) -> MemoryPlan:
    """Predict the memory of a training step.

    Args:
        original (dict): Configuration of the base in the original form.
        plan (TrainingPlan): What is trained.
        settings (MemorySettings): How the base is kept.
        batch (BatchSize): The batch.
        has_average (bool): Whether trained weights are averaged (``ema_decay``).
        has_encoder (bool): Whether a realtime base has an acoustic encoder; the other
            family always has.

    Returns:
        MemoryPlan: The prediction; the formula is in the module's docstring.

    Raises:
        ValueError: If the configuration describes neither family, or the plan does
            not fit it.
    """
    parts = build_parts(original, has_encoder)
    if plan.frozen_head_layers:
        plan.check_head_layers(len(parts[HEAD].layers))
    counts = _WeightCount(plan, settings)
    for part, module in parts.items():
        counts.add(part, module)
    standing = {
        "weights": counts.weights,
        "bfloat16 copies of weights": counts.copies,
        "gradients": FLOAT * counts.trained,
        "AdamW states": STATES_OF_ADAM * FLOAT * counts.trained,
        "averaged weights": FLOAT * counts.trained if has_average else 0,
    }
    activations, working = _plan_activations(original, parts, plan, settings, batch)
    return MemoryPlan(counts.parameters, counts.trained, standing, activations, working)


class _WeightCount:
    """Adds up the weights of a model, part by part.

    Attributes:
        parameters (int): Parameters of the base.
        trained (int): Parameters that are trained.
        weights (int): Bytes of all weights, LoRA factors included.
        copies (int): Bytes of what autocast makes of float32 linear layers.
    """

    def __init__(self, plan: TrainingPlan, settings: MemorySettings):
        self._plan, self._settings = plan, settings
        self.parameters = self.trained = self.weights = self.copies = 0

    def add(self, part: str, module: nn.Module) -> None:
        """Add a part; its weights may lie on the meta device."""
        root = part.partition(".")[0]
        linear = {
            f"{name}.weight".lstrip(".")
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear)
        }
        for name, parameter in module.named_parameters():
            count = parameter.numel()
            trained = self._plan.count_trained(root, name, tuple(parameter.shape))
            is_full = root in self._plan.full and trained > 0
            size = self._byte_per_weight(root, is_full, name in linear)
            self.parameters += count
            self.trained += trained
            self.weights += round(size * count) + (0 if is_full else FLOAT * trained)
            is_half = self._settings.precision == "bfloat16" and root not in CODEC_PARTS
            if is_half and name in linear and size == FLOAT:
                self.copies += HALF * count

    def _byte_per_weight(self, part: str, is_full: bool, is_linear: bool) -> float:
        """Bytes that a number of a weight takes."""
        if is_full or part in CODEC_PARTS:
            return FLOAT
        is_quantised = part in LANGUAGE_PARTS and part not in self._plan.full
        if is_linear and is_quantised and self._settings.quantize_base is not None:
            sizes = {"8bit": BYTE_PER_WEIGHT_8BIT, "4bit": BYTE_PER_WEIGHT_4BIT}
            return sizes[self._settings.quantize_base]
        return HALF if self._settings.base_dtype == "bfloat16" else FLOAT


def _plan_activations(
    original: dict[str, Any],
    parts: dict[str, nn.Module],
    plan: TrainingPlan,
    settings: MemorySettings,
    batch: BatchSize,
) -> tuple[dict[str, int], dict[str, int]]:
    """Return what the forward pass keeps, and what the backward pass adds."""
    half = settings.precision == "bfloat16"
    number = HALF if half else FLOAT
    width = original["decoder_config"]["hidden_size"]
    vocab_size = original["decoder_config"]["vocab_size"]
    kept = recomputed = 0
    for part in [name for name in LANGUAGE_PARTS if name in parts]:
        if not _passes_gradients(part, parts, plan):
            continue
        layers = len(parts[part].layers)
        layer = _byte_per_position(parts[part].config, part, plan, number)
        layer *= batch.positions
        if settings.gradient_checkpointing:
            kept += layers * FLOAT * width * batch.positions
            recomputed = max(recomputed, layer)
        else:
            kept += layers * layer
        kept += OUTSIDE_LAYERS * FLOAT * width * batch.positions
    connectors = [name for name in parts if name.endswith("_connector")]
    frames = batch.frames * len(connectors) + batch.voice_frames
    logits = FLOAT * vocab_size * batch.labels
    activations = {
        "activations of the language model": kept,
        "activations of the connectors": CONNECTOR * FLOAT * width * frames,
        "activations of the diffusion head": _byte_of_head(parts[HEAD], plan, number)
        * batch.frames
        * batch.ddpm_batch_mul,
        "logits": logits,
    }
    working = {
        "one layer computed again": recomputed,
        "gradient of the logits": logits,
    }
    return activations, working


def _passes_gradients(
    part: str, parts: dict[str, nn.Module], plan: TrainingPlan
) -> bool:
    """Tell whether something in or before a language-model part is trained."""
    if part in plan.parts:
        return True
    if part == "language_model" and "tts_language_model" in parts:
        return False  # it reads text only
    before = {"language_model", "tts_input_types"}
    before |= {name for name in parts if name.endswith("_connector")}
    return bool(before & set(plan.parts))


def _byte_per_position(
    config: Any, part: str, plan: TrainingPlan, number: int
) -> float:
    """Bytes that a layer of a language model keeps of a position."""
    width, inner = config.hidden_size, config.intermediate_size
    head = width // config.num_attention_heads
    queries, keys = head * config.num_attention_heads, head * config.num_key_value_heads
    size = 2 * FLOAT * width + number * (2 * queries + 2 * keys + 3 * inner)
    if part in plan.full:
        size += 2 * FLOAT * width + number * (2 * width + inner)
        if number == HALF:
            size += number * queries  # the attention's output, cast for its projection
    inputs = {"o_proj": queries, "down_proj": inner}
    if part in plan.lora:
        settings = plan.lora[part]
        for target in settings.targets:
            size += _byte_of_lora(inputs.get(target, width), settings, number)
    return size


def _byte_of_lora(inputs: int, settings: LoraSettings, number: int) -> float:
    """Bytes that LoRA of one linear layer keeps of a position."""
    mask = inputs if settings.dropout else 0
    return number * (inputs + settings.rank) + mask


def _byte_of_head(head: nn.Module, plan: TrainingPlan, number: int) -> int:
    """Bytes that the diffusion head keeps of a row."""
    width = head.cond_proj.out_features
    inner = head.layers[0].ffn.gate_proj.out_features
    trained = 0
    if HEAD in plan.parts:
        trained = len(head.layers) - len(plan.frozen_head_layers)
    frozen = len(head.layers) - trained
    size = frozen * (7 * width + 3 * inner) + trained * (10 * width + 4 * inner)
    return number * (size + ROUND_HEAD * width)
