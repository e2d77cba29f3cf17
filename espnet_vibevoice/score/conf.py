"""What a test set is scored with: ``conf/score.yaml`` and the options over it.

Example of the file (every key may be left out)::

    recognizers:
      - {name: ctc, kind: espnet, config: asr/config.yaml, model_file: asr/best.pth}
      - {name: whisper, kind: whisper, model: openai/whisper-large-v3}
    speaker_model: {kind: wavlm, model: microsoft/wavlm-base-plus-sv}
    versa: conf/versa.yaml
    bootstrap: {draws: 1000, seed: 0}
    report: {max_utts: 50}

Paths count from the recipe's folder. Whether models are there is asked when they are
loaded, so that one that is missing leaves the other scores intact.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.model_specs import RecognizerSpec, SpeakerModelSpec

_KEYS = ("recognizers", "speaker_model", "versa", "bootstrap", "report")
_RECOGNIZER_KEYS = tuple(RecognizerSpec.__dataclass_fields__)
_SPEAKER_KEYS = tuple(SpeakerModelSpec.__dataclass_fields__)
_SPEAKER_HINT = "want none, wavlm:NAME_OR_FOLDER, espnet:TAG or espnet:MODEL.pth"


@dataclass(frozen=True)
class ScoreConf:
    """What a test set is scored with.

    Args:
        recognizers (tuple[RecognizerSpec, ...]): The first one gives ``cer``.
        speaker_model (SpeakerModelSpec | None): For speaker similarity.
        versa (str | None): Configuration of VERSA.
        draws (int): Bootstrap draws, 1 or more.
        seed (int): Of the bootstrap.
        max_utts (int): Utterances with audio in the report, 0 or more.

    Raises:
        ValueError: A figure is out of range or two recognisers share a name.
    """

    recognizers: tuple[RecognizerSpec, ...] = ()
    speaker_model: SpeakerModelSpec | None = None
    versa: str | None = None
    draws: int = 1000
    seed: int = 0
    max_utts: int = 50

    def __post_init__(self) -> None:
        limits = {"bootstrap draws": (self.draws, 1), "bootstrap seed": (self.seed, 0)}
        limits["report max_utts"] = (self.max_utts, 0)
        for name, (value, least) in limits.items():
            if type(value) is not int or value < least:
                raise ValueError(f"{name}: got {value!r}, want {least} or more.")
        names = [spec.name for spec in self.recognizers]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"recognisers share the name {', '.join(repeated)}: rename one of them."
            )

    def find_recognizer(self, name: str) -> RecognizerSpec:
        """Give the recogniser of a name.

        Raises:
            ValueError: There is none.
        """
        for spec in self.recognizers:
            if spec.name == name:
                return spec
        known = ", ".join(spec.name for spec in self.recognizers) or "none"
        raise ValueError(f"no recogniser is named {name!r}; configured: {known}.")


def add_score_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to score with; see :func:`read_score_conf`."""
    group = parser.add_argument_group("scoring")
    group.add_argument("--score_config", help="score.yaml; options overrule it")
    group.add_argument(
        "--asr_config", nargs="*", help="config.yaml of ESPnet recognisers, one or more"
    )
    group.add_argument(
        "--asr_model_file", nargs="*", help="their checkpoints, in the same order"
    )
    group.add_argument(
        "--asr_model_tag", nargs="*", help="tags of published ESPnet recognisers"
    )
    group.add_argument(
        "--whisper_model", nargs="*", help="Whisper models: names or folders"
    )
    group.add_argument("--speaker_model", help=_SPEAKER_HINT)
    group.add_argument("--versa_config", help="configuration of VERSA; none: without")
    group.add_argument(
        "--max_utts", type=int, help="utterances with audio in the report"
    )


def read_score_conf(
    path: str | Path | None, overrides: argparse.Namespace | None = None
) -> ScoreConf:
    """Read what to score with.

    Args:
        path (str | Path | None): ``score.yaml``; None or empty for none.
        overrides (Namespace | None): Options of :func:`add_score_options`. Given
            recognisers take the place of all those of the file.

    Returns:
        ScoreConf: Checked; the files of models may be missing.

    Raises:
        FileNotFoundError: ``score.yaml`` or the configuration of VERSA is missing.
        ValueError: Unknown keys, values of the wrong kind, or ``asr_config`` and
            ``asr_model_file`` of different length.
    """
    values = _read_file(Path(path)) if path else {}
    if overrides is not None:
        values |= _read_overrides(overrides)
    conf = ScoreConf(**values)
    if conf.versa is not None and not Path(conf.versa).is_file():
        raise FileNotFoundError(
            f"{conf.versa}: no such configuration of VERSA. Mend versa in the scoring "
            "configuration, or give --versa_config FILE (none: without)."
        )
    return conf


