"""Emulation of matrix units: subgroup-matrix functions in WGSL become plain functions.

A matrix of the emulated subgroup of 32 is distributed over its invocations, as on real units. Each
invocation has some columns of one row of the result, that row of the left operand, and those
columns of the right one. So a load reads what memory holds then, a store writes each element once,
and a missing barrier shows wherever invocations do not run in step.

The 32 invocations are consecutive local indices; ``subgroup_id`` and ``subgroup_invocation_id`` are
computed from those. A shader may have one type of operands. Results may be f32 and f16; the names
of their variables tell which. ``subgroupShuffleXor`` is left to the adapter, whose smaller
subgroups are correct for neighbours. Other subgroup functions are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["EmulationError", "emulate"]

LANES = 32

_REMOVED_EXTENSIONS = {
    "chromium_experimental_subgroup_matrix",
    "subgroups",
    "subgroup_size_control",
}
_TYPE = re.compile(
    r"subgroup_matrix_(left|right|result)\s*<\s*(\w+)\s*,\s*(\d+)u?\s*,\s*(\d+)u?\s*,?\s*>"
)
_VARIABLE = re.compile(r"var\s*<\s*(?:workgroup|storage)[^>]*>\s*(\w+)\s*:\s*array\s*<")
_UNKNOWN_FUNCTION = re.compile(r"\bsubgroup(?!Matrix|ShuffleXor)[A-Z]\w*|\bquad[A-Z]\w*")
_SCALAR = re.compile(r"subgroupMatrixScalar(Add|Subtract|Multiply)\b")


class EmulationError(ValueError):
    """The shader uses something that the emulator does not know."""


@dataclass(frozen=True)
class _Matrix:
    """A matrix type: ``side`` is left, right or result; columns come before rows, as in WGSL."""

    side: str
    component: str
    columns: int
    rows: int

    @property
    def name(self) -> str:
        return f"Emulated_{self.side}_{self.component}_{self.columns}_{self.rows}"


@dataclass(frozen=True)
class _Memory:
    """A module variable that is an array, whose elements are ``width`` words of type ``word``."""

    name: str
    word: str
    width: int

    def per_element(self, component: str) -> int:
        """Return the number of matrix components in one array element."""
        return self.width * (2 if self.packs(component) else 1)

    def packs(self, component: str) -> bool:
        """Tell whether a 32-bit word holds two components."""
        return self.word == "u32" and component == "f16"

    def at(self, scalar: str) -> str:
        """Return a WGSL expression for the word with number ``scalar``."""
        if self.width == 1:
            return f"{self.name}[{scalar}]"
        return f"{self.name}[({scalar}) / {self.width}u][({scalar}) % {self.width}u]"


def emulate(source: str) -> str:
    """Replace the subgroup-matrix functions of rendered WGSL by plain functions.

    The result needs ``shader-f16`` where ``source`` enables f16, and no other feature. Raises
    `EmulationError` for WGSL that is not emulated.
    """
    text = _without_comments(source)
    unknown = _UNKNOWN_FUNCTION.search(text)
    if unknown:
        raise EmulationError(f"{unknown[0]} is not emulated: only matrix built-ins are")
    text = _without_directives(text)
    matrices, text = _replace_types(text)
    aliases = dict(re.findall(r"\balias\s+(\w+)\s*=\s*([^;]+);", text))
    for alias, target in aliases.items():
        if target.strip() in matrices:
            matrices[alias] = matrices[target.strip()]
    functions: dict[str, str] = {}
    text = _replace_calls(text, matrices, _memories(text, aliases), functions)
    text = _set_lanes(text)
    return "\n".join([text, _structure_texts(matrices), *functions.values()])


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _without_directives(text: str) -> str:
    shuffles = "subgroupShuffleXor" in text

    def keep(match: re.Match[str]) -> str:
        names = [n.strip() for n in match[1].split(",")]
        kept = [
            n
            for n in names
            if n and (n not in _REMOVED_EXTENSIONS or (shuffles and n == "subgroups"))
        ]
        return f"enable {', '.join(kept)};" if kept else ""

    text = re.sub(r"\benable\s+([^;]+);", keep, text)
    text = re.sub(r"\bdiagnostic\s*\(\s*off\s*,\s*chromium\.[^)]*\)\s*;", "", text)
    return re.sub(r"@subgroup_size\s*\([^)]*\)", "", text)


def _replace_types(text: str) -> tuple[dict[str, _Matrix], str]:
    """Turn matrix types into structure names, and a type called with an argument into a splat."""
    found: dict[str, _Matrix] = {}

    def rename(match: re.Match[str]) -> str:
        matrix = _Matrix(match[1], match[2], int(match[3]), int(match[4]))
        found[matrix.name] = matrix
        return matrix.name

    text = _TYPE.sub(rename, text)
    unknown = re.search(r"subgroup_matrix_\w+\s*<[^>]*>", text)
    if unknown:
        raise EmulationError(f"write the extents of {unknown[0]} as numbers")
    return found, re.sub(r"\b(Emulated_\w+)\s*\((?!\s*\))", r"\1_splat(", text)


def _memories(text: str, aliases: dict[str, str]) -> dict[str, _Memory]:
    found = {}
    for match in _VARIABLE.finditer(text):
        inside = text[match.end() : _closing_bracket(text, match.end() - 1, "<>")]
        element = _split(inside)[0]
        while element in aliases:
            element = aliases[element].strip()
        vector = re.fullmatch(r"vec([234])\s*<\s*(\w+)\s*>|vec([234])([fhu])", element)
        short = {"f": "f32", "h": "f16", "u": "u32"}
        if vector is None:
            found[match[1]] = _Memory(match[1], element, 1)
        elif vector[2]:
            word = aliases.get(vector[2], vector[2]).strip()
            found[match[1]] = _Memory(match[1], word, int(vector[1]))
        else:
            found[match[1]] = _Memory(match[1], short[vector[4]], int(vector[3]))
    return found


def _replace_calls(
    text: str,
    matrices: dict[str, _Matrix],
    memories: dict[str, _Memory],
    functions: dict[str, str],
) -> str:
    """Rewrite calls from the last to the first, so that arguments are done before their call."""
    sides = _sides(matrices)
    results = _results(text, matrices)
    while (start := text.rfind("subgroupMatrix")) >= 0:
        name = re.match(r"\w+", text[start:])
        assert name is not None
        at = start + name.end()
        template: list[str] = []
        if text[at:].lstrip().startswith("<"):
            at = text.index("<", at)
            end = _closing_bracket(text, at, "<>")
            template = _split(text[at + 1 : end])
            at = end + 1
        at = text.index("(", at)
        end = _closing_bracket(text, at, "()")
        arguments = _split(text[at + 1 : end], "([", ")]")
        scalar = _SCALAR.fullmatch(name[0])
        if name[0] == "subgroupMatrixLoad":
            call = _emulate_load(matrices, memories, functions, template, arguments)
        elif name[0] == "subgroupMatrixStore":
            call = _emulate_store(results, memories, functions, template, arguments)
        elif name[0] == "subgroupMatrixMultiplyAccumulate":
            call = _emulate_multiply(sides, results, functions, arguments)
        elif scalar:
            call = _emulate_scalar(results, functions, scalar[1], arguments)
        else:
            raise EmulationError(f"{name[0]} is not emulated")
        text = text[:start] + call + text[end + 1 :]
    return text


def _sides(matrices: dict[str, _Matrix]) -> dict[str, _Matrix]:
    """Return the types of the left and the right operand."""
    operands = {m for m in matrices.values() if m.side != "result"}
    sides = {m.side: m for m in operands}
    if len(operands) != len(sides):
        raise EmulationError(f"more than one kind of product: {', '.join(sorted(matrices))}")
    return sides


class _Results(dict[str, _Matrix]):
    """The types of variables that are results."""

    def of(self, expression: str) -> _Matrix:
        """Return the type of a variable, or of a call of a type."""
        kinds = set(self.values())
        name = re.match(r"\w*", expression.strip())
        assert name is not None
        found = self.get(name[0].removesuffix("_splat"))
        if found is None and len(kinds) == 1:
            return kinds.pop()
        if found is None:
            raise EmulationError(f"{expression}: f32 or f16? Make it a variable of its own")
        return found


def _results(text: str, matrices: dict[str, _Matrix]) -> _Results:
    """Find the variables that are declared, loaded, copied or summed as results."""
    kinds = {name: m for name, m in matrices.items() if m.side == "result"}
    found = _Results(kinds)
    load = r"subgroupMatrixLoad\s*<\s*"
    product = r"subgroupMatrixMultiplyAccumulate\([^;]*,\s*"
    declared = re.findall(rf"(?:var|let)\s+(\w+)\s*[:=]\s*(?:{load}|{product})?(\w+)", text)
    known = -1
    while known != len(found):
        known = len(found)
        found.update({name: found[source] for name, source in declared if source in found})
    return found


def _memory_of(memories: dict[str, _Memory], pointer: str) -> _Memory:
    memory = memories.get(pointer.removeprefix("&").strip())
    if memory is None:
        raise EmulationError(f"{pointer} is not the address of a module variable that is an array")
    return memory


def _is_column_major(template: list[str], position: int) -> bool:
    """Tell whether a template says column-major."""
    if len(template) <= position or template[position] not in ("row_major", "col_major"):
        raise EmulationError(f"template <{', '.join(template)}> lacks row_major or col_major")
    return template[position] == "col_major"


def _component_value(memory: _Memory, component: str) -> str:
    """Return a WGSL expression for component number ``s`` as f32."""
    if memory.packs(component):
        word = memory.at("(s / 2u)")
        return f"unpack2x16float({word})[s & 1u]"
    if memory.word == "u32":
        return f"bitcast<f32>({memory.at('s')})"
    return f"f32({memory.at('s')})"


def _emulate_load(
    matrices: dict[str, _Matrix],
    memories: dict[str, _Memory],
    functions: dict[str, str],
    template: list[str],
    arguments: list[str],
) -> str:
    matrix, memory = matrices[template[0]], _memory_of(memories, arguments[0])
    by_column = _is_column_major(template, 1)
    name = f"{matrix.name}_load_{memory.name}_{'columns' if by_column else 'rows'}"
    per = memory.per_element(matrix.component)
    run = _columns_per_lane(matrix)
    i = {"left": "i", "right": f"(i / {run}u)", "result": "0u"}[matrix.side]
    j = {"left": "0u", "right": f"(i % {run}u)", "result": "i"}[matrix.side]
    row, column = _row_and_column(matrix)
    if matrix.side == "left":
        place = (row, i)
    elif matrix.side == "right":
        place = (i, f"({column} + {j})")
    else:
        place = (row, f"({column} + {j})")
    major, minor = (place[1], place[0]) if by_column else place
    functions[name] = f"""
