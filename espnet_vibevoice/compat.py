"""What three upstream packages need before every process can import ESPnet.

Runs once, when an environment is set up (``bin/mend_upstream.py``), and adds files
to that environment; nothing is changed in a running process. Imports the standard
library only, because it runs while the environment is incomplete.
"""

import importlib.util
import logging
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

logger = logging.getLogger(__name__)

TORCHAUDIO = "torchaudio==2.11.0"
NLTK_ARCHIVES = ("corpora/cmudict.zip", "taggers/averaged_perceptron_tagger_eng.zip")
CI_SDR_PLACEHOLDER = '''\
"""Placeholder written by espnet_vibevoice: espnet2.bin.asr_* import ci_sdr, unused."""


def __getattr__(name):
    raise AttributeError(
        f"ci_sdr.{name}: this is a placeholder of espnet_vibevoice. Speech enhancement "
        "needs the real package: install ci_sdr 0.0.2 from its source archive."
    )
'''


def choose_torchaudio_routes(cuda: str | None) -> list[str]:
    """Choose how torchaudio can be installed, best way first.

    Args:
        cuda (str | None): ``torch.version.cuda``; None for a CPU or ROCm build.

    Returns:
        list[str]: ``wheel`` (the Linux wheel as it is) and ``pure`` (the Python files
        of the same release). The wheel loads CUDA libraries of one version, so even
        a CUDA build of torch may need the second way.
    """
    return ["pure"] if cuda is None else ["wheel", "pure"]


def torchaudio_pip_options(route: str, purelib: str) -> list[str]:
    """Give pip's options that install torchaudio by one route.

    Args:
        route (str): ``wheel`` or ``pure``.
        purelib (str): The environment's site-packages.

    Returns:
        list[str]: Arguments behind ``pip install``.

    Raises:
        ValueError: If the route is unknown.
    """
    if route == "wheel":
        return ["--no-deps", TORCHAUDIO]
    if route == "pure":
        # Every Linux wheel since 2.0 fails to import beside a CPU build of torch: it
        # links to CUDA. The Windows wheel holds the same Python files, and its native
        # ones are never looked for on Linux. Can go when a Linux wheel imports there.
        options = ["--no-deps", "--only-binary=:all:", "--platform", "win_amd64"]
        return [*options, "--upgrade", "--target", purelib, TORCHAUDIO]
    raise ValueError(f"torchaudio route: got {route!r}, wanted wheel or pure")


def imports_cleanly(module: str) -> bool:
    """Tell whether a fresh Python process can import a module."""
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def run_pip(*arguments: str) -> None:
    """Run pip in this environment.

    Raises:
        RuntimeError: If pip fails; its own output says why.
    """
    status = subprocess.run([sys.executable, "-m", "pip", *arguments]).returncode
    if status != 0:
        shown = " ".join(arguments)
        raise RuntimeError(f"pip {shown}: status {status}, reason above")


def install_torchaudio(cuda: str | None) -> str:
    """Install torchaudio unless one that imports is there.

    Args:
        cuda (str | None): ``torch.version.cuda``.

    Returns:
        str: The route taken, or ``kept``.

    Raises:
        RuntimeError: If no route gives a torchaudio that imports.
    """
    if imports_cleanly("torchaudio"):
        return "kept"
    routes = choose_torchaudio_routes(cuda)
    for route in routes:
        run_pip("uninstall", "--yes", "torchaudio")
        purelib = sysconfig.get_path("purelib")
        run_pip("install", *torchaudio_pip_options(route, purelib))
        if imports_cleanly("torchaudio"):
            return route
        logger.warning("%s does not import by route %s", TORCHAUDIO, route)
    raise RuntimeError(
        f"{TORCHAUDIO} does not import with this torch (CUDA {cuda}), tried "
        f"{', '.join(routes)}. Install the torchaudio that belongs to it, then rerun."
    )


def write_nltk_placeholders(prefix: str) -> list[Path]:
    """Put empty archives where g2p_en looks for its English data.

    ESPnet imports g2p_en, which at import time tries to download two data sets: noise
    in every process, and minutes of waiting behind a firewall. Persian needs neither.
    ``--g2p g2p_en`` still says which data to download. Can go when g2p_en downloads at
    first use, or ESPnet imports it there.

    Args:
        prefix (str): ``sys.prefix`` of the environment.

    Returns:
        list[Path]: The archives written now; files that exist are kept.
    """
    written = []
    for name in NLTK_ARCHIVES:
        archive = Path(prefix) / "nltk_data" / name
        if archive.exists():
            continue
        archive.parent.mkdir(parents=True, exist_ok=True)
        # nltk refuses data that other accounts could have written.
        for folder in (archive.parent, archive.parent.parent):
            folder.chmod(0o755)
        partial = archive.with_suffix(".partial")
        zipfile.ZipFile(partial, "w").close()
        partial.chmod(0o644)
        os.replace(partial, archive)
        written.append(archive)
    return written


def write_ci_sdr_placeholder(purelib: str) -> Path | None:
    """Write an empty module ``ci_sdr`` unless the package is installed.

    pip 26.3 refuses ci_sdr 0.0.2 because one of its extras names a URL, and ESPnet's
    recognition imports it without using it. A real package installed later takes
    precedence. Can go when ESPnet imports it at first use.

    Args:
        purelib (str): The environment's site-packages.

    Returns:
        Path | None: The file, or None if ``ci_sdr`` can be imported already.
    """
    if importlib.util.find_spec("ci_sdr") is not None:
        return None
    module = Path(purelib) / "ci_sdr.py"
    partial = module.with_suffix(".partial")
    partial.write_text(CI_SDR_PLACEHOLDER, encoding="utf-8")
    os.replace(partial, module)
    return module


def mend_upstream(cuda: str | None) -> str:
    """Do all of the above for the running environment.

    Args:
        cuda (str | None): ``torch.version.cuda``.

    Returns:
        str: One line that says what was done.
    """
    archives = write_nltk_placeholders(sys.prefix)
    ci_sdr = write_ci_sdr_placeholder(sysconfig.get_path("purelib"))
    route = install_torchaudio(cuda)
    return (
        f"torchaudio: {route}; nltk placeholders written: {len(archives)}; "
        f"ci_sdr: {'kept' if ci_sdr is None else 'placeholder written'}"
    )
