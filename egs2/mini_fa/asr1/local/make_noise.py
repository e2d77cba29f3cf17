#!/usr/bin/env python3
"""Make noises and short filters that training adds, so that clean speech is not all.

Synthesized and resynthesized speech is muffled, coloured and buzzy. Noises fall by 0,
3, 6 or 9 dB an octave; filters have a smooth random response, and many of them lose
the highest frequencies. ``noise.scp`` and ``rir.scp`` list them for ESPnet.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.errors import run_command

FS = 16000
NOISES = 12
NOISE_SEC = 12
FILTERS = 40
TAPS = 128
LOWEST_HZ = 30.0  # below, the spectrum of a noise is flat
RIPPLE_DB = 4.0  # standard deviation of each of four cosines of a response
CUT_HZ = (2500.0, 8000.0)  # from where a filter falls
FALL_DB_PER_KHZ = (3.0, 12.0)


def make_noise(rng: np.random.Generator, steepness: float) -> np.ndarray:
    """Make noise whose amplitude falls with frequency to the power of steepness."""
    count = FS * NOISE_SEC
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / FS), LOWEST_HZ)
    spectrum = np.fft.rfft(rng.normal(size=count)) * frequencies**-steepness
    noise = np.fft.irfft(spectrum, count)
    return 0.5 * noise / np.abs(noise).max()


def make_filter(rng: np.random.Generator) -> np.ndarray:
    """Make the impulse response (TAPS,) of a smooth random filter."""
    frequencies = np.linspace(0, FS / 2, 257)
    level_db = np.zeros_like(frequencies)
    for order in range(1, 5):
        level_db += rng.normal(scale=RIPPLE_DB) * np.cos(
            2 * np.pi * order * frequencies / FS
        )
    above = np.maximum(0.0, frequencies - rng.uniform(*CUT_HZ))
    level_db -= above / 1000 * rng.uniform(*FALL_DB_PER_KHZ)
    response = np.roll(np.fft.irfft(10 ** (level_db / 20)), TAPS // 2)[:TAPS]
    response *= np.hanning(TAPS)
    return 0.5 * response / np.abs(response).max()


def main() -> None:
    """Write the wavs and their lists."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    sounds = {f"noise{i:02d}": make_noise(rng, i % 4 * 0.5) for i in range(NOISES)}
    filters = {f"filter{i:02d}": make_filter(rng) for i in range(FILTERS)}
    for name, waveform in (sounds | filters).items():
        soundfile.write(args.out / f"{name}.wav", waveform, FS, subtype="PCM_16")
    for scp, names in (("noise.scp", sounds), ("rir.scp", filters)):
        write_lines(args.out / scp, (f"{n} {args.out / n}.wav" for n in names))


if __name__ == "__main__":
    run_command(main)
