import pytest

from espnet_vibevoice.models.memory_plan import BatchSize
from espnet_vibevoice.tts.batch_estimate import TypicalUtterance, estimate_batch

UTTERANCE = TypicalUtterance(seconds=8.0, tokens_per_sec=5.0, prompt_sec=20.0)


def test_estimate_batch_multispeaker_counts_prompt_voices_and_labels():
    rows, batch = estimate_batch(
        {"max_prompt_sec": 10.0}, UTTERANCE, is_multispeaker=True, batch_bins=1000
    )
    assert rows == 1000 // (40 + 40 + 60)
    assert batch == BatchSize(rows * (140 + 75), rows * 60, rows * 75, rows * 5)


def test_estimate_batch_realtime_counts_transcripts():
    rows, batch = estimate_batch(
        {"ddpm_batch_mul": 2}, UTTERANCE, is_multispeaker=False, batch_bins=1000
    )
    assert rows == 10
    assert batch == BatchSize(10 * (100 + 150 + 100), 600, 1500, 0, 2)


def test_estimate_batch_without_voices_and_with_text_labels():
    tts_conf = {"voice_prompt_drop_rate": 1.0, "text_token_weight": 0.5}
    rows, batch = estimate_batch(
        tts_conf, UTTERANCE, is_multispeaker=True, batch_bins=None, batch_size=4
    )
    assert rows == 4
    assert batch == BatchSize(4 * 140, 240, 0, 4 * 45)


def test_estimate_batch_bad_figures_raise():
    with pytest.raises(ValueError, match="wanted a duration above 0"):
        estimate_batch(
            {}, TypicalUtterance(seconds=0), is_multispeaker=True, batch_bins=10
        )
