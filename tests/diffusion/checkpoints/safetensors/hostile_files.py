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

ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
ENTRY_TEXT = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
FOUR_BYTES = b"\x00\x00\x80\x3f"


def must_be_refused(pattern: str) -> Callable[[Builder], Builder]:
    """Register a file that must be refused with a message that holds `pattern`."""

    def register(builder: Builder) -> Builder:
        REFUSED[builder.__name__] = (builder, pattern)
        return builder

    return register


def must_be_accepted(*names: str) -> Callable[[Builder], Builder]:
    """Register a file that is read, and the names of its tensors."""

    def register(builder: Builder) -> Builder:
        ACCEPTED[builder.__name__] = (builder, names)
        return builder

    return register


def safetensors_bytes(header: object, data: bytes = FOUR_BYTES, length: int | None = None) -> bytes:
    """Join length, header and data. A header of bytes is unchanged, text UTF-8, all else JSON."""
    if isinstance(header, str):
        header = header.encode()
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def reference_tensors(content: bytes) -> dict[str, dict[str, Any]]:
    """Return what the safetensors package finds: name to `dtype`, `shape` and `data`."""
    return dict(deserialize(content))  # type: ignore[no-untyped-call]


def one_tensor(**changes: object) -> dict[str, object]:
    """Return the header of one tensor named `a`, some of its fields changed."""
    return {"a": ENTRY | changes}


def two_tensors(
    first: list[int], second: list[int], shape: list[int] | None = None
) -> dict[str, object]:
    """Return the header of two tensors at the given offsets; `shape` is the second one's."""
    return {
        "a": ENTRY | {"data_offsets": first},
        "b": ENTRY | {"data_offsets": second, "shape": [1] if shape is None else shape},
    }


# ---------------------------------------------------------------- length field


@must_be_refused("is empty, so the download failed")
def length_empty_file() -> bytes:
    return b""


@must_be_refused("must be followed by a header, got a file of 7 bytes")
def length_7_bytes() -> bytes:
    return b"\x02\0\0\0\0\0\0"


@must_be_refused("header length: must be from 2 to the .* bytes that follow, got 0;")
def length_zero() -> bytes:
    return safetensors_bytes(one_tensor(), length=0)


@must_be_refused("must be from 2 to the .* bytes that follow, got 9223372036854775807;")
def length_2_63_minus_1() -> bytes:
    return safetensors_bytes(one_tensor(), length=2**63 - 1)


@must_be_refused("must be from 2 to the .* bytes that follow, got 18446744073709551615;")
def length_2_64_minus_1() -> bytes:
    return safetensors_bytes(one_tensor(), length=2**64 - 1)


@must_be_refused("must be from 2 to the .* bytes that follow, got 100000001;")
def length_over_the_ceiling() -> bytes:
    return safetensors_bytes(one_tensor(), length=100_000_001)


@must_be_refused("must be from 2 to the .* bytes that follow, got 5000;")
def length_over_the_file() -> bytes:
    return safetensors_bytes(one_tensor(), length=5000)


# ---------------------------------------------------------------- files of other kinds


@must_be_refused("Python pickle .* convert it to safetensors")
def other_kind_pickle() -> bytes:
    return pickle.dumps({"state_dict": [1.5] * 50})


@must_be_refused("zip archive .* convert it to safetensors")
def other_kind_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1, 2]))
    return buffer.getvalue()


@must_be_refused("gzip archive; unpack it first")
def other_kind_gzip() -> bytes:
    return gzip.compress(safetensors_bytes(one_tensor()))


@must_be_refused("web page, so the download failed .* download the file again, signed in")
def other_kind_html_login_page() -> bytes:
    return b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>...</body></html>"


@must_be_refused("git-LFS pointer, so the download failed.*`git lfs pull`")
def other_kind_lfs_pointer() -> bytes:
    digest = b"0123456789abcdef" * 4
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + digest + b"\nsize 42\n"


# ---------------------------------------------------------------- header text


@must_be_refused("must have a string at byte 1, got another value")
def text_not_json() -> bytes:
    return safetensors_bytes("{hello, world}")


@must_be_refused("must begin with '{', got byte 0x5b")
def text_array() -> bytes:
    return safetensors_bytes([1, 2])


@must_be_refused("must begin with '{', got byte 0x6e")
def text_null() -> bytes:
    return safetensors_bytes("null")


@must_be_refused("must end with its closing brace, got more text after it")
def text_trailing_nul() -> bytes:
    return safetensors_bytes(json.dumps(one_tensor()) + "\0\0")


@must_be_refused("must end with its closing brace, got more text after it")
def text_trailing_garbage() -> bytes:
    return safetensors_bytes(json.dumps(one_tensor()) + "xyz")


@must_be_refused("must begin with '{', got byte 0xef")
def text_byte_order_mark() -> bytes:
    return safetensors_bytes("\ufeff" + json.dumps(one_tensor()))


