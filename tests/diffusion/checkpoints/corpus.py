"""73 files that claim to be safetensors, one function each, and what must become of them.

67 are attacks and accidents seen or tried elsewhere; six (the last group) are the sound files and
the missing fields beside them. `REFUSED` maps a case's name to (its builder, a pattern that the
message must hold), `ACCEPTED` to (its builder, the tensor names that must come out).
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

from safetensors import deserialize

Builder = Callable[[], bytes]

REFUSED: dict[str, tuple[Builder, str]] = {}
ACCEPTED: dict[str, tuple[Builder, tuple[str, ...]]] = {}

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
ONE_TEXT = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
FOUR = b"\x00\x00\x80\x3f"


def refused(pattern: str) -> Callable[[Builder], Builder]:
    """Register a file that must be refused with a message that holds `pattern`."""

    def register(builder: Builder) -> Builder:
        REFUSED[builder.__name__] = (builder, pattern)
        return builder

    return register


def accepted(*names: str) -> Callable[[Builder], Builder]:
    """Register a file that is read, and the names of its tensors."""

    def register(builder: Builder) -> Builder:
        ACCEPTED[builder.__name__] = (builder, names)
        return builder

    return register


def framed(header: object, data: bytes = FOUR, length: int | None = None) -> bytes:
    """Join length, header and data. A header of bytes is unchanged, text UTF-8, all else JSON."""
    if isinstance(header, str):
        header = header.encode()
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def reference_tensors(content: bytes) -> dict[str, dict[str, Any]]:
    """Return what the safetensors package finds: name to `dtype`, `shape` and `data`."""
    return dict(deserialize(content))  # type: ignore[no-untyped-call]


def one(**changes: object) -> dict[str, object]:
    """Return the header of one tensor named `a`, some of its fields changed."""
    return {"a": ONE | changes}


def two(first: list[int], second: list[int], shape: list[int] | None = None) -> dict[str, object]:
    """Return the header of two tensors at the given offsets; `shape` is the second one's."""
    return {
        "a": ONE | {"data_offsets": first},
        "b": ONE | {"data_offsets": second, "shape": [1] if shape is None else shape},
    }


# ---------------------------------------------------------------- length field


@refused("is empty, so the download failed")
def length_empty_file() -> bytes:
    return b""


@refused("must be followed by a header, got a file of 7 bytes")
def length_7_bytes() -> bytes:
    return b"\x02\0\0\0\0\0\0"


@refused("header length: must be from 2 to the .* bytes that follow, got 0;")
def length_zero() -> bytes:
    return framed(one(), length=0)


@refused("must be from 2 to the .* bytes that follow, got 9223372036854775807;")
def length_2_63_minus_1() -> bytes:
    return framed(one(), length=2**63 - 1)


@refused("must be from 2 to the .* bytes that follow, got 18446744073709551615;")
def length_2_64_minus_1() -> bytes:
    return framed(one(), length=2**64 - 1)


@refused("must be from 2 to the .* bytes that follow, got 100000001;")
def length_over_the_ceiling() -> bytes:
    return framed(one(), length=100_000_001)


@refused("must be from 2 to the .* bytes that follow, got 5000;")
def length_over_the_file() -> bytes:
    return framed(one(), length=5000)


# ---------------------------------------------------------------- look-alikes


@refused("Python pickle .* convert it to safetensors")
def lookalike_pickle() -> bytes:
    return pickle.dumps({"state_dict": [1.5] * 50})


@refused("zip archive .* convert it to safetensors")
def lookalike_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1, 2]))
    return buffer.getvalue()


@refused("gzip archive; unpack it first")
def lookalike_gzip() -> bytes:
    return gzip.compress(framed(one()))


@refused("web page, so the download failed .* download the file again, signed in")
def lookalike_html_login_page() -> bytes:
    return b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>...</body></html>"


@refused("git-LFS pointer, so the download failed.*`git lfs pull`")
def lookalike_lfs_pointer() -> bytes:
    digest = b"0123456789abcdef" * 4
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + digest + b"\nsize 42\n"


# ---------------------------------------------------------------- header text


@refused("must have a string at byte 1, got another value")
def text_not_json() -> bytes:
    return framed("{hello, world}")


@refused("must begin with '{', got byte 0x5b")
def text_array() -> bytes:
    return framed([1, 2])


@refused("must begin with '{', got byte 0x6e")
def text_null() -> bytes:
    return framed("null")


