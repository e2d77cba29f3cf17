import logging
import re
import threading
from pathlib import Path

import pytest
import torch

from espnet_vibevoice.adapters.folder import write_adapter
from espnet_vibevoice.adapters.hot_swap import AdapterSet
from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.branch import start_branches
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.streaming import stream
from espnet_vibevoice.models.voice_prompt import build_voice_prompt, save_voice_prompt

TEXT = torch.tensor([3, 1, 4, 1, 5, 9])
ENDLESS = GenerationSettings(
    max_frames_per_token=1.5, eos_threshold=1.0, num_sampling_steps=3
)
NOISE = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def original(original):
    """Widen the decoder: norms of one channel would blow rounding up."""
    original["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    return original


@pytest.fixture
def loaded(tiny_model, tune):
    """Give a set with two adapters, a and b, and the tuned models."""
    adapters = AdapterSet(tiny_model, max_rank=8)
    tuned = {}
    for seed, name in enumerate("ab"):
        tuned[name], adapter = tune(tiny_model, seed)
        adapters.load(name, adapter)
    return adapters, tuned


def speak(model, prompt=None):
    branches = start_branches(model, prompt)
    return generate(model, TEXT, ENDLESS, noise=NOISE, branches=branches).waveform


def is_close(left, right):
    return torch.allclose(left, right, atol=1e-5)


def test_enabled_adapter_speaks_as_the_tuned_model(tiny_model, loaded):
    adapters, tuned = loaded
    base = speak(tiny_model)
    adapters.enable("a")
    assert is_close(speak(adapters.model), speak(tuned["a"]))
    assert not is_close(base, speak(tuned["a"]))
    adapters.swap("a", "b")
    assert is_close(speak(adapters.model), speak(tuned["b"]))


@pytest.mark.parametrize(
    "settings", [{}, {"use_dora": True}, {"strategy": "full"}, {"lora_rank": 8}]
)
def test_disabled_adapter_equals_the_base_bit_for_bit(tiny_model, tune, settings):
    base = speak(tiny_model)
    adapters = AdapterSet(tiny_model, max_rank=8)
    adapters.load("a", tune(tiny_model, **settings)[1])
    assert torch.equal(speak(adapters.model), base)
    adapters.enable("a")
    assert not torch.equal(speak(adapters.model), base)
    adapters.disable("a")
    assert torch.equal(speak(adapters.model), base)
    with adapters.session({}) as model:
        assert torch.equal(speak(model), base)
    assert torch.equal(speak(tiny_model), base)


def test_half_strength_lies_between_base_and_full(tiny_model, loaded):
    adapters, _ = loaded
    waves = {}
    for scale in (0.0, 0.5, 1.0):
        adapters.enable("a", scale)
        waves[scale] = speak(adapters.model)
    assert torch.equal(waves[0.0], speak(tiny_model))
    whole = (waves[1.0] - waves[0.0]).norm()
    assert 0 < (waves[0.5] - waves[0.0]).norm() < whole
    assert 0 < (waves[1.0] - waves[0.5]).norm() < whole


def test_switches_change_states_and_outputs(tiny_model, loaded):
    adapters, _ = loaded

    def list_states():
        return {state.name: state.scale for state in adapters.list()}

    live = adapters.model
    assert list_states() == {"a": 0.0, "b": 0.0}
    adapters.enable("a")
    adapters.enable("b", 0.3)
    assert list_states() == {"a": 1.0, "b": 0.3}
    adapters.scale("a", 1.5)
    assert list_states() == {"a": 1.5, "b": 0.3}
    adapters.disable("b")
    adapters.swap("a", "b")
    assert list_states() == {"a": 0.0, "b": 1.5}
    adapters.enable("a")
    adapters.disable()
    assert list_states() == {"a": 0.0, "b": 0.0}
    adapters.enable("a")
    adapters.unload("a")
    assert list_states() == {"b": 0.0}
    adapters.enable("b")
    adapters.reset()
    assert list_states() == {"b": 0.0}
    assert torch.equal(speak(adapters.model), speak(tiny_model))
    assert adapters.model is live


def test_refused_switch_leaves_everything_as_it_was(loaded):
    adapters, _ = loaded
    adapters.enable("a")
    states, wave = adapters.list(), speak(adapters.model)
    for error, message, act in (
        (ValueError, "scale 1.6, wanted 0 to 1.5", lambda: adapters.scale("a", 1.6)),
        (ValueError, "scale -1", lambda: adapters.enable("b", -1)),
        (ValueError, "'c' is not loaded", lambda: adapters.enable("c")),
        (ValueError, "'c' is not loaded", lambda: adapters.swap("a", "c")),
        (ValueError, "'c' is not loaded", lambda: adapters.disable("c")),
        (ValueError, "'c' is not loaded", lambda: adapters.unload("c")),
        (ValueError, "a is loaded already", lambda: adapters.load("a", "x")),
        (RuntimeError, "b is disabled", lambda: adapters.scale("b", 1.0)),
        (RuntimeError, "b is disabled", lambda: adapters.swap("b", "a")),
    ):
        with pytest.raises(error, match=message):
            act()
    assert adapters.list() == states
    assert torch.equal(speak(adapters.model), wave)


def test_set_of_a_wrong_model_or_rank_is_refused(tiny_model):
    with pytest.raises(ValueError, match="max_rank is 0"):
        AdapterSet(tiny_model, max_rank=0)
    with pytest.raises(RuntimeError, match="training mode"):
        AdapterSet(tiny_model.train())
    apply_plan(tiny_model, build_plan("vibevoice_streaming"))
    with pytest.raises(ValueError, match="the base has LoRA layers"):
        AdapterSet(tiny_model.eval())


def test_set_from_base_knows_negative_prompt_and_fingerprint(tiny_base, make_adapted):
    adapters = AdapterSet.from_base(str(tiny_base), max_rank=16)
    assert adapters.model.get_negative_prompt_id() == 257
    adapter = make_adapted()[1]
    adapters.load("fa", adapter)
    wrong = type(adapter)(**{**vars(adapter), "base_fingerprint": "ab12"})
    with pytest.raises(ValueError, match="fingerprint ab12"):
        adapters.load("other", wrong)
    assert [state.name for state in adapters.list()] == ["fa"]


def test_code_of_the_readme_runs(
    base_model, tiny_base, make_adapted, tmp_path, monkeypatch
):
    readme = Path(__file__).resolve().parents[2] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.S)
    (code,) = (block for block in blocks if "AdapterSet" in block)
    monkeypatch.chdir(tmp_path)
    write_adapter(make_adapted()[1], tmp_path / "my_adapter")
    prompt = build_voice_prompt(base_model, torch.randn(3, 4), TEXT)
    save_voice_prompt(prompt, "voice.safetensors")
    names = {"BASE": str(tiny_base)}
    exec(code.replace('"Qwen/Qwen2.5-0.5B"', "None"), names)
    assert torch.isfinite(names["wave"]).all() and len(names["chunks"]) > 0
    assert [state.scale for state in names["adapters"].list()] == [0.8]


