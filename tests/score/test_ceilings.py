from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.data.encoding import AudioEncoder
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.score import ceilings
from espnet_vibevoice.score.ceiling_files import (
    CeilingFiles,
    collect_resynthesis,
    read_unavailable,
)
from espnet_vibevoice.score.ceilings import pass_through_codec, resynthesize
from espnet_vibevoice.score.reason_list import read_reasons


@pytest.fixture
def files(tmp_path):
    return CeilingFiles(tmp_path / "resynthesis")


@pytest.fixture(scope="module")
def encoder(exact_bases):
    return AudioEncoder(str(exact_bases[0]))


def read(path):
    return soundfile.read(path, dtype="float32")[0]


def test_resynthesize_exact_codec_gives_the_audio_back(files, encoder, speech_scp):
    audio = read_table(speech_scp)
    resynthesize(audio, encoder, files, job=1)
    assert collect_resynthesis(audio, files, num_jobs=1) == {}
    assert read_unavailable(files.folder) == ""
    wavs = read_table(files.folder / "wav.scp")
    assert list(wavs) == list(audio)
    for utt_id, path in audio.items():
        natural, again = read(path), read(wavs[utt_id])
        assert len(again) == len(natural)  # the last frame is cut
        np.testing.assert_allclose(again, natural, atol=2e-4)


def test_resynthesize_bad_audio_is_listed_and_others_are_made(
    files, encoder, speech_scp, tmp_path
):
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 16000)
    audio = read_table(speech_scp)
    audio |= {n: str(tmp_path / f"{n}.wav") for n in ("empty", "gone", "slow")}
    resynthesize(audio, encoder, files, job=1)
    failures = collect_resynthesis(audio, files, num_jobs=1)
    assert failures == read_reasons(files.folder / "failures.tsv")
    assert list(failures) == ["empty", "gone", "slow"]
    assert "0 bytes" in failures["empty"]
    assert "no such file" in failures["gone"]
    assert "16000 Hz" in failures["slow"]
    assert list(read_table(files.folder / "wav.scp")) == ["s0", "s1", "s2"]


def test_resynthesize_again_makes_only_what_is_not_whole(files, encoder, speech_scp):
    audio = read_table(speech_scp)
    resynthesize(audio, encoder, files, job=1)
    wanted = files.wav("s1").read_bytes()
    kept = files.wav("s0").stat().st_ino
    files.wav("s1").write_bytes(wanted[:1000])
    files.wav("s2").unlink()
    resynthesize(audio, encoder, files, job=1)
    assert files.wav("s0").stat().st_ino == kept
    assert files.wav("s1").read_bytes() == wanted
    assert files.wav("s2").is_file()


def test_collect_resynthesis_job_that_did_not_finish_raises(files, encoder, speech_scp):
    audio = read_table(speech_scp)
    resynthesize({"s0": audio["s0"]}, encoder, files, job=1)
    with pytest.raises(FileNotFoundError, match=r"no audio of 2 \(s1, s2\)"):
        collect_resynthesis(audio, files, num_jobs=2)


def test_resynthesize_base_without_encoder_is_noted(files, tiny_base, speech_scp):
    config = load_config(resolve_base(str(tiny_base)))
    encoder = SimpleNamespace(codec=AcousticCodec(config, has_encoder=False))
    audio = read_table(speech_scp)
    resynthesize(audio, encoder, files, job=1)
    assert collect_resynthesis(audio, files, num_jobs=1) == {}
    assert read_unavailable(files.folder).startswith("This base has no acoustic enc")
    assert read_table(files.folder / "wav.scp") == {}


def test_pass_through_codec_short_speech_is_encoded_as_for_training(tiny_base):
    codec = load_codec(str(tiny_base))
    waveform = torch.randn(8000, generator=torch.Generator().manual_seed(0)) * 0.1
    wanted = codec.decode(codec.encode(waveform))[:8000]
    torch.testing.assert_close(
        pass_through_codec(codec, waveform), wanted, atol=1e-4, rtol=0
    )


def test_pass_through_codec_long_speech_in_pieces_equals_one_pass(
    tiny_base, monkeypatch
):
    codec = load_codec(str(tiny_base))
    waveform = torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 0.1
    wanted = pass_through_codec(codec, waveform)  # five whole frames
    monkeypatch.setattr(ceilings, "ONE_PASS_SEC", 0.1)
    monkeypatch.setattr(ceilings, "PIECE_FRAMES", 2)
    torch.testing.assert_close(
        pass_through_codec(codec, waveform), wanted, atol=1e-4, rtol=0
    )
