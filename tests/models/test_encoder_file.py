import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models.checkpoint import CODEC_PREFIX
from espnet_vibevoice.models.encoder_file import (
    ENCODER_PREFIX,
    METADATA_KEY,
    list_encoder_files,
    load_codec,
    save_encoder,
)
from espnet_vibevoice.models.realtime import RealtimeModel


@pytest.fixture
def bare_base(tiny_model, tmp_path):
    """Write a base without an encoder, as the released one is."""
    tiny_model.acoustic_tokenizer.encoder = None
    tiny_model.save(tmp_path / "bare")
    return str(tmp_path / "bare")


@pytest.fixture
def alone(tiny_base, tmp_path):
    """Write the encoder of the tiny base alone."""
    path = tmp_path / "encoder" / "e.safetensors"
    save_encoder(load_codec(str(tiny_base)), path)
    return path


def encode(codec):
    generator = torch.Generator().manual_seed(0)
    return codec.encode(torch.randn(7000, generator=generator) * 0.05)


def rewrite(path, change, keep_metadata=True):
    """Change the weights of a file in place."""
    with safe_open(path, "pt") as weights:
        metadata = weights.metadata() if keep_metadata else None
    state = load_file(path)
    save_file(change(state) or state, path, metadata=metadata)


def test_load_codec_without_encoder_encodes_nothing(bare_base):
    codec = load_codec(bare_base)
    assert not codec.has_encoder
    with pytest.raises(RuntimeError, match="--acoustic_encoder PATH.*train_encoder"):
        codec.encode(torch.zeros(3200))


def test_load_codec_takes_the_encoder_of_a_saved_file(bare_base, alone, tiny_base):
    codec = load_codec(bare_base, acoustic_encoder=str(alone))
    wanted = load_codec(str(tiny_base))
    assert torch.equal(encode(codec), encode(wanted))
    latents = encode(wanted)
    assert torch.equal(codec.decode(latents), load_codec(bare_base).decode(latents))
    assert not any(parameter.requires_grad for parameter in codec.parameters())
    assert not codec.encoder.training


def test_save_encoder_keeps_original_names_and_sizes(alone):
    with safe_open(alone, "pt") as weights:
        assert all(name.startswith(ENCODER_PREFIX) for name in weights.keys())
        sizes = json.loads(weights.metadata()[METADATA_KEY])
    assert sizes["encoder_ratios"] == [8, 5, 5, 4, 2, 2]
    assert sizes["encoder_depths"] == "1-1-1-1-1-1-2"
    assert sizes["vae_dim"] == 4 and sizes["fix_std"] == pytest.approx(0.5)
    assert [path.name for path in alone.parent.iterdir()] == [alone.name]
    assert alone.stat().st_mode & 0o777 == alone.parent.stat().st_mode & 0o666


@pytest.mark.parametrize("model_type", ["vibevoice_streaming", "vibevoice"])
def test_load_codec_takes_the_encoder_of_a_checkpoint(
    bare_base, tiny_base, tmp_path, model_type
):
    folder = tmp_path / "other"
    RealtimeModel.from_base(str(tiny_base)).save(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    del config["tts_backbone_num_hidden_layers"]
    config["model_type"] = model_type
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    codec = load_codec(bare_base, acoustic_encoder=str(folder))
    assert torch.equal(encode(codec), encode(load_codec(str(tiny_base))))
    names = {path.name for path in list_encoder_files(str(folder))}
    assert names == {"model.safetensors", "config.json"}


@pytest.mark.parametrize("prefix", ["", "encoder.", f"{CODEC_PREFIX}encoder."])
def test_load_codec_reads_original_names_without_sizes(
    bare_base, alone, tiny_base, prefix
):
    rewrite(
        alone,
        lambda state: {
            prefix + name.removeprefix(ENCODER_PREFIX): tensor
            for name, tensor in state.items()
        },
        keep_metadata=False,
    )
    codec = load_codec(bare_base, acoustic_encoder=str(alone))
    assert torch.equal(encode(codec), encode(load_codec(str(tiny_base))))


def test_load_codec_other_sizes_raises_with_both(bare_base, exact_bases):
    with pytest.raises(
        ValueError,
        match=rf"{exact_bases[0]}: its encoder gives latents of 32 dimensions every "
        rf"32 samples, the decoder of {bare_base} takes 4 dimensions every 3200 samp"
        r"les.*train_encoder",
    ):
        load_codec(bare_base, acoustic_encoder=str(exact_bases[0]))


def test_load_codec_checkpoint_without_encoder_raises(bare_base, tiny_base):
    with pytest.raises(ValueError, match="bare: holds no acoustic encoder.*train_enc"):
        load_codec(str(tiny_base), acoustic_encoder=bare_base)


def test_load_codec_faulty_weights_are_all_named(bare_base, alone):
    def spoil(state):
        del state[f"{ENCODER_PREFIX}head.conv.conv.bias"]
        state[f"{ENCODER_PREFIX}head.conv.more"] = torch.zeros(1)
        state[f"{ENCODER_PREFIX}head.conv.conv.weight"] = torch.zeros(4, 64, 1)

    rewrite(alone, spoil)
    with pytest.raises(
        ValueError,
        match=r"3 weights of the encoder.*missing head\.conv\.conv\.bias; unexpected "
        r"head\.conv\.more; wrong shape head\.conv\.conv\.weight: got \(4, 64, 1\)",
    ):
        load_codec(bare_base, acoustic_encoder=str(alone))


def test_load_codec_missing_or_broken_file_raises(bare_base, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors: no such file"):
        load_codec(bare_base, acoustic_encoder=str(tmp_path / "x.safetensors"))
    (tmp_path / "x.safetensors").write_bytes(b"none")
    with pytest.raises(ValueError, match="not a safetensors file.*Fetch it again"):
        load_codec(bare_base, acoustic_encoder=str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json: not valid JSON"),
        ("{}", r"config\.json: the key 'encoder_depths'.*is missing"),
    ],
)
def test_load_codec_faulty_configuration_raises(bare_base, alone, text, message):
    rewrite(alone, lambda state: None, keep_metadata=False)
    alone.with_name("config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_codec(bare_base, acoustic_encoder=str(alone))
