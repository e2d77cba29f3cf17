"""Adapters as a training leaves them, made in a moment."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums in one order, and no fight for the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base_model(tiny_base):
    """Load the tiny base; tests must not change it."""
    from espnet_vibevoice.models.realtime import RealtimeModel

    return RealtimeModel.from_base(str(tiny_base))


@pytest.fixture(scope="session")
def base_fingerprint(tiny_base):
    """Compute the fingerprint of the tiny base."""
    from espnet_vibevoice.models.fingerprint import fingerprint_weights

    return fingerprint_weights(tiny_base)


@pytest.fixture(scope="session")
def make_adapted(base_model, tiny_base, base_fingerprint):
    """Make a model with an adapter, and the adapter; options are those of a plan."""
    import copy

    from espnet_vibevoice.adapters.adapter import extract_adapter
    from espnet_vibevoice.adapters.lora import apply_plan
    from espnet_vibevoice.adapters.strategies import build_plan

    def make(size=0.1, *, base=base_model, seed=0, **options):
        plan = build_plan("vibevoice_streaming", **options)
        model = copy.deepcopy(base)
        apply_plan(model, plan)
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data += size * noise
        adapter = extract_adapter(model, plan, str(tiny_base), base_fingerprint)
        return model.eval(), adapter

    return make


@pytest.fixture(scope="session")
def speak():
    """Speak with a model: the same text and noise each time, a fixed length."""
    from espnet_vibevoice.models.generation import GenerationSettings, generate

    settings = GenerationSettings(eos_threshold=1.0, max_frames=6)

    def make(model):
        generator = torch.Generator().manual_seed(5)
        return generate(model, torch.arange(9), settings, generator).waveform

    return make


@pytest.fixture
def tune(make_adapted):
    """Do the same for any base, gently and with a low rank."""

    def make(base, seed=1, **options):
        options = {"lora_rank": 4, **options}
        return make_adapted(0.05, base=base, seed=seed, **options)

    return make
