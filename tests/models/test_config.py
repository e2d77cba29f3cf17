import json

import pytest

from espnet_vibevoice.models.config import load_config, parse_config


def test_parse_config_splits_backbone_and_mirrors_codec(original):
    config = parse_config(original)
    assert config.language_model.num_hidden_layers == 1
    assert config.tts_language_model.num_hidden_layers == 2
    assert list(config.encoder.depths) == [1, 1, 1, 1, 1, 1, 2]
    assert list(config.decoder.depths) == [2, 1, 1, 1, 1, 1, 1]
    assert list(config.encoder.downsampling_ratios) == [2, 2, 4, 5, 5, 8]
    assert config.hop_samples == 3200


def test_parse_config_takes_qwen_id_only_in_a_large_vocabulary(original):
    assert parse_config(original).negative_prompt_id is None
    original["decoder_config"]["vocab_size"] = 151936
    assert parse_config(original).negative_prompt_id == 151655


def test_parse_config_other_family_raises(original):
    original["model_type"] = "vibevoice"
    with pytest.raises(ValueError, match="model_type is 'vibevoice'"):
        parse_config(original)


def test_parse_config_other_prediction_raises(original):
    original["diffusion_head_config"]["prediction_type"] = "epsilon"
    with pytest.raises(ValueError, match="prediction_type is 'epsilon'"):
        parse_config(original)


def test_load_config_finds_negative_prompt_in_tokenizer(original, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(original), encoding="utf-8")
    tokens = {"added_tokens": [{"content": "<|image_pad|>", "id": 17}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokens), encoding="utf-8")
    assert load_config(tmp_path).negative_prompt_id == 17


def test_load_config_missing_key_raises(original, tmp_path):
    del original["decoder_config"]["hidden_size"]
    (tmp_path / "config.json").write_text(json.dumps(original), encoding="utf-8")
    with pytest.raises(ValueError, match="the key 'hidden_size' is missing"):
        load_config(tmp_path)


def test_load_config_broken_json_raises(tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_config(tmp_path)


def test_load_config_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_config(tmp_path)
