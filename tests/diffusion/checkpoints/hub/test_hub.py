"""`avila model` and its downloads, from a local server that answers as the Hub does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from diffusion.checkpoints import ModelFolder, hub, open_model
from diffusion.checkpoints.conversion import save_single
from diffusion.checkpoints.hub.offers import check_hashes
from diffusion.errors import ModelNotFoundError, OutputError, SettingsError
from tests.diffusion.checkpoints.hub.hub_server import COMMIT, Hub, Repository, run_hub
from tests.diffusion.checkpoints.small_folder import write_folder
from tests.goldens.folders import write_model
from tests.processes import environment

BUNDLED = Path(__file__).parents[4] / "models" / "emoji"
CARD = b"---\nlicense: mit\ntags:\n- x\n---\n# A model\n"


def read_contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a small model's files, and others that must never be downloaded."""
    folder = tmp_path_factory.mktemp("golden")
    write_model(folder, "two_levels")
    junk = {
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.onnx": b"x",
        "model.ckpt": b"pickle",
        "run.py": b"print()",
        "text_encoder/openvino/model.safetensors": b"x",
        "unet/diffusion_pytorch_model.non_ema.safetensors": b"x",
    }
    return read_contents(folder) | {"README.md": CARD} | junk


@pytest.fixture
def remote(golden: dict[str, bytes]) -> Iterator[Hub]:
    repositories = {
        "some/model": Repository(golden, licence="mit"),
        "some/gated": Repository(golden, gated=True),
        "some/pickles": Repository({"model_index.json": b"{}", "unet/x.bin": b"x"}),
        "some/nothing": Repository({"README.md": CARD}),
    }
    with run_hub(repositories) as server:
        yield server


