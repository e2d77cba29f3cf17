"""Does this environment hold everything, and does each part really import?

A version in pip's list proves little: a torchaudio that fails to load its native part
is listed as well. So each required part is imported here, in one process, and what
fails is named together with the command that mends it.
"""

import importlib
import importlib.util
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What a broken installation raises at import time; anything else is a fault of ours.
IMPORT_FAULTS = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    TypeError,
    ValueError,
)
VIBEVOICE_CLASSES = (
    "transformers.VibeVoiceForConditionalGeneration",
    "transformers.VibeVoiceAcousticTokenizerModel",
    "transformers.Qwen2Model",
)


@dataclass(frozen=True)
class Part:
    """One part of the environment.

    Args:
        name (str): What the report calls it, and pip's name unless ``package`` is set.
        imports (tuple[str, ...]): Modules, or ``module.Class``, that must import.
        package (str): Name of the package in pip's list.
        is_required (bool): Whether its absence fails the check.
    """

    name: str
    imports: tuple[str, ...]
    package: str = ""
    is_required: bool = True


@dataclass(frozen=True)
class PartResult:
    """What was found of one part.

    Args:
        name (str): As in :class:`Part`.
        status (str): ``ok``, ``failed`` or ``absent`` (optional parts only).
        version (str): Empty if unknown.
        detail (str): What is worth knowing, or the error.
        mend (str): Command that mends a failure, else empty.
    """

    name: str
    status: str
    version: str
    detail: str = ""
    mend: str = ""


REQUIRED = (
    Part("torch", ("torch",)),
    Part("torchaudio", ("torchaudio",)),
    Part("transformers", ("transformers", *VIBEVOICE_CLASSES)),
    Part("peft", ("peft.LoraConfig",)),
    Part("diffusers", ("diffusers.DPMSolverMultistepScheduler",)),
    Part("accelerate", ("accelerate",)),
    Part("safetensors", ("safetensors.torch",)),
    Part("tokenizers", ("tokenizers",)),
    Part(
        "espnet",
        (
            "espnet2.tasks.tts.TTSTask",
            "espnet2.bin.tts_inference",
            "espnet2.bin.asr_inference",
        ),
    ),
    Part("numpy", ("numpy",)),
    Part("scipy", ("scipy.signal",)),
    Part("kaldiio", ("kaldiio",)),
    Part("soundfile", ("soundfile",)),
    Part("soxr", ("soxr",)),
    Part("resampy", ("resampy",)),
    Part("librosa", ("librosa.feature",)),
    Part("sentencepiece", ("sentencepiece",)),
    Part("hazm", ("hazm.Normalizer",)),
    Part("jiwer", ("jiwer",)),
    Part("pyworld", ("pyworld",)),
    Part("tensorboard", ("torch.utils.tensorboard",)),
    Part("matplotlib", ("matplotlib",)),
    Part("PyYAML", ("yaml",)),
)
OPTIONAL = (
    Part("espeakng_loader", ("espeakng_loader",), "espeakng-loader", False),
    Part("bitsandbytes", ("bitsandbytes",), is_required=False),
    Part("wandb", ("wandb",), is_required=False),
    Part("flash_attn", ("flash_attn",), "flash-attn", False),
    Part("versa", ("versa",), "versa-speech-audio-toolkit", False),
    Part("faster_whisper", ("faster_whisper",), "faster-whisper", False),
)


def import_name(name: str) -> None:
    """Import ``module`` or ``module.Class``.

    Raises:
        ImportError: If neither the module nor the name in it exists.
    """
    parent, _, last = name.rpartition(".")
    if not last[0].isupper():
        importlib.import_module(name)
        return
    module = importlib.import_module(parent)
    if not hasattr(module, last):
        raise ImportError(f"{parent} has no {last}")


def find_version(part: Part) -> str:
    """Look up the version in pip's list; empty if it is not there."""
    try:
        return version(part.package or part.name)
    except PackageNotFoundError:
        return ""


