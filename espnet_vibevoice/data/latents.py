"""Latents on disk: Kaldi ark/scp, written once, resumed where a run was killed.

A job writes ``feats.JOB.ark`` (semantic features: ``semantic.JOB.ark``) and its scp
utterance by utterance. While it works
both end in ``.part``; after a kill the ark is cut behind the last utterance that the
scp names, and the job goes on there, so the bytes are those of an undisturbed run.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import kaldiio
import numpy as np

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.kaldi import read_lines, read_table

Encode = Callable[[str, str], np.ndarray]
FEATS = "feats"  # acoustic latents, under the name that ESPnet gives its features
SEMANTIC = "semantic"


class LatentWriter:
    """Write the latents of one job, resuming what an earlier run left.

    Args:
        directory (Path): Where ``NAME.JOB.ark`` and ``NAME.JOB.scp`` go.
        job (int): Number of the job, from 1.
        identity (dict): What the latents depend on (base, options, audio). An
            unfinished file of another identity is discarded.
        name (str): feats | semantic: kind of the features.
    """

    def __init__(
        self, directory: Path, job: int, identity: dict[str, str], name: str = FEATS
    ):
        self.ark = directory / f"{name}.{job}.ark"
        self.scp = directory / f"{name}.{job}.scp"
        self._part_ark = directory / f"{name}.{job}.ark.part"
        self._part_scp = directory / f"{name}.{job}.scp.part"
        self._identity_file = directory / f"{name}.{job}.json"
        self._identity = json.dumps(identity, sort_keys=True)
        directory.mkdir(parents=True, exist_ok=True)

    def write_all(self, audio: dict[str, str], encode: Encode) -> Iterator[str]:
        """Encode and write what is not there yet; finish when all is there.

        Args:
            audio (dict): Utterance id to audio path, in order of writing.
            encode (Callable): (utterance id, path) to latents (T_lat, D_ac).

        Yields:
            str: The id of each utterance, also of those found written.

        Raises:
            OSError: If the latents cannot be written, e.g. the disk is full.
        """
        finished = self._finished(audio)
        if finished:
            yield from audio
            return
        done = self._resume(list(audio))
        yield from done
        with (
            explain_full_disk(self.ark),
            self._part_ark.open("ab") as ark,
            self._part_scp.open("a", encoding="utf-8") as scp,
        ):
            for utt_id in list(audio)[len(done) :]:
                latents = encode(utt_id, audio[utt_id]).astype(np.float32)
                offset = ark.tell() + len(utt_id.encode()) + 1
                kaldiio.save_ark(ark, {utt_id: latents})
                ark.flush()
                scp.write(f"{utt_id} {self.ark}:{offset}\n")
                scp.flush()
                yield utt_id
        os.replace(self._part_ark, self.ark)
        os.replace(self._part_scp, self.scp)

    def _finished(self, audio: dict[str, str]) -> bool:
        """Tell whether both files are there, complete and of this identity."""
        if not (self.ark.is_file() and self.scp.is_file() and self._is_same()):
            return False
        return list(read_table(self.scp)) == list(audio)

    def _is_same(self) -> bool:
        path = self._identity_file
        return path.is_file() and path.read_text("utf-8") == self._identity

    def _resume(self, utt_ids: list[str]) -> list[str]:
        """Cut what is half written; return the ids that stay."""
        if not self._is_same():
            for path in (self._part_ark, self._part_scp, self.ark, self.scp):
                path.unlink(missing_ok=True)
            write_text(self._identity_file, self._identity)
        if self.ark.is_file() and self._part_scp.is_file():
            # killed between the two renames: the ark is finished, the scp is not
            os.replace(self.ark, self._part_ark)
        lines = self._whole_lines()
        done, end = [], 0
        for line, utt_id in zip(lines, utt_ids, strict=False):
            offset = int(line.rpartition(":")[2])
            stop = self._end_of_matrix(offset)
            if line.split(" ", 1)[0] != utt_id or stop is None:
                break
            done.append(utt_id)
            end = stop
        write_lines(self._part_scp, lines[: len(done)])
        with self._part_ark.open("ab") as ark:
            ark.truncate(end)
        return done

    def _whole_lines(self) -> list[str]:
        """Return the lines of the unfinished scp, without a half-written last one."""
        if not self._part_scp.is_file():
            return []
        text = self._part_scp.read_bytes().decode("utf-8", errors="ignore")
        return text.split("\n")[:-1]

    def _end_of_matrix(self, offset: int) -> int | None:
        """Return the byte behind the float matrix at ``offset``, None if cut off.

        A Kaldi float matrix: a zero byte, ``BFM ``, two sizes of 5 bytes, the data.
        """
        with self._part_ark.open("rb") as ark:
            ark.seek(offset)
            head = ark.read(15)
            size = ark.seek(0, os.SEEK_END)
        if len(head) < 15 or head[:5] != b"\0BFM ":
            return None
        rows, columns = np.frombuffer(head[6:10] + head[11:15], dtype="<i4")
        end = offset + 15 + int(rows) * int(columns) * 4
        return end if end <= size else None


def fingerprint_audio(audio: dict[str, str]) -> str:
    """Hash ids, paths, sizes and times of change of audio files.

    Args:
        audio (dict): Utterance id to path.

    Returns:
        str: Hexadecimal digest; it changes when any of the files does.
    """
    digest = hashlib.sha256()
    for utt_id, path in audio.items():
        status = os.stat(path)
        row = f"{utt_id}\t{path}\t{status.st_size}\t{status.st_mtime_ns}\n"
        digest.update(row.encode())
    return digest.hexdigest()


def count_frames_in_shape_file(path: Path, hop_samples: int) -> None:
    """Rewrite a shape file from samples to latent frames, in place.

    Args:
        path (Path): Lines ``utt_id samples``; lines that already carry a shape of
            latents (``frames,dim``) become ``utt_id frames``.
        hop_samples (int): Samples a frame.
    """
    rows = []
    for line in read_lines(path):
        utt_id, shape = line.split(maxsplit=1)
        sizes = [int(size) for size in shape.split(",")]
        frames = sizes[0] if len(sizes) > 1 else -(-sizes[0] // hop_samples)
        rows.append(f"{utt_id} {frames}")
    write_lines(path, rows)
