"""Signals: Fourier transforms, windows, convolution and filters, named as in SciPy.

Law: operands are buffers of f32 or c64, and results are new ones. The host computes only small
tables, in float64. An operation makes those of a new size at its first call: call it once before
capturing it.

How it works:

- A transform of a long row is cut into passes whose columns fit into a workgroup. Registers hold up
  to 16 numbers (32 in rows of more than three butterflies). Workgroup memory exchanges them between
  butterflies of radix 2 to 32, in parts where that lets several workgroups run side by side.
- Plans do not depend on the number of rows where that would change bits. Stockham's order makes
  transposes needless. Software renderers take one pass for each butterfly, without barriers.
- Roots come from tables that the host makes in float64. Both ends of a pass (real pairs, half
  spectra, padding, factors) are variables of one template, ``shaders/signal/ends.wgsl``.
- Rows of up to 32 numbers lie in the registers of one invocation. Bluestein's rule takes prime
  lengths.
- Short-time transforms cut their frames where they are transformed. Recursive filters add up the
  states of blocks by doubled steps.
"""

from gpustd.signal.convolution import convolve, correlate, fftconvolve, oaconvolve
from gpustd.signal.filters import filtfilt, lfilter, sosfilt, sosfiltfilt
from gpustd.signal.fir_design import firwin
from gpustd.signal.fourier.fft_1d import fft, hfft, ifft, ihfft, irfft, rfft
from gpustd.signal.fourier.fft_nd import fft2, fftn, ifft2, ifftn, irfft2, irfftn, rfft2, rfftn
from gpustd.signal.fourier.frequencies import fftfreq, fftshift, ifftshift, next_fast_len, rfftfreq
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