def mend_command(part: Part, found_version: str, is_incomplete: bool = False) -> str:
    """Give the command that mends a failing part.

    Args:
        part (Part): What failed.
        found_version (str): Its version in pip's list, empty if it is not there.
        is_incomplete (bool): Whether it fails because another package is absent.
    """
    if not found_version or is_incomplete or part.name in ("torch", "torchaudio"):
        return "make setup FORCE=1"
    return (
        "python -m pip install --force-reinstall --no-deps "
        f"{part.package or part.name}=={found_version}"
    )


def describe_torch() -> str:
    """Say which build of torch is running and which GPU it sees."""
    import torch

    if torch.version.cuda is None:
        return "CPU build" if torch.version.hip is None else f"HIP {torch.version.hip}"
    count = torch.cuda.device_count()
    device = torch.cuda.get_device_name(0) if count else "none visible"
    return f"CUDA {torch.version.cuda}, {count} GPU ({device})"


def describe_espeak() -> str:
    """Find espeak-ng's library without loading it (GPL-3: a process of its own).

    Raises:
        FileNotFoundError: If the package carries no library.
    """
    spec = importlib.util.find_spec("espeakng_loader")
    assert spec is not None and spec.origin is not None, spec
    folder = Path(spec.origin).parent
    found = sorted(folder.glob("*espeak-ng*.so*")) + sorted(folder.glob("*.dylib"))
    if not found:
        raise FileNotFoundError(f"{folder}: no espeak-ng library in it")
    return f"only the mini recipe uses it; library {found[0].name}"


def describe(part: Part) -> str:
    """Say what is worth knowing of a part that imported."""
    if part.name == "torch":
        return describe_torch()
    if part.name == "transformers":
        return "with its native VibeVoice classes"
    if part.name == "espnet":
        return "with espnet2.tasks.tts, tts_inference, asr_inference"
    return ""


def check_required(part: Part) -> PartResult:
    """Import a required part."""
    found = find_version(part)
    try:
        for name in part.imports:
            import_name(name)
        return PartResult(part.name, "ok", found, describe(part))
    except IMPORT_FAULTS as err:
        reason = " ".join(f"{type(err).__name__}: {err}".split())[:200]
        mend = mend_command(part, found, isinstance(err, ModuleNotFoundError))
        return PartResult(part.name, "failed", found, reason, mend)


def check_optional(part: Part) -> PartResult:
    """Look for an optional part without importing it."""
    if importlib.util.find_spec(part.imports[0]) is None:
        return PartResult(part.name, "absent", "", "optional")
    found = find_version(part)
    if part.name != "espeakng_loader":
        return PartResult(part.name, "ok", found, "optional")
    try:
        return PartResult(part.name, "ok", found, describe_espeak())
    except FileNotFoundError as err:
        mend = mend_command(part, found)
        return PartResult(part.name, "failed", found, str(err), mend)


def check_all(parts: tuple[Part, ...] = REQUIRED + OPTIONAL) -> list[PartResult]:
    """Check Python itself and every part.

    Args:
        parts (tuple[Part, ...]): In the order of the report.

    Returns:
        list[PartResult]: One for Python, then one for each part.
    """
    python = PartResult("python", "ok", platform.python_version(), sys.prefix)
    checks = [check_required(p) if p.is_required else check_optional(p) for p in parts]
    return [python, *checks]


def format_table(results: list[PartResult]) -> str:
    """Lay the results out for reading, failures and their commands last."""
    name_width = max(len(r.name) for r in results)
    version_width = max(len(r.version) for r in results)
    lines = []
    for r in results:
        row = f"{r.status:6}  {r.name:{name_width}}  {r.version:{version_width}}"
        lines.append(f"{row}  {r.detail}".rstrip())
    failed = [r for r in results if r.status == "failed"]
    lines += [f"mend {r.name}: {r.mend}" for r in failed]
    present = sum(r.status == "ok" for r in results)
    absent = sum(r.status == "absent" for r in results)
    lines.append(
        f"{present} parts work, {len(failed)} failed, {absent} optional absent"
    )
    return "\n".join(lines)


def to_json(results: list[PartResult]) -> dict[str, object]:
    """Turn the results into plain values: ``ok`` and the list ``parts``."""
    is_ok = all(r.status != "failed" for r in results)
    return {"ok": is_ok, "parts": [asdict(r) for r in results]}
