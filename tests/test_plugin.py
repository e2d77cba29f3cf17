"""What importing the plug-in changes in ESPnet, here and in a started process."""

import espnet2.tasks.tts as espnet_tts
import pytest
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.tasks import abs_task
from torch import multiprocessing

from espnet_vibevoice import plugin
from espnet_vibevoice.tts.latents import VibeVoiceLatents
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS
from espnet_vibevoice.tts.scheduler import WarmupCosineLR
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

# Runs in a process that has unpickled the worker and imported nothing itself.
CHILD = """
import espnet2.tasks.tts as espnet_tts
found = espnet_tts.tts_choices.classes.get("vibevoice_realtime")
assert found is not None, list(espnet_tts.tts_choices.classes)
"""


@pytest.fixture
def espnet(monkeypatch):
    """ESPnet's module; what is set on it and on our task is put back."""
    monkeypatch.setattr(espnet_tts, "TTSTask", espnet_tts.TTSTask)
    monkeypatch.setattr(VibeVoiceTTSTask, "default_base", None)
    monkeypatch.setattr(VibeVoiceTTSTask, "default_acoustic_encoder", None)
    return espnet_tts


def test_import_registers_our_classes_beside_espnets():
    choices = espnet_tts.tts_choices
    assert choices.get_class("vibevoice_realtime") is VibeVoiceRealtimeTTS
    assert {"tacotron2", "fastspeech2", "vits"} <= set(choices.choices())
    extractors = espnet_tts.feats_extractor_choices
    assert extractors.get_class("vibevoice_latents") is VibeVoiceLatents
    assert "fbank" in extractors.choices()


def test_registered_classes_are_of_the_kind_that_espnet_checks():
    for choices, classes in (
        (espnet_tts.tts_choices, plugin.TTS_CLASSES),
        (espnet_tts.feats_extractor_choices, plugin.FEATS_EXTRACT_CLASSES),
    ):
        for name, kind in classes.items():
            assert name == name.lower() and issubclass(kind, choices.base_type)


def test_import_registers_our_scheduler_beside_espnets():
    schedulers = abs_task.scheduler_classes
    assert schedulers["warmupcosinelr"] is WarmupCosineLR
    assert issubclass(WarmupCosineLR, AbsBatchStepScheduler)
    assert {"warmuplr", "cosineannealingwarmuprestarts"} <= set(schedulers)


def test_register_classes_twice_is_once():
    before = dict(espnet_tts.tts_choices.classes), dict(abs_task.scheduler_classes)
    plugin.register_classes()
    plugin.register_classes()
    assert (espnet_tts.tts_choices.classes, abs_task.scheduler_classes) == before


def test_register_classes_puts_back_what_is_missing(monkeypatch):
    classes = {"tacotron2": espnet_tts.tts_choices.classes["tacotron2"]}
    monkeypatch.setattr(espnet_tts.tts_choices, "classes", classes)
    plugin.register_classes()
    assert set(classes) == {"tacotron2", "vibevoice_realtime"}


def test_use_task_makes_ours_the_one_that_commands_import(espnet):
    plugin.use_task(base="some/base", acoustic_encoder="e.safetensors")
    from espnet2.tasks.tts import TTSTask

    assert TTSTask is VibeVoiceTTSTask
    assert VibeVoiceTTSTask.default_base == "some/base"
    assert VibeVoiceTTSTask.default_acoustic_encoder == "e.safetensors"
    plugin.use_task()
    assert espnet.TTSTask is VibeVoiceTTSTask
    assert VibeVoiceTTSTask.default_base is None
    assert VibeVoiceTTSTask.default_acoustic_encoder is None


def test_use_task_reaches_commands_imported_before(espnet, monkeypatch):
    import espnet2.bin.tts_inference as command

    monkeypatch.setattr(command, "TTSTask", VibeVoiceTTSTask.__base__)
    plugin.use_task()
    assert command.TTSTask is VibeVoiceTTSTask


@pytest.mark.slow
def test_spawned_process_knows_our_classes():
    context = multiprocessing.get_context("spawn")
    # as ESPnet starts one for each GPU: it gets the pickled worker of our task
    scope = {"worker": VibeVoiceTTSTask.main_worker}
    child = context.Process(target=exec, args=(CHILD, scope))
    child.start()
    child.join(120)
    assert child.exitcode == 0
