"""Random WGSL programs of statements, and what Python's integers say that they compute.

A program is a function of two u32, which it changes: assignments, branches, loops with breaks and
continues, switches, an array, and early returns. Its expressions are those of
`tests.gpucore.test_random_programs`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.gpucore.test_random_programs import INPUTS, MASK, Part, number, random_part

__all__ = ["PER_KERNEL", "Program", "kernel_text", "random_programs", "results"]

PER_KERNEL = 20
State = list[int]
Step = Callable[[State], str]
"""Runs a statement; returns "" or how it leaves: break, continue, return."""


class Program(NamedTuple):
    """Statements as WGSL, and as a function of a and b (and four words of an array)."""

    text: str
    run: Step


def expression(random: Random) -> Part:
    return random_part(random, random.choice((1, 1, 2)), signed=False)


def sequence(parts: list[Program]) -> Program:
    def run(state: State) -> str:
        for part in parts:
            if leaves := part.run(state):
                return leaves
        return ""

    return Program("\n".join(part.text for part in parts), run)


def block(random: Random, depth: int, in_loop: bool) -> Program:
    return sequence([statement(random, depth, in_loop) for _ in range(random.randint(1, 3))])


def statement(random: Random, depth: int, in_loop: bool) -> Program:
    """Return a random statement; one that leaves is within a branch."""
    kinds = ["assign"] * 3 + ["store", "load"]
    if depth:
        kinds += ["if", "if", "for", "loop", "switch"]
    kind = random.choice(kinds)
    if kind == "if":
        return branch(random, depth - 1, in_loop)
    if kind == "for":
        return counted_loop(random, depth - 1)
    if kind == "loop":
        return endless_loop(random, depth - 1)
    if kind == "switch":
        return switch(random, depth - 1, in_loop)
    return assignment(random, kind)


def assignment(random: Random, kind: str) -> Program:
    value, which = expression(random), random.randrange(2)
    name = "ab"[which]

    def assign(state: State) -> str:
        state[which] = value.value((state[0], state[1]))
        return ""

    def store(state: State) -> str:
        state[2 + state[which] % 4] = value.value((state[0], state[1]))
        return ""

    def load(state: State) -> str:
        state[which] ^= state[2 + value.value((state[0], state[1])) % 4]
        return ""

    if kind == "store":
        return Program(f"words[{name} % 4u] = {value.text};", store)
    if kind == "load":
        return Program(f"{name} ^= words[({value.text}) % 4u];", load)
    return Program(f"{name} = {value.text};", assign)


def branch(random: Random, depth: int, in_loop: bool) -> Program:
    one, other = expression(random), expression(random)
    then, otherwise = block(random, depth, in_loop), block(random, depth, in_loop)
    leave = random.choice(("", "", "return") + (("break", "continue") if in_loop else ()))
    words = "return vec2u(a, b)" if leave == "return" else leave

    def run(state: State) -> str:
        values = state[0], state[1]
        if number(one, values) < number(other, values):
            return then.run(state) or leave
        return otherwise.run(state)

    end = f"\n{words};" if leave else ""
    text = (
        f"if (({one.text}) < ({other.text})) {{\n{then.text}{end}\n}} else {{\n{otherwise.text}\n}}"
    )
    return Program(text, run)


def counted_loop(random: Random, depth: int) -> Program:
    bound, body, name = expression(random), block(random, depth, True), f"k{random.getrandbits(20)}"

    def run(state: State) -> str:
        count = bound.value((state[0], state[1])) % 5
        for _ in range(count):
            leaves = body.run(state)
            if leaves == "break":
                break
            if leaves == "return":
                return leaves
        return ""

    limit = f"n{name}"
    return Program(
        f"let {limit} = ({bound.text}) % 5u;\n"
        f"for (var {name} = 0u; {name} < {limit}; {name}++) {{\n{body.text}\n}}",
        run,
    )


def endless_loop(random: Random, depth: int) -> Program:
    """Return a loop that ends in its continuing block, after at most four rounds."""
    test, body, name = expression(random), block(random, depth, True), f"r{random.getrandbits(20)}"

    def run(state: State) -> str:
        for round_ in range(1, 5):
            leaves = body.run(state)
            if leaves == "break":
                break
            if leaves == "return":
                return leaves
            if round_ >= 4 or test.value((state[0], state[1])) % 3 == 0:
                break
        return ""

    return Program(
        f"var {name} = 0u;\nloop {{\n{body.text}\ncontinuing {{\n{name} += 1u;\n"
        f"break if {name} >= 4u || ({test.text}) % 3u == 0u;\n}}\n}}",
        run,
    )


def switch(random: Random, depth: int, in_loop: bool) -> Program:
    selector = expression(random)
    cases = [block(random, depth, False) for _ in range(3)]

    def run(state: State) -> str:
        chosen = selector.value((state[0], state[1])) % 5
        return cases[{0: 0, 1: 1, 3: 1}.get(chosen, 2)].run(state)

    first, second, rest = (case.text for case in cases)
    return Program(
        f"switch (({selector.text}) % 5u) {{\ncase 0u: {{\n{first}\n}}\n"
        f"case 1u, 3u: {{\n{second}\n}}\ndefault: {{\n{rest}\n}}\n}}",
        run,
    )


def random_programs(seed: int) -> list[Program]:
    """Return the programs of one kernel."""
    random = Random(seed)
    return [sequence([block(random, 2, False), block(random, 2, False)]) for _ in range(PER_KERNEL)]


def kernel_text(programs: list[Program]) -> str:
    """Return a kernel that runs programs on all pairs of `INPUTS`: y[pair][program]."""
    functions = "\n".join(
        f"fn program{k}(first: u32, second: u32) -> vec2u {{\nvar a = first;\nvar b = second;\n"
        f"var words = array<u32, 4>(1u, 2u, 3u, 4u);\n{program.text}\nreturn vec2u(a, b);\n}}"
        for k, program in enumerate(programs)
    )
    calls = "\n".join(
        f"y[i * {len(programs)}u + {k}u] = program{k}(a, b);" for k in range(len(programs))
    )
    n = len(INPUTS)
    return f"""
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2u>;
@group(0) @binding(2) var<uniform> zero: u32;
{functions}
@compute @workgroup_size({n}) fn main(@builtin(global_invocation_id) id: vec3u) {{
    let i = id.x;
    let a = x[i / {n}u];
    let b = x[i % {n}u];
    {calls}
}}
"""


def results(programs: list[Program]) -> NDArray[np.uint32]:
    """Return what the programs compute, (pairs, programs, 2)."""

    def pair(program: Program, a: int, b: int) -> tuple[int, int]:
        state = [a, b, 1, 2, 3, 4]
        program.run(state)
        return state[0] & MASK, state[1] & MASK

    found = [
        [pair(program, int(a), int(b)) for program in programs] for a in INPUTS for b in INPUTS
    ]
    return np.array(found, np.uint32)
