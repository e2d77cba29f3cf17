import pytest

from espnet_vibevoice.tts.option_checks import check_family


def test_check_family_accepts_the_base_of_each(tiny_base, tiny_multispeaker_base):
    check_family("vibevoice_realtime", str(tiny_base))
    check_family("vibevoice", str(tiny_multispeaker_base))


@pytest.mark.parametrize(
    ("tts", "other"),
    [("vibevoice", "vibevoice_realtime"), ("vibevoice_realtime", "vibevoice")],
)
def test_check_family_other_family_raises_with_the_model_to_choose(
    tiny_base, tiny_multispeaker_base, tts, other
):
    base = tiny_base if tts == "vibevoice" else tiny_multispeaker_base
    with pytest.raises(ValueError, match=f"tts: {tts} needs .*set tts: {other}"):
        check_family(tts, str(base))
