"""What the decoder does with batches, errors and lack of memory."""

import logging

import pytest
import torch

from espnet_vibevoice.errors import UtteranceError
from espnet_vibevoice.score.decoder import Decoder
from espnet_vibevoice.score.decoder_settings import DecoderSettings
from espnet_vibevoice.score.decoding_journal import read_records

TEXTS = {"a": "12", "b": "1234", "c": "1", "d": "123", "e": "12345"}


class SomeTTS:
    """Speaks one frame of 10 samples for each token; fails where it is told to."""

    fs = 100
    device = torch.device("cpu")

    def __init__(self, most=99, bad=(), error=None):
        self.most = most
        self.bad = bad
        self.error = error
        self.batches = []
        self.timed = []

    def check_decoding(self, voice_prompt, options):
        pass

    def speak_texts(self, texts, seeds, voice_prompt, options):
        lengths = [len(text) for text in texts]
        self.batches.append(lengths)
        if len(texts) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        if set(lengths) & set(self.bad):
            raise self.error
        return [{"wav": torch.full((10 * length,), 0.1)} for length in lengths]

    def speak_first_frame(self, text, seed, voice_prompt, options):
        self.timed.append(len(text))
        if len(text) in self.bad:
            raise self.error
        return torch.zeros(10)


def encode(utt_id, text):
    if not text:
        raise UtteranceError(utt_id, "text", "it is\nempty")
    return torch.zeros(len(text), dtype=torch.long)


@pytest.fixture
def decode(tmp_path):
    def run(tts, texts=TEXTS, **settings):
        decoder = Decoder(tts, encode, tmp_path, DecoderSettings(**settings))
        failed = decoder.decode(texts)
        records = read_records(tmp_path / "journal.jsonl")
        assert failed == sum(bool(record.reason) for record in records.values())
        wavs = {path.stem for path in (tmp_path / "wav").glob("*.wav")}
        assert wavs == {u for u, record in records.items() if not record.reason}
        return records

    return run


def test_decode_longest_go_first_beside_their_likes(decode):
    tts = SomeTTS()
    assert decode(tts, batch_size=2).keys() == TEXTS.keys()
    assert tts.batches == [[5, 4], [3, 2], [1]]


def test_decode_first_audio_is_timed_of_the_first_ones_after_a_warm_up(decode):
    tts = SomeTTS()
    records = decode(tts, batch_size=4, num_timed=2)
    assert tts.timed == [2, 2, 4]
    assert [u for u, r in records.items() if r.first_audio_sec is not None] == [
        "b",
        "a",
    ]


def test_decode_time_of_a_batch_is_shared_by_length(decode):
    records = decode(SomeTTS(), batch_size=5)
    factors = [record.elapsed_sec / record.audio_sec for record in records.values()]
    assert factors == pytest.approx([factors[0]] * 5)


def test_decode_bad_utterance_costs_no_other(decode):
    tts = SomeTTS(bad=[4], error=ValueError("too\tlong: 4"))
    records = decode(tts, batch_size=2)
    assert tts.batches == [[5, 4], [5], [4], [3, 2], [1]]
    assert {u: r.reason for u, r in records.items() if r.reason} == {"b": "too long: 4"}


def test_decode_lack_of_memory_halves_later_batches(decode, caplog):
    tts = SomeTTS(most=2)
    with caplog.at_level(logging.WARNING):
        records = decode(tts, TEXTS | {"f": "12"}, batch_size=4)
    assert not any(record.reason for record in records.values())
    assert tts.batches == [[5, 4, 3, 2], [5], [4], [3], [2], [2, 1]]
    assert "4 utterances cannot be spoken side by side (out of memory" in caplog.text


def test_decode_lack_of_memory_alone_is_noted(decode):
    tts = SomeTTS(bad=[5], error=MemoryError())
    records = decode(tts, batch_size=1)
    assert records["e"].reason.startswith("out of memory")
    assert not any(records[utt_id].reason for utt_id in "abcd")


def test_decode_text_that_cannot_be_read_is_noted(decode):
    records = decode(SomeTTS(), {"x": "", **TEXTS})
    assert records["x"].reason == "text: it is empty"
    assert len(records) == 6


def test_decode_nothing_but_bad_texts_ends_well(decode):
    assert set(decode(SomeTTS(), {"x": "", "y": ""})) == {"x", "y"}


def test_decode_broken_gpu_stops_the_job(decode, tmp_path):
    fault = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="the GPU failed: .*run the stage again"):
        decode(SomeTTS(bad=[3], error=fault), batch_size=1, num_timed=0)
    assert read_records(tmp_path / "journal.jsonl").keys() == {"e", "b"}


def test_decode_fault_of_the_program_is_not_an_utterances(decode):
    with pytest.raises(KeyError):
        decode(SomeTTS(bad=[3], error=KeyError("x")), num_timed=0)
