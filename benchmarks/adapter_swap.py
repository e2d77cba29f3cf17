"""Time of switching an adapter, and of speaking with one against the merged model.

Run ``python benchmarks/adapter_swap.py``. Only ratios are to be compared between
machines. The model has random weights, so every text runs to its cap.
"""

import argparse
import copy
import logging

import torch
from generation_batch import ORIGINAL, measure

from espnet_vibevoice.adapters.adapter import Adapter, extract_adapter
from espnet_vibevoice.adapters.hot_swap import AdapterSet
from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.merge import merge_adapter
from espnet_vibevoice.adapters.plan import TrainingPlan
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.realtime import RealtimeModel


def make_adapter(model: RealtimeModel, plan: TrainingPlan, seed: int) -> Adapter:
    """Make an adapter with random weights."""
    tuned = copy.deepcopy(model)
    apply_plan(tuned, plan)
    generator = torch.Generator().manual_seed(seed)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.01 * noise.to(parameter)
    return extract_adapter(tuned, plan, "random", None)


def synchronize(model: RealtimeModel) -> None:
    """Wait for what was started on a GPU."""
    if model.tts_input_types.weight.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="base model; default a small random one")
    parser.add_argument("--rank", type=int, default=16, help="rank of the adapters")
    parser.add_argument("--max-rank", type=int, default=64, help="room in each layer")
    parser.add_argument("--tokens", type=int, default=10, help="tokens of the text")
    parser.add_argument("--repeats", type=int, default=10, help="runs of each kind")
    parser.add_argument("--device", default="cpu", help="cpu | cuda")
    args = parser.parse_args()
    logging.getLogger("espnet_vibevoice").setLevel(logging.ERROR)
    if args.base:
        model = RealtimeModel.from_base(args.base)
    else:
        model = RealtimeModel.from_config(parse_config(copy.deepcopy(ORIGINAL), 511))
    plan = build_plan("vibevoice_streaming", lora_rank=args.rank)
    first, second = (make_adapter(model, plan, seed) for seed in (0, 1))
    merged, _ = merge_adapter(model, first)
    model, merged = model.to(args.device), merged.to(args.device)
    adapters = AdapterSet(model, args.max_rank, plan)
    adapters.load("first", first)
    adapters.load("second", second)
    adapters.enable("first")
    text = torch.arange(args.tokens)
    settings = GenerationSettings(max_frames_per_token=2.0, eos_threshold=1.0)
    names = ["first", "second"]

    def speak(which: RealtimeModel) -> None:
        generate(which, text, settings)
        synchronize(model)

    def switch() -> None:
        adapters.swap(*names)
        names.reverse()
        synchronize(model)

    def open_session() -> None:
        with adapters.session({"second": 1.0}):
            synchronize(model)

    pairs = [  # side by side, so that both meet the same load of the machine
        (measure(lambda: speak(merged), 1), measure(lambda: speak(adapters.model), 1))
        for _ in range(args.repeats)
    ]
    plain, adapted = map(min, zip(*pairs, strict=True))
    frame = plain / settings.count_max_frames(args.tokens)
    swapping = measure(switch, 5 * args.repeats)
    lending = measure(open_session, 5 * args.repeats)
    print(f"one frame of the merged model: {1000 * frame:.1f} ms")
    print(f"frame with an active adapter / of the merged model: {adapted / plain:.3f}")
    print(f"switch / frame: {swapping / frame:.3f}")
    print(f"session from the pool / frame: {lending / frame:.3f}")


if __name__ == "__main__":
    main()
