import logging

import torch

from espnet_vibevoice.synthesis import stopwatch
from espnet_vibevoice.synthesis.stopwatch import Stopwatch


def test_stopwatch_counts_speech_and_when_it_began(monkeypatch):
    clock = iter([10.0, 10.5, 10.6, 12.0, 14.0, 14.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    watch = Stopwatch(100)
    watch.add(torch.zeros(0))
    assert watch.first_audio_sec is None
    watch.add(torch.zeros(200))
    assert watch.describe() == (
        "2.00 s of speech in 4.00 s, real-time factor 2.000, first audio after 0.600 s"
    )


def test_stopwatch_without_speech_says_so(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    watch = Stopwatch(100)
    now[0] = 10.5
    assert watch.describe() == "no speech in 0.5 s"


def test_stopwatch_tells_from_time_to_time(monkeypatch, caplog):
    monkeypatch.setattr(stopwatch, "PROGRESS_SEC", 0.0)
    with caplog.at_level(logging.INFO):
        Stopwatch(100).add(torch.zeros(50))
    assert "... 0.50 s of speech in" in caplog.text
