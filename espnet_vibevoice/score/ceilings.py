"""Natural speech through the codec: what no model on this base can surpass.

Each utterance of a set is encoded as for training (means of the latents) and decoded
again. Jobs share the set; wavs that are whole are not made again. A base without an
encoder has no such ceiling: that is noted, and no error.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from espnet_vibevoice.data.audio import is_whole_wav, write_wav
from espnet_vibevoice.data.encoding import AudioEncoder
from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.models.acoustic import AcousticCodec
from espnet_vibevoice.models.codec_stream import DecoderStream, EncoderStream
from espnet_vibevoice.score.ceiling_files import CeilingFiles
from espnet_vibevoice.score.reason_list import write_reasons

ONE_PASS_SEC = 60.0  # longer speech is encoded in pieces, to bound memory
PIECE_FRAMES = 75  # 10 s


def resynthesize(
    audio: Mapping[str, str], encoder: AudioEncoder, files: CeilingFiles, job: int
) -> None:
    """Encode and decode the utterances of one job.

    Args:
        audio (Mapping): Utterance id to path, mono at the codec's rate.
        encoder (AudioEncoder): Codec of the base.
        files (CeilingFiles): Where wavs and the list of failures go.
        job (int): Number of the job, from 1.

    Raises:
        OSError: A wav cannot be written, e.g. the disk is full.
    """
    note = files.unavailable_part(job)
    note.unlink(missing_ok=True)
    if not encoder.codec.has_encoder:
        write_text(note, AcousticCodec.without_encoder + "\n")
        return
    failures: dict[str, str] = {}
    progress = Progress(len(audio))
    for utt_id, path in audio.items():
        if not is_whole_wav(files.wav(utt_id)):
            reason = _resynthesize_file(utt_id, path, encoder, files.wav(utt_id))
            if reason:
                failures[utt_id] = reason
        progress.update()
    write_reasons(files.failures_part(job), failures)


@torch.inference_mode()
def pass_through_codec(codec: AcousticCodec, waveform: Tensor) -> Tensor:
    """Encode to means of latents and decode; long speech piece by piece.

    Up to `ONE_PASS_SEC` encoding is that of the dumped latents to the last bit.

    Args:
        codec (AcousticCodec): Codec with an encoder.
        waveform (Tensor): Samples (T_wav,) at the codec's rate.

    Returns:
        Tensor: Samples (T_wav,), float32: as many as there were.
    """
    if len(waveform) <= ONE_PASS_SEC * codec.sampling_rate:
        latents = codec.encode(waveform)  # (T_lat, D)
    else:
        latents = _encode_in_pieces(codec, waveform)
    stream = DecoderStream(codec.decoder)
    pieces = [stream.decode(part[None])[0] for part in latents.split(PIECE_FRAMES)]
    return torch.cat(pieces)[: len(waveform)]


def _encode_in_pieces(codec: AcousticCodec, waveform: Tensor) -> Tensor:
    """Encode frame after frame (T_wav,) -> (T_lat, D); the last frame ends in zeros."""
    assert codec.encoder is not None
    missing = -len(waveform) % codec.hop_samples
    padded = torch.nn.functional.pad(waveform, (0, missing))
    stream = EncoderStream(codec.encoder)
    pieces = padded.split(PIECE_FRAMES * codec.hop_samples)
    return torch.cat([stream.encode(piece[None])[0] for piece in pieces])


def _resynthesize_file(
    utt_id: str, path: str, encoder: AudioEncoder, target: Path
) -> str:
    """Make one wav; return why it could not be made, empty if it is there."""
    try:
        waveform = encoder.load_file(utt_id, path)
    except ValueError as err:
        return str(err)
    samples = pass_through_codec(encoder.codec, waveform).cpu().numpy()
    write_wav(target, samples, encoder.codec.sampling_rate)
    return ""
