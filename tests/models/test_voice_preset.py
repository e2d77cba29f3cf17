import os
import pickle
import zipfile

import pytest
import torch

from espnet_vibevoice.models.voice_preset import read_preset
from espnet_vibevoice.models.voice_prompt import load_voice_prompt


class Evil:
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def rewrite(path, change):
    """Write a zip again with its entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries = change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_preset_as_published_reads_exactly(prompt, save_preset, tmp_path, dtype):
    prompt = prompt.to("cpu", dtype)
    loaded = load_voice_prompt(save_preset(prompt, tmp_path / "voice.pt"))
    assert (loaded.num_frames, loaded.num_tokens, loaded.dtype) == (5, 3, dtype)
    for name in ("lm", "tts_lm", "neg_lm", "neg_tts_lm"):
        got, wanted = getattr(loaded, name), getattr(prompt, name)
        assert torch.equal(got.last_hidden_state, wanted.last_hidden_state)
        assert all(map(torch.equal, got.keys, wanted.keys))
        assert all(map(torch.equal, got.values, wanted.values))


def test_preset_non_contiguous_tensors_read_contiguous(prompt, save_preset, tmp_path):
    keys = [key.transpose(1, 2).contiguous().transpose(1, 2) for key in prompt.lm.keys]
    keys[0] = torch.stack([keys[0], keys[0]], dim=-1)[..., 1]
    assert not keys[0].is_contiguous()
    object.__setattr__(prompt.lm, "keys", keys)
    read = read_preset(save_preset(prompt, tmp_path / "voice.pt"))["lm"][1]
    assert all(key.is_contiguous() for key in read)
    assert all(map(torch.equal, read, keys))


@pytest.mark.parametrize(
    "function,args,name",
    [
        (os.system, ("touch {}",), "posix.system"),
        (eval, ("open({!r}, 'w')",), "__builtin__.eval"),
        (getattr, ("text", "upper"), "__builtin__.getattr"),
        (torch.nn.Linear, (1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_preset_with_foreign_global_raises_and_runs_nothing(
    prompt, save_preset, tmp_path, function, args, name
):
    trace = tmp_path / "trace"
    args = [a.format(str(trace)) if isinstance(a, str) else a for a in args]
    path = save_preset(prompt, tmp_path / "voice.pt", extra=Evil(function, *args))
    with pytest.raises(ValueError, match=f"{name}.*nothing of it was run") as caught:
        load_voice_prompt(path)
    assert str(path) in str(caught.value) and "fetch the preset" in str(caught.value)
    assert not trace.exists()


def test_preset_setting_attributes_on_a_function_raises(prompt, save_preset, tmp_path):
    path = save_preset(prompt, tmp_path / "voice.pt")
    code = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b."
    rewrite(path, lambda entries: entries | {"voice/data.pkl": code})
    with pytest.raises(ValueError, match="attributes set on a function"):
        read_preset(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_preset_truncated_raises(prompt, save_preset, tmp_path, share):
    path = save_preset(prompt, tmp_path / "voice.pt")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="voice.pt: not a whole voice preset"):
        load_voice_prompt(path)


def test_preset_flipped_bits_raise(prompt, save_preset, tmp_path):
    path = save_preset(prompt, tmp_path / "voice.pt")
    data = bytearray(path.read_bytes())
    start = data.index(prompt.lm.keys[0].numpy().tobytes())
    data[start + 3] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(ValueError, match="Bad CRC-32"):
        load_voice_prompt(path)


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda e: {k: v for k, v in e.items() if "/data/0" not in k}, "data/0"),
        (lambda e: e | {"voice/data/0": b"12"}, "storage 0: 2 bytes"),
        (lambda e: e | {"voice/byteorder": b"big"}, "byte order b'big'"),
        (lambda e: e | {"other/data.pkl": b""}, "2 entries data.pkl"),
        (lambda e: e | {"voice/data.pkl": b"garbage"}, "UnpicklingError"),
        (lambda e: e | {"voice/data.pkl": b"\x80\x02]."}, "holds list"),
        (lambda e: {"readme.txt": b"hello"}, "0 entries data.pkl"),
    ],
)
def test_preset_damaged_inside_raises(prompt, save_preset, tmp_path, change, message):
    path = save_preset(prompt, tmp_path / "voice.pt")
    rewrite(path, change)
    with pytest.raises(ValueError, match=message):
        read_preset(path)


def test_preset_tensor_larger_than_its_storage_raises(tmp_path):
    path = tmp_path / "voice.pt"
    torch.save({"lm": torch.zeros(1).expand(1 << 40)}, path)
    with pytest.raises(ValueError, match="a tensor .* from a storage of 1"):
        read_preset(path)


def test_preset_other_content_raises(tmp_path):
    path = tmp_path / "voice.pt"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="weight holds no model output with a cache"):
        load_voice_prompt(path)


def test_preset_old_format_raises(tmp_path):
    path = tmp_path / "voice.pt"
    path.write_bytes(pickle.dumps({"lm": 1}))
    with pytest.raises(ValueError, match="not a whole voice preset in torch's zip"):
        load_voice_prompt(path)


def test_preset_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such voice preset"):
        read_preset(tmp_path / "voice.pt")
