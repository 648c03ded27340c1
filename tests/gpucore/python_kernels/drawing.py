"""Random functions in the language of kernels, as Python text, and what they must give."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from random import Random
from typing import Any

import numpy as np

import gpucore
from gpucore import Buffer, Device
from tests.gpucore.python_kernels.numbers import F32, I32, U32

__all__ = ["differences", "draw_function"]

PARAMETERS = {"a": "i32", "b": "i32", "u": "u32", "v": "u32", "f": "f32", "g": "f32"}
EDGES = {
    "i32": (0, 1, -1, 2, -7, 31, 33, 2**31 - 1, -(2**31), 1000003),
    "u32": (0, 1, 2, 7, 31, 32, 2**31, 2**32 - 1, 1000003, 255),
    "f32": (0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.0, -16.0, 12.5, 100.0),
}
CASES = 12
OF_NUMBERS = {"overflow", "division", "shift", "conversion"}
OPERATORS = ("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Drawer:
    """Draws one function: every local has a value before it is read."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.locals = dict(PARAMETERS)
        self.lines: list[str] = []
        self.loops = 0
        self.count = 0

    def function(self, name: str) -> str:
        """Return the text of a function of the parameters, which returns an i32."""
        head = ", ".join(f"{each}: {kind}" for each, kind in PARAMETERS.items())
        self.lines = [f"def {name}({head}) -> i32:"]
        self.block(1, self.random.randint(2, 6))
        self.add(1, f"return {self.integer('i32', 3)}")
        return "\n".join(self.lines) + "\n"

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def block(self, depth: int, statements: int) -> None:
        for _ in range(statements):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        choice = self.random.random()
        if choice < 0.35 or depth > 4:
            self.assign(depth)
        elif choice < 0.5:
            self.augment(depth)
        elif choice < 0.72:
            self.branch(depth)
        elif choice < 0.88:
            self.counted_loop(depth)
        elif choice < 0.94:
            self.while_loop(depth)
        elif self.loops:
            word = self.random.choice(["break", "continue"])
            self.add(depth, f"if {self.condition(1)}:")
            self.add(depth + 1, word)
        else:
            self.add(depth, f"if {self.condition(2)}:")
            self.add(depth + 1, f"return {self.integer('i32', 2)}")

    def names(self, kind: str) -> list[str]:
        return [name for name, each in self.locals.items() if each == kind]

    def assign(self, depth: int) -> None:
        kind = self.random.choice(["i32", "i32", "u32", "f32", "bool"])
        value = self.value(kind, 3)
        # f and g stay, so that floats stay small enough to be exact.
        own = [n for n in self.names(kind) if n[0] not in "kwfg"]
        if own and self.random.random() < 0.5:
            self.add(depth, f"{self.random.choice(own)} = {value}")
            return
        self.count += 1
        name = f"x{self.count}"
        if kind in ("i32", "u32"):  # a literal alone would be a constant of any type
            value = f"{kind}({value})"
        self.add(depth, f"{name} = {value}")
        self.locals[name] = kind

    def augment(self, depth: int) -> None:
        kind = self.random.choice(["i32", "u32"])
        names = [n for n in self.names(kind) if n[0] not in "kw"]
        operator = self.random.choice(OPERATORS[:8])
        right = self.integer(kind, 2, nonzero=operator in ("//", "%"))
        self.add(depth, f"{self.random.choice(names)} {operator}= {right}")

    def branch(self, depth: int) -> None:
        known = dict(self.locals)
        self.add(depth, f"if {self.condition(2)}:")
        self.block(depth + 1, self.random.randint(1, 2))
        self.locals = dict(known)
        if self.random.random() < 0.4:
            self.add(depth, f"elif {self.condition(2)}:")
            self.block(depth + 1, 1)
            self.locals = dict(known)
        if self.random.random() < 0.5:
            self.add(depth, "else:")
            self.block(depth + 1, self.random.randint(1, 2))
            self.locals = known

    def counted_loop(self, depth: int) -> None:
        known = dict(self.locals)
        self.count += 1
        name, kind = f"k{self.count}", self.random.choice(["i32", "u32"])
        start, stop = self.random.randint(0, 3), self.random.randint(0, 6)
        step = str(self.random.randint(1, 3))
        if self.random.random() < 0.3:
            step = f"({self.integer(kind, 1)} & 3)"  # of 0, the loop has no round
        if kind == "i32" and self.random.random() < 0.5:
            head = f"range(i32({stop}), i32({-start}), -{step})"
        else:
            end = f"{kind}({stop})"
            if self.random.random() < 0.4:
                end = f"({self.integer(kind, 2)} & 7)"
            head = f"range({kind}({start}), {end}, {step})"
        self.add(depth, f"for {name} in {head}:")
        self.locals[name] = kind
        self.loops += 1
        self.block(depth + 1, self.random.randint(1, 2))
        self.loops -= 1
        self.locals = known

    def while_loop(self, depth: int) -> None:
        known = dict(self.locals)
        self.count += 1
        name = f"w{self.count}"
        self.add(depth, f"{name} = i32(0)")
        self.add(depth, f"while {name} < {self.random.randint(1, 5)} and {self.condition(1)}:")
        self.add(depth + 1, f"{name} += 1")
        self.loops += 1
        self.block(depth + 1, self.random.randint(1, 2))
        self.loops -= 1
        self.locals = known

    # Expressions

    def value(self, kind: str, depth: int) -> str:
        if kind == "bool":
            return self.condition(depth)
        return self.float(depth) if kind == "f32" else self.integer(kind, depth)

    def integer(self, kind: str, depth: int, nonzero: bool = False) -> str:
        random = self.random
        if depth == 0 or random.random() < 0.2:
            if random.random() < 0.7:
                return random.choice(self.names(kind))
            low = 1 if nonzero or kind == "u32" else -9
            number = random.randint(low, 40) or 5
            return f"{kind}({number})"
        choice = random.random()
        if choice < 0.55:
            operator = random.choice(OPERATORS)
            left = self.integer(kind, depth - 1)
            if operator in ("<<", ">>") and random.random() < 0.5:
                return f"({left} {operator} {random.randint(0, 31)})"
            right = self.integer(kind, depth - 1, nonzero=operator in ("//", "%"))
            if random.random() < 0.2:
                right = str(random.randint(1, 31))
            return f"({left} {operator} {right})"
        return self.other_integer(kind, depth, choice)

    def other_integer(self, kind: str, depth: int, choice: float) -> str:
        random = self.random
        inner = self.integer(kind, depth - 1)
        if choice < 0.65:
            return f"({random.choice('-~')}{inner})"
        if choice < 0.75:
            other = self.integer(kind, depth - 1)
            return f"{random.choice(['min', 'max'])}({inner}, {other})"
        if choice < 0.87:
            other = self.integer(kind, depth - 1)
            return f"({inner} if {self.condition(depth - 1)} else {other})"
        if choice < 0.93:
            other_kind = "u32" if kind == "i32" else "i32"
            return f"{kind}({self.integer(other_kind, depth - 1)})"
        if choice < 0.97 and kind == "i32":
            return f"abs({inner})"
        return f"{kind}({self.condition(depth - 1)})"

    def float(self, depth: int) -> str:
        """Return a float whose value is exact, with or without contraction."""
        random = self.random
        leaves = ["f", "g", "0.5", "2.0", "-3.0"]
        if depth == 0 or random.random() < 0.2:
            return random.choice(leaves)
        choice = random.random()
        if choice < 0.4:
            return f"({self.float(depth - 1)} {random.choice('+-')} {self.float(depth - 1)})"
        if choice < 0.55:
            return f"(f * {random.choice(leaves)})"
        if choice < 0.7:
            word = random.choice(["min", "max"])
            return f"{word}({self.float(depth - 1)}, {self.float(depth - 1)})"
        if choice < 0.8:
            return f"abs(f + {self.float(depth - 1)})"
        return f"({self.float(depth - 1)} if {self.condition(1)} else g)"

    def condition(self, depth: int) -> str:
        random = self.random
        choice = random.random()
        if depth > 0 and choice < 0.25:
            word = random.choice(["and", "or"])
            return f"({self.condition(depth - 1)} {word} {self.condition(depth - 1)})"
        if depth > 0 and choice < 0.35:
            return f"(not {self.condition(depth - 1)})"
        if choice < 0.45 and self.names("bool"):
            return random.choice(self.names("bool"))
        if choice < 0.6:
            return f"(f {random.choice(COMPARISONS[:4])} {self.float(max(depth - 1, 0))})"
        kind = random.choice(["i32", "u32"])
        left, right = self.integer(kind, max(depth - 1, 0)), self.integer(kind, 0)
        if random.random() < 0.2:
            return f"({left} <= {self.integer(kind, 0)} < {right})"
        return f"({left} {random.choice(COMPARISONS)} {right})"


