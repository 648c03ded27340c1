"""Files that claim to be GGUF: what must be refused, with a pattern of the message, or accepted."""

from __future__ import annotations

import struct
from collections.abc import Sequence

F32, F16, Q8_0, Q4_K = 0, 1, 8, 12
U8, U32, I32, STRING, ARRAY = 0, 4, 5, 8, 9


def string(text: str | bytes) -> bytes:
    stored = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(stored)) + stored


def pair(key: str | bytes, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def info(
    name: str | bytes = "a", dims: Sequence[int] = (32,), kind: int = Q8_0, offset: int = 0
) -> bytes:
    """Return a tensor's description; ``dims``: the fastest axis first."""
    sizes = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return string(name) + sizes + struct.pack("<IQ", kind, offset)


def gguf_file(
    infos: Sequence[bytes] = (),
    data: bytes = b"",
    pairs: Sequence[bytes] = (),
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(infos), len(pairs))
    head += b"".join(pairs) + b"".join(infos)
    return head + bytes(-len(head) % alignment) + data


BLOCK = bytes([0, 0x3C]) + bytes(range(32))
GOOD = gguf_file([info()], BLOCK)


def align(value: int, kind: int = U32) -> bytes:
    return pair("general.alignment", kind, struct.pack("<I", value))


def header(tensors: int, pairs: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + rest


def orig_shape(name: str, shape: Sequence[int], kind: int = I32) -> bytes:
    stored = struct.pack(f"<IQ{len(shape)}i", kind, len(shape), *shape)
    return pair(f"comfy.gguf.orig_shape.{name}", ARRAY, stored)


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "three bytes": (b"GGU", "must begin with 'GGUF'"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "a pointer of git-LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
    "safetensors": (struct.pack("<Q", 60) + b'{"a":{}}' + bytes(60), "safetensors"),
    "version 0": (gguf_file(version=0), "must be 2 or 3, got 0"),
    "version 1": (gguf_file(version=1), "must be 2 or 3, got 1"),
    "version 4": (gguf_file(version=4), "must be 2 or 3, got 4"),
    "big-endian": (b"GGUF" + struct.pack(">I", 3) + bytes(16), "little-endian"),
    "2^63 tensors": (header(2**63, 0), "count of tensors: must be at most 0"),
    "2^64-1 tensors": (header(2**64 - 1, 0), "count of tensors"),
    "more tensors than fit": (header(9, 0, info() * 2), "count of tensors: must be at most 3"),
    "10^9 pairs": (header(0, 10**9), "count of pairs"),
    "more pairs than allowed": (header(0, 10_001, bytes(200_000)), "at most 10000"),
    "string of 2^64-1 bytes": (header(0, 1, struct.pack("<Q", 2**64 - 1) + bytes(20)), "length"),
    "string of 1 GiB": (header(0, 1, struct.pack("<Q", 2**30) + bytes(20)), "length"),
    "empty key": (gguf_file(pairs=[pair("", U8, b"\1")]), "at least one character"),
    "key with a line end": (gguf_file(pairs=[pair("a\nb", U8, b"\1")]), "control characters"),
    "key of bad UTF-8": (gguf_file(pairs=[pair(b"\xff\xfe", U8, b"\1")]), "valid UTF-8"),
    "key twice": (gguf_file(pairs=[pair("a", U8, b"\1")] * 2), "keys must be unique"),
    "type 13": (gguf_file(pairs=[pair("a", 13, bytes(8))]), "must be a type from 0 to 12"),
    "bool of 2": (gguf_file(pairs=[pair("a", 7, b"\2")]), "must be 0 or 1"),
    "value cut off": (header(0, 1, string("a") + struct.pack("<I", 10) + bytes(3)), "8 bytes"),
    "text of bad UTF-8": (gguf_file(pairs=[pair("a", STRING, string(b"\xc0"))]), "valid UTF-8"),
    "array of arrays": (
        gguf_file(pairs=[pair("a", ARRAY, struct.pack("<IQ", ARRAY, 1) + bytes(32))]),
        "type of a scalar or string, got 9",
    ),
    "array of 2^62 bytes": (
        gguf_file(pairs=[pair("a", ARRAY, struct.pack("<IQ", U8, 2**62))]),
        "count of elements",
    ),
    "array of 2^61 u64": (
        gguf_file(pairs=[pair("a", ARRAY, struct.pack("<IQ", 10, 2**61))]),
        "count of elements",
    ),
    "array of strings too long": (
        gguf_file(pairs=[pair("a", ARRAY, struct.pack("<IQQ", STRING, 1, 2**40))]),
        "length of an element",
    ),
    "alignment 0": (gguf_file(pairs=[align(0)]), "power of two from 8"),
    "alignment 3": (gguf_file(pairs=[align(3)]), "power of two from 8"),
    "alignment 4": (gguf_file(pairs=[align(4)]), "power of two from 8"),
    "alignment 2^31": (gguf_file(pairs=[align(2**31)]), "power of two from 8"),
    "alignment as i32": (gguf_file(pairs=[align(32, I32)]), "as u32"),
    "empty name": (gguf_file([info("")], BLOCK), "at least one character"),
    "name with NUL": (gguf_file([info("a\0b")], BLOCK), "control characters"),
    "name of 513 bytes": (gguf_file([info("a" * 513)], BLOCK), "name: length"),
    "name of 1 MiB": (gguf_file([info("a" * 2**20)], BLOCK), "name: length"),
    "name twice": (
        gguf_file([info(), info(offset=64)], BLOCK + bytes(30) + BLOCK),
        "got this one twice",
    ),
    "five dimensions": (gguf_file([info(dims=(32, 1, 1, 1, 1))], BLOCK), "at most 4, got 5"),
    "2^32-1 dimensions": (
        gguf_file([string("a") + struct.pack("<I", 2**32 - 1) + bytes(30)]),
        "at most 4",
    ),
    "dimension of 2^63": (gguf_file([info(dims=(2**63,))], BLOCK), "at most 2\\*\\*48 elements"),
    "product of 2^64": (gguf_file([info(dims=(2**32, 2**32))], BLOCK), "at most 2\\*\\*48"),
    "product that wraps to 32": (
        gguf_file([info(dims=(2**37 + 32, 2**59))], BLOCK),
        "at most 2\\*\\*48",
    ),
    "2^62 beside 0": (gguf_file([info(dims=(0, 2**62))]), "at most 2\\*\\*48"),
    "removed type 4": (gguf_file([info(kind=4)], BLOCK), "known here, got 4"),
    "type 2^32-1": (gguf_file([info(kind=2**32 - 1)], BLOCK), "known here, got 4294967295"),
    "part of a block": (gguf_file([info(dims=(33,))], BLOCK), "multiple of 32 for Q8_0"),
    "row of part blocks": (gguf_file([info(dims=(16, 2))], BLOCK), "multiple of 32 for Q8_0"),
    "offset 1": (gguf_file([info(offset=1)], BLOCK), "offset: must be 0"),
    "offset 2^64-1": (gguf_file([info(offset=2**64 - 1)], BLOCK), "offset: must be 0"),
    "overlap": (gguf_file([info(), info("b")], BLOCK + bytes(30) + BLOCK), "must be 64"),
    "not padded": (gguf_file([info(), info("b", offset=34)], BLOCK * 2), "must be 64"),
    "descending": (
        gguf_file([info(offset=64), info("b")], BLOCK + bytes(30) + BLOCK),
        "offset: must be 0, .* got 64",
    ),
    "a hole": (gguf_file([info(), info("b", offset=96)], BLOCK + bytes(128)), "must be 64"),
    "data cut off": (GOOD[:-1], "must end within"),
    "no data": (gguf_file([info()]), "must end within"),
    "data far away": (gguf_file([info(dims=(2**40,), kind=F32)]), "must end within"),
    "data after the end": (GOOD + bytes(32), "32 bytes after it"),
    "shape of other size": (gguf_file([info()], BLOCK, [orig_shape("a", (31,))]), "as many"),
    "shape with 0": (gguf_file([info()], BLOCK, [orig_shape("a", (0, 32))]), "above 0"),
    "shape below 0": (gguf_file([info()], BLOCK, [orig_shape("a", (-1, -32))]), "above 0"),
    "shape of nine axes": (
        gguf_file([info()], BLOCK, [orig_shape("a", (1,) * 8 + (32,))]),
        "1 to 8 numbers",
    ),
    "shape as u32": (gguf_file([info()], BLOCK, [orig_shape("a", (32,), U32)]), "of type i32"),
}

# Bytes of the kinds of values of one size.
VALUES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

# Names of tensors, each with its type and shape.
ACCEPTED: dict[str, tuple[bytes, dict[str, tuple[str, tuple[int, ...]]]]] = {
    "nothing": (gguf_file(), {}),
    "one tensor": (GOOD, {"a": ("Q8_0", (32,))}),
    "padding after it": (GOOD + bytes(30), {"a": ("Q8_0", (32,))}),
    "version 2": (gguf_file([info()], BLOCK, version=2), {"a": ("Q8_0", (32,))}),
    "alignment 64": (
        gguf_file([info(), info("b", offset=64)], BLOCK + bytes(30) + BLOCK, [align(64)], 3, 64),
        {"a": ("Q8_0", (32,)), "b": ("Q8_0", (32,))},
    ),
    "axes are reversed": (
        gguf_file([info(dims=(3, 2, 5, 7), kind=F16)], bytes(420)),
        {"a": ("F16", (7, 5, 2, 3))},
    ),
    "no axes": (gguf_file([info(dims=(), kind=F32)], bytes(4)), {"a": ("F32", ())}),
    "nothing inside": (gguf_file([info(dims=(0,), kind=F16)]), {"a": ("F16", (0,))}),
    "a type that is not read": (
        gguf_file([info(dims=(256,), kind=16)], bytes(66)),
        {"a": ("IQ2_XXS", (256,))},
    ),
    "another shape": (
        gguf_file([info(dims=(32, 9))], BLOCK * 9, [orig_shape("a", (8, 4, 3, 3))]),
        {"a": ("Q8_0", (8, 4, 3, 3))},
    ),
    "the shape of no tensor": (
        gguf_file([info()], BLOCK, [orig_shape("b", (8, 4))]),
        {"a": ("Q8_0", (32,))},
    ),
    "a path for a name": (gguf_file([info("../../x")], BLOCK), {"../../x": ("Q8_0", (32,))}),
    "all kinds of values": (
        gguf_file(
            [info()],
            BLOCK,
            [pair(f"k{kind}", kind, bytes(size)) for kind, size in VALUES.items()]
            + [pair("s", STRING, string("x")), pair("z", ARRAY, struct.pack("<IQ", U8, 0))]
            + [pair("t", ARRAY, struct.pack("<IQ", STRING, 2) + string("x") + string(""))],
        ),
        {"a": ("Q8_0", (32,))},
    ),
}
