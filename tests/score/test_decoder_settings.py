import pytest
import torch

from espnet_vibevoice.score.decoder_settings import DecoderSettings


def test_find_seed_fixed_is_what_a_model_draws_after_espnets_seed():
    torch.manual_seed(7)
    drawn = int(torch.randint(2**62, (1,)))
    settings = DecoderSettings(seed=7, always_fix_seed=True)
    assert {settings.find_seed(utt_id) for utt_id in "ab"} == {drawn}


def test_find_seed_follows_from_the_utterance():
    first, second = (DecoderSettings(seed=s, always_fix_seed=False) for s in (1, 2))
    found = {one.find_seed(u) for one in (first, second) for u in ("a", "b")}
    assert len(found) == 4
    assert first.find_seed("a") in found


@pytest.mark.parametrize("name", ["batch_size", "num_timed"])
def test_settings_number_out_of_range_raises(name):
    with pytest.raises(ValueError, match=f"--{name} -1: give"):
        DecoderSettings(**{name: -1})
