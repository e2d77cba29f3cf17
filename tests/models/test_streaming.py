import copy
import logging

import pytest
import torch

from espnet_vibevoice.models.branch import start_branches
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.streaming import StreamingDecoder, stream
from espnet_vibevoice.models.voice_prompt import build_voice_prompt
from espnet_vibevoice.text.tokenizer import load_tokenizer

TEXT = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])
ENDLESS = GenerationSettings(max_frames_per_token=2.0, eos_threshold=1.0)


@pytest.fixture
def original(original):
    """Widen the decoder: norms of one channel would blow rounding up."""
    original["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    return original


class Source:
    """Gives out pieces and remembers how many were asked for."""

    def __init__(self, pieces):
        self.pieces = list(pieces)
        self.num_given = 0

    def __iter__(self):
        for piece in self.pieces:
            self.num_given += 1
            yield piece


def join(chunks):
    return torch.cat([chunk.waveform for chunk in chunks])


def test_decoder_in_steps_equals_one_pass(tiny_model):
    codec = tiny_model.acoustic_tokenizer
    latents = tiny_model.unscale_latents(torch.randn(13, 4))
    decoder = StreamingDecoder(codec)
    parts = [decoder.decode(part) for part in latents.split([1, 1, 3, 1, 7])]
    assert torch.allclose(torch.cat(parts), codec.decode(latents), atol=1e-5)


@pytest.mark.parametrize("is_prompted", [False, True])
@pytest.mark.parametrize("sizes", [[11], [1] * 11, [7, 0, 4]])
def test_stream_chunks_make_up_the_waveform_of_generate(tiny_model, is_prompted, sizes):
    prompt = None
    if is_prompted:
        prompt = build_voice_prompt(tiny_model, torch.randn(5, 4), TEXT[:3])
    noise = torch.randn(40, 4)
    branches = start_branches(tiny_model, prompt)
    whole = generate(tiny_model, TEXT, ENDLESS, noise=noise, branches=branches)
    chunks = list(
        stream(tiny_model, TEXT.split(sizes), ENDLESS, noise=noise, prompt=prompt)
    )
    assert torch.allclose(join(chunks), whole.waveform, atol=1e-5)
    latents = torch.stack([chunk.latent for chunk in chunks])
    assert torch.equal(latents, whole.latents)
    assert [chunk.is_last for chunk in chunks] == [False] * 21 + [True]
    assert not any(chunk.stopped_by_eos for chunk in chunks)
    assert all(chunk.waveform.shape == (3200,) for chunk in chunks)


def test_stream_follows_the_seed_as_generate_does(tiny_model):
    generators = [torch.Generator().manual_seed(4) for _ in range(2)]
    whole = generate(tiny_model, TEXT, ENDLESS, generators[0])
    chunks = stream(tiny_model, TEXT, ENDLESS, generators[1])
    assert torch.allclose(join(chunks), whole.waveform, atol=1e-5)


def test_stream_end_of_speech_is_the_last_chunk(tiny_model):
    settings = GenerationSettings(eos_threshold=0.0)
    chunks = list(stream(tiny_model, TEXT, settings))
    assert [(c.is_last, c.stopped_by_eos) for c in chunks] == [(True, True)]
    assert 0 < chunks[0].eos_probability < 1


def test_stream_waits_for_no_more_text_than_the_next_frame_needs(tiny_model):
    source = Source(TEXT.split(1))
    settings = GenerationSettings(eos_threshold=1.0)
    asked = []
    for _ in stream(tiny_model, source, settings, noise=torch.randn(14, 4)):
        asked.append(source.num_given)
    assert asked == [5] * 6 + [10] * 6 + [11] * 2


def test_stream_first_audio_does_not_depend_on_text_length(tiny_model, monkeypatch):
    counts = []
    for length in (11, 5000):
        source = Source((torch.arange(length) % 30).split(1))
        counts.append(count_passes(monkeypatch, tiny_model, source))
    assert counts[0] == counts[1]


def count_passes(monkeypatch, model, source):
    """Positions that the upper part runs over before the first chunk; pieces asked."""
    passed = []
    forward = type(model.tts_language_model).forward

    def count(self, *args, **inputs):
        passed.append(inputs["inputs_embeds"].shape[1])
        return forward(self, *args, **inputs)

    with monkeypatch.context() as patch:
        patch.setattr(type(model.tts_language_model), "forward", count)
        next(stream(model, source, ENDLESS))
    return passed, source.num_given


def test_stream_decodes_each_frame_once(tiny_model, monkeypatch):
    decoded = []
    decode = StreamingDecoder.decode

    def count(self, latents):
        decoded.append(len(latents))
        return decode(self, latents)

    monkeypatch.setattr(StreamingDecoder, "decode", count)
    chunks = list(stream(tiny_model, TEXT, ENDLESS))
    assert decoded == [1] * len(chunks)


def test_stream_strings_equal_the_whole_text(tiny_base):
    model = RealtimeModel.from_base(str(tiny_base))
    tokenizer = load_tokenizer(tiny_base)
    text = "سلام، حال شما خوب است؟"
    settings = GenerationSettings(max_frames=20, eos_threshold=1.0)
    noise = torch.randn(20, 4)
    ids = torch.tensor(tokenizer.encode(text))
    wanted = generate(model, ids, settings, noise=noise).latents
    for given in (text, list(text), [" سلام، ", "حال شما خو", "ب است؟ \n"]):
        chunks = stream(model, given, settings, noise=noise, tokenizer=tokenizer)
        latents = torch.stack([chunk.latent for chunk in chunks])
        assert torch.equal(latents, wanted)


def test_stream_two_at_a_time_do_not_disturb_each_other(tiny_model):
    noise = torch.randn(22, 4)
    wanted = join(stream(tiny_model, TEXT, ENDLESS, noise=noise))
    both = [stream(tiny_model, TEXT, ENDLESS, noise=noise) for _ in range(2)]
    pairs = list(zip(*both, strict=True))
    for one in range(2):
        assert torch.equal(join(pair[one] for pair in pairs), wanted)


def test_stream_leaves_the_model_as_it_was(tiny_model):
    before = copy.deepcopy(tiny_model.state_dict())
    list(stream(tiny_model, TEXT, ENDLESS))
    after = tiny_model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.is_grad_enabled()


def test_stream_cap_of_the_text_counts_tokens_still_to_come(tiny_model):
    settings = GenerationSettings(max_frames_per_token=0.6, eos_threshold=1.0)
    text = torch.arange(12)
    noise = torch.randn(20, 4)
    wanted = generate(tiny_model, text, settings, noise=noise)
    chunks = list(stream(tiny_model, text.split(1), settings, noise=noise))
    assert len(chunks) == len(wanted.latents) == 8  # ceil(0.6 * 12)


def test_stream_cut_by_a_cap_warns(tiny_model, caplog):
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    with caplog.at_level(logging.WARNING):
        assert len(list(stream(tiny_model, TEXT, settings))) == 3
    assert caplog.text.count("cut after 3 frames by max_frames 3") == 1


@pytest.mark.parametrize("text", [TEXT[:0], [], [TEXT[:0], TEXT[:0]]])
def test_stream_empty_text_raises(tiny_model, text):
    with pytest.raises(ValueError, match="at least one token"):
        next(stream(tiny_model, text, ENDLESS))


@pytest.mark.parametrize("text", ["hello", ["hello", "you"]])
def test_stream_string_without_tokenizer_raises(tiny_model, text):
    with pytest.raises(ValueError, match="'hello' is a string: give the base's token"):
        next(stream(tiny_model, text, ENDLESS))
