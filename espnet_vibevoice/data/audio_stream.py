"""Read mp3 whose length its header does not tell.

libsndfile stops at the length that it believes: for mp3 without a tag of its encoder
that is a guess from the first frame, far too low where the bit rate varies. As a stream
it is read to its end, which is what is done here: a thread feeds it through a pipe.
"""

import contextlib
import os
import shutil
import threading
from typing import BinaryIO

import numpy as np
import soundfile

_BLOCK_FRAMES = 2**18
_TAGS = (b"Xing", b"Info", b"VBRI")
_TAG_BYTES = 4096  # behind the tag of the title, if there is one
_ID3_HEADER_BYTES = 10


def tells_length(file: BinaryIO) -> bool:
    """Tell whether mp3 has a tag with its length; moves the position in the file."""
    _seek_behind_title(file)
    start = file.read(_TAG_BYTES)
    return any(tag in start for tag in _TAGS)


def read_stream(file: BinaryIO, max_frames: float) -> np.ndarray:
    """Read audio to its end, or until it is longer than allowed.

    Args:
        file (BinaryIO): The audio, read from its beginning.
        max_frames (float): What is longer is not read further.

    Returns:
        np.ndarray: Float32 (T_wav,) or (T_wav, C); more than ``max_frames`` if there
            is more.

    Raises:
        soundfile.LibsndfileError: The audio is damaged.
    """
    _seek_behind_title(file)
    reading, writing = os.pipe()
    feeder = threading.Thread(target=_feed, args=(file, writing), daemon=True)
    feeder.start()
    blocks: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(reading) as sound:  # closes its end of the pipe
            count = 0
            while count <= max_frames:
                block = sound.read(_BLOCK_FRAMES, dtype="float32")
                if len(block) == 0:
                    break
                blocks.append(block)
                count += len(block)
    finally:
        feeder.join()
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _seek_behind_title(file: BinaryIO) -> None:
    """Go to the first mp3 frame, behind an ID3 tag with title and pictures."""
    file.seek(0)
    head = file.read(_ID3_HEADER_BYTES)
    size = 0
    if head[:3] == b"ID3" and len(head) == _ID3_HEADER_BYTES:
        for byte in head[6:]:  # four times seven bits
            size = size * 128 + (byte & 127)
        size += _ID3_HEADER_BYTES
    file.seek(size)


def _feed(file: BinaryIO, writing: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the reader has had enough
        with open(writing, "wb") as pipe:
            shutil.copyfileobj(file, pipe)