@refused("must end with its closing brace, got more text after it")
def text_trailing_nul() -> bytes:
    return framed(json.dumps(one()) + "\0\0")


@refused("must end with its closing brace, got more text after it")
def text_trailing_garbage() -> bytes:
    return framed(json.dumps(one()) + "xyz")


@refused("must begin with '{', got byte 0xef")
def text_byte_order_mark() -> bytes:
    return framed("\ufeff" + json.dumps(one()))


@refused("must have valid UTF-8 strings")
def text_invalid_utf8() -> bytes:
    return framed(b'{"\xff\xfe":' + ONE_TEXT.encode() + b"}")


@refused("must have valid UTF-8 strings")
def text_lone_surrogate() -> bytes:
    return framed(f'{{"\\ud800":{ONE_TEXT}}}')


@refused("must have '{' at byte")
def text_depth_100000() -> bytes:
    return framed('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")


@refused("shape: must hold integers")
def text_nan() -> bytes:
    return framed('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}')


@refused("shape: must hold integers")
def text_1e0() -> bytes:
    return framed('{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}')


@refused("must begin with '{', got byte 0x20")
def text_leading_space() -> bytes:
    return framed(" " + json.dumps(one()))


@refused("must begin with '{', got byte 0x0a")
def text_leading_newline() -> bytes:
    return framed("\n" + json.dumps(one()))


# ---------------------------------------------------------------- keys


@refused("names in the header must be unique, got 'a' twice")
def key_tensor_twice() -> bytes:
    return framed(f'{{"a":{ONE_TEXT},"a":{ONE_TEXT}}}')


@refused("names in the header must be unique, got '__metadata__' twice")
def key_metadata_twice() -> bytes:
    return framed(f'{{"__metadata__":{{}},"a":{ONE_TEXT},"__metadata__":{{}}}}')


@refused("__metadata__: 'k': must have a string")
def key_metadata_integer() -> bytes:
    return framed({"__metadata__": {"k": 1}} | one())


@refused("__metadata__: 'k': must have a string")
def key_metadata_nested() -> bytes:
    return framed({"__metadata__": {"k": {"x": "y"}}} | one())


@refused("__metadata__: must have '{' at byte")
def key_metadata_list() -> bytes:
    return framed({"__metadata__": ["k"]} | one())


@refused("__metadata__: 'shape': must have a string")
def key_metadata_like_a_tensor() -> bytes:
    return framed({"__metadata__": ONE} | one())


@accepted("a")
def key_unknown_field() -> bytes:
    return framed(one(comment="the format lets fields be added"))


# ---------------------------------------------------------------- offsets


@refused("must be a span within")
def offsets_reversed() -> bytes:
    return framed(one(data_offsets=[4, 0]))


@refused("must hold integers")
def offsets_negative() -> bytes:
    return framed(one(data_offsets=[-4, 0]))


@refused("must hold integers")
def offsets_float() -> bytes:
    return framed(one(data_offsets=[0.0, 4.0]))


@refused("must hold integers")
def offsets_text() -> bytes:
    return framed(one(data_offsets=["0", "4"]))


@refused("must hold integers")
def offsets_boolean() -> bytes:
    return framed(one(data_offsets=[False, True]))


@refused("must hold at most 2 numbers, got more")
def offsets_three() -> bytes:
    return framed(one(data_offsets=[0, 4, 8]))


@refused("must be a span within the 4 bytes of data, got")
def offsets_past_the_end() -> bytes:
    return framed(one(shape=[2], data_offsets=[0, 8]))


@refused("must hold integers from 0 to 2\\*\\*64 - 1")
def offsets_over_64_bits() -> bytes:
    return framed(one(data_offsets=[0, 2**64 + 4]))


@refused("must begin where the tensor before it ends, got an overlap")
def offsets_same_bytes_twice() -> bytes:
    return framed(two([0, 4], [0, 4]))


@refused("must begin where the tensor before it ends, got an overlap")
def offsets_partly_same_bytes() -> bytes:
    return framed(two([0, 4], [2, 6]), FOUR + b"\0\0")


@refused("must begin where the tensor before it ends, got a hole")
def offsets_hole() -> bytes:
    return framed(two([0, 4], [8, 12]), FOUR * 3)


@refused("must begin where the tensor before it ends, got a hole")
def offsets_hole_at_the_start() -> bytes:
    return framed(one(data_offsets=[4, 8]), FOUR * 2)


@refused("must end with the last tensor, got 3 bytes after it")
def offsets_trailing_data() -> bytes:
    return framed(one(), FOUR + b"abc")


@refused("must be a span within the 3 bytes of data, got")
def offsets_truncated_data() -> bytes:
    return framed(one(), FOUR[:3])


@refused("must span 12 bytes for F32 \\[3\\], got 4")
def offsets_disagree_with_shape() -> bytes:
    return framed(one(shape=[3]))


@accepted("a", "b")
def offsets_shared_by_an_empty_tensor() -> bytes:
    return framed(two([0, 4], [0, 0], shape=[0]))


@refused("must begin where the tensor before it ends, got an overlap")
def offsets_empty_tensor_inside_another() -> bytes:
    return framed(two([0, 4], [2, 2], shape=[0]))


# ---------------------------------------------------------------- shape


@refused("shape: must hold integers")
def shape_negative() -> bytes:
    return framed(one(shape=[-1]))


@refused("shape: must hold integers")
def shape_float() -> bytes:
    return framed(one(shape=[1.5]))


@refused("shape: must have '\\[' at byte .*, got 'null")
def shape_null() -> bytes:
    return framed(one(shape=None))


@refused("must have at most 2\\*\\*48 elements, got")
def shape_product_overflows() -> bytes:
    return framed(one(shape=[4194305, 4194305, 211106198978564]))


@refused("must hold at most 8 numbers, got more")
def shape_rank_1000() -> bytes:
    return framed(one(shape=[1] * 1000))


@refused("must hold at most 8 numbers, got more")
def shape_rank_100000() -> bytes:
    return framed(one(shape=[1] * 100_000))


@refused("must have at most 2\\*\\*48 elements, got")
def shape_zero_times_2_62() -> bytes:
    return framed(one(shape=[0, 2**62], data_offsets=[0, 0]), b"")


# ---------------------------------------------------------------- dtype


@refused("must be a type of the format, got 'F31'")
def dtype_unknown() -> bytes:
    return framed(one(dtype="F31"))


@refused("must be a type of the format, got 'f32'")
def dtype_lower_case() -> bytes:
    return framed(one(dtype="f32"))


@refused("dtype: must have a string")
def dtype_number() -> bytes:
    return framed(one(dtype=32))


@refused("dtype: is missing")
def dtype_missing() -> bytes:
    return framed({"a": {"shape": [1], "data_offsets": [0, 4]}})


@refused("must be a supported type, got 'F4'; save the model again")
def dtype_f4_odd() -> bytes:
    return framed(one(dtype="F4", shape=[7]))


@accepted("a")
def dtype_boolean_byte_2() -> bytes:
    return framed(one(dtype="BOOL", shape=[4]), b"\0\1\2\xff")


# ---------------------------------------------------------------- names


@accepted("")
def name_empty() -> bytes:
    return framed({"": ONE})


@accepted("../../etc/passwd")
def name_like_a_path() -> bytes:
    return framed({"../../etc/passwd": ONE})


@refused("must hold no control characters, got")
def name_with_nul() -> bytes:
    return framed({"a\0b": ONE})


@refused("must be at most 512 bytes long, got a longer one")
def name_of_a_megabyte() -> bytes:
    return framed({"n" * 2**20: ONE})


@refused("must be at most 16777216 bytes, got")
def names_300000_empty_tensors() -> bytes:
    entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    return framed("{" + ",".join(f'"{i:06}":{entry}' for i in range(300_000)) + "}", b"")


# ---------------------------------------------------------------- sound files, missing fields


@accepted("a")
def sound_one_tensor() -> bytes:
    return framed(one())


@accepted("a")
def sound_padded_header() -> bytes:
    return framed(json.dumps({"__metadata__": {"k": "v"}} | one()) + "     ")


@accepted()
def sound_no_tensors() -> bytes:
    return framed({}, b"")


@refused("shape: is missing")
def missing_shape() -> bytes:
    return framed({"a": {"dtype": "F32", "data_offsets": [0, 4]}})


@refused("data_offsets: is missing")
def missing_offsets() -> bytes:
    return framed({"a": {"dtype": "F32", "shape": [1]}})


@refused("must have '{' at byte")
def missing_object() -> bytes:
    return framed({"a": ["F32", [1], [0, 4]]})
