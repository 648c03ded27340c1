"""The sanitizer: it runs launches on the CPU, and reports the defects of kernels.

Law: it knows commands and backends, and no device, buffer or kernel. Nothing of it is loaded before
it is on, but for the switch.
"""

from gpucore.sanitizer.errors import SanitizerError
from gpucore.sanitizer.listing import CheckedText, Listing
from gpucore.sanitizer.switch import checker, sanitize

__all__ = ["CheckedText", "Listing", "SanitizerError", "checker", "sanitize"]