class Result:
    """One run of the command: exit status, and what it printed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


def avila(server: Hub | None, home: Path, *arguments: str, **variables: str) -> Result:
    environ = environment(
        HF_HOME=str(home),
        HF_ENDPOINT=server.url if server else "http://127.0.0.1:9",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_XET="1",
        COLUMNS="200",
    )
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        environ.pop(name, None)
    command = [sys.executable, "-m", "diffusion.cli", *arguments]
    done = subprocess.run(
        command,
        env=environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(done)


# ---------------------------------------------------------------- the whole way


def test_pull_list_verify_and_rm(remote: Hub, golden: dict[str, bytes], tmp_path: Path) -> None:
    asked = avila(remote, tmp_path, "model", "pull", "some/model")
    assert asked.status == 2, "nobody can confirm"
    assert "licence: mit" in asked.err
    assert "size: " in asked.err
    assert "--yes" in asked.err
    assert not any("resolve" in each for each in remote.repositories["some/model"].requests)

    pulled = avila(remote, tmp_path, "model", "pull", "some/model", "--yes")
    assert pulled.status == 0, pulled.err
    folder = Path(pulled.out.strip())
    found = read_contents(folder)
    assert found == {name: golden[name] for name in found}
    assert found.keys() == {
        "README.md", "model_index.json", "scheduler/scheduler_config.json",
        "text_encoder/config.json", "text_encoder/model.safetensors",
        "tokenizer/merges.txt", "tokenizer/vocab.json",
        *(name for name in golden if name.startswith("tokenizer/") and name.endswith(".json")),
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip
    ModelFolder(folder)

    listed = json.loads(avila(None, tmp_path, "model", "list", "--json").out)
    assert [row["name"] for row in listed] == ["emoji", "some/model"]
    assert listed[1]["licence"] == "mit"
    assert listed[1]["bytes"] == sum(map(len, found.values()))

    shown = json.loads(avila(None, tmp_path, "model", "show", "some/model", "--json").out)
    assert shown["pipeline"] == "StableDiffusionPipeline"
    sound = avila(None, tmp_path, "model", "verify", "some/model")
    assert sound.status == 0, sound.err
    assert f"{len(found)} files have their hashes" in sound.out

    weights = (folder / "unet" / "diffusion_pytorch_model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    broken = avila(None, tmp_path, "model", "verify", "some/model")
    assert broken.status == 1
    assert "not what was downloaded" in broken.err

    assert avila(None, tmp_path, "model", "rm", "some/model").status == 2
    assert folder.exists()
    removed = avila(None, tmp_path, "model", "rm", "some/model", "--yes")
    assert removed.status == 0, removed.err
    assert not folder.exists()
    assert "not in the cache" in avila(None, tmp_path, "model", "show", "some/model").err


def test_a_stopped_download_goes_on(tmp_path: Path) -> None:
    """The client hands over what arrives in chunks of 10 MiB."""
    content = bytes(range(256)) * 2**16
    name = "some/large/a.safetensors"
    with run_hub({"some/large": Repository({"a.safetensors": content})}) as server:
        repository = server.repositories["some/large"]
        repository.cut_at = 12 * 2**20
        stopped = avila(server, tmp_path, "model", "pull", name, "--yes")
        assert stopped.status == 2
        assert "goes on where it stopped" in stopped.err
        assert "Traceback" not in stopped.err
        (part,) = tmp_path.rglob("*.avila.incomplete")
        begun = part.stat().st_size
        assert begun >= 10 * 2**20
        repository.cut_at = None
        repository.requests.clear()
        pulled = avila(server, tmp_path, "model", "pull", name, "--yes")
        assert pulled.status == 0, pulled.err
        assert f"{begun / 1e6:.1f} MB of it here already" in pulled.err
        assert f"GET resolve a.safetensors bytes={begun}-" in repository.requests
        assert Path(pulled.out.strip()).read_bytes() == content
        assert not list(tmp_path.rglob("*.incomplete"))
        repository.requests.clear()
        again = avila(server, tmp_path, "model", "pull", name)
        assert again.status == 0, "nothing is missing, so nothing is asked"
        assert not any("GET resolve" in each for each in repository.requests)


def test_an_answer_that_does_not_end(tmp_path: Path) -> None:
    """Bytes beyond the size that the Hub named are not written."""
    content = bytes(range(256)) * 2**10
    repository = Repository({"a.safetensors": content}, trailing=bytes(30 * 2**20))
    with run_hub({"some/large": repository}) as server:
        found = avila(server, tmp_path, "model", "pull", "some/large/a.safetensors", "--yes")
    assert found.status == 2
    assert f"it sends more than the {len(content)} bytes that it named" in found.err
    assert "Traceback" not in found.err
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2**20


def test_a_part_with_another_content(remote: Hub, tmp_path: Path) -> None:
    """A partial file with other content is removed; the next download begins anew."""
    repository = remote.repositories["some/model"]
    name = "unet/diffusion_pytorch_model.safetensors"
    blobs = tmp_path / "hub" / "models--some--model" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{repository.etag(name)}.avila.incomplete"
    part.write_bytes(b"x" * 5000)
    wrong = avila(remote, tmp_path, "model", "pull", "some/model", "--yes")
    assert wrong.status == 2
    assert f"{name} does not have the Hub's hash" in wrong.err
    assert part.stat().st_size == 0
    assert avila(remote, tmp_path, "model", "pull", "some/model", "--yes").status == 0


def test_offline(remote: Hub, tmp_path: Path) -> None:
    refused = avila(remote, tmp_path, "model", "pull", "some/model", "-y", HF_HUB_OFFLINE="1")
    assert refused.status == 2
    assert "HF_HUB_OFFLINE forbids" in refused.err
    assert remote.repositories["some/model"].requests == []
    listed = avila(remote, tmp_path, "model", "list", HF_HUB_OFFLINE="1")
    assert listed.status == 0
    assert "emoji" in listed.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["some/absent"], "no such model on the Hub"),
        (["some/model", "--revision", "old"], "no such revision"),
        (["some/gated", "--yes"], "the model is gated"),
        (["some/pickles"], "pickles can run code and are not downloaded"),
        (["some/nothing"], "no model in the diffusers folder layout"),
        (["some/model/none.safetensors"], "no such file"),
        (["model"], "give owner/name"),
        (["../etc/passwd"], "give owner/name"),
        (["some/model", "--variant", "ema"], "must be one of plain, fp16"),
    ],
)
def test_what_cannot_be_pulled(
    arguments: list[str], reason: str, remote: Hub, tmp_path: Path
) -> None:
    done = avila(remote, tmp_path, "model", "pull", *arguments)
    assert done.status == 2
    assert reason in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("sha256", ["../../../planted", "/tmp/planted", "A" * 64, ""])
def test_hashes_that_are_none(sha256: str) -> None:
    """The cache names files by their hashes: a hash may lead nowhere else."""
    file = hub.RemoteFile("unet/diffusion_pytorch_model.safetensors", 1, sha256)
    with pytest.raises(ModelNotFoundError, match="malformed hash"):
        check_hashes("some/model", COMMIT, (file,))
    check_hashes("some/model", COMMIT, (hub.RemoteFile("README.md", 1, "a" * 64),))
    with pytest.raises(ModelNotFoundError, match="malformed hash"):
        check_hashes("some/model", f"../{sha256}", ())


def test_no_server(tmp_path: Path) -> None:
    done = avila(None, tmp_path, "model", "pull", "some/model")
    assert done.status == 2
    assert "check the connection" in done.err


# ---------------------------------------------------------------- names and files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def make_snapshot(cache: Path, name: str) -> Path:
    """Make the folder of a revision in the cache, as main."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    (place / "snapshots" / COMMIT).mkdir(parents=True)
    return place / "snapshots" / COMMIT


