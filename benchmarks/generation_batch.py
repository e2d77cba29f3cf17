"""Time of a batch against the same texts one by one, and of the first audio.

Run ``python benchmarks/generation_batch.py``. Only ratios are to be compared between
machines. The model has random weights, so every text runs to its cap.
"""

import argparse
import copy
import logging
import statistics
import time
from collections.abc import Callable

import torch

from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    generate_batch,
)
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.streaming import stream

ORIGINAL = {
    "model_type": "vibevoice_streaming",
    "tts_backbone_num_hidden_layers": 4,
    "acoustic_tokenizer_config": {
        "channels": 1,
        "decoder_depths": None,
        "decoder_n_filters": 2,
        "decoder_ratios": [8, 5, 5, 4, 2, 2],
        "encoder_depths": "1-1-1-1-1-1-1",
        "encoder_n_filters": 2,
        "encoder_ratios": [8, 5, 5, 4, 2, 2],
        "fix_std": 0.5,
        "layer_scale_init_value": 0.3,
        "layernorm_eps": 1e-5,
        "vae_dim": 16,
        "weight_init_value": 0.01,
    },
    "decoder_config": {
        "hidden_act": "silu",
        "hidden_size": 256,
        "initializer_range": 0.02,
        "intermediate_size": 1024,
        "max_position_embeddings": 8192,
        "num_attention_heads": 4,
        "num_hidden_layers": 6,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "vocab_size": 512,
    },
    "diffusion_head_config": {
        "ddpm_beta_schedule": "cosine",
        "ddpm_num_steps": 1000,
        "head_ffn_ratio": 3.0,
        "head_layers": 4,
        "hidden_size": 256,
        "latent_size": 16,
        "prediction_type": "v_prediction",
        "rms_norm_eps": 1e-5,
    },
}


def measure(action: Callable[[], object], repeats: int) -> float:
    """Return the median time of an action in seconds, after one run to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="base model; default a small random one")
    parser.add_argument("--batch", type=int, default=8, help="texts in the batch")
    parser.add_argument("--tokens", type=int, default=20, help="tokens of the longest")
    parser.add_argument("--repeats", type=int, default=3, help="runs to take a median")
    parser.add_argument("--device", default="cpu", help="cpu | cuda | mps")
    args = parser.parse_args()
    logging.getLogger("espnet_vibevoice").setLevel(logging.ERROR)
    if args.base:
        model = RealtimeModel.from_base(args.base)
    else:
        model = RealtimeModel.from_config(parse_config(copy.deepcopy(ORIGINAL), 511))
    model = model.to(args.device)
    lengths = torch.linspace(args.tokens / 2, args.tokens, args.batch).round().int()
    texts = [torch.arange(int(length)) for length in lengths]
    settings = GenerationSettings(max_frames_per_token=2.0, eos_threshold=1.0)
    plain = GenerationSettings(
        max_frames_per_token=2.0, eos_threshold=1.0, cfg_scale=1.0
    )
    seeds = list(range(args.batch))

    def run_batch() -> object:
        return generate_batch(model, texts, settings, seeds)

    def run_single() -> object:
        return [generate(model, text, settings) for text in texts]

    def run_plain() -> object:
        return [generate(model, text, plain) for text in texts]

    def run_first() -> object:
        return next(stream(model, texts[-1], settings))

    batch, single = measure(run_batch, args.repeats), measure(run_single, args.repeats)
    unguided = measure(run_plain, args.repeats)
    first = measure(run_first, args.repeats)
    frames = sum(settings.count_max_frames(len(text)) for text in texts)
    print(f"{args.batch} texts one by one: {single:.2f} s, {frames} frames")
    print(f"batch of {args.batch} / one by one: {batch / single:.3f}")
    print(f"without guidance / with: {unguided / single:.3f}")
    print(f"first audio / one whole text: {first / (single / args.batch):.3f}")


if __name__ == "__main__":
    main()
