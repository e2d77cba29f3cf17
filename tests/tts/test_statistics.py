"""The statistics stage: the extractor runs, the language model is not built."""

import pytest
import torch

from espnet_vibevoice.models.config import CodecShape
from espnet_vibevoice.tts import latents, task
from espnet_vibevoice.tts.statistics import NoTTS, build_statistics_model


class Vocabulary:
    """A tokenizer with three tokens."""

    def vocabulary(self):
        return ["a", "b", "c"]


@pytest.fixture
def extractor(monkeypatch):
    shape = CodecShape(sampling_rate=24000, hop_samples=3200, latent_dim=4)
    monkeypatch.setattr(latents, "read_codec_shape", lambda base: shape)
    return latents.VibeVoiceLatents("tiny")


def test_statistics_model_collects_what_the_extractor_gives(extractor):
    model = build_statistics_model(extractor)
    speech, lengths = torch.randn(2, 5, 4), torch.tensor([5, 3])
    with torch.no_grad():
        found = model.collect_feats(None, None, speech, lengths)
    assert found.keys() == {"feats", "feats_lengths"}
    assert torch.equal(found["feats"], speech)
    assert torch.equal(found["feats_lengths"], lengths)


@pytest.mark.parametrize("method", ["forward", "inference"])
def test_statistics_model_used_for_more_raises(method):
    with pytest.raises(RuntimeError, match="the statistics stage has no model"):
        getattr(NoTTS(), method)(text=None)


def test_build_model_for_statistics_has_no_language_model(extractor, monkeypatch):
    monkeypatch.setattr(task, "load_base_tokenizer", lambda conf: Vocabulary())
    options = "--tts vibevoice_realtime --feats_extract vibevoice_latents"
    options += " --tts_conf base=tiny --token_type hugging_face --token_list none"
    options += " --normalize none --output_dir x --collect_stats true"
    args = task.VibeVoiceTTSTask.get_parser().parse_args(options.split())
    model = task.VibeVoiceTTSTask.build_model(args)
    assert isinstance(model.tts, NoTTS)
    assert isinstance(model.feats_extract, latents.VibeVoiceLatents)
    assert sum(p.numel() for p in model.parameters()) == 1
