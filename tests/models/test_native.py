"""The format of transformers' own class, read and written."""

import pytest
import torch
from transformers import VibeVoiceForConditionalGeneration

from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.inspection import inspect_model
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import parse_multispeaker_config
from espnet_vibevoice.models.native import native_name, our_native_name

HEAD = "lm_head.weight"
NATIVE_LOADING = VibeVoiceForConditionalGeneration.from_pretrained


def assert_equal(first, second):
    wanted, got = first.state_dict(), second.state_dict()
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("max_shard_size", ["50GB", "200KB"])
def test_native_format_holds_the_same_model_both_ways(
    any_multispeaker, tmp_path, max_shard_size
):
    model = any_multispeaker
    model.save_native(tmp_path / "ours")
    native, info = NATIVE_LOADING(tmp_path / "ours", output_loading_info=True)
    assert not any(info.values())
    ids = torch.arange(9)[None]
    with torch.no_grad():
        wanted = model.compute_logits(model.run_sequence(model.embed_text(ids)))
        torch.testing.assert_close(native(input_ids=ids).logits, wanted)
    native.save_pretrained(tmp_path / "theirs", max_shard_size=max_shard_size)
    loaded = MultispeakerModel.from_base(str(tmp_path / "theirs"))
    assert_equal(model, loaded)
    assert loaded.tokens == model.tokens
    loaded.save(tmp_path / "original")  # from native to the original format
    again = MultispeakerModel.from_base(str(tmp_path / "original"))
    assert_equal(model, again)
    codec = load_codec(str(tmp_path / "theirs"))
    assert torch.equal(
        codec.encode(torch.ones(9)), model.acoustic_tokenizer.encode(torch.ones(9))
    )


def test_native_report_equals_that_of_the_original(tiny_multispeaker, tmp_path):
    tiny_multispeaker.save(tmp_path / "original")
    tiny_multispeaker.save_native(tmp_path / "native")
    paths = tmp_path / "original", tmp_path / "native"
    reports = [inspect_model(str(path)) for path in paths]
    assert reports[0].parts == reports[1].parts
    assert reports[0].latent_scale == reports[1].latent_scale
    total = sum(p.numel() for p in tiny_multispeaker.parameters())
    assert reports[0].parameters == total


def test_save_native_without_an_encoder_raises(multispeaker_original, tmp_path):
    config = parse_multispeaker_config(multispeaker_original)
    model = MultispeakerModel(config, has_semantic_encoder=False)
    with pytest.raises(ValueError, match="the semantic encoder is absent"):
        model.save_native(tmp_path)


def test_save_native_of_an_unmirrored_codec_raises(
    multispeaker_original, build_multispeaker, tmp_path
):
    codec = multispeaker_original["acoustic_tokenizer_config"]
    codec["decoder_depths"] = "1-1-1-1-1-1-1"
    model = build_multispeaker(multispeaker_original)
    with pytest.raises(ValueError, match="does not mirror its encoder"):
        model.save_native(tmp_path)


def test_native_names_are_undone(tiny_multispeaker):
    for name in [*tiny_multispeaker.state_dict(), HEAD]:
        assert our_native_name(native_name(name)) == name
    assert our_native_name("model.surprise") is None
    with pytest.raises(ValueError, match="has no such weight"):
        native_name("tts_input_types.weight")