@must_be_refused("must have valid UTF-8 strings")
def text_invalid_utf8() -> bytes:
    return safetensors_bytes(b'{"\xff\xfe":' + ENTRY_TEXT.encode() + b"}")


@must_be_refused("must have valid UTF-8 strings")
def text_lone_surrogate() -> bytes:
    return safetensors_bytes(f'{{"\\ud800":{ENTRY_TEXT}}}')


@must_be_refused("must have '{' at byte")
def text_depth_100000() -> bytes:
    return safetensors_bytes('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")


@must_be_refused("shape: must hold integers")
def text_nan() -> bytes:
    return safetensors_bytes('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}')


@must_be_refused("shape: must hold integers")
def text_1e0() -> bytes:
    return safetensors_bytes('{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}')


@must_be_refused("must begin with '{', got byte 0x20")
def text_leading_space() -> bytes:
    return safetensors_bytes(" " + json.dumps(one_tensor()))


@must_be_refused("must begin with '{', got byte 0x0a")
def text_leading_newline() -> bytes:
    return safetensors_bytes("\n" + json.dumps(one_tensor()))


# ---------------------------------------------------------------- keys


@must_be_refused("names in the header must be unique, got 'a' twice")
def key_tensor_twice() -> bytes:
    return safetensors_bytes(f'{{"a":{ENTRY_TEXT},"a":{ENTRY_TEXT}}}')


@must_be_refused("names in the header must be unique, got '__metadata__' twice")
def key_metadata_twice() -> bytes:
    return safetensors_bytes(f'{{"__metadata__":{{}},"a":{ENTRY_TEXT},"__metadata__":{{}}}}')


@must_be_refused("__metadata__: 'k': must have a string")
def key_metadata_integer() -> bytes:
    return safetensors_bytes({"__metadata__": {"k": 1}} | one_tensor())


@must_be_refused("__metadata__: 'k': must have a string")
def key_metadata_nested() -> bytes:
    return safetensors_bytes({"__metadata__": {"k": {"x": "y"}}} | one_tensor())


@must_be_refused("__metadata__: must have '{' at byte")
def key_metadata_list() -> bytes:
    return safetensors_bytes({"__metadata__": ["k"]} | one_tensor())


@must_be_refused("__metadata__: 'shape': must have a string")
def key_metadata_like_a_tensor() -> bytes:
    return safetensors_bytes({"__metadata__": ENTRY} | one_tensor())


@must_be_accepted("a")
def key_unknown_field() -> bytes:
    return safetensors_bytes(one_tensor(comment="the format lets fields be added"))


# ---------------------------------------------------------------- offsets


@must_be_refused("must be a span within")
def offsets_reversed() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[4, 0]))


@must_be_refused("must hold integers")
def offsets_negative() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[-4, 0]))


@must_be_refused("must hold integers")
def offsets_float() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[0.0, 4.0]))


@must_be_refused("must hold integers")
def offsets_text() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=["0", "4"]))


@must_be_refused("must hold integers")
def offsets_boolean() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[False, True]))


@must_be_refused("must hold at most 2 numbers, got more")
def offsets_three() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[0, 4, 8]))


@must_be_refused("must be a span within the 4 bytes of data, got")
def offsets_past_the_end() -> bytes:
    return safetensors_bytes(one_tensor(shape=[2], data_offsets=[0, 8]))


@must_be_refused("must hold integers from 0 to 2\\*\\*64 - 1")
def offsets_over_64_bits() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[0, 2**64 + 4]))


@must_be_refused("must begin where the tensor before it ends, got an overlap")
def offsets_same_bytes_twice() -> bytes:
    return safetensors_bytes(two_tensors([0, 4], [0, 4]))


@must_be_refused("must begin where the tensor before it ends, got an overlap")
def offsets_partly_same_bytes() -> bytes:
    return safetensors_bytes(two_tensors([0, 4], [2, 6]), FOUR_BYTES + b"\0\0")


@must_be_refused("must begin where the tensor before it ends, got a hole")
def offsets_hole() -> bytes:
    return safetensors_bytes(two_tensors([0, 4], [8, 12]), FOUR_BYTES * 3)


@must_be_refused("must begin where the tensor before it ends, got a hole")
def offsets_hole_at_the_start() -> bytes:
    return safetensors_bytes(one_tensor(data_offsets=[4, 8]), FOUR_BYTES * 2)


@must_be_refused("must end with the last tensor, got 3 bytes after it")
def offsets_trailing_data() -> bytes:
    return safetensors_bytes(one_tensor(), FOUR_BYTES + b"abc")


@must_be_refused("must be a span within the 3 bytes of data, got")
def offsets_truncated_data() -> bytes:
    return safetensors_bytes(one_tensor(), FOUR_BYTES[:3])


