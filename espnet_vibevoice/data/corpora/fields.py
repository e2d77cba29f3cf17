"""The names that people give to the fields of a corpus, and ours for them."""

from collections.abc import Iterable

# The first name that a corpus has goes before the others.
_NAMES: dict[str, tuple[str, ...]] = {
    "audio": (
        "audio",
        "audio_path",
        "audio_filepath",
        "audio_file",
        "wav",
        "file",
        "path",
        "file_name",
        "filename",
        "speech",
        "clip",
    ),
    "text": (
        "text",
        "transcript",
        "transcription",
        "sentence",
        "raw_text",
        "raw_transcription",
        "normalized_text",
    ),
    "speaker": ("speaker", "speaker_id", "speaker_name", "spk", "client_id"),
    "split": ("split", "set", "subset"),
    "id": ("id", "utt_id", "utterance_id", "uid"),
    "duration": ("duration", "duration_sec", "duration_seconds"),
    "voice_prompts": ("voice_prompts", "voice_prompt"),
    "dataset_id": ("dataset_id", "dataset"),
    "fs": ("sampling_rate", "samplerate", "sample_rate"),
}


def find_fields(columns: Iterable[str]) -> dict[str, str]:
    """Find which column holds which field.

    Args:
        columns (Iterable[str]): Names of the columns.

    Returns:
        dict[str, str]: Our name of a field to the name of its column.

    Example:
        >>> find_fields(["Path", "Sentence", "age"])
        {'audio': 'Path', 'text': 'Sentence'}
    """
    given = {name.strip().lower().replace(" ", "_"): name for name in columns}
    return {
        field: given[next(name for name in names if name in given)]
        for field, names in _NAMES.items()
        if any(name in given for name in names)
    }