fn {name}(offset: u32, stride: u32) -> {matrix.name} {{
    var m: {matrix.name};
    for (var i = 0u; i < {_component_count(matrix)}u * emulated_one; i++) {{
        let s = (offset + {major} * stride) * {per}u + {minor};
        m.e[i] = {_component_value(memory, matrix.component)};
    }}
    return m;
}}"""
    return f"{name}({', '.join(arguments[1:])})"


def _emulate_store(
    results: _Results,
    memories: dict[str, _Memory],
    functions: dict[str, str],
    template: list[str],
    arguments: list[str],
) -> str:
    matrix, memory = results.of(arguments[2]), _memory_of(memories, arguments[0])
    by_column = _is_column_major(template, 0)
    name = f"{matrix.name}_store_{memory.name}_{'columns' if by_column else 'rows'}"
    per = memory.per_element(matrix.component)
    row, column = _row_and_column(matrix)
    if by_column and per > 1:
        raise EmulationError(f"column-major store into {memory.name}, whose elements hold {per}")
    if not by_column and _columns_per_lane(matrix) % per:
        raise EmulationError(
            f"elements of {memory.name} hold more than one lane's {_columns_per_lane(matrix)}"
        )
    major, minor = (f"({column} + i)", row) if by_column else (row, f"({column} + i)")
    functions[name] = f"""
