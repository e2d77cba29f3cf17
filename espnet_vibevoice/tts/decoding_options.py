"""Options that a caller of ESPnet's decoding may give for one utterance.

``Text2Speech(...)(text, decode_conf={...})`` hands them to ``inference`` together with
what ESPnet passes to every model. Ours overrule ``tts_conf``, ESPnet's own are ignored,
anything else is an error: a misspelt option must not go unnoticed.
"""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from espnet_vibevoice.models.generation_settings import SpeechSettings

Settings = TypeVar("Settings", bound=SpeechSettings)

# Value: the type that is wanted. A family takes those that its settings have.
SETTINGS = {
    "cfg_scale": float,
    "num_sampling_steps": int,
    "eos_threshold": float,
    "max_frames_per_token": float,
    "max_frames": int,
}
OTHER_OPTIONS = ("voice_prompt", "seed")
# espnet2/bin/tts_inference.py and espnet2/tts/espnet_model.py
ESPNET_OPTIONS = frozenset(
    "use_teacher_forcing threshold maxlenratio minlenratio use_att_constraint "
    "forward_window backward_window alpha noise_scale noise_scale_dur feats durations "
    "pitch energy spembs sids lids".split()
)


def override_settings(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """Apply the options of one call.

    Args:
        settings (SpeechSettings): Settings of ``tts_conf``.
        options (Mapping): Options of the call; `OTHER_OPTIONS` and ESPnet's own are
            passed over.

    Returns:
        SpeechSettings: The settings to use, of the same class.

    Raises:
        ValueError: If an option is unknown, of another type or out of range.
    """
    of_family = [name for name in SETTINGS if name in vars(settings)]
    known = [*of_family, *OTHER_OPTIONS]
    changes = {}
    for name, value in options.items():
        if name in of_family:
            changes[name] = _check_number(name, value)
        elif name not in ESPNET_OPTIONS and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"decode_conf has the unknown key {name}: {hint}Give some of "
                f"{', '.join(known)}. Other settings belong to the training "
                "configuration."
            )
    return replace(settings, **changes)


def _check_number(name: str, value: Any) -> float | int:
    """Return a value if it is a number of the wanted type."""
    wanted = SETTINGS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or wanted(value) != value:
        raise ValueError(
            f"decode_conf {name} is {value!r}, wanted a number of type "
            f"{wanted.__name__}."
        )
    return wanted(value)
