"""Find the tones in a noisy signal and remove the noise, by a Fourier transform and back."""

import numpy as np

from gpucore import Device
from gpustd import absolute, less, signal, topk, where

RATE = 8000  # samples a second
TONES = (440, 1250)  # Hz


def main() -> None:
    """Find both tones in a second of sound, keep only them, and compare with NumPy."""
    device = Device.auto()
    time = np.arange(RATE) / RATE
    clean = sum(np.sin(2 * np.pi * tone * time) for tone in TONES)
    noisy = (clean + np.random.default_rng(0).normal(size=RATE)).astype(np.float32)

    x = device.buffer_from_array(noisy)
    spectrum = signal.rfft(x)  # c64, like numpy.fft.rfft
    loudness = absolute(spectrum)
    _, loudest = topk(loudness, 2)
    found = sorted(
        loudest.read().tolist()
    )  # one bin for each Hz, since the signal is one second long
    print("tones at", " and ".join(f"{tone} Hz" for tone in found))
    assert tuple(found) == TONES

    kept = where(less(loudness, 1000.0), 0.0, spectrum)
    filtered = signal.irfft(kept).read()

    expected = np.fft.rfft(noisy.astype(np.float64))
    expected[np.abs(expected) < 1000] = 0
    assert np.allclose(filtered, np.fft.irfft(expected), atol=1e-4)
    before, after = np.std(noisy - clean), np.std(filtered - clean)
    print(f"noise {before:.2f} before, {after:.2f} after, on {device.name}")
    assert after < before / 10


if __name__ == "__main__":
    main()
