"""Rows and audio of Parquet and Arrow files, a few at a time.

Audio is kept there as a struct of ``bytes`` and ``path`` (the Audio feature of Hugging
Face), as a struct of ``array`` and ``sampling_rate``, as a list of samples, as bytes,
or as a path. Encoded bytes are kept as they are; samples become 16-bit wav.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from espnet_vibevoice.data.audio import AudioError, encode_audio
from espnet_vibevoice.data.corpora.utterance import EncodedAudio

# A row of samples is megabytes and a group of rows gigabytes: read a little at a time.
_BATCH_ROWS = 4
_BUFFER_BYTES = 2**20
_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"}


def import_arrow(name: str) -> ModuleType:
    """Import a part of pyarrow.

    Raises:
        RuntimeError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise RuntimeError(
            "Parquet and Arrow files need pyarrow: python3 -m pip install pyarrow."
        ) from err


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet or Arrow file without reading its values."""
    if path.suffix == ".parquet":
        return _open_parquet(path).metadata.num_rows
    return sum(batch.num_rows for batch in _open_arrow(path))


def read_columns(path: Path) -> list[str]:
    """Names of the columns.

    Raises:
        ValueError: It is no such file.
    """
    opened = _open_parquet(path) if path.suffix == ".parquet" else _open_arrow(path)
    schema = opened.schema_arrow if path.suffix == ".parquet" else opened.schema
    return list(schema.names)


def read_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Read rows as column name to pyarrow scalar.

    Raises:
        ValueError: It is no such file.
    """
    if path.suffix == ".parquet":
        batches = _open_parquet(path).iter_batches(
            _BATCH_ROWS, columns=columns, use_threads=False
        )
    else:
        batches = (batch.select(columns) for batch in _open_arrow(path))
    for batch in batches:
        for row in range(batch.num_rows):
            yield {name: batch.column(name)[row] for name in columns}


def read_audio(value: Any, fs: int | None = None) -> EncodedAudio | str | None:
    """Turn the value of an audio column into a file's content or its path.

    Args:
        value (pyarrow.Scalar): Value.
        fs (int | None): Sampling rate in Hz, where values are bare samples.

    Returns:
        EncodedAudio | str | None: Content, path, or None for no audio.

    Raises:
        AudioError: ``unreadable`` for content of no known kind, ``not_finite``,
            ``empty`` or ``no_sampling_rate``.
    """
    types = import_arrow("pyarrow.types")
    if not value.is_valid:
        return None
    kind = value.type
    if types.is_struct(kind):
        return _read_struct(value, fs)
    if types.is_list(kind) or types.is_large_list(kind):
        return _encode_samples(value.values, fs)
    if types.is_binary(kind) or types.is_large_binary(kind):
        return _keep_bytes(value.as_py(), "")
    return str(value.as_py()) or None


def _read_struct(value: Any, fs: int | None) -> EncodedAudio | str | None:
    names = [field.name for field in value.type]
    path = value["path"].as_py() if "path" in names else None
    if "bytes" in names and value["bytes"].is_valid:
        return _keep_bytes(value["bytes"].as_py(), path or "")
    if "array" in names and value["array"].is_valid:
        rate = value["sampling_rate"].as_py() if "sampling_rate" in names else fs
        return _encode_samples(value["array"].values, rate)
    return path


def _keep_bytes(content: bytes, path: str) -> EncodedAudio:
    for magic, suffix in _MAGIC.items():
        if content.startswith(magic):
            return EncodedAudio(content, suffix)
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE0 == 0xE0:
        return EncodedAudio(content, ".mp3")
    raise AudioError(
        "unreadable",
        f"{path or 'audio'}: {len(content)} bytes that begin with {content[:4]!r}",
    )


def _encode_samples(values: Any, fs: int | None) -> EncodedAudio:
    if not fs:
        raise AudioError("no_sampling_rate", "samples without a sampling rate")
    if len(values) == 0:
        raise AudioError("empty", "no samples")
    types = import_arrow("pyarrow.types")
    if not (types.is_floating(values.type) or types.is_integer(values.type)):
        raise AudioError("unreadable", f"samples of type {values.type}", "numbers")
    waveform = values.to_numpy(zero_copy_only=False)  # (T_wav,)
    if np.issubdtype(waveform.dtype, np.integer):
        waveform = waveform / (np.iinfo(waveform.dtype).max + 1.0)
    waveform = np.asarray(waveform, dtype=np.float32)
    if not np.isfinite(waveform).all():
        raise AudioError("not_finite", "samples that are not numbers")
    # The level is set later; what is louder than full scale must not be cut here.
    waveform = waveform / max(1.0, float(np.abs(waveform).max()))
    return EncodedAudio(encode_audio(waveform, int(fs)), ".wav")


def _open_parquet(path: Path) -> Any:
    parquet, errors = import_arrow("pyarrow.parquet"), import_arrow("pyarrow")
    try:
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (errors.ArrowInvalid, OSError) as err:
        raise ValueError(f"{path}: no Parquet file ({err}). Get it again.") from err


def _open_arrow(path: Path) -> Any:
    arrow = import_arrow("pyarrow")
    try:
        return arrow.ipc.open_stream(arrow.memory_map(str(path)))
    except arrow.ArrowInvalid as err:
        raise ValueError(f"{path}: no Arrow stream ({err}). Save it again.") from err