def draw_function(random: Random, name: str) -> str:
    """Return a random function of six numbers, as text."""
    return Drawer(random).function(name)


def expected_values(text: str, name: str, rows: list[dict[str, Any]]) -> list[int]:
    """Return what a function gives for rows of arguments, computed by Python."""
    scope: dict[str, Any] = {"i32": I32, "u32": U32, "f32": F32, "range": typed_range}
    exec(text, scope)
    kinds = {"i32": I32, "u32": U32, "f32": F32}
    return [
        scope[name](**{each: kinds[PARAMETERS[each]](value) for each, value in row.items()}).value
        for row in rows
    ]


def typed_range(start: Any, stop: Any, step: Any) -> Iterator[Any]:
    """Yield the numbers of a range in the type of its start; none for a step of 0."""
    numbers = range(int(start), int(stop), int(step)) if int(step) else ()
    return (type(start)(each) for each in numbers)


def argument_rows(random: Random) -> list[dict[str, Any]]:
    return [
        {name: random.choice(EDGES[kind]) for name, kind in PARAMETERS.items()}
        for _ in range(CASES)
    ]


def kernel_text(functions: list[str]) -> str:
    """Return the text of a module: the functions, and a kernel that calls each."""
    decorated = "\n".join(f"@gpu_function\n{text}\n" for text in functions)
    calls = "\n".join(
        f"        out[i, {n}] = p{n}(ints[i, 0], ints[i, 1], words[i, 0], words[i, 1], "
        f"floats[i, 0], floats[i, 1])"
        for n in range(len(functions))
    )
    return f"""{decorated}
@gpu_kernel(workgroup_size=16)
def programs(
    ints: Array2[i32], words: Array2[u32], floats: Array2[f32], out: Array2[i32]
) -> None:
    i = global_id.x
    if i < ints.shape[0]:
{calls}
"""


