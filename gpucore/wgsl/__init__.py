"""An own WGSL front end: text to tree, tree to text, and what a host must know of a shader.

Law: pure text work. No GPU, no NumPy, nothing of the rest of `gpucore`.

`parse` gives the syntax tree (`gpucore.wgsl.syntax`), `print_module` its text, `reflect` the entry
points, bindings with their byte layouts, and overrides (`reflect_outline` the same of a text, not
looking into functions); `pack_struct` fills a uniform. Faults in a source are `WgslSyntaxError` and
`WgslLayoutError`, each with line, column and source line.
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
