"""Tiny recognisers: an ESPnet CTC model and a Whisper model, both random."""

import json

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.score.model_specs import RecognizerSpec

ASR_TOKENS = ["<blank>", "<unk>", "<space>", *"ابپتس", "<sos/eos>"]
WHISPER_SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|fa|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
INFERENCE = {"ctc_weight": 1.0, "beam_size": 1}


@pytest.fixture(scope="session")
def asr_folder(tmp_path_factory):
    """Write a random CTC model that hears something in noise; must stay as it is."""
    import torch
    import yaml
    from espnet2.tasks.asr import ASRTask

    folder = tmp_path_factory.mktemp("asr")
    config = ASRTask.get_default_config() | {
        "token_list": ASR_TOKENS,
        "token_type": "char",
        "frontend_conf": {"fs": "8k", "n_fft": 256, "hop_length": 80, "n_mels": 8},
        "specaug": None,
        "normalize": None,
        "encoder": "conformer",
        "encoder_conf": {
            **{"output_size": 8, "attention_heads": 2, "linear_units": 8},
            **{"num_blocks": 1, "use_flash_attn": False},
        },
        "decoder": None,
        "model_conf": {"ctc_weight": 1.0},
        "speech_volume_normalize": 0.5,
    }
    (folder / "config.yaml").write_text(
        yaml.safe_dump(config, allow_unicode=True), encoding="utf-8"
    )
    torch.manual_seed(0)
    model, _ = ASRTask.build_model_from_file(folder / "config.yaml", None, "cpu")
    model.ctc.ctc_lo.weight.data.mul_(5.0)
    torch.save(model.state_dict(), folder / "model.pth")
    return folder


@pytest.fixture(scope="session")
def asr_spec(asr_folder):
    """Give the specification of that model."""
    return RecognizerSpec(
        "tiny",
        "espnet",
        config=str(asr_folder / "config.yaml"),
        model_file=str(asr_folder / "model.pth"),
        inference=INFERENCE,
    )


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    """Write a random Whisper model that writes Persian letters; must stay as it is."""
    import torch
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    folder = tmp_path_factory.mktemp("whisper") / "model"
    folder.mkdir()
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    merges = []
    for letter in "ابپتس":  # two bytes each become one token
        first, second = ByteLevel(add_prefix_space=False).pre_tokenize_str(letter)[0][0]
        merges.append((first, second))
        vocabulary.setdefault(first + second, len(vocabulary))
    letters = [vocabulary["".join(pair)] for pair in merges]
    bare = Tokenizer(models.BPE(vocabulary, merges))
    bare.pre_tokenizer = ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(WHISPER_SPECIAL)
    bare.save(str(folder / "tokenizer.json"))
    tokenizer = WhisperTokenizer(
        tokenizer_object=bare,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
    )
    ids = tokenizer.get_vocab()
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    special = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    config = WhisperConfig(
        vocab_size=len(ids),
        num_mel_bins=8,
        **{"encoder_layers": 1, "decoder_layers": 1, "d_model": 16},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
        **{"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_target_positions": 16},
        decoder_start_token_id=start,
        init_std=1.0,
        **special,
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    muted = [index for index in range(len(ids)) if index not in letters]
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start,
        max_length=12,
        suppress_tokens=muted,
        **special,
    )
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=8)
    WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    assert json.loads((folder / "generation_config.json").read_text())
    return folder


@pytest.fixture
def noise():
    """Give a second of noise with syllables: (T_wav,) float32 at 8 kHz."""
    rng = np.random.default_rng(0)
    times = np.arange(8000) / 8000
    waveform = rng.normal(size=8000) * np.sin(2 * np.pi * 3 * times)
    return (0.1 * waveform).astype(np.float32)


@pytest.fixture
def make_set(tmp_path):
    """Give a function that writes wavs of noise at 8 kHz and their wav.scp."""

    def make(count):
        rng = np.random.default_rng(1)
        lines = []
        for index in range(count):
            path = tmp_path / f"u{index}.wav"
            envelope = np.sin(np.arange(8000 + 800 * index) / 400)
            soundfile.write(path, 0.1 * rng.normal(size=len(envelope)) * envelope, 8000)
            lines.append(f"u{index} {path}\n")
        scp = tmp_path / "wav.scp"
        scp.write_text("".join(lines), encoding="utf-8")
        return scp

    return make
