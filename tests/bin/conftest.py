"""Runs the package's commands in this process; what they are given to speak with."""

import logging
import runpy
import shutil
import sys

import pytest


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command of the package; return status, output and errors."""
    monkeypatch.delenv("VIBEVOICE_DEBUG", raising=False)

    def run_one(command, *words):
        module = f"espnet_vibevoice.bin.{command}"
        monkeypatch.setattr(sys, "argv", [command, *map(str, words)])
        monkeypatch.delitem(sys.modules, module, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        return ended.value.code, *capfd.readouterr()

    return run_one


@pytest.fixture
def log_level():
    """Undo what a command does to the log."""
    logger = logging.getLogger("espnet_vibevoice")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def talking_base(tiny_multispeaker_base, tmp_path_factory):
    """Write a multi-speaker base that makes a frame whatever it has read."""
    import torch

    from espnet_vibevoice.models.loading import load_model

    folder = tmp_path_factory.mktemp("talking") / "base"
    shutil.copytree(tiny_multispeaker_base, folder)
    model = load_model(str(tiny_multispeaker_base))
    with torch.no_grad():
        table = model.language_model.embed_tokens.weight
        table[:, 0] = 1.0
        for connector in (model.acoustic_connector, model.semantic_connector):
            connector.linear_2.bias[0] += 1.0
        # the table scores tokens too
        table[list(model.tokens.allowed)] = 0.0
        table[model.tokens.speech_start, 0] = 1.0
        table[model.tokens.speech_diffusion, 0] = 2.0
    model.save(folder)
    return folder


@pytest.fixture(scope="session")
def bases(tiny_base, talking_base):
    """Give a base of each family."""
    return {"realtime": tiny_base, "multispeaker": talking_base}


@pytest.fixture(scope="session")
def wavs(tmp_path_factory):
    """Write two recordings; one has its transcript beside it."""
    import numpy as np

    from espnet_vibevoice.data.audio import write_wav

    folder = tmp_path_factory.mktemp("wavs")
    for seed, name in enumerate("ab"):
        noise = np.random.default_rng(seed).normal(0, 0.1, 8000 + 3200 * seed)
        write_wav(folder / f"{name}.wav", noise, 24000)
    (folder / "b.txt").write_text("two\n", encoding="utf-8")
    return folder / "a.wav", folder / "b.wav"


@pytest.fixture(scope="session")
def save_adapter():
    """Give a function that writes an adapter of random weights whose speech goes on."""
    import torch

    from espnet_vibevoice.adapters.adapter import extract_adapter
    from espnet_vibevoice.adapters.folder import write_adapter
    from espnet_vibevoice.adapters.lora import apply_plan
    from espnet_vibevoice.adapters.strategies import build_plan
    from espnet_vibevoice.models.fingerprint import fingerprint_weights
    from espnet_vibevoice.models.loading import load_model
    from espnet_vibevoice.models.realtime import RealtimeModel

    def save(base, folder, size, family):
        model = load_model(str(base))
        plan = build_plan(family, strategy="lora", lora_rank=2)
        apply_plan(model, plan)
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data += size * noise
        if isinstance(model, RealtimeModel):  # random weights must not end the speech
            model.tts_eos_classifier.fc2.bias.data.fill_(-100.0)
        fingerprint = fingerprint_weights(base)
        adapter = extract_adapter(model, plan, str(base), fingerprint)
        write_adapter(adapter, folder)
        return model, plan

    return save
