"""Templates: what seeds draw, all combinations, wildcards that stay in their folder."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.templates import Wildcards, all_prompts, draw_prompt, warn_of_foreign_syntax


def drawn(template: str, count: int = 300) -> Counter[str]:
    return Counter(draw_prompt(template, seed) for seed in range(count))


@pytest.fixture(name="wildcards")
def wildcards_folder(tmp_path: Path) -> Wildcards:
    folder = tmp_path / "cards"
    (folder / "animals" / "wild").mkdir(parents=True)
    (folder / "colour.txt").write_text("# colours\nred\n\n  blue \r\n", encoding="utf-8")
    (folder / "animals" / "pets.txt").write_text("cat\n__colour__ dog", encoding="utf-8")
    (folder / "animals" / "wild" / "big.txt").write_text("{lion|tiger}", encoding="utf-8")
    (folder / "often.txt").write_text("0::never\n3::always", encoding="utf-8")
    (folder / "loop.txt").write_text("a __loop__", encoding="utf-8")
    (folder / "empty.txt").write_text("# nothing", encoding="utf-8")
    (folder / "latin.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return Wildcards(folder)


def test_a_seed_draws_the_same_everywhere() -> None:
    """Pinned: a change of the draws changes everybody's pictures."""
    template = "{red|green|blue} {2$$a|b|c} {1-3$$ and $$x|y|z}"
    assert [draw_prompt(template, seed) for seed in (0, 1, 7, 2**64 - 1)] == PINNED


PINNED = ["blue a, c z and x and y", "red b, a z", "blue b, c z and x", "blue a, c z and x and y"]


@pytest.mark.parametrize(
    ("template", "every"),
    [
        ("a cat", ["a cat"]),
        ("{a|b}", ["a", "b"]),
        ("{a}", ["a"]),
        ("{a|}", ["a", ""]),
        ("x{a|b}y{c|d}z", ["xaycz", "xaydz", "xbycz", "xbydz"]),
        ("{a|{b|c} d}", ["a", "b d", "c d"]),
        ("{ a | b }", ["a", "b"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, c"]),
        ("{2$$ and $$a|b}", ["a and b"]),
        ("{1-2$$a|b}", ["a", "b", "a, b"]),
        ("{-1$$a|b}", ["", "a", "b"]),
        ("{2-$$a|b|c}", ["a, b", "a, c", "b, c", "a, b, c"]),
        ("{9$$a|b}", ["a, b"]),
        ("{0.5::a|2::b|0::c}", ["a", "b"]),
        ("{[a|b]|c}", ["[a|b]", "c"]),
        ("[{a|b}:c:0.5]", ["[a:c:0.5]", "[b:c:0.5]"]),
        ("({a|b}:1.2)", ["(a:1.2)", "(b:1.2)"]),
        (r"\{a\|b\}", ["{a|b}"]),
        (r"{a\|b|c}", ["a|b", "c"]),
        (r"\(a\) \\ b\c", [r"\(a\) \\ b\c"]),
        ("{a|b", ["{a|b"]),
        ("a|b} {c|d}", ["a|b} c", "a|b} d"]),
        ("{a {b|c}", ["{a b", "{a c"]),
    ],
)
def test_all_prompts_of_a_template(template: str, every: list[str]) -> None:
    assert all_prompts(template) == every
    if "$$" not in template:
        assert set(drawn(template)) == set(every)


def test_draws_are_as_likely_as_their_weights() -> None:
    counts = drawn("{3::a|b}", 4000)
    # Four deviations of 4000 draws at 3/4.
    assert abs(counts["a"] - 3000) < 4 * (4000 * 3 / 16) ** 0.5
    orders = drawn("{2$$a|b|c}", 3000)
    assert len(orders) == 6
    assert all(abs(count - 500) < 4 * (3000 * 5 / 36) ** 0.5 for count in orders.values())


def test_wildcards(wildcards: Wildcards) -> None:
    assert all_prompts("a __colour__ hat", wildcards) == ["a red hat", "a blue hat"]
    assert all_prompts("__animals/pets__", wildcards) == ["cat", "red dog", "blue dog"]
    assert all_prompts("__animals/*__", wildcards)[3:] == ["lion", "tiger"]
    assert all_prompts("__often__", wildcards) == ["always"]
    assert {draw_prompt("__colour__", seed, wildcards) for seed in range(30)} == {"red", "blue"}
    assert {draw_prompt("__often__", seed, wildcards) for seed in range(30)} == {"always"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("color", "no such text file; did you mean __colour__"),
        ("loop", "name each other without end"),
        ("empty", "its file has no lines"),
        ("latin", "must be UTF-8 text"),
        ("link", "no such text file"),
        ("secret", "no such text file"),
        ("*/../../secret", "no such text file"),
        ("animals/../../secret", "no such text file"),
    ],
)
def test_wildcards_that_cannot_be_drawn(wildcards: Wildcards, name: str, error: str) -> None:
    for expand in (all_prompts, lambda text, cards: draw_prompt(text, 0, cards)):
        with pytest.raises(SettingsError, match=error):
            expand(f"__{name}__", wildcards)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "~/x", "./colour", "C:/x", ""])
