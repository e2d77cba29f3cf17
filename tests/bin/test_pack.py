"""espnet_vibevoice.bin.pack: the local base travels with the model, once."""

import sys
import zipfile
from pathlib import Path

import pytest

from espnet_vibevoice import __main__ as launcher


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A function that packs an experiment with a given base and lists the archive."""
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    for name in ("config.json", "model.safetensors"):
        (Path("base") / name).write_text(name)
    Path("model.pth").write_text("weights")

    def run(tts_conf: str, *options: str) -> list[str]:
        Path("config.yaml").write_text(f"tts: some\ntts_conf: {tts_conf}\n")
        pack = "tts --train_config config.yaml --model_file model.pth --outpath out.zip"
        call = ["x", "--base", "other", "-m", "espnet2.bin.pack", *pack.split()]
        monkeypatch.setattr(sys, "argv", [*call, *options])
        with pytest.raises(SystemExit, match="^0$"):
            launcher.main()
        with zipfile.ZipFile("out.zip") as archive:
            return sorted(archive.namelist())

    return run


BASE = ["base/config.json", "base/model.safetensors"]
OWN = ["config.yaml", "meta.yaml", "model.pth"]


@pytest.mark.parametrize("base", ["base", "base/config.json"])
def test_pack_local_base_is_packed(packed, base):
    assert packed(f"{{base: {base}}}") == BASE + OWN


def test_pack_base_that_is_an_option_is_packed_once(packed):
    assert packed("{base: base/config.json}", "--option", "base") == BASE + OWN


@pytest.mark.parametrize("tts_conf", ["{base: owner/name@main}", "{}", "null"])
def test_pack_without_local_base_is_that_of_espnet(packed, tts_conf):
    assert packed(tts_conf) == OWN