@must_be_refused("must span 12 bytes for F32 \\[3\\], got 4")
def offsets_disagree_with_shape() -> bytes:
    return safetensors_bytes(one_tensor(shape=[3]))


@must_be_accepted("a", "b")
def offsets_shared_by_an_empty_tensor() -> bytes:
    return safetensors_bytes(two_tensors([0, 4], [0, 0], shape=[0]))


@must_be_refused("must begin where the tensor before it ends, got an overlap")
def offsets_empty_tensor_inside_another() -> bytes:
    return safetensors_bytes(two_tensors([0, 4], [2, 2], shape=[0]))


# ---------------------------------------------------------------- shape


@must_be_refused("shape: must hold integers")
def shape_negative() -> bytes:
    return safetensors_bytes(one_tensor(shape=[-1]))


@must_be_refused("shape: must hold integers")
def shape_float() -> bytes:
    return safetensors_bytes(one_tensor(shape=[1.5]))


@must_be_refused("shape: must have '\\[' at byte .*, got 'null")
def shape_null() -> bytes:
    return safetensors_bytes(one_tensor(shape=None))


@must_be_refused("must have at most 2\\*\\*48 elements, got")
def shape_product_overflows() -> bytes:
    return safetensors_bytes(one_tensor(shape=[4194305, 4194305, 211106198978564]))


@must_be_refused("must hold at most 8 numbers, got more")
def shape_rank_1000() -> bytes:
    return safetensors_bytes(one_tensor(shape=[1] * 1000))


@must_be_refused("must hold at most 8 numbers, got more")
def shape_rank_100000() -> bytes:
    return safetensors_bytes(one_tensor(shape=[1] * 100_000))


@must_be_refused("must have at most 2\\*\\*48 elements, got")
def shape_zero_times_2_62() -> bytes:
    return safetensors_bytes(one_tensor(shape=[0, 2**62], data_offsets=[0, 0]), b"")


# ---------------------------------------------------------------- dtype


@must_be_refused("must be a type of the format, got 'F31'")
def dtype_unknown() -> bytes:
    return safetensors_bytes(one_tensor(dtype="F31"))


@must_be_refused("must be a type of the format, got 'f32'")
def dtype_lower_case() -> bytes:
    return safetensors_bytes(one_tensor(dtype="f32"))


@must_be_refused("dtype: must have a string")
def dtype_number() -> bytes:
    return safetensors_bytes(one_tensor(dtype=32))


@must_be_refused("dtype: is missing")
def dtype_missing() -> bytes:
    return safetensors_bytes({"a": {"shape": [1], "data_offsets": [0, 4]}})


@must_be_refused("must be a supported type, got 'F4'; save the model again")
def dtype_f4_odd() -> bytes:
    return safetensors_bytes(one_tensor(dtype="F4", shape=[7]))


@must_be_accepted("a")
def dtype_boolean_byte_2() -> bytes:
    return safetensors_bytes(one_tensor(dtype="BOOL", shape=[4]), b"\0\1\2\xff")


# ---------------------------------------------------------------- names


@must_be_accepted("")
def name_empty() -> bytes:
    return safetensors_bytes({"": ENTRY})


@must_be_accepted("../../etc/passwd")
def name_like_a_path() -> bytes:
    return safetensors_bytes({"../../etc/passwd": ENTRY})


@must_be_refused("must hold no control characters, got")
def name_with_nul() -> bytes:
    return safetensors_bytes({"a\0b": ENTRY})


@must_be_refused("must be at most 512 bytes long, got a longer one")
def name_of_a_megabyte() -> bytes:
    return safetensors_bytes({"n" * 2**20: ENTRY})


@must_be_refused("must be at most 16777216 bytes, got")
def names_300000_empty_tensors() -> bytes:
    entry = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    return safetensors_bytes("{" + ",".join(f'"{i:06}":{entry}' for i in range(300_000)) + "}", b"")


# ---------------------------------------------------------------- sound files, missing fields


@must_be_accepted("a")
def sound_one_tensor() -> bytes:
    return safetensors_bytes(one_tensor())


@must_be_accepted("a")
def sound_padded_header() -> bytes:
    return safetensors_bytes(json.dumps({"__metadata__": {"k": "v"}} | one_tensor()) + "     ")


@must_be_accepted()
def sound_no_tensors() -> bytes:
    return safetensors_bytes({}, b"")


@must_be_refused("shape: is missing")
def missing_shape() -> bytes:
    return safetensors_bytes({"a": {"dtype": "F32", "data_offsets": [0, 4]}})


@must_be_refused("data_offsets: is missing")
def missing_offsets() -> bytes:
    return safetensors_bytes({"a": {"dtype": "F32", "shape": [1]}})


@must_be_refused("must have '{' at byte")
def missing_object() -> bytes:
    return safetensors_bytes({"a": ["F32", [1], [0, 4]]})
