"""A whole set scored: figures, reasons, exit status, and what is not done twice."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from espnet_vibevoice.bin import score as command
from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.score import model_measures, set_scores, signal_measures
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.model_specs import RecognizerSpec, SpeakerModelSpec
from espnet_vibevoice.score.reason_list import write_reasons
from espnet_vibevoice.score.report.listening import write_report
from espnet_vibevoice.score.scoring import ScoreRequest, score_set
from espnet_vibevoice.score.set_files import SetFiles, read_set
from espnet_vibevoice.score.signal_measures import Measured, measure_set
from espnet_vibevoice.score.stored import read_scores
from espnet_vibevoice.score.versa import VersaScores

TEXTS = {
    "s0": "برف تا زانو بالا آمده بود",
    "s1": "مادر آرام لالایی می\u200cخواند",  # ZERO WIDTH NON-JOINER
    "s2": "بوی زیره و پسته به هم آمیخته بود",
}
SPEC = RecognizerSpec("ctc", "whisper", model="x")
SYSTEMS = ("natural", "resynthesis", "synthesis")


@dataclass(frozen=True)
class MadeSet:
    """A set on disk that was decoded, resynthesised and recognised."""

    root: Path

    @property
    def files(self) -> SetFiles:
        return SetFiles(
            self.root / "dump/raw/test",
            self.root / "dump/ceilings/test",
            self.experiment / "decode/test",
        )

    @property
    def experiment(self) -> Path:
        return self.root / "exp/a"

    def hear(self, system, texts, name="ctc"):
        """Write what a recogniser heard."""
        write_table(self.files.recognition_dir(system, name) / "text", texts)

    def score(self, *specs, **conf):
        """Score with recognisers, the usual one if none is given."""
        given = ScoreConf(recognizers=specs or (SPEC,), draws=50, **conf)
        request = ScoreRequest(self.files, given, self.experiment, "./run.sh")
        return score_set(request)

    def read(self):
        """Summary, and rows by utterance and system."""
        stored = read_scores(self.files.score_dir)
        rows = {(row["utterance"], row["system"]): row for row in stored.rows}
        return stored.summary, rows


@pytest.fixture(scope="module")
def finished(speech_scp, tmp_path_factory):
    """Make a set whose systems all say what was written; never changed."""
    made = MadeSet(tmp_path_factory.mktemp("scored"))
    natural = read_table(speech_scp)
    write_table(made.files.data_dir / "wav.scp", natural)
    write_table(made.files.data_dir / "text", TEXTS)
    write_table(made.files.data_dir / "utt2spk", dict.fromkeys(TEXTS, "spk"))
    for system in SYSTEMS[1:]:
        scp = made.files.wav_scp(system)
        wavs = {u: scp.parent / f"{u}.wav" for u in natural}
        for utt_id, path in wavs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(natural[utt_id], path)
        # relative to nothing: copies of the set find their own
        write_table(scp, {u: os.path.relpath(p, made.root) for u, p in wavs.items()})
    for system in SYSTEMS:
        made.hear(system, TEXTS)
    return made


@pytest.fixture
def made(finished, tmp_path, monkeypatch):
    """Copy the set, to be changed at will; paths are relative to it."""
    shutil.copytree(finished.root, tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    return MadeSet(Path("."))


def drop_word(text):
    first, *rest = text.split()
    return " ".join(rest)


def test_score_set_same_audio_and_text_has_no_error(made):
    outcome = made.score()
    summary, rows = made.read()
    assert outcome.gaps == [] and not outcome.was_up_to_date
    for system in SYSTEMS:
        assert summary["cer"][system]["value"] == 0
        assert summary["cer"][system]["n"] == 3
        assert summary["failure_rate"][system]["n"] == 3
    assert summary["mcd"]["synthesis"]["value"] == pytest.approx(0, abs=1e-6)
    assert summary["duration_ratio"]["resynthesis"]["value"] == 1
    assert "natural" not in summary["mcd"]
    assert len(rows) == 9
    assert {row["status"] for row in rows.values()} == {"ok"}
    row = rows["s1", "synthesis"]
    assert row["reference"] == TEXTS["s1"]
    assert (row["speaker"], row["seconds"], row["cer"]) == ("spk", "1.333", "0")
    text = (made.experiment / "RESULTS.md").read_text(encoding="utf-8")
    assert "## decode, test" in text and "./run.sh" in text


def test_score_set_a_word_less_in_each_is_as_many_deletions(made):
    made.hear("synthesis", {u: drop_word(t) for u, t in TEXTS.items()})
    made.score()
    summary, rows = made.read()
    figures = {n: summary[n]["synthesis"]["value"] for n in summary}
    assert figures["word_deletions"] == 3
    assert figures["word_reference"] == 18
    assert figures["word_substitutions"] == figures["word_insertions"] == 0
    assert figures["wer"] == pytest.approx(3 / 18)
    assert summary["word_deletions"]["natural"]["value"] == 0
    assert rows["s0", "synthesis"]["word_deletions"] == "1"
    assert rows["s0", "natural"]["word_deletions"] == "0"


def test_score_set_again_computes_nothing(made, monkeypatch):
    first = made.score()
    before = {p: p.stat().st_mtime_ns for p in Path(".").rglob("*") if p.is_file()}
    monkeypatch.setattr(set_scores, "write_set_scores", None)  # would not be callable
    again = made.score()
    assert again.was_up_to_date
    assert again.summary == first.summary
    assert before == {
        p: p.stat().st_mtime_ns for p in Path(".").rglob("*") if p.is_file()
    }


def test_score_set_other_hypotheses_measure_no_audio_again(made, monkeypatch):
    made.score()
    made.hear("synthesis", dict.fromkeys(TEXTS, "سلام"))
    monkeypatch.setattr(signal_measures, "measure_utterance", None)
    outcome = made.score()
    assert not outcome.was_up_to_date
    assert outcome.summary["cer"]["synthesis"]["value"] > 0.7


def test_score_set_killed_while_measuring_goes_on_where_it_was(made, monkeypatch):
    measured = []

    def measure(natural, path, is_natural):
        if len(measured) == 4:
            measured.append("killed")
            raise KeyboardInterrupt
        measured.append(path)
        return Measured({"silence_share": 0.5}, {}, 1.0, -20.0)

    monkeypatch.setattr(signal_measures, "measure_utterance", measure)
    with pytest.raises(KeyboardInterrupt):
        made.score()
    assert not (made.files.score_dir / "meta.json").exists()
    made.score()
    summary, _ = made.read()
    assert len(measured) == 9 + 1  # each wav once, and the interruption
    assert len(set(measured)) == 10
    for system in SYSTEMS:
        figure = summary["silence_share"][system]
        assert (figure["value"], figure["n"]) == (0.5, 3)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(b"RIFF no audio"), "unreadable"),
    ],
    ids=["missing", "empty", "unreadable"],
)
@pytest.mark.parametrize("system", ["synthesis", "resynthesis"])
def test_score_set_bad_wav_has_its_reason_and_others_stay(made, damage, reason, system):
    path = Path(read_table(made.files.wav_scp(system))["s1"])
    damage(path)
    outcome = made.score()
    summary, rows = made.read()
    row = rows["s1", system]
    assert row["status"] == "failed" and reason in row["reason"]
    assert [g for g in outcome.gaps if f"{system}: 1 utterances are failed" in g]
    others = [r for key, r in rows.items() if key != ("s1", system)]
    assert {r["status"] for r in others} == {"ok"}
    cer = summary["cer"][system]
    if system == "synthesis":  # says nothing: leaving it out would flatter
        assert (row["cer"], row["faults"], row["hypothesis"]) == ("1", "empty", "")
        assert cer["n"] == 3 and cer["value"] == pytest.approx(26 / 83, abs=0.05)
        assert summary["empty_rate"]["synthesis"]["value"] == pytest.approx(1 / 3)
    else:
        assert (row["cer"], row["faults"]) == ("", "")
        assert (cer["n"], cer["value"]) == (2, 0)


def test_score_set_without_any_synthesis_has_everything_deleted(made):
    write_table(made.files.wav_scp("synthesis"), {})
    write_reasons(made.files.failures("synthesis"), dict.fromkeys(TEXTS, "no end"))
    shutil.rmtree(made.files.recognition_dir("synthesis", "ctc"))  # nothing to hear
    outcome = made.score()
    summary, rows = made.read()
    assert rows["s0", "synthesis"]["reason"] == "no end"
    for rate in ("cer", "wer", "empty_rate"):
        figure = summary[rate]["synthesis"]
        assert (figure["value"], figure["n"]) == (1.0, 3), rate
    assert summary["mcd"]["synthesis"]["n"] == 0
    assert outcome.gaps == ["synthesis: 3 utterances are failed: no end"]
    page = made.root / "report.html"
    write_report(made.files.score_dir, page, 9)
    assert page.read_text(encoding="utf-8").count("no end") >= 3


def test_score_set_failure_of_decoding_is_the_reason(made):
    scp = made.files.wav_scp("synthesis")
    write_table(scp, {u: w for u, w in read_table(scp).items() if u != "s2"})
    write_reasons(made.files.failures("synthesis"), {"s2": "no_letters: nothing"})
    made.score()
    _, rows = made.read()
    assert rows["s2", "synthesis"]["reason"] == "no_letters: nothing"
    assert rows["s2", "synthesis"]["cer"] == "1"


def test_score_set_text_that_is_missing_or_silent_leaves_no_error_rate(made):
    texts = {"s0": TEXTS["s0"], "s1": "!؟"}
    write_table(made.files.data_dir / "text", texts)
    outcome = made.score()
    summary, rows = made.read()
    for utt_id in ("s1", "s2"):
        row = rows[utt_id, "synthesis"]
        assert (row["status"], row["reason"]) == ("incomplete", "no reference text")
        assert row["cer"] == "" and row["mcd"] != ""
    assert summary["cer"]["synthesis"]["n"] == 1
    assert summary["mcd"]["synthesis"]["n"] == 3
    assert "synthesis: 2 utterances are incomplete: no reference text" in outcome.gaps


def test_score_set_recogniser_that_does_not_load_leaves_the_rest(made):
    for system in SYSTEMS:
        folder = made.files.recognition_dir(system, "ctc")
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "unavailable.txt").write_text("asr.pth: no such file\n", "utf-8")
    outcome = made.score()
    summary, rows = made.read()
    for measure in ("cer", "wer_zwnj_space", "char_deletions"):
        assert summary[measure]["synthesis"] == {
            "value": None,
            "low": None,
            "high": None,
            "n": 0,
            "reason": "asr.pth: no such file",
        }
    assert summary["mcd"]["synthesis"]["n"] == 3
    assert {row["status"] for row in rows.values()} == {"incomplete"}
    assert "recogniser ctc: asr.pth" in rows["s0", "natural"]["reason"]
    assert len(outcome.gaps) == 3


def test_score_set_recogniser_that_was_not_run_is_a_gap(made):
    shutil.rmtree(made.files.recognition_dir("natural", "ctc"))
    outcome = made.score()
    assert "has not been run on natural" in outcome.summary["cer"]["natural"]["reason"]
    assert outcome.summary["cer"]["synthesis"]["value"] == 0
    assert len(outcome.gaps) == 1


def test_score_set_two_recognisers_have_columns_of_their_own(made):
    for system in SYSTEMS:
        made.hear(system, dict.fromkeys(TEXTS, "سلام"), name="other")
    made.score(SPEC, RecognizerSpec("other", "whisper", model="y"))
    summary, rows = made.read()
    assert summary["cer"]["synthesis"]["value"] == 0
    assert summary["wer@other"]["synthesis"]["value"] == 1
    assert rows["s0", "natural"]["hypothesis@other"] == "سلام"
    assert rows["s0", "natural"]["wer@other"] == "1"
    assert "cer_zwnj_space@other" not in summary


def test_score_set_without_encoder_has_no_resynthesis_and_no_gap(made):
    folder = made.files.ceilings / "resynthesis"
    (folder / "wav.scp").write_text("")
    (folder / "unavailable.txt").write_text("no encoder\n")
    outcome = made.score()
    summary, rows = made.read()
    assert outcome.gaps == []
    assert {system for _, system in rows} == {"natural", "synthesis"}
    assert summary["mcd"]["resynthesis"]["reason"] == "no encoder"
    assert summary["cer"]["resynthesis"]["value"] is None


def test_score_set_models_that_are_not_there_are_gaps_until_they_are(made, monkeypatch):
    def refuse(*_, **__):
        raise MeasureUnavailable("not installed")

    monkeypatch.setattr(model_measures, "open_speaker_model", refuse)
    monkeypatch.setattr(model_measures, "run_versa", refuse)
    Path("versa.yaml").write_text("- name: nisqa\n")
    speaker = SpeakerModelSpec("wavlm", model="x")
    outcome = made.score(speaker_model=speaker, versa="versa.yaml")
    for measure in ("speaker_similarity", "versa"):
        assert outcome.summary[measure]["natural"]["reason"] == "not installed"
        assert f"{measure}: not installed" in outcome.gaps
    assert outcome.summary["cer"]["synthesis"]["value"] == 0
    found = VersaScores({u: {"utmos": 3.0} for u in TEXTS})
    monkeypatch.setattr(
        model_measures, "open_speaker_model", lambda *_: LoudnessModel()
    )
    monkeypatch.setattr(model_measures, "run_versa", lambda *_: found)
    outcome = made.score(speaker_model=speaker, versa="versa.yaml")
    assert outcome.gaps == []
    assert outcome.summary["speaker_similarity"]["natural"]["n"] == 3
    assert made.score(speaker_model=speaker, versa="versa.yaml").was_up_to_date


def test_score_set_other_weights_of_the_speaker_model_are_asked(made, monkeypatch):
    folder = Path("wavlm")
    folder.mkdir()
    opened = []

    def open_model(spec, device):
        opened.append(spec)
        return LoudnessModel()

    monkeypatch.setattr(model_measures, "open_speaker_model", open_model)
    for weights in ("a", "b", "b"):
        (folder / "model.safetensors").write_text(weights)
        made.score(speaker_model=SpeakerModelSpec("wavlm", model="wavlm"))
    assert len(opened) == 2


class LoudnessModel:
    """A speaker model that tells apart what is loud and what is not."""

    def embed(self, waveform, fs):
        return np.array([1.0, 10 * np.sqrt(np.mean(waveform**2))])


def test_score_set_voices_are_embedded_once(made, monkeypatch):
    opened = []

    def open_model(spec, device):
        opened.append(spec)
        return LoudnessModel()

    monkeypatch.setattr(model_measures, "open_speaker_model", open_model)
    speaker = SpeakerModelSpec("wavlm", model="x")
    first = made.score(speaker_model=speaker).summary["speaker_similarity"]
    assert first["synthesis"]["n"] == first["natural"]["n"] == 3
    assert first["synthesis"]["value"] == pytest.approx(1, abs=0.1)
    made.hear("synthesis", dict.fromkeys(TEXTS, "سلام"))
    assert made.score(speaker_model=speaker).summary["speaker_similarity"] == first
    assert len(opened) == 1


def test_score_set_versa_is_run_once_for_the_same_audio(made, monkeypatch):
    runs = []

    def run(wav_scp, reference_scp, config, out_dir, use_gpu):
        runs.append((wav_scp, reference_scp))
        return VersaScores({u: {"utmos": 3.0} for u in TEXTS})

    monkeypatch.setattr(model_measures, "run_versa", run)
    Path("versa.yaml").write_text("- name: utmos\n")
    for heard in ("سلام", "خدا"):
        made.hear("synthesis", dict.fromkeys(TEXTS, heard))
        summary = made.score(versa="versa.yaml").summary
    natural = made.files.wav_scp("natural")
    assert runs == [
        (made.files.wav_scp(s), None if s == "natural" else natural) for s in SYSTEMS
    ]
    assert summary["versa_utmos"]["synthesis"]["value"] == 3.0
    _, rows = made.read()
    assert rows["s0", "resynthesis"]["versa_utmos"] == "3"


def test_score_set_no_audio_at_all_raises(made):
    for system in SYSTEMS:
        scp = made.files.wav_scp(system)
        write_table(scp, dict.fromkeys(TEXTS, "gone.wav"))
    with pytest.raises(ValueError, match="no audio can be read: .*gone.wav"):
        made.score()


def test_score_set_that_was_not_decoded_says_so(made):
    made.files.wav_scp("synthesis").unlink()
    with pytest.raises(FileNotFoundError, match="Decode the set first"):
        made.score()


def test_score_set_meta_tells_what_was_scored(made):
    totals = {"real_time_factor": 0.5, "first_audio_sec": {"median": 0.1}}
    made.files.recordings[0].write_text(json.dumps(totals))
    made.score()
    meta = read_scores(made.files.score_dir).meta
    assert (meta["set"], meta["decoding"]) == ("test", "decode")
    assert meta["recognizers"] == [{"name": "ctc", "kind": "whisper", "model": "x"}]
    assert meta["real_time_factor"] == 0.5
    assert set(meta["wav_scp"]) == set(SYSTEMS)
    assert {"python", "torch", "espnet", "transformers"} <= set(meta["versions"])


def test_measure_set_in_processes_equals_one_process(made):
    tables = read_set(made.files)
    # alone is enough here: comparing loads much in each process
    tables = replace(tables, systems={"natural": tables.systems["natural"]})
    one = measure_set(made.files, tables, nj=1)
    assert len(one["natural"]) == 3
    for journal in Path(".").rglob("acoustics.jsonl"):
        journal.unlink()
    assert measure_set(made.files, tables, nj=2) == one


def run_command(made, monkeypatch, *options):
    files = made.files
    words = ["--data_dir", files.data_dir, "--ceilings", files.ceilings]
    words += ["--decode_dir", files.decode_dir, *options]
    monkeypatch.setattr(sys, "argv", ["score", *map(str, words)])
    return command.main()


def test_command_without_recogniser_still_measures_and_ends_with_0(
    made, monkeypatch, capsys
):
    assert run_command(made, monkeypatch) == 0
    said = capsys.readouterr()
    assert "MCD (dB)" in said.out and "CER" not in said.out
    assert said.err == ""
    summary, rows = made.read()
    assert summary["cer"]["natural"]["reason"] == "no recogniser is configured"
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_command_with_gaps_ends_with_3_twice(made, monkeypatch, capsys):
    Path(read_table(made.files.wav_scp("synthesis"))["s1"]).unlink()
    for _ in range(2):
        assert run_command(made, monkeypatch) == 3
        assert "no value: synthesis: 1 utterances are failed" in capsys.readouterr().err


def test_command_wrong_number_of_jobs_ends_with_2(made, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run_command(made, monkeypatch, "--nj", "0")
    assert "--nj: got 0, wanted 1 or more" in capsys.readouterr().err


def test_command_longer_wav_than_natural_is_endless(made, monkeypatch):
    path = read_table(made.files.wav_scp("synthesis"))["s0"]
    noise = np.random.default_rng(0).normal(0, 0.1, 24000 * 9)
    write_wav(path, noise.astype(np.float32), 24000)
    assert run_command(made, monkeypatch) == 0
    summary, rows = made.read()
    assert rows["s0", "synthesis"]["faults"] == "endless"
    assert summary["endless_rate"]["synthesis"]["value"] == pytest.approx(1 / 3)
