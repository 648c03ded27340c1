"""A front end for WGSL: parsing, printing, and reflection of what a host must know of a shader.

Law: pure text work. No GPU, no NumPy, and of the rest of `gpucore` its integer arithmetic alone.

`parse` makes the syntax tree (`gpucore.wgsl.syntax`), and `print_module` turns it into text again.
`reflect` finds the entry points, the bindings with their byte layouts, and the overrides;
`reflect_outline` does so from a text without parsing the bodies of functions. `pack_struct` fills a
uniform. Faults in a source raise `WgslSyntaxError` and `WgslLayoutError`, with line, column and
source line.
"""

from gpucore.wgsl.declarations import reflect_outline
from gpucore.wgsl.errors import PackError, WgslError, WgslLayoutError, WgslSyntaxError
from gpucore.wgsl.packing import Field, pack_struct
from gpucore.wgsl.parser import parse
from gpucore.wgsl.printer import print_module
from gpucore.wgsl.reflection import Binding, EntryPoint, Override, Reflection, reflect
from gpucore.wgsl.syntax import Module

__all__ = [
    "Binding",
    "EntryPoint",
    "Field",
    "Module",
    "Override",
    "PackError",
    "Reflection",
    "WgslError",
    "WgslLayoutError",
    "WgslSyntaxError",
    "pack_struct",
    "parse",
    "print_module",
    "reflect",
    "reflect_outline",
]
