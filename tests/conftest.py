"""Tiny models and bases; leaves out marked tests whose resource is not there."""

import copy
import importlib
import os
import random
import shutil
import signal

import pytest

NEGATIVE_PROMPT_ID = 31
LATENT_DIM = 4
SEMANTIC_DIM = 6
NUM_BYTES = 256
# Special tokens of the multi-speaker family's tokenizer of bytes, and the ids of those
# that control speech: start, end, diffusion, end of text.
MULTISPEAKER_SPECIAL = [
    "<|endoftext|>",
    "<|image_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
]
MULTISPEAKER_TOKENS = (258, 259, 260, 256)
ORIGINAL = {
    "model_type": "vibevoice_streaming",
    "tts_backbone_num_hidden_layers": 2,
    "acoustic_tokenizer_config": {
        "channels": 1,
        "decoder_depths": None,
        "decoder_n_filters": 1,
        "decoder_ratios": [8, 5, 5, 4, 2, 2],
        "encoder_depths": "1-1-1-1-1-1-2",
        "encoder_n_filters": 1,
        "encoder_ratios": [8, 5, 5, 4, 2, 2],
        "fix_std": 0.5,
        "layer_scale_init_value": 0.3,
        "layernorm_eps": 1e-5,
        "vae_dim": LATENT_DIM,
        "weight_init_value": 0.01,
    },
    "decoder_config": {
        "hidden_act": "silu",
        "hidden_size": 16,
        "initializer_range": 0.2,
        "intermediate_size": 16,
        "max_position_embeddings": 512,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "vocab_size": 32,
    },
    "diffusion_head_config": {
        "ddpm_beta_schedule": "cosine",
        "ddpm_num_steps": 1000,
        "head_ffn_ratio": 2.0,
        "head_layers": 1,
        "hidden_size": 16,
        "latent_size": LATENT_DIM,
        "prediction_type": "v_prediction",
        "rms_norm_eps": 1e-5,
    },
}


# A shell starts background commands with Ctrl-C ignored, and children inherit that;
# tests that send it need the usual handler.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def has_gpu() -> bool:
    """Tell whether torch sees a GPU."""
    return importlib.import_module("torch").cuda.is_available()


def pytest_runtest_setup() -> None:
    """Start each test, and the fixtures made for it, from one state of the generators.

    Without it a test that draws (a new LoRA factor, say) depends on what its worker
    ran before.
    """
    random.seed(0)
    importlib.import_module("numpy").random.seed(0)
    importlib.import_module("torch").manual_seed(0)


