"""Which recogniser or speaker model is asked for: names and paths, nothing loaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class RecognizerSpec:
    """A recogniser: an ESPnet model (files or tag) or a Whisper model.

    Args:
        name (str): Letters, digits, ``._-``; names folders and columns.
        kind (str): espnet | whisper.
        config (str | None): espnet: ``config.yaml`` of the training.
        model_file (str | None): espnet: checkpoint.
        tag (str | None): espnet: model tag, in place of the two files.
        model (str | None): whisper: name on the hub, or folder.
        inference (Mapping): espnet: options of ``asr_inference``; whisper:
            ``beam_size`` and ``backend`` (auto | faster | transformers).
        recipe (str | None): espnet: folder whose ``run.sh`` makes the model.

    Raises:
        ValueError: The parts do not belong together.
    """

    name: str
    kind: str
    config: str | None = None
    model_file: str | None = None
    tag: str | None = None
    model: str | None = None
    inference: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None

    def __post_init__(self) -> None:
        where = f"recogniser {self.name!r}"
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{where}: a name begins with a letter or digit and holds only "
                "letters, digits, '.', '_' and '-'. Rename it."
            )
        _check_model(where, self, "whisper")
        if not isinstance(self.inference, Mapping):
            raise ValueError(f"{where}: inference: want keys and values, e.g. {{}}.")
        if self.kind == "whisper" and self.recipe is not None:
            raise ValueError(f"{where}: recipe goes with kind espnet only.")

    @property
    def identity(self) -> str:
        """What is loaded, for tables and messages: a path, a tag or a name."""
        return str(self.model_file or self.tag or self.model)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that must be there before it can be loaded; none for names."""
        return tuple(Path(p) for p in (self.config, self.model_file) if p is not None)

    def list_missing_files(self) -> list[Path]:
        """Give the files that are not there."""
        return [path for path in self.files if not path.is_file()]


@dataclass(frozen=True)
class SpeakerModelSpec:
    """A speaker model: an ESPnet model (files or tag) or WavLM.

    Args:
        kind (str): espnet | wavlm.
        config (str | None): espnet: ``config.yaml`` of the training.
        model_file (str | None): espnet: checkpoint.
        tag (str | None): espnet: model tag, in place of the two files.
        model (str | None): wavlm: name on the hub, or folder.

    Raises:
        ValueError: The parts do not belong together.
    """

    kind: str
    config: str | None = None
    model_file: str | None = None
    tag: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        _check_model("speaker_model", self, "wavlm")

    @property
    def identity(self) -> str:
        """What is loaded, for tables and messages: a path, a tag or a name."""
        return str(self.model_file or self.tag or self.model)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders of the model that are on this machine."""
        named = (self.config, self.model_file, self.model)
        paths = [Path(name) for name in named if name is not None]
        return tuple(path for path in paths if path.exists())


def _check_model(
    where: str, spec: RecognizerSpec | SpeakerModelSpec, other_kind: str
) -> None:
    """Check that kind and given names belong together."""
    values = {
        "config": spec.config,
        "model_file": spec.model_file,
        "tag": spec.tag,
        "model": spec.model,
    }
    given = sorted(key for key, value in values.items() if value is not None)
    wrong = [key for key in given if not isinstance(values[key], str)]
    if wrong:
        raise ValueError(f"{where}: {', '.join(wrong)}: want text (name or path).")
    if spec.kind == other_kind:
        wanted = [["model"]]
    elif spec.kind == "espnet":
        wanted = [["config", "model_file"], ["tag"]]
    else:
        raise ValueError(f"{where}: kind {spec.kind!r}, want espnet or {other_kind}.")
    if given not in wanted:
        raise ValueError(
            f"{where}: kind {spec.kind} wants "
            f"{', or '.join(' and '.join(keys) for keys in wanted)}; "
            f"got {', '.join(given) or 'none of them'}."
        )