@contextmanager
def loaded(text: str) -> Iterator[dict[str, Any]]:
    """Run a module's text, whose source can be found while the context is open."""
    file = f"<drawn {abs(hash(text))}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {name: getattr(gpucore, name) for name in gpucore.__all__}
    try:
        exec(compile(text, file, "exec"), scope)
        yield scope
    finally:
        linecache.cache.pop(file, None)


def differences(device: Device, seeds: list[int], *, sanitized: bool = False) -> list[str]:
    """Return the functions of these seeds that a device computes otherwise than Python.

    With ``sanitized``, the sanitizer computes them. It must find no defect but those of numbers,
    which these programs do not avoid.
    """
    functions = [draw_function(Random(seed), f"p{n}") for n, seed in enumerate(seeds)]
    rows = argument_rows(Random(seeds[0]))

    def column(first: str, second: str, dtype: type) -> Buffer[Any]:
        values = np.array([[row[first], row[second]] for row in rows], dtype)
        return device.buffer_from_array(values)

    text = kernel_text(functions)
    out = device.buffer_from_array(np.full((CASES, len(seeds)), 77, np.int32))
    run_by = gpucore.sanitize(raises=False) if sanitized else nullcontext()
    with loaded(text) as scope, run_by as report:
        scope["programs"](
            column("a", "b", np.int32),
            column("u", "v", np.uint32),
            column("f", "g", np.float32),
            out,
        )
    made = out.read()
    found = []
    if report is not None:
        assert report.launches == 1
        found = [str(each) for each in report.findings if each.kind not in OF_NUMBERS]
    for n, function in enumerate(functions):
        expected = expected_values(function, f"p{n}", rows)
        wrong = [i for i in range(CASES) if expected[i] != made[i, n]]
        if wrong:
            i = wrong[0]
            found.append(
                f"seed {seeds[n]}: {rows[i]} gives {made[i, n]}, not {expected[i]}\n{function}"
            )
    return found
