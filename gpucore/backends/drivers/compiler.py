"""A compiler of C++ in a library: NVRTC, hiprtc.

Both libraries have the same functions under names with their own prefix.
"""

from __future__ import annotations

import ctypes as c
from typing import Any, ClassVar, Final, NamedTuple

from gpucore.backends.drivers.errors import DriverError
from gpucore.wgsl.c_family import PrintedKernel, Target

__all__ = ["Compiler", "Toolchain"]

_P, _N, _I = c.c_void_p, c.POINTER(c.c_size_t), c.POINTER(c.c_int)
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    "Version": (_I, _I),
    "CreateProgram": (_P, c.c_char_p, c.c_char_p, c.c_int, _P, _P),
    "DestroyProgram": (_P,),
    "CompileProgram": (_P, c.c_int, _P),
    "GetProgramLogSize": (_P, _N),
    "GetProgramLog": (_P, _P),
}


class Compiler:
    """A compiler: `compile` may be called in any thread."""

    prefix: ClassVar[str]
    """How the names of its functions begin."""

    code_name: ClassVar[str]
    """What its functions call machine code."""

    options: ClassVar[tuple[str, ...]]
    """What every text is compiled with."""

    cache_name: ClassVar[str]
    """The folder of the cache in the user's, and, in capitals, in the variable that names another.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        sizes = {f"Get{self.code_name}Size": (_P, _N), f"Get{self.code_name}": (_P, _P)}
        for name, types in (_FUNCTIONS | sizes).items():
            function = self._function(name)
            function.argtypes, function.restype = types, c.c_int
        major, minor = c.c_int(), c.c_int()
        self._function("Version")(c.byref(major), c.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def _function(self, name: str) -> Any:
        return getattr(self._library, f"{self.prefix}{name}")

    @property
    def identity(self) -> str:
        """Version and options: what results depend on beside text and architecture."""
        return " ".join((self.version, *self.options))

    def compile(self, text: str, architecture: str) -> bytes:
        """Return the machine code of a text. Raises `DriverError` with the compiler's words."""
        program = c.c_void_p()
        options = [f"--gpu-architecture={architecture}", *self.options]
        array = (c.c_char_p * len(options))(*(option.encode() for option in options))
        self._function("CreateProgram")(c.byref(program), text.encode(), b"kernel", 0, None, None)
        try:
            code = self._function("CompileProgram")(program, len(options), array)
            if code:
                log = self._bytes("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
                raise DriverError(f"{self.prefix}CompileProgram", code, log.strip())
            return self._bytes(self.code_name, program)
        finally:
            self._function("DestroyProgram")(c.byref(program))

    def compile_kernel(self, kernel: PrintedKernel, architecture: str) -> bytes:
        """Return the machine code of a printed kernel, as `compile` does."""
        return self.compile(kernel.text, architecture)

    def _bytes(self, what: str, program: c.c_void_p) -> bytes:
        size = c.c_size_t()
        self._function(f"Get{what}Size")(program, c.byref(size))
        data = c.create_string_buffer(size.value)
        self._function(f"Get{what}")(program, data)
        return data.raw


class Toolchain(NamedTuple):
    """A compiler, the architecture that it compiles for, and the language that it reads."""

    compiler: Compiler
    architecture: str
    target: Target
