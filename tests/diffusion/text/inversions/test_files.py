"""Files of learned words: layouts, other families, hostile content, pickles."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from diffusion.errors import DiffusionError, ModelFormatError, ModelMismatchError, SettingsError
from diffusion.text.inversions import (
    InversionFolder,
    bundled_words,
    hash_of_inversion,
    read_bundled,
    read_inversion,
    shape_of_inversion,
)

SD1 = {"text_encoder": 768}
SD2 = {"text_encoder": 1024}
XL = {"text_encoder": 768, "text_encoder_2": 1280}
REFINER = {"text_encoder_2": 1280}
FAMILIES = {"1": SD1, "2": SD2, "xl": XL, "refiner": REFINER}


def rows(count: int, width: int) -> np.ndarray[Any, Any]:
    return np.arange(count * width, dtype=np.float32).reshape(count, width) / 1000


def save(path: Path, **tensors: Any) -> Path:
    file = path / "word.safetensors"
    save_file({name: np.asarray(value) for name, value in tensors.items()}, file)
    return file


LAYOUTS = {
    "1": {"emb_params": rows(2, 768)},
    "2": {"string_to_param.*": rows(3, 1024), "string_to_token.*": np.array(265)},
    "xl": {"clip_l": rows(2, 768), "clip_g": rows(2, 1280)},
    "refiner": {"<token>": rows(1, 1280)[0]},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_goes_to_its_family_alone(tmp_path: Path, family: str) -> None:
    file = save(tmp_path, **LAYOUTS[family])
    word = read_inversion(file, "word", FAMILIES[family], 75)
    arrays = [each for each in LAYOUTS[family].values() if each.dtype == np.float32]
    assert len(word.vectors) == len(arrays)
    for found, expected in zip(word.vectors, arrays, strict=True):
        np.testing.assert_array_equal(found, np.atleast_2d(expected))
    assert word.digest == hash_of_inversion(file)
    for other, widths in FAMILIES.items():
        if other == family:
            continue
        if (family, other) == ("xl", "refiner"):
            np.testing.assert_array_equal(
                read_inversion(file, "word", widths, 75).vectors[0], LAYOUTS["xl"]["clip_g"]
            )
            continue
        title = {"1": "1.x", "2": "2.x", "xl": "XL", "refiner": "XL refiner"}[family]
        with pytest.raises(ModelMismatchError, match=f"made for Stable Diffusion {title};"):
            read_inversion(file, "word", widths, 75)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_number_types(tmp_path: Path, dtype: type[np.floating[Any]]) -> None:
    file = save(tmp_path, emb_params=np.ones((1, 768), dtype))
    assert read_inversion(file, "w", SD1, 75).vectors[0].dtype == np.float32


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"emb_params": np.ones((0, 768), np.float32)}, "must be 1 to 75 vectors"),
        ({"emb_params": np.ones((76, 768), np.float32)}, "must be 1 to 75 vectors"),
        ({"emb_params": np.full((1, 768), np.nan, np.float32)}, "must be finite"),
        ({"emb_params": np.full((1, 768), np.inf, np.float64)}, "must be finite"),
        ({"emb_params": np.full((1, 768), 1e6, np.float32)}, "must be finite"),
        ({"emb_params": np.full((1, 768), -1e300)}, "must be finite"),
        ({"emb_params": np.ones((1, 768), np.int64)}, "wrong type"),
        ({"emb_params": np.ones((2, 2, 768), np.float32)}, "wrong shape"),
        ({"emb_params": np.array(1, np.float32)}, "wrong shape"),
        ({"emb_params": np.ones((1, 99), np.float32)}, "wrong shape"),
        ({"a": np.ones(768, np.float32), "b": np.ones(768, np.float32)}, "vectors of one word"),
        ({"string_to_param.*": rows(1, 768), "string_to_param.+": rows(1, 768)}, "one word"),
        ({}, "vectors of one word, got none"),
    ],
)
def test_odd_files(tmp_path: Path, tensors: dict[str, Any], reason: str) -> None:
    with pytest.raises((ModelFormatError, ModelMismatchError), match=reason):
        read_inversion(save(tmp_path, **tensors), "word", SD1, 75)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"clip_l": rows(2, 768), "clip_g": rows(3, 1280)}, "as many vectors .* got 2 and 3"),
        ({"clip_l": rows(2, 768)}, "lacks 'clip_g'"),
        ({"clip_g": rows(2, 1280)}, "lacks 'clip_l'"),
        ({"clip_l": rows(2, 1280), "clip_g": rows(2, 768)}, "wrong shape"),
        (LAYOUTS["xl"] | {"clip_l_out": rows(3, 768)}, "as many vectors .* got 2 and 2 and 3"),
        (LAYOUTS["xl"] | {"clip_l_out": rows(2, 1280)}, "wrong shape: 'clip_l_out'"),
        (LAYOUTS["xl"] | {"clip_l_out": np.full((2, 768), np.nan)}, "clip_l_out.*must be finite"),
        (LAYOUTS["xl"] | {"t5_out": rows(2, 768)}, "has unknown 't5_out'"),
        ({"clip_l_out": rows(2, 768), "clip_g": rows(2, 1280)}, "has unknown 'clip_l_out'"),
        (LAYOUTS["xl"] | {"t5xxl": rows(2, 4096)}, "has unknown 't5xxl'"),
        ({"emb_params": rows(1, 2048)}, "lacks 'clip_l', 'clip_g'; it was made for"),
    ],
)
def test_odd_pairs(tmp_path: Path, tensors: dict[str, Any], reason: str) -> None:
    with pytest.raises((ModelFormatError, ModelMismatchError), match=reason):
        read_inversion(save(tmp_path, **tensors), "word", XL, 75)


def test_words_of_a_lora(tmp_path: Path) -> None:
    file = save(
        tmp_path,
        **{
            "lora_unet_x.alpha": np.array(1, np.float32),
            "bundle_emb.my.word.string_to_param.*": rows(2, 768),
            "bundle_emb.pair.clip_l": rows(1, 768),
            "bundle_emb.pair.clip_g": rows(1, 1280),
            "bundle_emb.out.clip_l": rows(1, 768),
            "bundle_emb.out.clip_l_out": rows(1, 768),
        },
    )
    assert bundled_words(file) == ["my.word", "out", "pair"]
    found = read_bundled(file, "my.word", SD1, 75)
    np.testing.assert_array_equal(found.vectors[0], rows(2, 768))
    assert (found.name, found.digest) == ("my.word", "")
    assert len(read_bundled(file, "pair", XL, 75).vectors) == 2
    assert len(read_bundled(file, "my.word", SD1, 75).outputs) == 1
    (output,) = read_bundled(file, "out", SD1, 75).outputs
    assert output is not None
    np.testing.assert_array_equal(output, rows(1, 768))


def test_vectors_of_the_output(tmp_path: Path) -> None:
    zeros = np.zeros((2, 768), np.float32)
    one = save(tmp_path, emp_params=zeros, emp_params_out=rows(2, 768))
    word = read_inversion(one, "word", SD1, 75)
    np.testing.assert_array_equal(word.vectors[0], zeros)
    np.testing.assert_array_equal(word.output(0), rows(2, 768))
    assert shape_of_inversion(one) == (2, 768)
    half = save(tmp_path, **LAYOUTS["xl"], clip_g_out=rows(2, 1280) + 1)
    word = read_inversion(half, "word", XL, 75)
    assert word.output(0) is None
    np.testing.assert_array_equal(word.output(1), rows(2, 1280) + 1)
    assert shape_of_inversion(half) == (2, 768 + 1280)
    np.testing.assert_array_equal(
        read_inversion(half, "word", REFINER, 75).output(0), rows(2, 1280) + 1
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_are_refused_clearly(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes are changed, cut off and put in: there is a word or an error of ours."""
    names = [
        "emb_params",
        "emb_params_out",
        "clip_l",
        "clip_l_out",
        "clip_g",
        "string_to_param.*",
        "<t>",
        "bundle_emb.a.clip_l",
    ]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    header = {
        name: {
            "dtype": data.draw(st.sampled_from(["F32", "F16", "BF16", "I64", "F8_E4M3", "X"])),
            "shape": data.draw(st.lists(st.sampled_from([0, 1, 2, 8, 2**40]), max_size=3)),
            "data_offsets": [0, data.draw(st.sampled_from([0, 8, 16, 32, 64, 128]))],
        }
        for name in chosen
    }
    text = json.dumps(header).encode()
    content = bytearray(struct.pack("<Q", len(text)) + text + data.draw(st.binary(max_size=128)))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    ):
        content[place] = value
    file = tmp_path / "word.safetensors"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for widths in ({"text_encoder": 8}, {"text_encoder": 8, "text_encoder_2": 2}):
        for read in (read_inversion, read_bundled):
            message = ""
            try:
                assert read(file, "a", widths, 75).count > 0
            except DiffusionError as error:
                message = str(error)
            assert message.isprintable()
    assert len(InversionFolder(tmp_path).words["word"]) == 1


