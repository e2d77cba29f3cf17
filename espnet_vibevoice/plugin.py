"""The only place that touches ESPnet's registries.

Importing this module adds our classes to the choices of ``espnet2.tasks.tts`` and our
scheduler to those of ``espnet2.tasks.abs_task``.
:func:`use_task` also makes every later ``from espnet2.tasks.tts import TTSTask``
give our task. A process that ESPnet spawns for another GPU unpickles that task,
which imports this module, so the classes are known there as well.
"""

import sys

import espnet2.tasks.abs_task as espnet_abs_task
import espnet2.tasks.tts as espnet_tts

from espnet_vibevoice.tts.latents import VibeVoiceLatents
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS
from espnet_vibevoice.tts.scheduler import WarmupCosineLR

TTS_CLASSES = {"vibevoice_realtime": VibeVoiceRealtimeTTS}
FEATS_EXTRACT_CLASSES = {"vibevoice_latents": VibeVoiceLatents}
SCHEDULER_CLASSES = {"warmupcosinelr": WarmupCosineLR}


def register_classes() -> None:
    """Add ours to ``--tts``, ``--feats_extract``, ``--scheduler``; twice is once."""
    espnet_tts.tts_choices.classes.update(TTS_CLASSES)
    espnet_tts.feats_extractor_choices.classes.update(FEATS_EXTRACT_CLASSES)
    espnet_abs_task.scheduler_classes.update(SCHEDULER_CLASSES)


def use_task(base: str | None = None, acoustic_encoder: str | None = None) -> None:
    """Make our task the one that ESPnet's commands find.

    Args:
        base (str | None): Base model for configurations that name none: a folder or
            a hub id, as in ``tts_conf: {base: ...}``.
        acoustic_encoder (str | None): Encoder for configurations that name none, as
            in ``tts_conf: {acoustic_encoder: ...}``.
    """
    from espnet_vibevoice.tts.task import VibeVoiceTTSTask

    VibeVoiceTTSTask.default_base = base
    VibeVoiceTTSTask.default_acoustic_encoder = acoustic_encoder
    espnet_tts.TTSTask = VibeVoiceTTSTask
    # Commands that were imported before have the name already.
    for name, module in list(sys.modules.items()):
        if name.startswith("espnet2.bin.") and "TTSTask" in vars(module):
            module.TTSTask = VibeVoiceTTSTask


register_classes()
