"""Forward and backward on the largest batch before the first epoch.

Batches come in random order, so memory may run out after hours. Here it runs out at
once, with the figures and what to lower. Nothing is learnt, and nothing that training
draws or counts is changed.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.torch_utils.device_funcs import to_device

from espnet_vibevoice.errors import is_out_of_memory
from espnet_vibevoice.tts.espnet_model import VibeVoiceESPnetModel
from espnet_vibevoice.tts.largest_batch import (
    LargestBatch,
    find_largest_batch,
    load_batch,
)
from espnet_vibevoice.tts.random_states import keep_random_states
from espnet_vibevoice.tts.throughput import measure_memory

logger = logging.getLogger(__name__)

_STATES_OF_ADAM = 2


def run_dry_step(
    model: VibeVoiceESPnetModel,
    factory: AbsIterFactory,
    shape_files: Sequence[str],
    *,
    batch_bins: int,
) -> None:
    """Try the largest batch; with several processes each tries its share of it.

    Args:
        model (VibeVoiceESPnetModel): The model, on its device.
        factory (AbsIterFactory): Makes the batches of each epoch.
        shape_files (Sequence): Shape files of the training set.
        batch_bins (int): As configured, for the message.

    Raises:
        RuntimeError: If memory runs out.
    """
    device = next(model.parameters()).device
    largest = find_largest_batch(factory, shape_files, device=device)
    if largest is None:
        logger.info("No dry step: this iterator has no list of batches to choose from")
        return
    was_training = model.training
    try:
        with keep_random_states(), _worst_case(model):
            _run_step(model, load_batch(factory, largest.utt_ids), device)
    except (RuntimeError, MemoryError) as err:
        if not is_out_of_memory(err):
            raise
        raise RuntimeError(_explain(model, largest, batch_bins)) from err
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)
    memory = measure_memory(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    logger.info("Dry step on the largest batch: %s: %.2f GB", largest, memory)


def _run_step(
    model: VibeVoiceESPnetModel, batch: dict[str, torch.Tensor], device: torch.device
) -> None:
    """Run forward and backward beside what an optimiser step would leave behind."""
    trained = [p for p in model.parameters() if p.requires_grad]
    held = [torch.empty_like(p) for p in trained for _ in range(_STATES_OF_ADAM)]
    for parameter in trained:  # as in the second of several accumulated batches
        parameter.grad = torch.zeros_like(parameter)
    model.train()
    loss, _, _ = model(**to_device(batch, device))
    loss.backward()
    del held


@contextmanager
def _worst_case(model: VibeVoiceESPnetModel) -> Iterator[None]:
    """Have no row lose its text and voice prompt to the negative prompt."""
    settings = model.tts.loss_settings
    model.tts.loss_settings = dataclasses.replace(settings, uncond_rate=0.0)
    try:
        yield
    finally:
        model.tts.loss_settings = settings


def _explain(
    model: VibeVoiceESPnetModel, largest: LargestBatch, batch_bins: int
) -> str:
    memory = model.tts.memory
    return (
        "memory ran out in a dry step on the largest batch of the training: "
        f"{largest}. Lower batch_bins (now {batch_bins}; batch_size where batch_type "
        "has no bins) and raise accum_grad, or set in tts_conf "
        "gradient_checkpointing: true (now "
        f"{str(memory.gradient_checkpointing).lower()}), precision: bfloat16 (now "
        f"{memory.precision}), a smaller max_prompt_sec or a smaller ddpm_batch_mul "
        f"(now {model.tts.loss_settings.ddpm_batch_mul}). --dry_step false goes on "
        "without this check"
    )
