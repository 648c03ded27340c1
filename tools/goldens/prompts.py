"""`python -m tools.goldens.prompts prompt_parser.py`: what the WebUI reads in some prompts.

The argument is ``modules/prompt_parser.py`` of AUTOMATIC1111's stable-diffusion-webui (of 1.6 or
later); it needs ``lark`` and PyTorch. The numbers were made with lark 1.3.1. All prompts here are
read alike by lark 1.1.2, whatever Python's hash seed: for some ill-formed ones the WebUI's own
result depends on it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tests.goldens.loader import FOLDER

STEPS: Final = 10
BEYOND: Final = 3
"""Calls after those that were planned: DPM adaptive makes some."""

SCHEDULED: Final = (
    "", "a cat", "a [b:3]", "a [b: 3 ] c", "[a:b:3]", "[a:b:0]", "[a:b:1]", "[a:b:-1]", "[a:b:10]",
    "[a:b:99]", "[a:b:0.5]", "[a:b:.25]", "[a:b:1.0]", "[a:b:0.29]", "[a:b:1e0]", "[a:b:0.3e1]",
    "[a:b:+4]", "[a::3]", "[:b:3]", "[::3]", "[:3]", "[ b : c : 1 ]", "a [[[b]]:2]", "[(a:2):3]",
    "a[b:[c:d:2]:1]e", "[[a:b:2]:[c:d:6]:4]", "[a:b:2][c:d:5]", "[a|b]", "[a|b|c]", "[fe|]male",
    "[fe|||]male", "[|a]", "[a|(b:1.1)]", "[(cat:1.1)|(dog:0.9)]", "[[a|b]:c:4]", "[[a:b:4]|c]",
    "[a|b|c] [d|e]", "[a|[b|c]]", "([a:b:4]:1.2)", "([a|b])", "((a [b:c:.5] d))", "[[a|b]]",
    "[a:b]", "[a:b:c:3]", "[a:b:x]", "[a:b:1.2.3]", "[a:b:]", "(a:b:3)", "a:b:3", "a: [b:c:3]",
    "a [unbalanced", "a unbalanced]", "(a [b:c:3]", "[a [b:c:3]", "[x [a:b] y:c:3]",
    "[a (b:c:3]", "[(a:b:c):d:3]", "a|b", "a|b [c:d:3]", "(a|b) [c:d:3]",
    "[(a|b):c:3]", "[a|b", "[a|b:c:3]", "[a:b|c:3]", "a [{b|d{:.5] c", "((a][:b:c [d:3]",
    r"[a\:b:c:2]", r"[a\|b|c]", r"\[a:b:3\]", r"\[a:b:3]", r"[a:b:3\]", r"[\(:\):3]", r"[\\|b]",
    "[a:b:3] \\", "[a\\\nb:c:3]", "[a\nb:\nc:\n3\n]", "a\t[ b\u00a0:\u3000c:3]",
    "<lora:x:1> [a:b:3]", "{a|b} [c:d:3]", "[{a}:{b}:3]",
    "[日本:猫:3]", "[a:b:3], [c|d], [e:f:0.7], [g::6]",
)  # fmt: skip
WEIGHTED: Final = (
    "a cat", "(a)", "((a))", "(a:1.3)", "(a:1.3) b", "(a: 1.3 )", "(a:+.5)", "(a:-1)", "(a:1.)",
    "[a]", "[[a]]", "[(a)]", "([a)]", "(a [b) c]", "((a:1.2) b:1.5)",
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
    "(unnecessary)(parens)", "(a)b(c)", "(unbalanced", "a)", "a]",
    "a:1.2)", "a (b:1.2", "[a:1.2]", "(a:b)", "(a:1:2)", "(a:x)", "(:1.2)", "()", "[]", "",
    r"\(a\)", r"\(literal\]", r"(\(a\):1.2)", r"a\b", r"a\\b", r"(a\)b)", "a\\", r"\:1.2)",
    "a BREAK b", "aBREAK b", "a, BREAK, b", "a BREAK BREAK b", "BREAK", "BREAK a", "a BREAK",
    "(a) BREAK (b:1.4)", "(a BREAK b)", "[a BREAK b]", "(a BREAK b:1.3)", "((a BREAK b:2):0.5)",
    "(a BREAK b:-1)", "(a BREAK b", "a\nBREAK\nb", "break", "a: BREAK :b", "(a) , (b)", "(a)(b)",
)  # fmt: skip
COMPOSED: Final = (
    "a cat", "a cat :1.2", "a cat:1.2", " a cat  :  1.2  ", "a cat :-1", "a cat :+.5", "a cat :2.",
    "a cat at 10:3", "a:1:2", "(a:1.2)", "(a:1.2) :0.5", "a AND b", "a :1.2 AND b :0.8",
    "a:1.5AND b", "a AND b AND c :0.5", "AND", "a AND", "AND b", "a AND a", "BAND", "a and b",
    "a\nAND\nb", "a :1\nAND b :\n2\n", "a:x AND b", "a: AND b", "(a AND b:1.2)", ":1.2", "",
    "a:1e2", "a \u00a0:\u0661.\u0665",
)  # fmt: skip


def load_parser(path: Path) -> ModuleType:
    """Return the WebUI's module."""
    spec = importlib.util.spec_from_file_location("webui_prompt_parser", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts_of_calls(parser: Any, prompt: str, done: int | None) -> list[str]:
    """Return the text of each call of the network: the first whose last call is not before it."""
    first, second = (STEPS, None) if done is None else (done, STEPS)
    [stretches] = parser.get_learned_conditioning_prompt_schedules([prompt], first, second)
    texts = []
    for call in range(STEPS + 1 + BEYOND):
        following = [text for end, text in stretches if call <= end]
        texts.append((following or [stretches[0][1]])[0])
    return texts


def parts_of(parser: Any, prompt: str) -> list[tuple[str, float]]:
    """Return the parts of a prompt and their weights."""
    [indexes], texts, _ = parser.get_multicond_prompt_list(parser.SdConditioning([prompt]))
    return [(texts[index], weight) for index, weight in indexes]


def main() -> None:
    """Write prompts.json."""
    argument_parser = argparse.ArgumentParser(description=__doc__)
    argument_parser.add_argument("parser", type=Path)
    parser = load_parser(argument_parser.parse_args().parser)
    found = {
        "scheduled": {text: texts_of_calls(parser, text, None) for text in SCHEDULED},
        "second pass": {text: texts_of_calls(parser, text, 6) for text in SCHEDULED},
        "weighted": {text: parser.parse_prompt_attention(text) for text in WEIGHTED},
        "composed": {text: parts_of(parser, text) for text in COMPOSED},
    }
    lines = (
        json.dumps(kind)
        + ": {\n"
        + ",\n".join(f"{json.dumps(text)}: {json.dumps(value)}" for text, value in cases.items())
        + "\n}"
        for kind, cases in found.items()
    )
    (FOLDER / "prompts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