fn {name}(offset: u32, given: {matrix.name}, stride: u32) {{
    var m = given;
    for (var i = 0u; i < {_columns_per_lane(matrix)}u * emulated_one; i += {per}u) {{
        let s = (offset + {major} * stride) * {per}u + {minor};
        {memory.name}[s / {per}u] = {_element_value(memory, matrix.component)};
    }}
}}"""
    return f"{name}({', '.join(arguments[1:])})"


def _element_value(memory: _Memory, component: str) -> str:
    """Return a WGSL expression for an array element of the components from ``m.e[i]`` on."""
    if memory.packs(component):
        words = [
            f"pack2x16float(vec2<f32>(m.e[i + {2 * w}u], m.e[i + {2 * w + 1}u]))"
            for w in range(memory.width)
        ]
    elif memory.word == "u32":
        words = [f"bitcast<u32>(m.e[i + {w}u])" for w in range(memory.width)]
    else:
        words = [f"{memory.word}(m.e[i + {w}u])" for w in range(memory.width)]
    if memory.width == 1:
        return words[0]
    return f"vec{memory.width}<{memory.word}>({', '.join(words)})"


def _emulate_multiply(
    sides: dict[str, _Matrix],
    results: _Results,
    functions: dict[str, str],
    arguments: list[str],
) -> str:
    left, right, result = sides["left"], sides["right"], results.of(arguments[2])
    if (left.rows, right.columns) != (result.rows, result.columns) or left.columns != right.rows:
        raise EmulationError(f"{left.name} times {right.name} does not make {result.name}")
    run = _columns_per_lane(result)
    stored = "c.e[i]"
    if result.component == "f16":
        stored = "unpack2x16float(pack2x16float(vec2<f32>(c.e[i])))[0]"
    name = f"emulated_multiply_{result.component}"
    functions[name] = f"""
