import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models.checkpoint import (
    INDEX_NAME,
    UNUSED_EMBEDDING,
    WEIGHTS_NAME,
    find_weights,
    original_name,
    original_name_in,
    our_name_in,
)
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.realtime import RealtimeModel

TEXT = torch.tensor([3, 1, 4])
NORM = "model.tts_language_model.norm.weight"


@pytest.fixture
def base(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "base")
    return tmp_path / "base"


def edit_weights(base, change):
    state = load_file(base / WEIGHTS_NAME)
    change(state)
    save_file(state, base / WEIGHTS_NAME)


def test_save_then_load_gives_same_audio(tiny_model, base):
    loaded = RealtimeModel.from_base(str(base))
    loaded.negative_prompt_id = tiny_model.negative_prompt_id
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    noise = torch.randn(3, 4)
    wanted = generate(tiny_model, TEXT, settings, noise=noise).waveform
    assert torch.equal(generate(loaded, TEXT, settings, noise=noise).waveform, wanted)
    assert sorted(p.name for p in base.iterdir()) == ["config.json", WEIGHTS_NAME]


def test_save_twice_gives_same_bytes(tiny_model, base, tmp_path):
    tiny_model.save(tmp_path / "again")
    for name in (WEIGHTS_NAME, "config.json"):
        assert (base / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_save_over_split_base_raises(tiny_model, base):
    (base / INDEX_NAME).write_text("{}", encoding="utf-8")
    with pytest.raises(FileExistsError, match="several files"):
        tiny_model.save(base)


def test_load_split_base_equals_whole(base):
    wanted = RealtimeModel.from_base(str(base)).state_dict()
    state = load_file(base / WEIGHTS_NAME)
    (base / WEIGHTS_NAME).unlink()
    names = sorted(state)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: state[name] for name in part}, base / file)
    index = {name: file for file, part in parts.items() for name in part}
    text = json.dumps({"weight_map": index})
    (base / INDEX_NAME).write_text(text, encoding="utf-8")
    loaded = RealtimeModel.from_base(str(base)).state_dict()
    assert all(torch.equal(loaded[name], wanted[name]) for name in wanted)


def test_save_without_the_unused_table_is_smaller_and_loads(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "own", keep_unused=False)
    assert UNUSED_EMBEDDING not in find_weights(tmp_path / "own")
    loaded = RealtimeModel.from_base(str(tmp_path / "own")).state_dict()
    wanted = tiny_model.state_dict()
    assert loaded.keys() == wanted.keys()
    assert all(torch.equal(loaded[name], wanted[name]) for name in wanted)


def test_save_in_half_precision_keeps_constants_exact(tiny_model, base, tmp_path):
    half = RealtimeModel.from_base(str(base), torch.bfloat16)
    half.save(tmp_path / "half")
    state = load_file(tmp_path / "half" / WEIGHTS_NAME)
    scale = state.pop("model.speech_scaling_factor")
    assert torch.equal(scale, tiny_model.speech_scaling_factor)
    del state["model.speech_bias_factor"]
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    config = json.loads((tmp_path / "half/config.json").read_text(encoding="utf-8"))
    assert config["torch_dtype"] == "bfloat16"


def test_save_that_fails_leaves_the_old_base(tiny_model, base, monkeypatch):
    before = (base / WEIGHTS_NAME).read_bytes()

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        tiny_model.to(torch.bfloat16).save(base)
    assert (base / WEIGHTS_NAME).read_bytes() == before
    assert sorted(p.name for p in base.iterdir()) == ["config.json", WEIGHTS_NAME]


@pytest.mark.parametrize(
    "text,error", [("{", "JSONDecodeError"), ("{}", "KeyError"), ("[]", "TypeError")]
)
def test_load_with_broken_index_raises(base, text, error):
    (base / INDEX_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"index.json: holds no weight_map.*{error}"):
        RealtimeModel.from_base(str(base))


def test_load_split_base_without_a_shard_raises(base):
    index = {"weight_map": {NORM: "b.safetensors"}}
    (base / INDEX_NAME).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="b.safetensors: no such file"):
        RealtimeModel.from_base(str(base))