def test_threads_keep_their_adapters_while_the_live_one_switches(tiny_model, loaded):
    adapters, _ = loaded
    scales = [{}, {"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.5}]
    alone = []
    for own in scales:
        with adapters.session(own) as model:
            alone.append(speak(model))
    waves = {}
    started = threading.Barrier(len(scales) + 1, timeout=60)

    def run(index):
        with adapters.session(scales[index]) as model:
            started.wait()
            waves[index] = [speak(model) for _ in range(2)]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(scales))]
    for thread in threads:
        thread.start()
    started.wait()
    while any(thread.is_alive() for thread in threads):
        adapters.enable("a", 0.7)
        adapters.swap("a", "b")
        adapters.disable()
    for index, wave in enumerate(alone):
        assert all(torch.equal(again, wave) for again in waves[index])
    assert torch.equal(alone[0], speak(tiny_model))


def test_interleaved_streams_equal_each_alone(loaded):
    adapters, tuned = loaded
    with adapters.session({"a": 1.0}) as one, adapters.session({"b": 1.0}) as two:
        assert one is not two
        streams = [
            stream(model, TEXT, ENDLESS, noise=NOISE)
            for model in (one, two, adapters.model)
        ]
        chunks = []
        for index, triple in enumerate(zip(*streams, strict=True)):
            chunks.append(triple)
            if index == 2:
                adapters.enable("a")  # heard by the live stream alone
        adapters.unload("b")
    waves = [torch.cat([c.waveform for c in row]) for row in zip(*chunks, strict=True)]
    assert is_close(waves[0], speak(tuned["a"]))
    assert is_close(waves[1], speak(tuned["b"]))
    adapters.disable()
    base = speak(adapters.model)
    heard = 3 * len(base) // len(chunks)
    assert is_close(waves[2][:heard], base[:heard])
    assert not is_close(waves[2][heard:], base[heard:])


