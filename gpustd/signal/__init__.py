"""Signals: Fourier transforms, windows, convolution and filters, named as in SciPy.

Law: operands are buffers of f32 or c64, and results are new ones. The host computes only small
tables, in float64. An operation makes those of a new size at its first call: call it once before
capturing it.
"""

from gpustd.signal.convolution import convolve, correlate, fftconvolve, oaconvolve
from gpustd.signal.fft_1d import fft, hfft, ifft, ihfft, irfft, rfft
from gpustd.signal.fft_nd import fft2, fftn, ifft2, ifftn, irfft2, irfftn, rfft2, rfftn
from gpustd.signal.filters import filtfilt, lfilter, sosfilt, sosfiltfilt
from gpustd.signal.fir_design import firwin
from gpustd.signal.frequencies import fftfreq, fftshift, ifftshift, next_fast_len, rfftfreq
from gpustd.signal.short_time import istft, stft
from gpustd.signal.windows import get_window

__all__ = [
    "convolve",
    "correlate",
    "fft",
    "fft2",
    "fftconvolve",
    "fftfreq",
    "fftn",
    "fftshift",
    "filtfilt",
    "firwin",
    "get_window",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "istft",
    "lfilter",
    "next_fast_len",
    "oaconvolve",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
    "sosfilt",
    "sosfiltfilt",
    "stft",
]
