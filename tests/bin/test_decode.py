"""bin/decode against espnet2.bin.tts_inference, and through kills and bad texts."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile
import torch
import yaml
from espnet2.bin import tts_inference

from espnet_vibevoice.data.audio import is_whole_wav
from espnet_vibevoice.data.kaldi import read_lines, write_table
from espnet_vibevoice.score.decoding import collect_decoding
from espnet_vibevoice.score.decoding_journal import read_records
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

OPTIONS = {
    "token_type": "hugging_face",
    "token_list": "tokens.txt",
    "feats_extract": "vibevoice_latents",
    "feats_extract_conf": "hop_length=3200",
    "normalize": "none",
}
TTS = {"realtime": "vibevoice_realtime", "multispeaker": "vibevoice"}
TEXTS = {
    "a": "سلام",
    "b": "امروز هوا خوب است",
    "c": "دو",
    "d": "کتاب",
    "e": "باران",
}
# Runs the command and dies as kill -9 has it before the third wav gets its name.
DIE = """
    import os, signal
    from espnet_vibevoice.bin.decode import main
    named, replace = [], os.replace
    def replace_or_die(source, target):
        if str(target).endswith(".wav"):
            named.append(target)
        if len(named) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
    os.replace = replace_or_die
    main()
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def experiments(bases, tmp_path_factory):
    """Write an experiment of each family: config.yaml and trained weights."""
    made = {}
    for family, base in bases.items():
        folder = tmp_path_factory.mktemp(family)
        words = [f"--{name}={value}" for name, value in OPTIONS.items()]
        words += ["--output_dir", str(folder), "--tts", TTS[family]]
        args = VibeVoiceTTSTask.get_parser().parse_args(words)
        args.tts_conf = {"base": str(base), "lora_rank": 2, "num_sampling_steps": 2}
        args.tts_conf |= {"max_frames_per_token": 0.3, "max_frames": 9}
        torch.manual_seed(0)
        model = VibeVoiceTTSTask.build_model(args)
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.data += 0.02 * noise
        torch.save(model.state_dict(), folder / "1epoch.pth")
        text = yaml.safe_dump(vars(args))
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        made[family] = folder
    return made


@pytest.fixture
def files(tmp_path):
    """Write texts and a decoding configuration."""
    write_table(tmp_path / "text", TEXTS)
    conf = "seed: 3\nalways_fix_seed: true\n"
    (tmp_path / "decode.yaml").write_text(conf, encoding="utf-8")
    return tmp_path


def list_options(experiment, files, out):
    """Options as stage 7 gives them."""
    return [
        *("--ngpu", "0", "--key_file", str(files / "text")),
        *("--data_path_and_name_and_type", f"{files}/text,text,text"),
        *("--model_file", f"{experiment}/1epoch.pth"),
        *("--train_config", f"{experiment}/config.yaml"),
        *("--output_dir", str(out), "--vocoder_file", "none"),
        *("--config", str(files / "decode.yaml")),
    ]


def read_wavs(folder):
    return {path.stem: path.read_bytes() for path in (folder / "wav").iterdir()}


def read_samples(content):
    return soundfile.read(io.BytesIO(content), dtype="int16")[0].astype(int)


def is_close(first, second):
    """Compare wavs, to a hundredth of their level.

    The tiny decoders' norms blow rounding up here and there, and the multi-speaker
    family hears what it has said: a 300th of the level was seen. Another text is at
    least a 35th off, another seed as much as the level.
    """
    one, other = read_samples(first), read_samples(second)
    limit = np.abs(other).mean() / 100
    return one.shape == other.shape and np.abs(one - other).mean() <= limit


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
def test_decode_one_by_one_equals_espnets_command_and_batches_are_close(
    run, experiments, files, monkeypatch, family
):
    monkeypatch.setattr(tts_inference, "TTSTask", VibeVoiceTTSTask)
    experiment = experiments[family]
    words = list_options(experiment, files, files / "espnet")
    tts_inference.main(cmd=[*words, "--num_workers", "0"])
    wanted = read_wavs(files / "espnet")
    assert len({len(wav) for wav in wanted.values()}) > 1
    one = list_options(experiment, files, files / "one")
    assert run("decode", *one, "--batch_size", 1)[0] == 0
    assert read_wavs(files / "one") == wanted
    lines = read_lines(files / "text")
    (files / "text").write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    three = list_options(experiment, files, files / "three")
    assert run("decode", *three, "--batch_size", 3)[0] == 0
    batched = read_wavs(files / "three")
    assert batched.keys() == wanted.keys()
    assert all(is_close(batched[utt_id], wanted[utt_id]) for utt_id in wanted)
    pictures = {
        folder: sorted(path.name for path in (files / folder).glob("probs/*.png"))
        for folder in ("espnet", "one", "three")
    }
    assert len(pictures["espnet"]) == (5 if family == "realtime" else 0)
    assert pictures["espnet"] == pictures["one"] == pictures["three"]


