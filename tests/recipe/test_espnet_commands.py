"""ESPnet's own commands and classes on what the mini recipe has made."""

import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.data.kaldi import read_table

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

STATS = "exp/tts_stats_raw_vibevoice_latents_hugging_face"
DECODE = """
    import sys
    import soundfile
    from espnet_vibevoice.plugin import use_task
    use_task()
    from espnet2.bin.tts_inference import Text2Speech
    from espnet2.main_funcs.pack_funcs import unpack
    archive, text, wav = sys.argv[1:]
    files = unpack(archive, "unpacked")
    speak = Text2Speech(**files, seed=0, always_fix_seed=True)
    soundfile.write(wav, speak(text)["wav"].numpy(), speak.fs, "PCM_16")
"""


def training_options(*options):
    """Options of a training of one epoch; later ones overrule earlier ones."""
    given = ["--config", "conf/train.yaml", "--output_dir", "exp/other"]
    given += ["--token_type", "hugging_face", "--normalize", "none"]
    given += ["--token_list", "dump/token_list/hugging_face/tokens.txt"]
    given += ["--tts_conf", "base=downloads/mini_base", "--max_epoch", "1"]
    given += ["--feats_extract", "vibevoice_latents", "--use_tensorboard", "false"]
    given += ["--num_workers", "0", "--use_matplotlib", "false"]
    for mode in ("train", "valid"):
        data = f"--{mode}_data_path_and_name_and_type"
        given += [data, f"dump/raw/{mode}/text,text,text"]
        given += [data, f"dump/latents/{mode}/feats.scp,speech,kaldi_ark"]
        for name in ("text_shape.hugging_face", "speech_shape"):
            given += [f"--{mode}_shape_file", f"{STATS}/{mode}/{name}"]
    return [*given, *options]


def run_task(*options):
    """Run ESPnet's task in this process, whose imports are there already."""
    from espnet_vibevoice.tts.task import VibeVoiceTTSTask

    VibeVoiceTTSTask.main(cmd=list(options))


def load_finite(path):
    """Load a checkpoint whose parameters must be numbers."""
    parameters = torch.load(path)
    assert all(torch.isfinite(value).all() for value in parameters.values())
    return parameters


def test_packed_model_speaks_elsewhere_as_it_did_here(copied, tmp_path):
    copied.succeed(8, 8, "--skip_packing", "false")
    archive = copied.experiment / "tts_t_valid.diffusion_loss.best.zip"
    names = zipfile.ZipFile(archive).namelist()
    assert "downloads/mini_base/model.safetensors" in names
    copied.folder.rename(tmp_path / "gone")  # nothing of it may be needed
    archive = tmp_path / "gone" / archive.relative_to(copied.folder)
    decoded = tmp_path / "gone" / copied.decoded.relative_to(copied.folder)
    texts = read_table(tmp_path / "gone/dump/raw/test/text")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DECODE), archive]
        + [texts["fa_f1_test_0001"], "said.wav"],
        cwd=elsewhere,
        env=copied.environment(),
        check=True,
    )
    said, fs = soundfile.read(elsewhere / "said.wav")
    before, _ = soundfile.read(decoded / "wav/fa_f1_test_0001.wav")
    assert fs == 24000
    np.testing.assert_allclose(said, before, atol=1e-4)


def test_averaged_checkpoint_speaks(finished, monkeypatch):
    from espnet_vibevoice.plugin import use_task

    use_task()
    from espnet2.bin.tts_inference import Text2Speech

    monkeypatch.chdir(finished.folder)
    best, second = (load_finite(f"exp/tts_t/{n}epoch.pth") for n in best_two(finished))
    average = load_finite("exp/tts_t/valid.diffusion_loss.ave.pth")
    assert average.keys() == best.keys()
    for name, value in average.items():
        torch.testing.assert_close(value, (best[name] + second[name]) / 2)
    speak = Text2Speech(
        train_config="exp/tts_t/config.yaml",
        model_file="exp/tts_t/valid.diffusion_loss.ave.pth",
        seed=0,
    )
    waveform = speak("امروز هوا خوب است.")["wav"]
    assert torch.isfinite(waveform).all()
    assert 3200 <= len(waveform) < 10 * 24000


def best_two(finished):
    """Epochs with the lowest loss on the validation set."""
    states = torch.load(finished.experiment / "checkpoint.pth", weights_only=False)
    stats = states["reporter"]["stats"]
    return sorted(stats, key=lambda n: stats[n]["valid"]["diffusion_loss"])[:2]


def test_training_more_epochs_goes_on_where_it_ended(copied):
    usual = "--num_iters_per_epoch 60 --scheduler_conf warmup_steps=20"
    copied.succeed(6, 6, "--train_args", f"--max_epoch 4 {usual}")
    log = (copied.experiment / "train.log").read_text(encoding="utf-8")
    assert "4epoch results" in log
    assert "3epoch results" not in log
    states = torch.load(copied.experiment / "checkpoint.pth", weights_only=False)
    assert sorted(states["reporter"]["stats"]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "options",
    [
        "--batch_type numel --batch_bins 300",
        "--batch_type length --batch_bins 80",
        "--batch_type unsorted --batch_size 2",
        "--batch_type sorted --batch_size 2",
        "--batch_type folded --batch_size 2 --fold_length 20 --fold_length 20",
    ],
)
def test_training_with_any_sampler_runs(copied, monkeypatch, options):
    monkeypatch.chdir(copied.folder)
    run_task(*training_options(*options.split()))
    trained = load_finite("exp/other/1epoch.pth")
    assert trained.keys() == load_finite("exp/tts_t/1epoch.pth").keys()


def test_collect_stats_gives_the_shapes_of_stage_5(copied, monkeypatch):
    monkeypatch.chdir(copied.folder)
    options = ["--collect_stats", "true", "--write_collected_feats", "true"]
    for mode in ("train", "valid"):
        data = f"--{mode}_data_path_and_name_and_type"
        options += [data, f"dump/raw/{mode}/text,text,text"]
        options += [data, f"dump/raw/{mode}/wav.scp,speech,sound"]
        options += [f"--{mode}_shape_file", f"dump/raw/{mode}/wav.scp"]
    usual = training_options()
    usual = usual[: usual.index("--train_data_path_and_name_and_type")]
    run_task(*usual, "--output_dir", "exp/stats", *options)
    for mode in ("train", "valid"):
        ours = read_table(f"exp/stats/{mode}/speech_shape")
        assert ours == read_table(f"{STATS}/{mode}/speech_shape")
        text = read_table(f"exp/stats/{mode}/text_shape")
        assert text == read_table(f"{STATS}/{mode}/text_shape")
        collected = read_table(f"exp/stats/{mode}/collect_feats/feats.scp")
        frames = {utt_id: len(np.load(path)) for utt_id, path in collected.items()}
        assert {utt_id: str(count) for utt_id, count in frames.items()} == ours
