import pytest

from espnet_vibevoice.models.generation_settings import GenerationSettings
from espnet_vibevoice.tts.decoding_options import override_settings


def test_override_settings_takes_ours_and_leaves_espnets():
    settings = override_settings(
        GenerationSettings(text_window=3),
        {"cfg_scale": 3, "num_sampling_steps": 20.0, "max_frames": 7, "seed": 1}
        | {"use_teacher_forcing": False, "threshold": 0.5, "spembs": None},
    )
    assert settings == GenerationSettings(
        cfg_scale=3.0, num_sampling_steps=20, max_frames=7, text_window=3
    )
    assert isinstance(settings.num_sampling_steps, int)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cfg_scal": 2.0}, "unknown key cfg_scal: did you mean cfg_scale"),
        (
            {"text_window": 5},
            "text_window: .*Other settings belong to the train",
        ),
        ({"cfg_scale": "2"}, "cfg_scale is '2', wanted a number of type float"),
        ({"max_frames": 2.5}, "max_frames is 2.5, wanted a number of type int"),
        ({"max_frames": True}, "max_frames is True, wanted a number"),
        ({"max_frames": 0}, "max_frames 0: no frame may be made"),
    ],
)
def test_override_settings_wrong_option_raises(options, message):
    with pytest.raises(ValueError, match=message):
        override_settings(GenerationSettings(), options)