def test_a_name_finds_what_is_in_the_cache(cache: Path, tmp_path: Path) -> None:
    snapshot = make_snapshot(cache, "some/model")
    write_folder(snapshot / "x")
    for path in (snapshot / "x").iterdir():
        path.rename(snapshot / path.name)
    assert hub.find_model("some/model") == snapshot
    assert hub.find_model(Path("some/model")) == snapshot
    assert hub.find_model(tmp_path) == tmp_path, "a path that exists comes first"
    assert hub.find_model("no/such/path/at/all") == Path("no/such/path/at/all")
    with pytest.raises(ModelNotFoundError, match="avila model pull other/model"):
        hub.find_model("other/model")
    assert [model.name for model in hub.cached_models()] == ["some/model"]


def test_a_single_file_in_the_cache(cache: Path) -> None:
    snapshot = make_snapshot(cache, "some/single")
    save_single(ModelFolder(BUNDLED), snapshot / "a.safetensors")
    path = hub.find_model("some/single")
    assert path == snapshot / "a.safetensors"
    assert open_model(path, tokenizer=BUNDLED / "tokenizer").unet.in_channels == 4
    (snapshot / "b.safetensors").touch()
    with pytest.raises(ModelNotFoundError, match=r"holds 2 single files; name one: some/single/a"):
        hub.find_model("some/single")
    assert hub.find_model("some/single/b.safetensors") == snapshot / "b.safetensors"
    (snapshot / "c.gguf").touch()
    assert hub.find_model("some/single/c.gguf") == snapshot / "c.gguf"
    names = [model.name for model in hub.cached_models()]
    files = ("a.safetensors", "b.safetensors", "c.gguf")
    assert names == [f"some/single/{file}" for file in files]


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "../b", "a/..", "/a/b", "a/b/", "a b/c", "a/b\n", "a/.b", "-a/b"]
)
def test_names_that_are_none(name: str, cache: Path) -> None:
    with pytest.raises(SettingsError, match="give owner/name"):
        hub.cached_model(name)


@pytest.mark.parametrize("text", ["a" * 5000, "a/" * 3000])
def test_paths_that_cannot_be(text: str, cache: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="cannot be looked up: File name too long"):
        hub.find_model(text)


def test_references_lead_nowhere_else(cache: Path) -> None:
    snapshot = make_snapshot(cache, "some/model")
    (snapshot.parents[1] / "refs" / "main").write_text("../../../../etc", encoding="utf-8")
    assert hub.cached_model("some/model") is None
    with pytest.warns(match="some/model is not listed: .*refs.main names no commit"):
        assert hub.cached_models() == []


def weight_files(*kinds: str) -> list[str]:
    """Return the weights of three parts, each of a kind such as ``.fp16``."""
    stems = {"text_encoder": "model", "unet": "diffusion_pytorch_model"}
    stems["vae"] = stems["unet"]
    return [f"{part}/{stem}{kind}.safetensors" for part, stem in stems.items() for kind in kinds]


def test_variants() -> None:
    both = weight_files("", ".fp16")
    assert hub.choose_files(both) == sorted(weight_files(".fp16"))
    assert hub.choose_files(both, "plain") == sorted(weight_files(""))
    assert hub.choose_files(weight_files("")) == sorted(weight_files(""))
    assert hub.choose_files(weight_files(".fp16"), "plain") == sorted(weight_files(".fp16"))
    mixed = [*weight_files("")[:2], *weight_files("", ".fp16")[4:]]
    assert hub.choose_files(mixed) == sorted(weight_files(""))
    assert hub.choose_files(mixed, "fp16") == sorted(
        [*weight_files("")[:2], weight_files(".fp16")[2]]
    )
    assert hub.choose_files(weight_files(".non_ema", ".bin")) == []


def test_weights_in_several_files() -> None:
    stem = "unet/diffusion_pytorch_model"
    plain = [f"{stem}-0000{n}-of-00002.safetensors" for n in (1, 2)]
    half = [f"{stem}.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)]
    indices = [f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"]
    names = [*plain, *half, *indices]
    assert hub.choose_files(names, "plain") == sorted([*plain, indices[0]])
    assert hub.choose_files(names, "fp16") == sorted([*half, indices[1]])


def test_a_full_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = hub.RemoteFile("unet/a.safetensors", 2**62)
    offer = hub.Offer("some/model", "main", COMMIT, "mit", False, (large,), 2**62)
    with pytest.raises(OutputError, match=rf"{2**62} bytes are needed, and \d+ are free"):
        hub.pull(offer)


def test_licences(cache: Path) -> None:
    snapshot = make_snapshot(cache, "some/model")
    model = hub.CachedModel("some/model", COMMIT, snapshot)
    assert model.licence == "unknown"
    for card, licence in (
        ("---\nlicense: mit\n---", "mit"),
        ("---\nlicense_name: 'my-own'\n---", "my-own"),
        ("no card at all", "unknown"),
        ("---\nlicense: \x1b[31m\n---", "unknown"),
    ):
        (snapshot / "README.md").write_text(card, encoding="utf-8")
        assert model.licence == licence