def test_load_faulty_weights_raises_with_all_names(base):
    def change(state):
        del state[NORM]
        state["model.surprise"] = torch.zeros(1)
        state["model.tts_input_types.weight"] = torch.zeros(3, 16)

    edit_weights(base, change)
    with pytest.raises(ValueError, match="3 weights do not fit") as caught:
        RealtimeModel.from_base(str(base))
    message = str(caught.value)
    assert f"missing {NORM}" in message
    assert "unexpected model.surprise" in message
    assert "wrong shape model.tts_input_types.weight: got (3, 16), wanted (2, 16)" in (
        message
    )


def test_load_without_encoder_keeps_decoder(base):
    def change(state):
        for name in [n for n in state if "tokenizer.encoder" in n]:
            del state[name]
        del state[UNUSED_EMBEDDING]

    edit_weights(base, change)
    model = RealtimeModel.from_base(str(base))
    assert not model.has_encoder
    assert model.acoustic_tokenizer.decode(torch.zeros(2, 4)).shape == (6400,)


def test_load_half_an_encoder_raises(base):
    name = "model.acoustic_tokenizer.encoder.head.conv.conv.bias"
    edit_weights(base, lambda state: state.pop(name))
    with pytest.raises(ValueError, match=f"missing {name}"):
        RealtimeModel.from_base(str(base))


def test_load_codec_equals_the_models(tiny_model, base):
    codec = load_codec(str(base))
    waveform = torch.randn(5000)
    assert torch.equal(
        codec.encode(waveform), tiny_model.acoustic_tokenizer.encode(waveform)
    )


def test_read_codec_shape_gives_rate_hop_and_size(base):
    shape = read_codec_shape(str(base / "config.json"))
    assert (shape.sampling_rate, shape.hop_samples, shape.latent_dim) == (
        24000,
        3200,
        4,
    )


def test_find_weights_broken_file_raises(base):
    (base / WEIGHTS_NAME).write_bytes(b"not weights")
    with pytest.raises(ValueError, match="not a safetensors file"):
        find_weights(base)


def test_find_weights_missing_file_raises(base):
    (base / WEIGHTS_NAME).unlink()
    with pytest.raises(FileNotFoundError, match="incomplete"):
        find_weights(base)


@pytest.mark.parametrize(
    "ours,original",
    [
        ("language_model.layers.0.mlp.up_proj.weight", None),
        ("tts_eos_classifier.fc1.weight", "tts_eos_classifier.fc1.weight"),
        (
            "acoustic_tokenizer.encoder.conv_layers.0.conv.conv.weight",
            "model.acoustic_tokenizer.encoder.downsample_layers.1.0.conv.conv.weight",
        ),
        (
            "acoustic_tokenizer.decoder.conv_layers.5.stage.2.mixer.conv.bias",
            "model.acoustic_tokenizer.decoder.stages.6.2.mixer.conv.conv.conv.bias",
        ),
        (
            "prediction_head.layers.1.linear.weight",
            "model.prediction_head.layers.1.adaLN_modulation.1.weight",
        ),
        ("acoustic_connector.linear_2.bias", "model.acoustic_connector.fc2.bias"),
        ("semantic_connector.act.weight", "model.semantic_connector.norm.weight"),
        ("lm_head.weight", "lm_head.weight"),
    ],
)
def test_original_name_follows_the_published_table(ours, original):
    assert original_name(ours) == (original or f"model.{ours}")


def test_names_inside_parts_translate_to_the_original_and_back(tiny_model):
    parts = dict(tiny_model.named_children())
    del parts["acoustic_tokenizer"]
    for part, module in parts.items():
        for name, _ in module.named_parameters():
            original = original_name_in(part, name)
            assert original_name(f"{part}.{name}").endswith(f"{part}.{original}")
            assert our_name_in(part, original) == name
    assert our_name_in("semantic_connector", "fc1.weight") == "linear_1.weight"
    assert our_name_in("lm_head", "weight") == "weight"


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("prediction_head", "layers.0.linear.weight"),
        ("acoustic_connector", "act.weight"),
    ],
)
def test_our_name_of_no_original_name_raises(part, name):
    with pytest.raises(ValueError, match=f"{part}: {name} is no name of a weight"):
        our_name_in(part, name)