HAS_RESOURCE = {
    "gpu": has_gpu,
    "browser": lambda: bool(shutil.which("chromium") and shutil.which("chromedriver")),
    "network": lambda: os.environ.get("VIBEVOICE_TEST_NETWORK") == "1",
    "upstream": lambda: bool(os.environ.get("ESPNET_ROOT")),
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out tests whose resource is absent; those of a browser say so."""
    needed = {m for m in HAS_RESOURCE if any(i.get_closest_marker(m) for i in items)}
    absent = {m for m in needed if not HAS_RESOURCE[m]()}
    if "browser" in absent:
        absent.remove("browser")
        skip = pytest.mark.skip(reason="chromium or chromedriver is not installed")
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(skip)
    left_out = [i for i in items if any(i.get_closest_marker(m) for m in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


@pytest.fixture
def original() -> dict:
    """Give a tiny configuration in the original form; a test may change it."""
    return copy.deepcopy(ORIGINAL)


@pytest.fixture
def tiny_model(original):
    """Make a tiny realtime model with random weights and a calibrated codec."""
    return make_tiny_model(original, NEGATIVE_PROMPT_ID)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """Write a tiny base with a tokenizer of bytes; tests must not change it."""
    folder = tmp_path_factory.mktemp("tiny") / "base"
    folder.mkdir()
    save_byte_tokenizer(folder, ["<|endoftext|>", "<|image_pad|>"])
    original = copy.deepcopy(ORIGINAL)
    original["decoder_config"]["vocab_size"] = 264
    make_tiny_model(original, NUM_BYTES + 1).save(folder)
    return folder


def save_byte_tokenizer(folder, special: list[str]) -> None:
    """Write a tokenizer of bytes, whose special tokens follow from id 256 on."""
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(alphabet)}
    assert len(vocabulary) == NUM_BYTES, len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture
def multispeaker_original() -> dict:
    """Give a tiny configuration of the other family; a test may change it."""
    return make_multispeaker_original()


@pytest.fixture
def build_multispeaker():
    """Give the function that makes a multi-speaker model of a configuration."""
    return make_tiny_multispeaker


@pytest.fixture
def tiny_multispeaker(multispeaker_original):
    """Make a tiny 1.5B-like model with random weights and calibrated encoders."""
    return make_tiny_multispeaker(multispeaker_original)


@pytest.fixture(scope="session")
def tiny_multispeaker_base(tmp_path_factory):
    """Write such a model with a tokenizer of bytes; tests must not change it."""
    folder = tmp_path_factory.mktemp("multispeaker") / "base"
    folder.mkdir()
    save_byte_tokenizer(folder, MULTISPEAKER_SPECIAL)
    make_tiny_multispeaker(make_multispeaker_original()).save(folder)
    return folder


def make_multispeaker_original() -> dict:
    """Make a tiny configuration of the multi-speaker family, its lm_head tied."""
    original = copy.deepcopy(ORIGINAL)
    del original["tts_backbone_num_hidden_layers"]
    original["model_type"] = "vibevoice"
    original["decoder_config"] |= {
        "max_position_embeddings": 1024,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
        "vocab_size": 264,
    }
    original["semantic_tokenizer_config"] = {
        **original["acoustic_tokenizer_config"],
        "fix_std": 0,
        "vae_dim": SEMANTIC_DIM,
    }
    return original


def make_tiny_multispeaker(original: dict, seed: int = 0):
    """Make a multi-speaker model whose encoders carry a signal."""
    import torch

    from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
    from espnet_vibevoice.models.multispeaker import MultispeakerModel
    from espnet_vibevoice.models.multispeaker_config import (
        SpeechTokens,
        parse_multispeaker_config,
    )

    tokens = SpeechTokens(*MULTISPEAKER_TOKENS)
    config = parse_multispeaker_config(original, tokens)
    model = MultispeakerModel.from_config(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    set_unit_gain(model.acoustic_tokenizer, generator)
    set_unit_gain(model.semantic_tokenizer, generator)
    noise = torch.randn(12800, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


def make_tiny_model(original: dict, negative_prompt_id: int):
    """Make a realtime model whose codec carries a signal of ordinary loudness."""
    import torch

    from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
    from espnet_vibevoice.models.config import parse_config
    from espnet_vibevoice.models.realtime import RealtimeModel

    config = parse_config(original, negative_prompt_id)
    model = RealtimeModel.from_config(config, seed=0)
    generator = torch.Generator().manual_seed(0)
    set_unit_gain(model.acoustic_tokenizer, generator)
    noise = torch.randn(12800, generator=generator) * 0.05
    calibrate_codec(model, [noise], target_rms=0.05)
    return model


@pytest.fixture(scope="session")
def exact_bases(tmp_path_factory):
    """Write two bases whose codecs reconstruct exactly, each in its own latent space.

    Sizes are equal, so only listening tells that the encoder of one does not fit the
    decoder of the other. Tests must not change them.
    """
    folder = tmp_path_factory.mktemp("exact")
    for seed, name in enumerate("ab"):
        make_exact_model(seed).save(folder / name)
    return folder / "a", folder / "b"


@pytest.fixture(scope="session")
def speech_scp(tmp_path_factory):
    """Write wav.scp of three seconds-long voices with syllables, pauses and pitch."""
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("speech")
    lines = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        times = np.arange(24000 + 8000 * seed) / 24000
        pitch = 120 + 40 * seed + 30 * np.sin(2 * np.pi * 1.3 * times)
        phase = 2 * np.pi * np.cumsum(pitch) / 24000
        voice = sum(np.sin(k * phase) / k**1.5 for k in range(1, 25))
        syllables = np.maximum(np.sin(2 * np.pi * 3 * times + seed), 0) ** 2
        wave = 0.1 * syllables * voice + 0.001 * rng.normal(size=len(times))
        path = folder / f"s{seed}.wav"
        soundfile.write(path, wave, 24000)
        lines.append(f"s{seed} {path}\n")
    (folder / "wav.scp").write_text("".join(lines), encoding="utf-8")
    return folder / "wav.scp"


def make_exact_model(seed: int):
    """Make a model whose encoder is a rotation of 32 samples, the decoder its inverse.

    Each encoder layer sorts even and odd samples into channels of their own.
    """
    import torch

    from espnet_vibevoice.models.config import parse_config
    from espnet_vibevoice.models.realtime import RealtimeModel

    original = copy.deepcopy(ORIGINAL)
    original["acoustic_tokenizer_config"] |= {
        "decoder_ratios": [2] * 5,
        "encoder_depths": "1-1-1-1-1-1",
        "encoder_ratios": [2] * 5,
        "layer_scale_init_value": 0.0,
        "vae_dim": 32,
    }
    original["diffusion_head_config"]["latent_size"] = 32
    model = RealtimeModel.from_config(parse_config(original, 31), seed=seed)
    codec = model.acoustic_tokenizer
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=generator))[0]
    for name, parameter in codec.named_parameters():
        if ".conv." in name or ".convtr." in name:
            parameter.data.zero_()
    one = torch.ones(1, 1)
    for convolution, matrix in (
        (codec.encoder.stem.conv.conv, one),
        (codec.encoder.head.conv, rotation),
        (codec.decoder.stem.conv.conv, rotation.T),
        (codec.decoder.head.conv, one),
    ):
        convolution.weight.data[..., -1] = matrix
    for index in range(5):
        analysis = codec.encoder.conv_layers[index].conv.conv.weight.data
        synthesis = codec.decoder.conv_layers[-1 - index].convtr.convtr.weight.data
        for channel in range(2**index):
            for odd in range(2):
                analysis[2 * channel + odd, channel, 2 + odd] = 1.0
                synthesis[2 * channel + odd, channel, odd] = 1.0
    return model