def read_given_conf(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> ScoreConf:
    """Read what the options of a command say; a fault ends it with status 2.

    Args:
        parser (ArgumentParser): Of the command, with :func:`add_score_options`.
        options (Namespace): What it has read.
    """
    try:
        return read_score_conf(options.score_config, options)
    except (ValueError, FileNotFoundError) as err:
        parser.exit(2, f"error: {err}\n")


def _read_file(path: Path) -> dict[str, Any]:
    """Read the file to arguments of :class:`ScoreConf`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such scoring configuration.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as err:
        raise ValueError(f"{path} is not valid YAML: {err}") from err
    content = _check_keys(path, "the file", {} if content is None else content, _KEYS)
    values: dict[str, Any] = {}
    try:
        values["recognizers"] = _build_recognizers(path, content.get("recognizers"))
        if (speaker := content.get("speaker_model")) is not None:
            speaker = _check_keys(path, "speaker_model", speaker, _SPEAKER_KEYS)
            values["speaker_model"] = SpeakerModelSpec(**{"kind": "", **speaker})
        if (versa := content.get("versa")) is not None:
            if not isinstance(versa, str):
                raise ValueError(f"versa: got {versa!r}, want a path.")
            values["versa"] = versa
        for key, names in (("bootstrap", ("draws", "seed")), ("report", ("max_utts",))):
            if content.get(key) is not None:
                values |= _check_keys(path, key, content[key], names)
        ScoreConf(**values)
    except ValueError as err:
        shown = str(err)
        raise ValueError(shown if str(path) in shown else f"{path}: {shown}") from err
    return values


def _build_recognizers(path: Path, rows: object) -> tuple[RecognizerSpec, ...]:
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise ValueError("recognizers: want a list, each entry with name and kind.")
    specs = []
    for number, row in enumerate(rows, start=1):
        row = _check_keys(path, f"recogniser {number}", row, _RECOGNIZER_KEYS)
        specs.append(RecognizerSpec(**{"name": "", "kind": "", **row}))
    return tuple(specs)


def _check_keys(
    path: Path, where: str, value: object, known: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{path}: {where}: want keys and values, got {value!r}.")
    if unknown := [str(key) for key in value if key not in known]:
        raise ValueError(
            f"{path}: {where}: unknown keys {summarize_faults(sorted(unknown))}; "
            f"known are {', '.join(known)}."
        )
    return value


def _read_overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Read the given options to arguments of :class:`ScoreConf`."""
    values: dict[str, Any] = {}
    if specs := _list_given_recognizers(options):
        values["recognizers"] = specs
    if options.speaker_model:
        values["speaker_model"] = _parse_speaker_model(options.speaker_model)
    if options.versa_config:
        name = options.versa_config
        values["versa"] = None if name == "none" else name
    if options.max_utts is not None:
        values["max_utts"] = options.max_utts
    return values


def _list_given_recognizers(options: argparse.Namespace) -> tuple[RecognizerSpec, ...]:
    configs, files = options.asr_config or [], options.asr_model_file or []
    if len(configs) != len(files):
        raise ValueError(
            f"--asr_config has {len(configs)} entries and --asr_model_file "
            f"{len(files)}: give as many of both, in the same order."
        )
    rows: list[dict[str, str]] = []
    for config, file in zip(configs, files, strict=True):
        folder = Path(file).absolute().parent.name
        row = {"kind": "espnet", "config": config, "model_file": file}
        rows.append({"name": folder, **row})
    for tag in options.asr_model_tag or []:
        rows.append({"name": tag, "kind": "espnet", "tag": tag})
    for model in options.whisper_model or []:
        name = model.rstrip("/").rsplit("/", 1)[-1]
        rows.append({"name": name, "kind": "whisper", "model": model})
    used: set[str] = set()
    for row in rows:
        row["name"] = _make_name(row["name"], used)
    return tuple(RecognizerSpec(**row) for row in rows)


def _make_name(text: str, used: set[str]) -> str:
    """Make a name of a recogniser that is new; it is added to those used."""
    kept = "".join(
        c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text
    )
    name = base = kept.lstrip("._-") or "asr"
    number = 2
    while name in used:
        name, number = f"{base}_{number}", number + 1
    used.add(name)
    return name


def _parse_speaker_model(text: str) -> SpeakerModelSpec | None:
    if text == "none":
        return None
    kind, _, name = text.partition(":")
    if kind == "wavlm" and name:
        return SpeakerModelSpec("wavlm", model=name)
    if kind == "espnet" and name.endswith(".pth"):
        config = str(Path(name).with_name("config.yaml"))
        return SpeakerModelSpec("espnet", config=config, model_file=name)
    if kind == "espnet" and name:
        return SpeakerModelSpec("espnet", tag=name)
    raise ValueError(f"--speaker_model {text}: {_SPEAKER_HINT}.")