fn {name}(left: {left.name}, right: {right.name}, sum: {result.name}) -> {result.name} {{
    var a = left;
    var b = right;
    var c = sum;
    for (var k = 0u; k < {left.columns}u * emulated_one; k++) {{
        for (var i = 0u; i < {run}u * emulated_one; i++) {{
            c.e[i] += a.e[k] * b.e[k * {run}u + i];
        }}
    }}
    for (var i = 0u; i < {run}u * emulated_one; i++) {{ c.e[i] = {stored}; }}
    return c;
}}"""
    return f"{name}({', '.join(arguments)})"


def _emulate_scalar(
    results: _Results, functions: dict[str, str], kind: str, arguments: list[str]
) -> str:
    result = results.of(arguments[0])
    sign = {"Add": "+", "Subtract": "-", "Multiply": "*"}[kind]
    name = f"emulated_scalar_{kind}_{result.component}"
    functions[name] = f"""
fn {name}(given: {result.name}, scalar: {result.component}) -> {result.name} {{
    var m = given;
    for (var i = 0u; i < {_columns_per_lane(result)}u * emulated_one; i++) {{
        m.e[i] = m.e[i] {sign} f32(scalar);
    }}
    return m;
}}"""
    return f"{name}({', '.join(arguments)})"


def _columns_per_lane(matrix: _Matrix) -> int:
    """Return how many consecutive columns of one row of the result an invocation has."""
    if matrix.side == "right":
        return matrix.columns * 16 // LANES
    return matrix.rows * matrix.columns // LANES


def _component_count(matrix: _Matrix) -> int:
    """Return how many components of a matrix an invocation has."""
    return {
        "left": matrix.columns,
        "right": matrix.rows * _columns_per_lane(matrix),
        "result": _columns_per_lane(matrix),
    }[matrix.side]


def _row_and_column(matrix: _Matrix) -> tuple[str, str]:
    """Return WGSL expressions for an invocation's row, and for its first column."""
    lanes_a_row = LANES // 16
    run = matrix.columns // lanes_a_row
    return f"(emulated_lane / {lanes_a_row}u)", f"(emulated_lane % {lanes_a_row}u * {run}u)"


