"""A step on the largest batch that leaves nothing behind but a clear error."""

import logging
import random

import numpy as np
import pytest
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.distributed_utils import DistributedOption

from espnet_vibevoice.tts.dry_step import run_dry_step
from espnet_vibevoice.tts.dumped_latents import use_dumped_latents
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

LORA = ["--tts_conf", "strategy=lora"]


@pytest.fixture
def make_training(make_train_args, tmp_path):
    """Build a model and the batches of its training set."""

    def make(*words):
        args = make_train_args(tmp_path, *LORA, *words)
        use_dumped_latents(args, "train")
        model = VibeVoiceTTSTask.build_model(args)
        option = DistributedOption()
        factory = VibeVoiceTTSTask.build_iter_factory(args, option, "train")
        return model, factory, args.train_shape_file

    return make


def draw():
    return random.random(), np.random.random(), torch.rand(()).item()


def seed_all():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)


@pytest.mark.parametrize("was_training", [True, False])
def test_run_dry_step_leaves_everything_as_it_was(make_training, was_training, caplog):
    model, factory, shape_files = make_training()
    model.train(was_training)
    modes = [module.training for module in model.modules()]
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    settings = model.tts.loss_settings
    seed_all()
    wanted = draw()
    seed_all()
    with caplog.at_level(logging.INFO):
        run_dry_step(model, factory, shape_files, batch_bins=1500)
    assert draw() == wanted
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, weights[n]) for n, p in model.named_parameters())
    assert model.tts.loss_settings is settings
    assert "Dry step on the largest batch: 3 utterances" in caplog.text


def test_run_dry_step_runs_forward_and_backward(make_training):
    model, factory, shape_files = make_training()
    trained = [p for p in model.parameters() if p.requires_grad]
    seen = []
    for parameter in trained:
        parameter.register_post_accumulate_grad_hook(lambda p: seen.append(p.shape))
    run_dry_step(model, factory, shape_files, batch_bins=1500)
    assert len(seen) == len(trained)


def test_run_dry_step_out_of_memory_says_what_to_lower(make_training):
    # Noise of so many draws fits into no memory: the allocator itself refuses.
    model, factory, shape_files = make_training(
        "--tts_conf", f"ddpm_batch_mul={10**12}"
    )
    message = (
        r"memory ran out in a dry step on the largest batch of the training: 3 "
        r"utterances \(u\d, ...\), \d+ positions .* \d+ bins. Lower batch_bins \(now "
        r"1500.*gradient_checkpointing: true \(now false\), precision: bfloat16 \(now "
        r"float32\), .* max_prompt_sec .* ddpm_batch_mul \(now 1000000000000\)"
    )
    with pytest.raises(RuntimeError, match=message):
        run_dry_step(model, factory, shape_files, batch_bins=1500)
    assert all(p.grad is None for p in model.parameters())


def test_run_dry_step_other_error_passes(make_training):
    model, factory, shape_files = make_training()
    factory.dataset.loader_dict["speech"] = {"u1": None}
    with pytest.raises(KeyError, match="u3"):
        run_dry_step(model, factory, shape_files, batch_bins=1500)


class Factory(AbsIterFactory):
    def build_iter(self, epoch, shuffle=None):
        return []


def test_run_dry_step_without_a_list_of_batches_says_so(make_training, caplog):
    model, _, shape_files = make_training()
    with caplog.at_level(logging.INFO):
        run_dry_step(model, Factory(), shape_files, batch_bins=1500)
    assert "No dry step: this iterator has no list of batches" in caplog.text