def test_sessions_reuse_idle_views(loaded):
    adapters, _ = loaded
    with adapters.session({"a": 1.0}) as first:
        pass
    with adapters.session({"b": 1.0}) as second, adapters.session({}) as third:
        assert second is first
        assert third is not first
    adapters.reset()
    with adapters.session({}) as fourth:
        assert fourth is not first and fourth is not third


def test_session_after_an_error_gives_its_view_back(loaded):
    adapters, _ = loaded
    with pytest.raises(KeyError), adapters.session({"a": 1.0}) as first:
        raise KeyError
    with adapters.session({"b": 1.0}) as second:
        assert second is first


def test_session_is_not_disturbed_by_a_load_that_needs_room(tiny_model, loaded, tune):
    adapters, tuned = loaded
    with adapters.session({"a": 1.0}) as model:
        before = set(dict(model.named_buffers()))
        adapters.load("full", tune(tiny_model, 3, strategy="full")[1])
        assert set(dict(model.named_buffers())) == before
        assert is_close(speak(model), speak(tuned["a"]))
    with adapters.session({"full": 1.0}) as model:
        assert not is_close(speak(model), speak(tiny_model))


def test_prompt_read_by_the_view_is_that_of_the_tuned_model(tiny_model, loaded):
    adapters, tuned = loaded
    latents = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    prompt = build_voice_prompt(tiny_model, latents, TEXT[:3])
    with adapters.session({"a": 1.0}) as model:
        wave = speak(model, prompt.read_by(model))
        assert is_close(wave, speak(tuned["a"], prompt.read_by(tuned["a"])))
        assert not is_close(wave, speak(model, prompt))


@pytest.mark.slow
def test_compiled_views_are_compiled_once(original, tune, caplog):
    from torch._dynamo.testing import CompileCounter

    original["decoder_config"]["num_hidden_layers"] = 2
    original["tts_backbone_num_hidden_layers"] = 1
    base = RealtimeModel.from_config(parse_config(original, 31))
    adapters = AdapterSet(base, 8, build_plan("vibevoice_streaming"))
    waves = {None: speak(adapters.model)}
    counter = CompileCounter()
    torch._dynamo.reset()
    adapters.compile(backend=counter)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        assert is_close(speak(adapters.model), waves[None])
        num_compiled = counter.frame_count
        assert num_compiled > 2
        for seed, name in enumerate("ab"):
            tuned, adapter = tune(base, seed)
            waves[name] = speak(tuned)
            adapters.load(name, adapter)
        for act, wanted in (
            (lambda: adapters.enable("a"), "a"),
            (lambda: adapters.scale("a", 0.5), ""),
            (lambda: adapters.scale("a", 1.0), "a"),
            (lambda: adapters.swap("a", "b"), "b"),
            (lambda: adapters.disable(), None),
        ):
            act()
            wave = speak(adapters.model)
            assert not wanted or is_close(wave, waves[wanted])
        with adapters.session({"a": 1.0}) as one, adapters.session({"b": 1.0}) as two:
            assert is_close(speak(one), waves["a"])
            assert is_close(speak(two), waves["b"])
    assert counter.frame_count == num_compiled
    with caplog.at_level(logging.INFO):
        adapters.load("head", tune(base, strategy="head_only")[1])
    assert "adapter head needed new room" in caplog.text
    torch._dynamo.reset()
