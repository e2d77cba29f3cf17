"""Several processes that share a batch compute what one process computes."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from espnet_vibevoice.models.batch import (
    PromptBatch,
    draw_rows,
    seed_rows,
    start_generators,
)
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.processes import find_smallest_of_all, sum_over_processes

ROOT = Path(__file__).resolve().parents[2]
FRAMES = torch.tensor([13, 5, 9, 2, 11])
TOKENS = torch.tensor([7, 4, 6, 2, 5])
FIGURES = (
    "diffusion_loss",
    "eos_loss",
    "eos_accuracy",
    "unfed_tokens",
    "reconstruction_loss",
)
# Does with the loss what ESPnet's trainer does with it.
PROCESS = """
    import sys
    import torch
    from espnet2.torch_utils.recursive_op import recursive_average
    from torch import distributed
    folder, rank = sys.argv[1], int(sys.argv[2])
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", world_size=2, rank=rank
    )
    given = torch.load(f"{folder}/given.pt", weights_only=False)
    model, found = given["model"], []
    for batch, settings, others in given["parts"][rank]:
        model.zero_grad()
        losses = model.compute_losses(*batch, settings, **others)
        weight = torch.tensor([len(batch[0])])
        stats = {name: getattr(losses, name) for name in given["figures"]}
        stats = {name: s[None] for name, s in stats.items() if s is not None}
        loss = (losses.loss * weight).sum()
        stats, weight = recursive_average(stats, weight, True)
        (loss / weight * distributed.get_world_size()).backward()
        gradients = {}
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                gradients[name] = parameter.grad / distributed.get_world_size()
        found.append((stats, gradients))
    torch.save(found, f"{folder}/found.{rank}.pt")
    distributed.destroy_process_group()
"""


def make_rows(rows):
    """Rows of a batch with voice prompts, each padded to the longest of them."""
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(0, 30, (5, 7), generator=generator)
    latents = torch.randn(5, 13, 4, generator=generator)
    prompt_text = torch.randint(0, 30, (5, 3), generator=generator)
    prompt_latents = torch.randn(5, 6, 4, generator=generator)
    prompts = PromptBatch(
        prompt_text[rows],
        torch.tensor([3, 0, 2, 0, 1])[rows],
        prompt_latents[rows],
        torch.tensor([6, 4, 3, 0, 5])[rows],
    )
    tokens, frames = TOKENS[rows], FRAMES[rows]
    text, latents = text[rows, : tokens.max()], latents[rows, : frames.max()]
    return (text, tokens, latents, frames), prompts


def find_seeds(rate):
    """Seeds with which the second process has no conditional row, the first one has."""
    for step in range(1000):
        seeds = seed_rows(list("abcde"), 0, step)
        uncond = draw_rows(start_generators(5, seeds), rate)
        if uncond[1::2].all() and not uncond[::2].all():
            return seeds
    raise AssertionError(rate)


@pytest.fixture
def run_two(tmp_path):
    """Run cases on two processes that share each batch as ESPnet shares it."""

    def run(model, cases):
        parts = []
        for rank in (0, 1):
            batch, prompts = make_rows(range(rank, 5, 2))
            parts.append(
                [
                    (batch, settings, {"prompts": prompts, "row_seeds": seeds[rank::2]})
                    for settings, seeds in cases
                ]
            )
        given = {"model": model, "parts": parts, "figures": FIGURES}
        torch.save(given, tmp_path / "given.pt")
        command = [sys.executable, "-c", textwrap.dedent(PROCESS), tmp_path]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen([*command, rank], env=environment) for rank in "01"
        ]
        try:
            assert [process.wait(120) for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()
        return [torch.load(tmp_path / f"found.{rank}.pt") for rank in (0, 1)]

    return run


def compare_gradients(model, gradients):
    """Length of the difference from the model's own gradient, relative to that."""
    own = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert gradients.keys() == own.keys()
    wanted = torch.cat([gradient.flatten() for gradient in own.values()])
    given = torch.cat([gradients[name].flatten() for name in own])
    return float((given - wanted).norm() / wanted.norm())


@pytest.mark.slow
def test_two_processes_give_figures_and_gradients_of_one(tiny_model, run_two):
    mixed = RealtimeLossSettings(uncond_rate=0.5)
    decoded = replace(mixed, reconstruction_weight=1.0)
    uncond = RealtimeLossSettings(uncond_rate=1.0)
    seeds = find_seeds(0.5)
    cases = [(mixed, seeds), (decoded, seeds), (uncond, seeds)]
    tiny_model.acoustic_tokenizer.requires_grad_(False)
    found = run_two(tiny_model, cases)
    for index, (settings, _) in enumerate(cases):
        batch, prompts = make_rows(range(5))
        tiny_model.zero_grad()
        losses = tiny_model.compute_losses(
            *batch, settings, prompts=prompts, row_seeds=seeds
        )
        losses.loss.backward()
        wanted = {name: getattr(losses, name) for name in FIGURES}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        assert wanted["eos_loss"].isnan() == (settings is uncond)
        for stats, gradients in (found[0][index], found[1][index]):
            torch.testing.assert_close(
                stats, wanted, rtol=1e-6, atol=1e-7, equal_nan=True
            )
            # Rounding of the latents alone moves the gradient of the waveform term of
            # these weights by a hundredth: its log-mel is steep where all is quiet.
            limit = 0.02 if settings is decoded else 1e-5
            assert compare_gradients(tiny_model, gradients) < limit


def test_single_process_sums_itself_and_finds_its_smallest():
    values = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    total = sum_over_processes(values)
    assert torch.equal(total, values) and not total.requires_grad
    assert find_smallest_of_all(values, 2).tolist() == [1.0, 2.0]
    assert find_smallest_of_all(values, 4).tolist() == [1.0, 2.0, 3.0, torch.inf]