def _structure_texts(matrices: dict[str, _Matrix]) -> str:
    lines = [
        "var<private> emulated_lane: u32;",
        "// 1, though the compiler cannot know: keeps it from unrolling the loops.",
        "var<private> emulated_one: u32;",
    ]
    for matrix in {m.name: m for m in matrices.values()}.values():
        if matrix.side != "right" and matrix.rows != 16:
            raise EmulationError(f"{matrix.name}: only 16 rows are emulated")
        count = _component_count(matrix)
        lines.append(f"struct {matrix.name} {{ e: array<f32, {count}> }}")
        lines.append(
            f"fn {matrix.name}_splat(v: {matrix.component}) -> {matrix.name} {{\n"
            f"    var m: {matrix.name};\n"
            f"    for (var i = 0u; i < {count}u * emulated_one; i++) {{ m.e[i] = f32(v); }}\n"
            f"    return m;\n}}"
        )
    return "\n".join(lines)


def _set_lanes(text: str) -> str:
    """Make every compute entry point set the lane before its first statement."""
    for point in reversed(list(re.finditer(r"@compute\b[^;{]*?\bfn\s+\w+\s*\(", text))):
        start = point.end() - 1
        end = _closing_bracket(text, start, "()")
        kept, opening = _parameters(_split(text[start + 1 : end], "([", ")]"))
        body = text.index("{", end) + 1
        text = f"{text[: start + 1]}{', '.join(kept)}{text[end:body]}{opening}{text[body:]}"
    return text


def _parameters(given: list[str]) -> tuple[list[str], str]:
    """Return the parameters to keep, and the statements that replace the subgroup's."""
    named = {}
    kept = []
    for parameter in given:
        match = re.search(r"@builtin\s*\(\s*(\w+)\s*\)\s*(\w+)", parameter)
        if match:
            named[match[1]] = match[2]
        if not match or match[1] not in ("subgroup_id", "subgroup_invocation_id", "subgroup_size"):
            kept.append(parameter)
    index = named.get("local_invocation_index", "emulated_index")
    groups = named.get("num_workgroups", "emulated_groups")
    if "local_invocation_index" not in named:
        kept.append(f"@builtin(local_invocation_index) {index}: u32")
    if "num_workgroups" not in named:
        kept.append(f"@builtin(num_workgroups) {groups}: vec3<u32>")
    values = {
        "subgroup_id": f"{index} / {LANES}u",
        "subgroup_invocation_id": f"{index} % {LANES}u",
        "subgroup_size": f"{LANES}u",
    }
    lines = [f"let {named[k]} = {v};" for k, v in values.items() if k in named]
    lines.append(f"emulated_lane = {index} % {LANES}u;")
    lines.append(f"emulated_one = min({groups}.x, 1u);")
    return kept, "\n    " + "\n    ".join(lines)


def _closing_bracket(text: str, start: int, pair: str) -> int:
    """Return the index of the bracket that closes the one at ``start``."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == pair[0]) - (text[i] == pair[1])
        if depth == 0:
            return i
    raise EmulationError(f"no {pair[1]} for the {pair[0]} in {text[start : start + 60]!r}")


def _split(text: str, opening: str = "(<[", closing: str = ")>]") -> list[str]:
    """Split at the commas that are in no bracket."""
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in opening) - (c in closing)
        if c == "," and depth == 0:
            parts.append(text[last:i].strip())
            last = i + 1
    parts.append(text[last:].strip())
    return [p for p in parts if p]