def test_decode_notes_speed_and_first_audio(run, experiments, files, caplog):
    out = files / "out"
    words = list_options(experiments["realtime"], files, out)
    with caplog.at_level("INFO"):
        run("decode", *words, "--batch_size", 2, "--num_timed", 3)
    records = read_records(out / "journal.jsonl")
    assert records.keys() == TEXTS.keys()
    for utt_id, record in records.items():
        samples = read_samples((out / f"wav/{utt_id}.wav").read_bytes())
        assert record.audio_sec == len(samples) / 24000
        assert record.elapsed_sec > 0 and record.batch_size == 2
        assert record.device == "cpu, 1 threads"
        assert (record.first_audio_sec is None) == (utt_id not in "abc")
    said = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("inference speed = ") for line in said) == 5
    assert sum("5/5 utterances, 0 failed" in line for line in said) == 1


def test_decode_killed_job_goes_on_and_leaves_whole_wavs_alone(run, experiments, files):
    out = files / "out"
    words = list_options(experiments["realtime"], files, out)
    run("decode", *words)
    wanted = read_wavs(out)
    for utt_id in ("b", "d"):  # as a kill leaves it
        (out / f"wav/{utt_id}.wav").unlink()
    (out / "wav/e.wav").write_bytes(wanted["e"][:3000])
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"utterance": "b", "rea')
    before = {u: (out / f"wav/{u}.wav").stat().st_mtime_ns for u in "ac"}
    run("decode", *words, "--batch_size", 1)
    after = {u: (out / f"wav/{u}.wav").stat().st_mtime_ns for u in "ac"}
    assert before == after
    assert all(is_close(wav, wanted[utt_id]) for utt_id, wav in read_wavs(out).items())
    assert all(is_whole_wav(path) for path in (out / "wav").iterdir())
    lines = read_lines(out / "journal.jsonl")
    assert len(lines) == 8 and all(json.loads(line) for line in lines)


