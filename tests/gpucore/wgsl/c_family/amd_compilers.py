"""Compilers for AMD's cards that need no card: hiprtc, and clang for what an old hiprtc lacks."""

from __future__ import annotations

import ctypes as c
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gpucore.backends.hip.cards import target_of
from gpucore.backends.hip.compiler import HipCompiler, load_compiler
from gpucore.wgsl.c_family import Target

__all__ = ["ARCHITECTURES", "compile_for", "hiprtc"]

ARCHITECTURES = ("gfx90a", "gfx1030", "gfx1100")
CLANG = shutil.which("clang-15")
BITCODE = Path("/usr/lib/x86_64-linux-gnu/amdgcn/bitcode")
# The device libraries as hiprtc links them. Those of 5.2 know no gfx1100; what tells an older card
# apart changes nothing that a kernel of ours uses.
LIBRARIES = (
    *("ocml", "ockl", "oclc_daz_opt_off", "oclc_unsafe_math_off", "oclc_finite_only_off"),
    *("oclc_correctly_rounded_sqrt_on", "oclc_wavefrontsize64_off", "oclc_isa_version_1036"),
    "oclc_abi_version_400",
)


def hiprtc() -> HipCompiler:
    """Return hiprtc; skip the test where there is none."""
    found = load_compiler()
    if found is None:
        pytest.skip("hiprtc is not installed: tools/setup/hip.sh")
    return found


def compile_for(architecture: str, text: str) -> bytes:
    """Compile for an architecture; skip the test where no compiler knows it."""
    compiler = hiprtc()
    if compiler.covers(architecture):
        return compiler.compile(text, architecture)
    return compile_with_clang(architecture, target_of(architecture), text)


def compile_with_clang(architecture: str, target: Target, text: str) -> bytes:
    """Return the assembly that clang makes of a text behind hiprtc's own header."""
    if CLANG is None or not BITCODE.is_dir() or target.lanes != 32:
        pytest.skip(f"neither hiprtc nor clang-15 compiles for {architecture} here")
    built_ins = c.CDLL("libhiprtc-builtins.so.5")
    size = c.c_uint.in_dll(built_ins, "__hipRTC_header_size").value
    header = (c.c_char * size).in_dll(built_ins, "__hipRTC_header").raw.rstrip(b"\0")
    with tempfile.TemporaryDirectory() as folder:
        head, source, result = (Path(folder) / name for name in ("rtc.h", "k.hip", "k.s"))
        head.write_bytes(header)
        source.write_text(text, encoding="utf-8")
        links = [f"{BITCODE}/{name}.bc" for name in LIBRARIES]
        options = [word for each in links for word in _to_the_compiler(each)]
        options += ["-x", "hip", "--cuda-device-only", f"--offload-arch={architecture}"]
        options += ["-nogpuinc", "-nogpulib", "-std=c++20", "-O3", "-w", "-S"]
        options += ["-D__HIPCC_RTC__", "-DHIP_VERSION_MAJOR=5", "-DHIP_VERSION_MINOR=2"]
        command = [CLANG, *options, "-include", str(head), "-o", str(result), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:3000]
        return result.read_bytes()


def _to_the_compiler(library: str) -> tuple[str, ...]:
    return "-Xclang", "-mlink-builtin-bitcode", "-Xclang", library