def test_paths_that_are_no_names_are_text(wildcards: Wildcards, name: str) -> None:
    assert draw_prompt(f"a __{name}__ b", 0, wildcards) == f"a __{name}__ b"


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("__colour__", "--wildcards FOLDER"),
        ("{0::a|0::b}", "must be above 0"),
        ("{3-2$$a|b|c}", "smaller number comes first"),
        ("{" * 60, "at most 50 braces"),
        ("a" * 70_000, "at most 65536"),
    ],
)
def test_templates_that_are_refused(template: str, error: str) -> None:
    with pytest.raises(SettingsError, match=error):
        draw_prompt(template, 0)


def test_too_many_combinations() -> None:
    assert len(all_prompts("{a|b|c|d|e|f|g|h|i|j}" * 3)) == 1000
    with pytest.raises(SettingsError, match="more than 1000 prompts"):
        all_prompts("{a|b}" * 40)


def test_files_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    for number in range(18):
        text = f"__f{number + 1}__" * 4
        (tmp_path / f"f{number}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "f18.txt").write_text("x", encoding="utf-8")
    cards = Wildcards(tmp_path)
    for expand in (all_prompts, lambda text, cards: draw_prompt(text, 0, cards)):
        with pytest.raises(SettingsError, match="more than 20000 choices"):
            expand("__f0__", cards)


@given(st.text("ab{}|$:-12\\_[]*/. "), st.integers(0, 2**64 - 1))
def test_any_text_is_a_template_or_refused(template: str, seed: int) -> None:
    try:
        assert draw_prompt(template, seed) == draw_prompt(template, seed)
        all_prompts(template)
    except SettingsError:
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a cat <hypernet:anime:0.8>", "<hypernet:anime:0.8> is drawn as text; no such network"),
        ("a cat <LORA:a:1>", "<LORA:a:1> is drawn as text; write <lora:name:weight>"),
        ("a cat < lora:a:1 >", "< lora:a:1 > is drawn as text; write"),
        ("a cat <lora:a:1, red", "<lora:a:1, red is drawn as text; write"),
        ("a {red|blue} hat", "{red|blue} is drawn as text; --dynamic"),
        ("{2$$a|b|c}", "{2$$a|b|c} is drawn as text; --dynamic"),
        ("a __colour__ hat", "__colour__ is drawn as text; --wildcards"),
        ("embedding:easynegative", "embedding:easynegative is drawn as text"),
    ],
)
def test_foreign_syntax_is_told(text: str, message: str) -> None:
    with pytest.warns(UserWarning, match=re.escape(f"negative: {message}")):
        warn_of_foreign_syntax("negative", text)


@pytest.mark.parametrize(
    "text", ["a cat", "a <b> c", "<lora:a:1>", "<lyco:a>", "{a}", "__init", "x__y__z", "[a|b]"]
)
def test_other_text_is_not_foreign(text: str) -> None:
    warn_of_foreign_syntax("prompt", text)  # warnings are errors here


def test_weights_of_blocks_are_drawn() -> None:
    """R is from 0 to 1 and U from -0.5 to 1.5; names and other arguments stay as they are."""
    template = "{a|b} <lora:R,U:1:lbw=R, 0.5,U,r,X+0.2:x=2> <lyco:c:1:IN,R,U> <lora:R> R,U"
    pattern = re.compile(
        r"[ab] <lora:R,U:1:lbw=([\d.-]+), 0\.5,([\d.-]+),([\d.-]+),X\+0\.2:x=2> "
        r"<lyco:c:1:IN,([\d.-]+),([\d.-]+)> <lora:R> R,U"
    )
    rows = []
    for seed in range(100):
        text = draw_prompt(template, seed)
        assert text == draw_prompt(template, seed)
        found = pattern.fullmatch(text)
        assert found is not None, text
        rows.append([float(each) for each in found.groups()])
    columns = list(zip(*rows, strict=True))
    for place, (low, high) in enumerate([(0, 1), (-0.5, 1.5), (0, 1), (0, 1), (-0.5, 1.5)]):
        span = high - low
        assert low <= min(columns[place]) < low + span / 10
        assert high - span / 10 < max(columns[place]) <= high
        assert len(set(columns[place])) > 80