def run_and_die(words):
    """Run the command as a process that is killed when two of its wavs are there."""
    command = [sys.executable, "-c", textwrap.dedent(DIE), *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    job = subprocess.run(command, env=environment, check=False, **quiet)
    assert job.returncode == -signal.SIGKILL


def test_stage_7_job_killed_amid_its_wavs_ends_like_an_undisturbed_run(
    run, experiments, files
):
    texts = {f"u{number}": "سلام " * (1 + number % 3) for number in range(8)}
    write_table(files / "text", texts)
    out, undisturbed = files / "out", files / "undisturbed"
    words = list_options(experiments["realtime"], files, undisturbed)
    run("decode", *words, "--batch_size", 1, "--num_timed", 0)
    divide = ["divide_decoding", "--text", files / "text", "--out_dir", out]
    given = []
    for kill in (True, False):
        assert run(*divide, "--nj", 1)[1] == "1\n"
        given.append(read_lines(out / "log/keys.1.scp"))
        job = out / "log/output.1"
        words = list_options(experiments["realtime"], files, job)
        words += ["--batch_size", 1, "--key_file", out / "log/keys.1.scp"]
        if kill:
            run_and_die(words)
            wavs = list(job.glob("wav/*.wav"))
            assert len(wavs) == 2 and all(map(is_whole_wav, wavs))
        else:
            assert run("decode", *words)[0] == 0
    assert (len(given[0]), len(given[1])) == (8, 6)
    assert run(*divide, "--nj", 1)[1] == "0\n"
    assert collect_decoding(texts, out).failures == {}
    (out / "wav/wav.scp").unlink()
    assert read_wavs(out) == read_wavs(undisturbed)
    assert len(list((out / "probs").iterdir())) == 8
    assert read_records(out / "log/journal.jsonl").keys() == texts.keys()


def test_decode_folder_of_other_options_is_refused(run, experiments, files):
    words = list_options(experiments["realtime"], files, files / "out")
    run("decode", *words)
    status, _, said = run("decode", *words, "--cfg_scale", 3)
    assert status == 1
    assert "was begun with other options (option cfg_scale: was 'None'" in said


def test_decode_bad_texts_are_noted_and_the_others_spoken(run, experiments, files):
    long = "Speaker 1: " + "سلام " * 300  # more than the base knows
    texts = TEXTS | {"empty": "", "long": long, "signs": "؟!"}
    write_table(files / "text", texts)
    out = files / "out"
    words = list_options(experiments["multispeaker"], files, out)
    assert run("decode", *words, "--batch_size", 4)[0] == 0
    assert read_wavs(out).keys() == TEXTS.keys()
    records = read_records(out / "journal.jsonl")
    reasons = {u: record.reason for u, record in records.items() if record.reason}
    assert reasons.keys() == {"empty", "long", "signs"}
    assert "is empty" in reasons["empty"]
    assert "no room to speak" in reasons["long"]
    assert "neither letters nor digits" in reasons["signs"]
    before = (out / "journal.jsonl").read_bytes()
    run("decode", *words)
    assert (out / "journal.jsonl").read_bytes() == before


def test_decode_settings_of_the_command_go_before_tts_conf(run, experiments, files):
    out = files / "out"
    words = list_options(experiments["realtime"], files, out)
    assert run("decode", *words, "--max_frames", 2, "--eos_threshold", 1)[0] == 0
    assert {len(read_samples(wav)) for wav in read_wavs(out).values()} == {6400}


def test_decode_without_fixed_seed_depends_on_neither_order_nor_neighbours(
    run, experiments, files
):
    wavs = []
    for keys in ("abcde", "ed"):
        write_table(files / "keys", {key: "" for key in keys})
        words = list_options(experiments["realtime"], files, files / keys)
        words += ["--always_fix_seed", "false", "--key_file", files / "keys"]
        assert run("decode", *words, "--batch_size", 1)[0] == 0
        wavs.append(read_wavs(files / keys))
    assert wavs[1].keys() == {"d", "e"}
    assert all(wavs[0][utt_id] == wav for utt_id, wav in wavs[1].items())


def test_stage_7_division_changes_no_sample_and_lists_what_failed(
    run, experiments, files
):
    wavs = {}
    write_table(files / "text", TEXTS | {"signs": "؟!"})
    for nj in (1, 2):
        out = files / str(nj)
        divide = ["--text", files / "text", "--out_dir", out, "--nj", nj]
        assert run("divide_decoding", *divide)[1] == f"{nj}\n"
        for job in range(1, nj + 1):
            folder = out / f"log/output.{job}"
            words = list_options(experiments["realtime"], files, folder)
            words += ["--key_file", out / f"log/keys.{job}.scp", "--batch_size", 1]
            assert run("decode", *words)[0] == 0
        assert run("divide_decoding", *divide)[1] == "0\n"
        collected = collect_decoding(TEXTS | {"signs": "؟!"}, out)
        assert collected.failures.keys() == {"signs"}
        wavs[nj] = {u: (out / f"wav/{u}.wav").read_bytes() for u in TEXTS}
        assert len(list((out / "probs").iterdir())) == 5
        totals = json.loads((out / "decoding.json").read_text())
        assert (totals["utterances"], totals["failed"]) == (5, 1)
        assert totals["first_audio_sec"]["n"] == 5
        assert 0 < totals["first_audio_sec"]["median"] and totals["real_time_factor"]
    assert wavs[1] == wavs[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ngpu", "2"], "a job decodes on one GPU at most"),
        (["--batch_size", "0"], "--batch_size 0: give 1 or more"),
        (["--use_teacher_forcing", "true"], "speak from text alone"),
        (["--data_path_and_name_and_type", "x,durations,text"], "wanted one PATH"),
        (["--key_file", "keys"], "1 utterances are not in .*: z"),
        (["--voice_prompt", "none.pt"], "none.pt: no such voice prompt"),
        (["--eos_threshold", "7"], "eos_threshold 7.0: wanted a probability"),
    ],
)
def test_decode_wrong_option_fails_at_once_in_one_line(
    run, experiments, files, monkeypatch, words, message
):
    monkeypatch.chdir(files)
    write_table(files / "keys", {"z": ""})
    options = list_options(experiments["realtime"], files, files / "out")
    status, _, said = run("decode", *options, *words)
    assert status == 1
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
    assert not (files / "out/wav").exists()