def test_pickles_name_the_converter(tmp_path: Path) -> None:
    file = tmp_path / "word.pt"
    for content in (b"PK\x03\x04" + bytes(600), b"\x80\x02}q\0." + bytes(600)):
        file.write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"was not opened; convert it .*avila convert"):
            read_inversion(file, "word", SD1, 75)


def test_folders(tmp_path: Path) -> None:
    """A converted file hides its pickle, and links lead nowhere else."""
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    for place in (outside, folder / "below"):
        place.mkdir(parents=True)
        save(place, **{"<cat-toy>": rows(1, 768)[0]})
    (folder / "link").symlink_to(outside)
    (folder / "linked.safetensors").symlink_to(outside / "word.safetensors")
    for name in ("below/word.pt", "old.pt", "old.bin", "note.txt"):
        (folder / name).write_bytes(b"")
    (folder / "broken.safetensors").write_bytes(b"no")
    found = InversionFolder(folder)
    names = {word: sorted(each.name for each in paths) for word, paths in found.words.items()}
    assert names == {
        "<cat-toy>": ["word.safetensors"],
        "broken": ["broken.safetensors"],
        "old": ["old.bin", "old.pt"],
        "word": ["word.safetensors"],
    }
    digest = hash_of_inversion(folder / "below" / "word.safetensors")
    assert found.find_hash(digest) == folder.resolve() / "below" / "word.safetensors"
    assert not InversionFolder(None)
    with pytest.raises(SettingsError, match="must be a folder"):
        InversionFolder(tmp_path / "absent")
