"""Memory and time of a training step: float32 against what saves memory.

Run ``python benchmarks/training_memory.py [--device cuda]``. Each way runs in a process
of its own with the default strategy (LoRA) on random weights. Only ratios are to be
compared between machines. Memory is the peak of training above the process without a
model: on a GPU what torch has allocated in the steps, on a CPU the resident size,
building included.
"""

import argparse
import copy
import importlib.util
import logging
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from generation_batch import ORIGINAL

from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.memory import (
    MemorySettings,
    autocast,
    enable_checkpointing,
    prepare_memory,
)
from espnet_vibevoice.models.realtime import RealtimeModel

HALF = {"precision": "bfloat16"}
HALF_BASE = HALF | {"base_dtype": "bfloat16"}
WAYS = {
    "float32": {},
    "float32, checkpointing": {"gradient_checkpointing": True},
    "bfloat16 autocast": HALF,
    "bfloat16 base": HALF_BASE,
    "bfloat16 base, checkpointing": HALF_BASE | {"gradient_checkpointing": True},
    "8-bit base": HALF_BASE | {"quantize_base": "8bit"},
    "4-bit base": HALF_BASE | {"quantize_base": "4bit"},
    "4-bit base, checkpointing": HALF_BASE
    | {"quantize_base": "4bit", "gradient_checkpointing": True},
}
MEGABYTE = 1e6
# getrusage counts kilobytes, on a Mac bytes.
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Cost:
    """What a way costs.

    Args:
        weights (float): Weights of the model, in megabytes.
        peak (float): Peak of the memory, in megabytes.
        seconds (float): Least time of a step.
        loss (float): Loss of the last step.
    """

    weights: float
    peak: float
    seconds: float
    loss: float


def build_model(args: argparse.Namespace, settings: MemorySettings) -> RealtimeModel:
    """Build a model with random weights, ready to be trained by LoRA."""
    original = copy.deepcopy(ORIGINAL)
    original["decoder_config"] |= {
        "hidden_size": args.width,
        "intermediate_size": 4 * args.width,
        "num_attention_heads": args.width // 64,
        "num_hidden_layers": args.layers,
        "num_key_value_heads": 2,
    }
    original["tts_backbone_num_hidden_layers"] = args.layers * 3 // 4
    original["diffusion_head_config"]["hidden_size"] = args.width
    model = RealtimeModel.from_config(parse_config(original, 511), has_encoder=False)
    plan = build_plan(original["model_type"], strategy="lora")
    torch.manual_seed(0)
    prepare_memory(model, plan, settings)
    apply_plan(model, plan)
    enable_checkpointing(model, settings)
    for part in plan.parts:
        model.get_submodule(part).train()
    return model.to(args.device)


def draw_batch(args: argparse.Namespace) -> tuple[torch.Tensor, ...]:
    """Make rows of equal length, on the device."""
    generator = torch.Generator().manual_seed(0)
    tokens = args.frames // 4
    batch = (
        torch.randint(0, 500, (args.rows, tokens), generator=generator),
        torch.full((args.rows,), tokens),
        torch.randn(args.rows, args.frames, 16, generator=generator),
        torch.full((args.rows,), args.frames),
    )
    return tuple(tensor.to(args.device) for tensor in batch)


def measure(way: str, args: argparse.Namespace) -> Cost:
    """Train a few steps and return what they cost; to be run in a new process."""
    logging.getLogger("espnet_vibevoice").setLevel(logging.ERROR)
    is_gpu = torch.device(args.device).type == "cuda"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT
    settings = MemorySettings(**WAYS[way])
    model, batch = build_model(args, settings), draw_batch(args)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    if is_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        with autocast(settings, args.device):
            loss = model.compute_losses(*batch, RealtimeLossSettings()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        last = loss.item()  # waits for the GPU
        times.append(time.perf_counter() - start)
    if is_gpu:
        peak = torch.cuda.max_memory_allocated()
    else:
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT
        peak = now - before
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return Cost(weights / MEGABYTE, peak / MEGABYTE, min(times[1:]), last)


def list_ways() -> list[str]:
    """List what can be measured here; quantised bases need bitsandbytes."""
    if importlib.util.find_spec("bitsandbytes") is not None:
        return list(WAYS)
    print("8-bit and 4-bit base left out: pip install bitsandbytes")
    return [way for way in WAYS if "quantize_base" not in WAYS[way]]


def main() -> None:
    """Measure each way and print it beside float32."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu | cuda")
    parser.add_argument("--width", type=int, default=384, help="of the hidden state")
    parser.add_argument("--layers", type=int, default=8, help="of the language model")
    parser.add_argument("--rows", type=int, default=4, help="utterances in a batch")
    parser.add_argument("--frames", type=int, default=160, help="of an utterance")
    parser.add_argument("--steps", type=int, default=2, help="steps to take the least")
    args = parser.parse_args()
    costs = {}
    print(f"{'':30}weights MB    peak MB  / float32    s/step  / float32    loss")
    for way in list_ways():
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            costs[way] = cost = pool.submit(measure, way, args).result()
        plain = costs["float32"]
        print(
            f"{way:30}{cost.weights:10.1f}{cost.peak:11.0f}"
            f"{cost.peak / plain.peak:11.2f}{cost.seconds:10.2f}"
            f"{cost.seconds / plain.seconds:11.2f}{cost.loss:8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
