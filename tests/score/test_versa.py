import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.versa import run_versa

FS = 24000
OURS = Path(__file__).parents[2] / "conf" / "versa.yaml"
# Has the command line, the log lines and the result of VERSA's versa/bin/scorer.py.
STAND_IN = """
import argparse, json, logging, sys, yaml
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
parser = argparse.ArgumentParser()
for name in ("pred", "gt", "score_config", "output_file", "io"):
    parser.add_argument(f"--{name}")
parser.add_argument("--use_gpu", action="store_true")
args = parser.parse_args()
assert args.io == "soundfile", args.io
(entry,) = yaml.safe_load(open(args.score_config, encoding="utf-8"))
keys = [line.split()[0] for line in open(args.pred, encoding="utf-8")]
if args.gt:
    assert keys == [line.split()[0] for line in open(args.gt, encoding="utf-8")]
name = entry["name"]
if name == "broken":
    logging.error("Failed to load metric broken: no network")
    raise ValueError("No scoring function is provided")
if name == "crashes":
    sys.exit(9)
if name == "raises":
    raise OSError("disk full")
with open(args.output_file, "w", encoding="utf-8") as file:
    for number, key in enumerate(keys):
        row = {"key": key, f"{name}_mos": 1.5 + number, "text": "fa", "ok": True}
        if name == "mos":
            row |= {"bad": float("nan"), "gpu": int(args.use_gpu), "gt": bool(args.gt)}
            row["kind"] = entry.get("kind", 0)
        if name == "partly" and number:
            logging.error("Error computing metric 'partly': too short")
            row = {"key": key}
        file.write(json.dumps(row) + "\\n")
    file.write('{"key": "cut o')
"""


@pytest.fixture
def versa(tmp_path, monkeypatch):
    """A program in the place of VERSA."""
    folder = tmp_path / "site" / "versa" / "bin"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "scorer.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.delenv("VERSA_PYTHON", raising=False)


@pytest.fixture
def wav_scp(tmp_path):
    """Two utterances that can be read and one that cannot."""
    table = {f"u{n}": str(tmp_path / f"u{n}.wav") for n in range(3)}
    for path in list(table.values())[:2]:
        write_wav(path, np.full(100, 0.1), FS)
    write_table(tmp_path / "wav.scp", table)
    return tmp_path / "wav.scp"


def write_config(tmp_path, *entries):
    path = tmp_path / "versa.yaml"
    path.write_text(yaml.safe_dump(list(entries)), encoding="utf-8")
    return path


def test_run_versa_gives_finite_numbers_of_readable_audio(versa, wav_scp, tmp_path):
    config = write_config(tmp_path, {"name": "mos", "kind": 7})
    found = run_versa(wav_scp, None, config, tmp_path / "out")
    assert found.values == {
        "u0": {"mos_mos": 1.5, "gpu": 0, "kind": 7},
        "u1": {"mos_mos": 2.5, "gpu": 0, "kind": 7},
    }
    assert found.reasons == {}
    assert (tmp_path / "out" / "mos.log").is_file()
    gpu = run_versa(wav_scp, None, config, tmp_path / "out", use_gpu=True)
    assert gpu.values["u0"]["gpu"] == 1


def test_run_versa_gives_references_of_the_same_utterances(versa, wav_scp, tmp_path):
    table = read_table(wav_scp)
    write_table(tmp_path / "ref.scp", {"u1": table["u1"], "other": table["u0"]})
    config = write_config(tmp_path, {"name": "mos"})
    found = run_versa(wav_scp, tmp_path / "ref.scp", config, tmp_path / "out")
    assert set(found.values) == {"u1"}
    assert set(read_table(tmp_path / "out" / "gt.scp")) == {"u1"}


def test_run_versa_failing_entries_leave_the_others(versa, wav_scp, tmp_path):
    names = ("broken", "mos", "crashes", "raises", "partly", "mos")
    config = write_config(tmp_path, *({"name": name} for name in names))
    out_dir = tmp_path / "out"
    found = run_versa(wav_scp, None, config, out_dir)
    assert set(found.values["u0"]) == {"mos_mos", "gpu", "kind", "partly_mos"}
    assert set(found.values["u1"]) == {"mos_mos", "gpu", "kind"}
    assert found.reasons == {
        "broken": "Failed to load metric broken: no network "
        f"(log: {out_dir}/broken.log)",
        "crashes": f"status 9, no values (log: {out_dir}/crashes.log)",
        "raises": f"OSError: disk full (log: {out_dir}/raises.log)",
        "partly": "Error computing metric 'partly': too short "
        f"(log: {out_dir}/partly.log)",
    }
    assert (out_dir / "mos_2.log").is_file()


def test_run_versa_forgets_an_earlier_result(versa, wav_scp, tmp_path):
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    old = json.dumps({"key": "u0", "old": 1.0})
    (out_dir / "crashes.jsonl").write_text(f"{old}\n", encoding="utf-8")
    config = write_config(tmp_path, {"name": "crashes"})
    assert run_versa(wav_scp, None, config, out_dir).values == {}


def test_run_versa_not_installed_says_how_to(wav_scp, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("VERSA_PYTHON", raising=False)
    config = write_config(tmp_path, {"name": "mos"})
    match = "VERSA is not installed for .*git clone .*pip install .*VERSA_PYTHON"
    with pytest.raises(MeasureUnavailable, match=match):
        run_versa(wav_scp, None, config, tmp_path / "out")
    monkeypatch.setenv("VERSA_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(
        MeasureUnavailable, match=r"gone \(VERSA_PYTHON\) cannot be run"
    ):
        run_versa(wav_scp, None, config, tmp_path / "out")


def test_run_versa_no_readable_audio_raises(versa, tmp_path):
    write_table(tmp_path / "wav.scp", {"u0": str(tmp_path / "gone.wav")})
    config = write_config(tmp_path, {"name": "mos"})
    with pytest.raises(MeasureUnavailable, match="no audio: none can be read"):
        run_versa(tmp_path / "wav.scp", None, config, tmp_path / "out")


@pytest.mark.parametrize("text", ["a: b", "[]", "- nisqa", "- {kind: x}", "- [", ""])
def test_run_versa_bad_configuration_raises(wav_scp, tmp_path, text):
    config = tmp_path / "versa.yaml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="versa.yaml is not"):
        run_versa(wav_scp, None, config, tmp_path / "out")


def test_run_versa_own_configuration_gives_each_entry_a_process(
    versa, wav_scp, tmp_path
):
    entries = yaml.safe_load(OURS.read_text(encoding="utf-8"))
    found = run_versa(wav_scp, None, OURS, tmp_path / "out")
    assert found.reasons == {}
    assert {p.stem for p in (tmp_path / "out").glob("*.log")} == {
        "pseudo_mos",
        "sheet_ssqa",
        "pseudo_mos_2",
        "squim_no_ref",
    }
    written = (tmp_path / "out" / "pseudo_mos_2.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written) == [entries[2]]
