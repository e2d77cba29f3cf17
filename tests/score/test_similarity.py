import sys

import numpy as np
import pytest
import torch
import yaml
from transformers import (
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForXVector,
    WavLMModel,
)

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.model_specs import SpeakerModelSpec
from espnet_vibevoice.score.similarity import (
    compare_speakers,
    compute_similarity,
    embed_file,
    open_speaker_model,
)

FS = 24000
UTT2SPK = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}


class LevelModel:
    """Embeds the first two samples: known embeddings."""

    def embed(self, waveform, fs):
        assert waveform.ndim == 1 and fs == FS
        return waveform[:2] * 100


def make_noise(seconds=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * FS))


def unit(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


@pytest.fixture(scope="session")
def espnet_model(tmp_path_factory):
    """Config and checkpoint of a tiny x-vector model of ESPnet's speaker task."""
    from espnet2.tasks.spk import SpeakerTask

    folder = tmp_path_factory.mktemp("spk")
    config = {
        "frontend": "default",
        "frontend_conf": {"n_fft": 128, "hop_length": 64, "n_mels": 8, "fs": "16k"},
        "normalize": "utterance_mvn",
        "normalize_conf": {},
        "encoder": "xvector",
        "encoder_conf": {"ndim": 6, "output_size": 8},
        "pooling": "stats",
        "projector": "xvector",
        "projector_conf": {"output_size": 5},
        "loss": "softmax",
        "spk_num": 3,
        "use_preprocessor": False,
    }
    (folder / "given.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = ["--config", str(folder / "given.yaml"), "--output_dir", str(folder)]
    args = SpeakerTask.get_parser().parse_args(words)
    torch.manual_seed(0)
    model = SpeakerTask.build_model(args)
    (folder / "config.yaml").write_text(yaml.safe_dump(vars(args)), encoding="utf-8")
    torch.save(model.state_dict(), folder / "best.pth")
    return SpeakerModelSpec(
        "espnet",
        config=str(folder / "config.yaml"),
        model_file=str(folder / "best.pth"),
    )


def make_wavlm_config():
    return WavLMConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        conv_dim=(4, 4),
        conv_kernel=(20, 16),
        conv_stride=(20, 16),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        num_buckets=8,
        tdnn_dim=(6, 6),
        tdnn_kernel=(3, 1),
        tdnn_dilation=(1, 1),
        xvector_output_dim=5,
    )


@pytest.fixture(scope="session")
def wavlm_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    WavLMForXVector(make_wavlm_config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return SpeakerModelSpec("wavlm", model=str(folder))


@pytest.mark.parametrize("kind", ["espnet_model", "wavlm_model"])
def test_open_speaker_model_embeds_the_same_at_any_rate(kind, request):
    model = open_speaker_model(request.getfixturevalue(kind))
    moments = np.arange(2 * FS) / FS
    tone = (0.1 * np.sin(2 * np.pi * 300 * moments * (1 + moments))).astype(np.float32)
    first = model.embed(tone, FS)
    assert first.shape == (5,) and first.dtype == np.float32
    assert np.isfinite(first).all() and np.linalg.norm(first) > 0
    np.testing.assert_array_equal(first, model.embed(tone, FS))
    fast = 0.1 * np.sin(2 * np.pi * 300 * moments[::2] * (1 + moments[::2]))
    slow = model.embed(fast.astype(np.float32), FS // 2)
    assert compute_similarity(first, slow) > 0.99
    noise = model.embed(make_noise(2).astype(np.float32), FS)
    assert not np.allclose(first, noise, rtol=1e-3)


def test_open_speaker_model_espnet_equals_its_own_model(espnet_model):
    from espnet2.tasks.spk import SpeakerTask

    own, _ = SpeakerTask.build_model_from_file(
        espnet_model.config, espnet_model.model_file
    )
    wav = make_noise(1).astype(np.float32)
    with torch.no_grad():
        wanted = own.eval()(torch.from_numpy(wav)[None], extract_embd=True)[0]
    found = open_speaker_model(espnet_model).embed(wav, 16000)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5)


def test_open_speaker_model_wavlm_equals_its_own_model(wavlm_model):
    own = WavLMForXVector.from_pretrained(wavlm_model.model).eval()
    wav = make_noise(1).astype(np.float32)
    with torch.no_grad():
        wanted = own(torch.from_numpy(wav)[None]).embeddings[0]
    found = open_speaker_model(wavlm_model).embed(wav, 16000)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5)


def test_open_speaker_model_none_configured_raises():
    with pytest.raises(
        MeasureUnavailable, match="no speaker model is configured.*give"
    ):
        open_speaker_model(None)


def test_open_speaker_model_without_head_raises(tmp_path):
    WavLMModel(make_wavlm_config()).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    spec = SpeakerModelSpec("wavlm", model=str(tmp_path))
    with pytest.raises(MeasureUnavailable, match="no x-vector head .*is missing.*-sv"):
        open_speaker_model(spec)


@pytest.mark.parametrize("fault", ["missing", "garbage", "other model"])
def test_open_speaker_model_bad_espnet_files_raise(espnet_model, tmp_path, fault):
    path = tmp_path / "best.pth"
    if fault == "garbage":
        path.write_bytes(b"not a checkpoint")
    if fault == "other model":
        torch.save({"weight": torch.zeros(1)}, path)
    spec = SpeakerModelSpec("espnet", config=espnet_model.config, model_file=str(path))
    with pytest.raises(MeasureUnavailable, match="best.pth does not load: ."):
        open_speaker_model(spec)


def test_open_speaker_model_missing_package_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espnet_model_zoo", None)
    match = "espnet/voxceleb does not load: .*: pip install espnet-model-zoo"
    with pytest.raises(MeasureUnavailable, match=match):
        open_speaker_model(SpeakerModelSpec("espnet", tag="espnet/voxceleb"))


def test_open_speaker_model_missing_folder_raises(tmp_path):
    spec = SpeakerModelSpec("wavlm", model=str(tmp_path / "gone"))
    with pytest.raises(MeasureUnavailable, match="gone does not load: "):
        open_speaker_model(spec)


@pytest.mark.parametrize(
    ("second", "wanted"), [(0, 1.0), (60, 0.5), (90, 0.0), (180, -1.0)]
)
def test_compute_similarity_is_the_cosine(second, wanted):
    assert compute_similarity(3 * unit(0), unit(second)) == pytest.approx(wanted)
    assert compute_similarity(unit(0), np.zeros(2)) == 0.0


def test_compare_speakers_leaves_out_the_utterance_itself():
    natural = {"a1": unit(0), "a2": unit(20), "a3": unit(40), "b1": unit(90)}
    synthesis = {"a1": unit(30), "b1": unit(50)}
    found = compare_speakers({"natural": natural, "synthesis": synthesis}, UTT2SPK)
    degrees = {
        system: {u: round(np.degrees(np.arccos(v))) for u, v in table.items()}
        for system, table in found.values.items()
    }
    # a1: the mean of a2 and a3 points to 30 degrees; b has one utterance alone
    assert degrees["natural"] == {"a1": 30, "a2": 0, "a3": 30}
    assert degrees["synthesis"] == {"a1": 0, "b1": 40}
    assert found.reasons["natural"] == {
        "b1": "speaker b has no other natural utterance that can be used"
    }
    assert found.reasons["synthesis"] == {}


def test_compare_speakers_utterance_without_natural_uses_the_others():
    found = compare_speakers(
        {"natural": {"a2": unit(10)}, "synthesis": {"a1": unit(10), "b1": unit(0)}},
        UTT2SPK,
    )
    assert found.values["synthesis"] == {"a1": pytest.approx(1.0)}
    reason = "speaker b has no natural utterance that can be used"
    assert found.reasons["synthesis"] == {"b1": reason}


def write_known(path, degrees):
    """Noise whose first two samples say what it is embedded as."""
    waveform = make_noise()
    waveform[:2] = 0.5 * unit(degrees)
    write_wav(path, waveform, FS)
    return path


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (None, "unreadable: .*gone.wav"),
        (make_noise(0.3), "too short: 0.300 s, limit 0.5 s"),
        (np.zeros(FS), "silent: -200.0 dBFS"),
    ],
    ids=["missing", "short", "silent"],
)
def test_embed_file_without_speech_raises(tmp_path, waveform, reason):
    path = tmp_path / "gone.wav"
    if waveform is not None:
        write_wav(path, waveform, FS)
    with pytest.raises(MeasureUnavailable, match=reason):
        embed_file(LevelModel(), path)


def test_embed_file_gives_length_one(tmp_path):
    path = write_known(tmp_path / "n.wav", 30)
    np.testing.assert_allclose(embed_file(LevelModel(), path), unit(30), atol=1e-3)


def test_embed_file_zero_embedding_raises(tmp_path):
    waveform = make_noise()
    waveform[:2] = 0
    write_wav(tmp_path / "n.wav", waveform, FS)
    with pytest.raises(MeasureUnavailable, match="no embedding"):
        embed_file(LevelModel(), tmp_path / "n.wav")
