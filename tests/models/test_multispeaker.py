"""The multi-speaker model: loading, saving, parts; losses have a file of their own."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_vibevoice.adapters.lora import apply_plan, list_lora_layers
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.builtin import build_empty, build_parts, load_builtin
from espnet_vibevoice.models.checkpoint import INDEX_NAME, WEIGHTS_NAME
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.inspection import inspect_model
from espnet_vibevoice.models.multispeaker import PARTS, MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import parse_multispeaker_config
from espnet_vibevoice.models.realtime import RealtimeModel

HEAD = "lm_head.weight"
EMBEDDING = "model.language_model.embed_tokens.weight"


@pytest.fixture
def base(tiny_multispeaker, tmp_path):
    tiny_multispeaker.save(tmp_path / "base")
    return tmp_path / "base"


def assert_equal(first, second):
    wanted, got = first.state_dict(), second.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def edit_weights(base, change):
    state = load_file(base / WEIGHTS_NAME)
    change(state)
    save_file(state, base / WEIGHTS_NAME)


def test_children_have_the_originals_names(any_multispeaker):
    model = any_multispeaker
    assert {name for name, _ in model.named_children()} == {*PARTS, "schedule"}
    is_tied = model.config.is_tied
    assert (HEAD in dict(model.named_parameters())) is not is_tied
    table = model.language_model.embed_tokens.weight
    assert (model.lm_head.weight is table) is is_tied


@pytest.mark.parametrize("max_shard_bytes", [None, 200_000])
def test_save_then_load_gives_the_same_model(
    any_multispeaker, tmp_path, max_shard_bytes
):
    model = any_multispeaker
    model.save(tmp_path / "base", max_shard_bytes=max_shard_bytes)
    loaded = MultispeakerModel.from_base(str(tmp_path / "base"))
    assert_equal(model, loaded)
    files = [path for path in (tmp_path / "base").glob("*.safetensors")]
    assert (len(files) > 1) is (max_shard_bytes is not None)
    assert all(path.stat().st_size < 250_000 for path in files if len(files) > 1)
    ids = torch.arange(9)[None]
    hidden = loaded.run_sequence(loaded.embed_text(ids))
    assert torch.equal(hidden, model.run_sequence(model.embed_text(ids)))
    waveform = torch.randn(5000)
    for part in ("acoustic_tokenizer", "semantic_tokenizer"):
        wanted = model.get_submodule(part).encode(waveform)
        assert torch.equal(loaded.get_submodule(part).encode(waveform), wanted)


@pytest.mark.parametrize("part", ["acoustic", "semantic"])
def test_load_without_an_encoder_keeps_the_rest(base, part):
    def change(state):
        for name in [n for n in state if f"{part}_tokenizer.encoder" in n]:
            del state[name]

    edit_weights(base, change)
    model = MultispeakerModel.from_base(str(base))
    assert model.has_encoder is (part == "semantic")
    assert model.semantic_tokenizer.has_encoder is (part == "acoustic")
    with pytest.raises(RuntimeError, match=f"has no {part} encoder"):
        model.get_submodule(f"{part}_tokenizer").encode(torch.ones(5))


def test_load_faulty_weights_raises_with_all_names(base):
    def change(state):
        del state["model.semantic_connector.norm.weight"]
        state["model.surprise"] = torch.zeros(1)
        state["model.prediction_head.cond_proj.weight"] = torch.zeros(3, 16)

    edit_weights(base, change)
    with pytest.raises(ValueError, match="3 weights do not fit") as caught:
        MultispeakerModel.from_base(str(base))
    message = str(caught.value)
    assert "missing model.semantic_connector.norm.weight" in message
    assert "unexpected model.surprise" in message
    assert "wrong shape model.prediction_head.cond_proj.weight: got (3, 16)" in message


def test_load_tied_base_takes_a_head_only_if_it_is_equal(base):
    edit_weights(base, lambda state: state.update({HEAD: state[EMBEDDING].clone()}))
    assert MultispeakerModel.from_base(str(base)).config.is_tied
    edit_weights(base, lambda state: state.update({HEAD: state[EMBEDDING] + 1}))
    message = f"{HEAD} is not {EMBEDDING}, which config.json wants"
    with pytest.raises(ValueError, match=re.escape(message)):
        MultispeakerModel.from_base(str(base))


def test_load_untied_base_without_a_head_raises(base):
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["decoder_config"]["tie_word_embeddings"] = False
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(
        ValueError, match="1 weights do not fit.*missing lm_head.weight"
    ):
        MultispeakerModel.from_base(str(base))


def test_load_base_of_the_other_family_raises(base, tiny_base):
    with pytest.raises(ValueError, match="'vibevoice', which is not of the realtime"):
        RealtimeModel.from_base(str(base))
    with pytest.raises(ValueError, match="which is not of the multi-speaker family"):
        MultispeakerModel.from_base(str(tiny_base))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_load_in_half_precision_keeps_constants_exact(tiny_multispeaker, base, dtype):
    half = MultispeakerModel.from_base(str(base), dtype)
    assert {p.dtype for p in half.parameters()} == {dtype}
    assert {b.dtype for b in half.buffers()} == {torch.float32}
    assert torch.equal(
        half.speech_scaling_factor, tiny_multispeaker.speech_scaling_factor
    )
    half.tokens = tiny_multispeaker.tokens
    frames = half.embed_frames(torch.ones(2, 4), torch.ones(2, 6))
    assert frames.dtype == dtype
    assert half.compute_control_logits(frames).dtype == torch.float32


def test_save_over_a_base_in_another_number_of_files_raises(tiny_multispeaker, base):
    with pytest.raises(FileExistsError, match="holds a base in model.safetensors"):
        tiny_multispeaker.save(base, max_shard_bytes=200_000)
    (base / INDEX_NAME).write_text("{}", encoding="utf-8")
    with pytest.raises(
        FileExistsError, match="holds a base in model.safetensors.index"
    ):
        tiny_multispeaker.save(base)


def test_control_logits_are_those_of_the_vocabulary(any_multispeaker):
    model = any_multispeaker
    hidden = torch.randn(3, 16)
    allowed = list(model.get_tokens().allowed)
    wanted = model.compute_logits(hidden)[:, allowed]
    torch.testing.assert_close(model.compute_control_logits(hidden), wanted)


def test_tokens_come_from_the_tokenizer_or_the_size(tiny_multispeaker_base, base):
    assert load_config(tiny_multispeaker_base).tokens.allowed == (258, 259, 260, 256)
    model = MultispeakerModel.from_base(str(base))
    with pytest.raises(RuntimeError, match="vision_start.*Set model.tokens"):
        model.get_tokens()
    released = parse_multispeaker_config(load_builtin("1.5b")).tokens
    assert released.allowed == (151652, 151653, 151654, 151643)


def test_parse_config_of_the_other_family_raises(original):
    with pytest.raises(ValueError, match="a multi-speaker base has 'vibevoice'"):
        parse_multispeaker_config(original)


@pytest.mark.parametrize("size", ["1.5b", "7b"])
def test_released_sizes_are_built_on_the_meta_device(size):
    model = build_empty(load_builtin(size))
    assert {p.device.type for p in model.parameters()} == {"meta"}
    report = inspect_model(size)
    counts = {part.name: part.parameters for part in report.parts}
    for name, part in build_parts(load_builtin(size), has_encoder=False).items():
        assert counts[name] == sum(p.numel() for p in part.parameters())
    assert report.parameters == sum(p.numel() for p in model.parameters())
    assert ("lm_head" in counts) is (size == "7b") is not model.config.is_tied


@pytest.mark.parametrize(
    "keys",
    [
        {"strategy": "lora", "lora_targets": "attention_mlp"},
        {"strategy": "conservative"},
        {"strategy": "head_only"},
        {"strategy": "full"},
        {
            "strategy": "custom",
            "trained_parts": ["semantic_connector"],
            "lora_parts": {"prediction_head": {"rank": 2}, "language_model": None},
        },
    ],
)
def test_strategies_train_what_the_report_counts(any_multispeaker, tmp_path, keys):
    model = any_multispeaker
    model.save(tmp_path)
    report = inspect_model(str(tmp_path), **keys)
    plan = build_plan("vibevoice", **keys)
    apply_plan(model, plan)
    for part in report.parts:
        module = model.get_submodule(part.name)
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        assert trained == part.trainable, part.name
    for part in plan.lora:
        assert list_lora_layers(model.get_submodule(part))


def test_strategy_custom_refuses_a_head_without_weights(tiny_multispeaker):
    plan = build_plan("vibevoice", strategy="custom", trained_parts=["lm_head"])
    with pytest.raises(ValueError, match="lm_head, which has no weight of its own"):
        apply_plan(tiny_multispeaker, plan)
