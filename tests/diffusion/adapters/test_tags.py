"""Tags in prompts: the WebUI's rules."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from diffusion.adapters import Lora
from diffusion.adapters.choice import is_active
from diffusion.adapters.tags import add_tags, read_tags, remove_tags, replace_names
from diffusion.errors import SettingsError

XL_BLOCKS = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<lora:a>", Lora("a", 1.0)),
        ("<lora:a:0.5>", Lora("a", 0.5)),
        ("<lyco:a:0.5:0.25>", Lora("a", 0.5, 0.25)),
        ("<lora:a:unet=2>", Lora("a", 1.0, 2.0)),
        ("<lora:a:te=0:unet=2>", Lora("a", 0.0, 2.0)),
        ("<lora:sub/a b:-1>", Lora("sub/a b", -1.0)),
        ("<lora:a:1:0.5:4>", Lora("a", 1.0, 0.5, rank=4)),
        ("<lora:a:dyn=8>", Lora("a", 1.0, rank=8)),
        ("<lora:a:1:lbw=ins>", Lora("a", 1.0, blocks=(1.0,) * 4 + (0.0,) * 13)),
        ("<lora:a=b:0.5>", Lora("a=b", 0.5)),
        ("<lora:0.5:0.5>", Lora("0.5", 0.5)),
        ("<lora:odd, name (v1)>", Lora("odd, name (v1)")),
        ("<lora:a:lbw=1,0,0,0,0,0,.5,0,0,0,0,-1>", Lora("a", blocks=XL_BLOCKS)),
        ("<lora:a:w=1,0,0,0,0,0,.5,0,0,0,0,-1>", Lora("a", blocks=XL_BLOCKS)),
        ("<lora:a:lbw=1,0,0,0,0,0,x,0,0,0,0,X-1.5:x=.5>", Lora("a", blocks=XL_BLOCKS)),
        ("<lora:a:lbw=X,0,0,0,0,0,X-.5,0,0,0,0,-1>", Lora("a", blocks=XL_BLOCKS)),
        ("<lora:a:0.5:1,0,0,0,0,0,X+0.25,0,0,0,0,-1:.25>", Lora("a", 0.5, blocks=XL_BLOCKS)),
        ("<lora:a:0.5:NONE>", Lora("a", 0.5, blocks=(0.0,) * 17)),
        ("<lora:a:1:lbwe=ATTNDEEPON>", Lora("a", elements="ATTNDEEPON")),
        ("<lora:a:1:lbwe=IN05-OUT05;attn;0.5,;;1>", Lora("a", elements="IN05-OUT05;attn;0.5,;;1")),
    ],
)
def test_tags_are_read(text: str, expected: Lora) -> None:
    assert read_tags(f"a cat {text}, red") == [expected]
    assert remove_tags(f"a cat {text}, red") == "a cat , red"


def test_the_text_encoders_weight_is_the_unets_where_that_is_not_given() -> None:
    assert [each.unet_weight for each in read_tags("<lora:a:0.5><lora:b:0.5:2>")] == [0.5, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        "<lora:a:x>",
        "<lora::1>",
        "<lora: :1>",
        "<lora:a:1e9>",
        "<lora:a:nan>",
        "<lora:a:1:1:0>",
        "<lora:a:1:1:4:5>",
        "<lora:a:dyn=x>",
        "<lora:a:1:lbw=IN>",
        "<lora:a:1:lbw=1,2>",
        "<lora:a:1:lbw=1,0,0,0,0,0,.5,0,0,0,0,y>",
        "<lora:a:1:lbw=1,0,0,0,0,0,.5,0,0,0,0,1e9>",
        "<lora:a:1:lbw=1,0,0,0,0,0,R,0,0,0,0,1>",
        "<lora:a:1:lbw=1,0,0,0,0,0,X*2,0,0,0,0,1>",
        "<lora:a:1:lbw=1,0,0,0,0,0,X,0,0,0,0,1:x=y>",
        "<lora:a:1:INS:1:2>",
        "<lora:a:1:lbwe=ATTN>",
        "<lora:a:1:lbwe=>",
        "<lora:a:1:lbwe=IN05;attn>",
        "<lora:a:1:lbwe=IN05;attn;x>",
        "<lora:a:1:lbwe=IN05;attn;nan>",
        "<lora:a:1:lbwe=IN05;attn;1e9>",
        "<lora:a:1:lbwe=IN05-IN13;attn;1>",
        "<lora:a:1:lbwe=INPUT;attn;1>",
        "<lora:a:1:start=x>",
        "<lora:a:1:start=1.5>",
        "<lora:a:1:step=-3>",
        "<lora:te=1>",
    ],
)
def test_tags_without_sense_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="lora"):
        read_tags(text)


def test_other_text_is_no_tag() -> None:
    assert read_tags("a < b, <b>, <lora>, <hypernet:a:1>, <lora:>") == []


def test_tags_are_written_so_that_they_are_read() -> None:
    loras = [Lora("a", 0.5), Lora("b/c", 1.0, -2.0)]
    text = add_tags("a cat", loras)
    assert text == "a cat <lora:a:0.5> <lora:b/c:1:-2>"
    rare = [Lora("a", 0.5, blocks=XL_BLOCKS, rank=3)]
    assert read_tags(add_tags("", rare)) == rare
    (by_name,) = read_tags(add_tags("", [Lora("a", elements="IN05-OUT05:attn:0.5,::1")]))
    assert by_name.elements == "IN05-OUT05;attn;0.5,;;1"
    exact = Lora("a", 1 / 3, 123456.789e-5, blocks=(1 / 7,) * 12)
    assert read_tags(add_tags("", [exact])) == [exact]
    assert read_tags(text) == loras
    assert add_tags("a cat", []) == "a cat"
    assert read_tags(add_tags("", [Lora("x/y.safetensors")])) == [Lora("y")]


def test_names_are_replaced_or_removed() -> None:
    text = "a <lora:a:0.5:te=1> <lora:b> c"
    assert replace_names(text, {"a": "d", "b": None}) == "a <lora:d:0.5:te=1>  c"
    assert replace_names(text, {}) == text


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("<lora:a:1:start=0.2:stop=0.8>", 0.2, 0.8),
        ("<lora:a:1:start=3>", 3, None),
        ("<lora:a:0.5:1:stop=10>", None, 10),
        ("<lora:a:1:step=5-10>", 5, 10),
        ("<lora:a:1:step=0.25-1.0>", 0.25, 1.0),
        ("<lora:a:1:step=4>", 4, None),
    ],
)
def test_tags_say_when_they_count(text: str, start: float | None, stop: float | None) -> None:
    (lora,) = read_tags(text)
    assert (lora.start, lora.stop) == (start, stop)
    assert [type(each) for each in (lora.start, lora.stop)] == [type(start), type(stop)]
    assert read_tags(add_tags("", [lora])) == [lora]


@pytest.mark.parametrize(
    ("start", "stop", "active"),
    [
        (None, None, range(10)),
        (3, None, range(2, 10)),
        (1, 1, ()),
        (None, 4, range(3)),
        (0, 11, range(10)),
        (0.2, 0.8, range(2, 8)),
        (0.25, 1.0, range(3, 10)),
        (0.0, 0.0, ()),
    ],
)
def test_moments_are_steps_or_shares(
    start: float | None, stop: float | None, active: Iterable[int]
) -> None:
    """A step counts from 1, and the last one is the first without it."""
    assert [i for i in range(10) if is_active(start, stop, i, 10)] == list(active)


@pytest.mark.parametrize("name", ["a:b", "a>b", "<a", "a\nb"])
def test_names_that_no_tag_can_have_are_refused(name: str) -> None:
    """They would stand in the picture's text, and nobody could read them there."""
    for file in (name, f"folder/{name}.safetensors"):
        with pytest.raises(SettingsError, match="must not have < > or :"):
            Lora(file).check()
