"""The few calls of espeak-ng's C interface that speak one text.

The library comes with the wheel ``espeakng-loader``. It is under the GPL-3: only
``synthesize.py``, a program of its own, may import this module.
"""

import ctypes
import importlib.metadata
import importlib.util

import numpy as np

# Values of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
POSITION_CHARACTER = 1
CHARS_UTF8 = 1

NOISE_SEED = ctypes.c_long(1)  # of the breath noise of some voices

INSTALL_HINT = "install it with: python3 -m pip install espeakng-loader"


def find_engine() -> str:
    """Return name and version of the wheel that carries espeak-ng.

    Raises:
        RuntimeError: If the wheel is not installed.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise RuntimeError(f"Python package espeakng_loader is missing, {INSTALL_HINT}")
    return f"espeakng-loader {importlib.metadata.version('espeakng-loader')}"


def load_library() -> tuple[ctypes.CDLL, int]:
    """Load and start espeak-ng without a sound device, its noise always the same.

    Returns:
        tuple: The library and its sampling rate in Hz.

    Raises:
        RuntimeError: If espeak-ng does not find its data.
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data_path = espeakng_loader.get_data_path()
    fs = library.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), INITIALIZE_DONT_EXIT
    )
    if fs <= 0:
        raise RuntimeError(
            f"espeak-ng returned {fs}, wanted a sampling rate, with the data in "
            f"{data_path}. The wheel espeakng-loader is damaged, {INSTALL_HINT}"
        )
    # After the initialization, which seeds the noise with the time of day.
    library.espeak_ng_SetRandSeed(NOISE_SEED)
    return library, fs


def call_checked(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    """Call a function of espeak-ng that returns 0 on success.

    Raises:
        RuntimeError: If it returns anything else.
    """
    status = getattr(library, name)(*arguments)
    if status != 0:
        shown = ", ".join(repr(argument) for argument in arguments)
        raise RuntimeError(
            f"{name}({shown}) of espeak-ng returned {status}, wanted 0. Choose a voice "
            "and settings that this version of espeakng-loader knows."
        )


def speak(text: str, variant: str, rate: int, pitch: int) -> tuple[np.ndarray, int]:
    """Synthesize one text.

    Call it once in a process: the library keeps state from one text to the next,
    and the second call would give other samples than a first one.

    Args:
        text (str): What to say.
        variant (str): Voice name such as ``fa`` or ``fa+f2``.
        rate (int): Words a minute, 80 to 450.
        pitch (int): 0 to 100.

    Returns:
        tuple: Samples (T_wav,), int16, and their sampling rate in Hz.

    Raises:
        RuntimeError: If espeak-ng refuses the voice or the text.
    """
    library, fs = load_library()
    chunks: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    callback_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
    )
    callback = callback_type(collect)  # named, because it must outlive the calls below
    library.espeak_SetSynthCallback(callback)
    call_checked(library, "espeak_SetVoiceByName", variant.encode())
    call_checked(library, "espeak_SetParameter", PARAMETER_RATE, rate, 0)
    call_checked(library, "espeak_SetParameter", PARAMETER_PITCH, pitch, 0)
    encoded = text.encode("utf-8")
    size = ctypes.c_size_t(len(encoded) + 1)
    flags = (0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
    call_checked(library, "espeak_Synth", encoded, size, *flags)
    call_checked(library, "espeak_Synchronize")
    return np.frombuffer(b"".join(chunks), dtype="<i2"), fs
