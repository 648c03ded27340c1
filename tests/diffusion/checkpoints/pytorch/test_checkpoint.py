"""PyTorch's checkpoints: read as data, in a process that can do nothing else."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import psutil
import pytest

from diffusion.checkpoints.conversion import save_tensors
from diffusion.checkpoints.pytorch import open_torch
from diffusion.checkpoints.pytorch.checkpoint import check_answer
from diffusion.checkpoints.pytorch.pickle_reader import archive as archive_reader
from diffusion.checkpoints.pytorch.pickle_reader import machine, process
from diffusion.checkpoints.pytorch.pickle_reader.values import as_key
from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.errors import ModelFormatError, ModelNotFoundError
from tests.diffusion.checkpoints.test_pickles import Canary
from tests.goldens.loader import FOLDER, load

unix = pytest.mark.skipif(sys.platform == "win32", reason="the limits are POSIX's")


# ---------------------------------------------------------------- pickles and archives by hand


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    raw = value.to_bytes(16, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    shape: tuple[int, ...] = (2,),
    *,
    stride: tuple[int, ...] = (1,),
    offset: int = 0,
    numel: int = 4,
    key: str = "0",
    storage: bytes = b"ctorch\nFloatStorage\n",
) -> bytes:
    """Return the instructions that push a tensor, as torch.save writes them."""
    reference = b"(" + text("storage") + storage + text(key) + text("cpu") + number(numel) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    call = reference + number(offset) + numbers(shape) + numbers(stride) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + call + b"tR"


PARAMETER_DICT = b"ctorch.nn.modules.container\nParameterDict\n"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def archive(
    content: bytes, data: bytes = b"\0\0\x80\x3f" * 4, compression: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("model/data.pkl", content)
        file.writestr("model/data/0", data)
        file.writestr("model/byteorder", b"little")
    return buffer.getvalue()


def write_file(folder: Path, content: bytes, name: str = "model.ckpt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelFormatError) as caught:
        open_torch(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) - len(str(path)) < 400
    return message


# ---------------------------------------------------------------- sound files


def test_a_file_of_pytorch() -> None:
    file = open_torch(FOLDER / "checkpoint.bin")
    expected = load("checkpoint")
    assert set(file.names) == set(expected)
    for name, array in expected.items():
        found = file.read(name)
        assert found.shape == array.shape, name
        assert np.array_equal(found.astype(array.dtype), array), name
    assert file.entry("tied") == file.entry("f32")
    assert file.entry("bf16").dtype == "BF16"
    assert file.entry("e4m3").dtype == "F8_E4M3"


def test_it_becomes_safetensors(tmp_path: Path) -> None:
    source = open_torch(FOLDER / "checkpoint.bin")
    save_tensors(source, tmp_path / "a.safetensors")
    save_tensors(source, tmp_path / "half.safetensors", "F16")
    same, half = (open_safetensors(tmp_path / f"{name}.safetensors") for name in ("a", "half"))
    for name in source.names:
        assert same.entry(name).dtype == source.entry(name).dtype
        assert np.array_equal(same.read(name), source.read(name))
    assert half.entry("f32").dtype == half.entry("e4m3").dtype == "F16"
    assert half.entry("i64").dtype == "I64"
    assert np.array_equal(half.read("f32"), load("checkpoint")["f32"].astype(np.float16))


def test_files_made_by_hand_are_read(tmp_path: Path) -> None:
    path = write_file(tmp_path, archive(program(mapping(a=tensor((2, 2), stride=(2, 1))))))
    assert open_torch(path).read("a").tolist() == [[1, 1], [1, 1]]
    nested = mapping(params=mapping(a=tensor(), note=text("x")), epoch=number(3))
    assert open_torch(write_file(tmp_path, archive(program(nested)))).names == ("params.a",)


def test_a_parameter_dict_has_the_tensors_of_its_attributes(tmp_path: Path) -> None:
    """Textual inversions of 2022 have one."""
    attributes = mapping(training=b"\x88", _parameters=mapping(a=tensor()), _hooks=b"}")
    words = mapping(string_to_param=PARAMETER_DICT + b")\x81" + attributes + b"b")
    file = open_torch(write_file(tmp_path, archive(program(words))))
    assert file.names == ("string_to_param.a",)


# ---------------------------------------------------------------- hostile pickles


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_canary_is_never_let_out(protocol: int, compression: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"state_dict": {"a": Canary(trace)}}, protocol)
    message = refusal(write_file(tmp_path, archive(content, compression=compression)))
    assert "which no model needs" in message or "instruction" in message
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists(), "the canary sings when loaded"


@pytest.mark.parametrize(
    "name",
    [
        "os\nsystem",
        "posix\nsystem",
        "builtins\neval",
        "__builtin__\nexec",
        "builtins\ngetattr",
        "subprocess\nPopen",
        "torch\nload",
        "torch.storage\n_load_from_bytes",
        "torch.hub\nload",
        "torch._utils\n_rebuild_tensor_v2.__globals__",
        "collections\nOrderedDict.fromkeys",
        "numpy\nload",
        "\n",
    ],
)
def test_names_that_are_not_on_the_list(name: str, tmp_path: Path) -> None:
    body = b"c" + name.encode() + b"\n" + b"(" + text("x") + b"tR"
    asked = name.replace("\n", ".")
    assert f"asks for '{asked}'" in refusal(write_file(tmp_path, archive(program(body))))
    stacked = b"".join(map(text, name.split("\n"))) + b"\x93)R"
    assert f"asks for '{asked}'" in refusal(write_file(tmp_path, archive(program(stacked))))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"ctorch\nFloatStorage\n)R", "calls"),
        (b"ctorch\nFloatStorage\n)\x81", "makes a 'torch.FloatStorage', which is not allowed"),
        (PARAMETER_DICT + number(1) + b"\x85\x81", "which is not allowed"),
        (PARAMETER_DICT + b")\x81}b", "ParameterDict of an unknown form"),
        (PARAMETER_DICT + b")\x81" + number(1) + b"b", "ParameterDict of an unknown form"),
        (PARAMETER_DICT + b")R", "calls"),
        (b"(ios\nsystem\n", "the instruction INST"),
        (b"Pid\n", "the instruction PERSID"),
        (b"\x82\x01", "the instruction EXT1"),
        (b"\x97", "the instruction NEXT_BUFFER"),
        (text("x") + b")R", "calls"),
        (text("x") + b"}b", "sets attributes"),
        (
            b"(" + text("storage") + text("x") + text("0") + text("cpu") + number(1) + b"tQ",
            "refers",
        ),
        (text("module") + b"Q", "refers to 'module'"),
        (b"R", "not a valid pickle"),
        (b"h\x05", "not a valid pickle"),
        (b"u", "not a valid pickle"),
        (b"]]s", "not a valid pickle|no dictionary"),
        (b"}]" + text("a") + b"s", "no dictionary|unknown form"),
        (b"I" + b"9" * 5000 + b"\n", "not a valid pickle"),
        (b"}", "holds no tensors"),
        (b"]", "holds no tensors"),
        (mapping(a=number(1)), "holds no tensors"),
        (b"ccollections\nOrderedDict\n(" + number(1) + b"tR", "dictionary of an unknown form"),
        (tensor() + b"0", "not a valid pickle"),
    ],
)
def test_odd_programs(body: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        open_torch(write_file(tmp_path, archive(program(body))))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (tensor((5,)), "reaches over the end"),
        (tensor((2,), offset=3), "reaches over the end"),
        (tensor((4,), numel=10**12), "reaches over the end"),
        (tensor((10**12,), numel=10**13), "reaches over the end"),
        (tensor((10**9, 10**9, 10**9), stride=(10**18, 10**9, 1)), "reaches over the end"),
        (tensor((10**12,), stride=(0,)), "reaches over the end"),
        (tensor((4,), stride=(0,)), "a view with gaps"),
        (tensor((2,), stride=(2,)), "a view with gaps"),
        (tensor((-1,)), "not whole numbers"),
        (tensor((1,) * 9, stride=(1,) * 9), "whose shape is not supported"),
        (tensor((2, 2), stride=(1,)), "differ in number"),
        (tensor(offset=-1), "not whole numbers"),
        (tensor(numel=-1), "not whole numbers"),
        (tensor(key="1"), "lacks the data"),
        (tensor(key="../../etc/passwd"), "lacks the data"),
        (tensor(storage=b"ctorch\nComplexFloatStorage\n"), "asks for"),
    ],
)
def test_odd_tensors(made: bytes, reason: str, tmp_path: Path) -> None:
    path = write_file(tmp_path, archive(program(mapping(a=made))))
    assert reason in refusal(path)


@pytest.mark.parametrize("name", ["\x1b[31m", "a\nb", "n" * 600, "\udc80"])
def test_odd_names(name: str, tmp_path: Path) -> None:
    encoded = name.encode("utf-8", "surrogatepass")
    key = b"X" + struct.pack("<I", len(encoded)) + encoded
    refusal(write_file(tmp_path, archive(program(b"}(" + key + tensor() + b"u"))))


def test_two_names_that_are_one(tmp_path: Path) -> None:
    twice = b"}(" + text("a.b") + tensor() + text("a") + mapping(b=tensor()) + b"u"
    assert "holds 'a.b' twice" in refusal(write_file(tmp_path, archive(program(twice))))


# ---------------------------------------------------------------- bombs


def test_an_unpacking_bomb(tmp_path: Path) -> None:
    content = program(b"0" * (archive_reader.MAX_PICKLE + 1))
    path = write_file(tmp_path, archive(content, compression=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 2**20
    assert "a pickle of more than" in refusal(path)


def test_packed_tensors_are_refused(tmp_path: Path) -> None:
    content = archive(program(mapping(a=tensor())), compression=zipfile.ZIP_DEFLATED)
    assert "has its tensors compressed" in refusal(write_file(tmp_path, content))


def test_dictionaries_within_dictionaries(tmp_path: Path) -> None:
    """Ten levels of a hundred references each to the one below are 10**20 leaves."""
    body = b"}"
    for level in range(10):
        memo = b"q" + bytes([level])
        items = b"".join(text(str(n)) + b"h" + bytes([level]) for n in range(100))
        body += memo + b"0}(" + items + b"u"
    start = time.monotonic()
    assert "holds more than 100000 tensors" in refusal(write_file(tmp_path, archive(program(body))))
    assert time.monotonic() - start < 60


def test_a_dictionary_within_itself(tmp_path: Path) -> None:
    body = b"}q\0" + text("a") + b"h\0s"
    assert "holds no tensors" in refusal(write_file(tmp_path, archive(program(body))))


def test_tuples_within_tuples(tmp_path: Path) -> None:
    """Forty levels of three references each: nothing may go through all of them."""
    levels = (b"q" + bytes([n]) + (b"h" + bytes([n])) * 2 + b"\x87" for n in range(1, 40))
    tree = b")" + b"".join(levels)
    start = time.monotonic()
    for body, reason in (
        (b"}(" + tree + text("x") + b"u", "a key of an unknown form"),
        (tree + b"Q", "refers to 'tuple'"),
        (tree + b")R", "calls 'tuple'"),
    ):
        assert reason in refusal(write_file(tmp_path, archive(program(body))))
    assert time.monotonic() - start < 20


def test_long_names_make_no_long_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path, archive(program(mapping(a=tensor()))))
    monkeypatch.setattr(process, "give_up_rights", lambda: None)
    monkeypatch.setattr(process, "MAX_ANSWER", 40)
    with path.open("rb") as file, io.TextIOWrapper(file) as opened:
        monkeypatch.setattr(sys, "stdin", opened)
        process.main()
    assert "longer than any model's" in capsys.readouterr().out


def test_many_tensors_of_the_same_bytes(tmp_path: Path) -> None:
    """Written out, they would fill the disk."""
    shared = tensor((2**14,), numel=2**14) + b"q\x01"
    many = b"".join(text(str(n)) + b"h\x01" for n in range(40))
    content = program(b"}(" + text("a") + shared + many + b"u")
    path = write_file(tmp_path, archive(content, bytes(4 * 2**14)))
    assert "at most 16 times the file's size" in refusal(path)


@pytest.mark.parametrize("kind", ["a password", "damage"])
def test_a_pickle_that_cannot_be_unpacked(kind: str, tmp_path: Path) -> None:
    whole = archive(program(mapping(a=tensor())), compression=zipfile.ZIP_DEFLATED)
    content = bytearray(whole)
    if kind == "damage":
        start = whole.index(b"model/data.pkl") + 14
        content[start : start + 8] = b"\xff" * 8
    else:
        content[whole.index(b"PK\x01\x02") + 8] |= 1
    assert "not a valid zip archive" in refusal(write_file(tmp_path, bytes(content)))


def test_a_program_without_end(tmp_path: Path) -> None:
    """60 MB of instructions, each of which makes an object."""
    content = program(b"(" + b"}" * (60 * 2**20))
    path = write_file(tmp_path, archive(content, compression=zipfile.ZIP_DEFLATED))
    before = psutil.Process().memory_info().rss
    assert f"takes more than {machine.MAX_STEPS} steps" in refusal(path)
    assert psutil.Process().memory_info().rss - before < 64 * 2**20


def test_patience_is_bounded(tmp_path: Path) -> None:
    path = write_file(tmp_path, archive(program(mapping(a=tensor()))))
    with pytest.raises(ModelFormatError, match="more time or memory"):
        open_torch(path, timeout=0.01)


@unix
def test_rights_are_given_up() -> None:
    """No file, socket or process once reading begins."""
    attempts = ["open('/dev/null')", "socket.socket()", "bytearray(2 * process.MEMORY)"]
    if os.geteuid() != 0:  # the bound on processes does not hold for the superuser
        attempts.append("os.fork()")
    for attempt in attempts:
        code = (
            "import os, socket, sys\n"
            f"sys.path.insert(0, {str(Path(process.__file__).parents[1])!r})\n"
            "from pickle_reader import process\n"
            "process.give_up_rights()\n"
            f"try:\n    {attempt}\nexcept (OSError, MemoryError) as error:\n"
            "    sys.stdout.write(type(error).__name__)\n"
        )
        command = [sys.executable, "-I", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout in ("OSError", "MemoryError", "BlockingIOError"), (attempt, done)


# ---------------------------------------------------------------- files of other kinds


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        open_torch(tmp_path / "none.ckpt")
    old = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    assert "a PyTorch before 1.6" in refusal(write_file(tmp_path, old))
    assert "web page" in refusal(write_file(tmp_path, b"<!doctype html><html>"))
    assert "must be a PyTorch checkpoint" in refusal(write_file(tmp_path, b"abc"))
    assert "not a valid zip archive" in refusal(write_file(tmp_path, b"PK\x03\x04" + b"\0" * 100))
    whole = archive(program(mapping(a=tensor())))
    assert "not a valid zip archive" in refusal(write_file(tmp_path, whole[: len(whole) // 2]))
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as file:
        file.writestr("a.txt", "x")
    assert "no PyTorch checkpoint" in refusal(write_file(tmp_path, plain.getvalue()))


def test_the_other_byte_order(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("model/data.pkl", program(mapping(a=tensor())))
        file.writestr("model/data/0", b"\0" * 16)
        file.writestr("model/byteorder", b"big")
    assert "other byte order" in refusal(write_file(tmp_path, buffer.getvalue()))


@pytest.mark.parametrize(
    "answer",
    [
        {"a": ["F32", [2], 0, 4, None]},
        {"a": ["F32", [2], 10**9, 8, None]},
        {"a": ["F32", [2], -8, 8, None]},
        {"a": ["F32", [True], 0, 4, None]},
        {"a": ["F32", [2], 0, 8, [1]]},
        {"a": ["X", [2], 0, 8, None]},
        {"a": ["F32", [2.0], 0, 8, None]},
        {"a": "F32"},
        {"a": None},
    ],
)
def test_the_answer_is_not_trusted(answer: dict[str, object]) -> None:
    with pytest.raises(ModelFormatError, match="must be of a kind that models hold"):
        check_answer({"tensors": answer}, Path("model.ckpt"), 1000)


def test_numbers_whose_hashes_are_equal(tmp_path: Path) -> None:
    """Python's hash of an int is its rest by 2**61 - 1: a dictionary of them takes minutes."""
    keys = b"".join(
        b"\x8a\x0a" + ((2**61 - 1) * i).to_bytes(10, "little") + b"N" for i in range(1, 350_000)
    )
    path = write_file(tmp_path, archive(program(b"}(" + keys + b"u")))
    assert "a key of an unknown form" in refusal(path)


def test_keys_of_tuples_are_texts() -> None:
    """A tuple's hash is not salted, and can be chosen."""
    assert as_key((1, "a", None)) == "(1, 'a', None)"
    assert as_key(5) == 5
    for number in (2**31, -(2**61), 1e300, float("nan"), float("inf")):
        with pytest.raises(UnpicklingError):
            as_key(number)
        with pytest.raises(UnpicklingError):
            as_key((number,))
