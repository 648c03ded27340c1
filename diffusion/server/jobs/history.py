"""The history: jobs, pictures and options in SQLite, in the output folder beside the pictures.

A request is written before its number is given out, and a picture's file before its row, so that
``kill -9`` at any place loses nothing that a client was told of. The journal is a write-ahead log;
a power cut may lose the last moments (``synchronous=NORMAL``) and never damages what is older. One
server at a time holds the file. All calls run on one thread, through `History.do`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from diffusion.infotext.grammar import parse_infotext
from diffusion.server.errors import ConfigurationError, UnavailableError
from diffusion.server.jobs.job import Job, JobState, Origin, PictureRecord, picture_report

__all__ = ["FoundPicture", "FoundPictures", "History", "PictureSearch", "StoredJob"]

P = ParamSpec("P")
T = TypeVar("T")

VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, user TEXT NOT NULL, interface TEXT NOT NULL, acknowledged INT NOT NULL,
  priority INT NOT NULL, key TEXT, digest TEXT NOT NULL, model TEXT NOT NULL, request TEXT,
  seed TEXT NOT NULL, count INT NOT NULL, state TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
  attempts INT NOT NULL DEFAULT 0, created REAL NOT NULL, ended REAL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (user, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_by_user ON jobs (user, id);
CREATE TABLE IF NOT EXISTS pictures (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INT NOT NULL,
  file TEXT NOT NULL, seed TEXT NOT NULL, width INT NOT NULL, height INT NOT NULL,
  infotext TEXT NOT NULL, partial INT NOT NULL, PRIMARY KEY (job, number)
) STRICT;
CREATE TABLE IF NOT EXISTS deadlines (
  job TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS options (user TEXT PRIMARY KEY, chosen TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ended_sessions (name TEXT PRIMARY KEY, ends INT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS hashes (
  path TEXT PRIMARY KEY, size INT NOT NULL, changed INT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
"""

_PROMPTS: Final = (
    "substr(infotext, 1, instr(infotext || char(10) || 'Steps: ', char(10) || 'Steps: '))"
)
"""The text of a picture before its settings: the prompt and the negative one."""


@dataclass(frozen=True)
class PictureSearch:
    """Which pictures are looked for.

    ``user``: None for those of all; ``words``: each in the prompt or the negative one; ``since``
    and ``until``: seconds since 1970; ``picture``: a job and a number.
    """

    user: str | None = None
    words: tuple[str, ...] = ()
    model: str | None = None
    since: float | None = None
    until: float | None = None
    picture: tuple[str, int] | None = None

    def condition(self) -> tuple[str, tuple[object, ...]]:
        """Return the condition in SQL, and its values."""
        job, number = self.picture or (None, None)
        tests: list[tuple[str, object]] = [
            ("jobs.user = ?", self.user),
            ("jobs.model = ?", self.model),
            ("jobs.created >= ?", self.since),
            ("jobs.created < ?", self.until),
            ("pictures.job = ?", job),
            ("pictures.number = ?", number),
            *((f"instr(fold({_PROMPTS}), ?) > 0", word.casefold()) for word in self.words),
        ]
        given = [each for each in tests if each[1] is not None]
        text = " AND ".join(["1", *(test for test, _ in given)])
        return text, tuple(value for _, value in given)


@dataclass(frozen=True)
class FoundPicture:
    """A picture with what the gallery shows of its job."""

    job: str
    model: str
    created: float
    picture: PictureRecord


@dataclass(frozen=True)
class FoundPictures:
    """A part of a search's pictures, and the number of all."""

    total: int
    pictures: list[FoundPicture]


@dataclass(frozen=True)
class StoredJob:
    """A job as the history has it. ``request``: JSON; None once it ended."""

    id: str
    model: str
    origin: Origin
    digest: str
    request: str | None
    state: JobState
    attempts: int
    created: float
    report: Mapping[str, object]


class History:
    """The database of one output folder. Raises `ConfigurationError` where it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.sqlite"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._thread.submit(self._open).result()

    def _open(self) -> None:
        try:
            self._db = sqlite3.connect(self.path, timeout=1, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            # SQLite's own lower() knows ASCII alone.
            self._db.create_function("fold", 1, str.casefold, deterministic=True)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                message = f"{self.path} was written by a newer version; update the server"
                raise ConfigurationError(message)
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            if "locked" in str(error):
                hint = "another server has it open; stop that one, or choose another output folder"
            else:
                hint = f"{error}; check the folder, or move the file away"
            raise ConfigurationError(f"{self.path} cannot be opened: {hint}") from error

    async def do(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Run a method of this history on its thread. Raises `UnavailableError` for a full disk."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: function(*args, **named))
        except sqlite3.OperationalError as error:
            message = f"the server's history cannot be used now ({error}); look at its disk"
            raise UnavailableError(message, 5) from error

    def close(self) -> None:
        """Finish what was begun, and close the file."""
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()

    # ------------------------------------------------------------------ jobs

    def add_job(self, job: Job, digest: str) -> None:
        """Write a new job."""
        origin = job.origin
        self._db.execute(
            "INSERT INTO jobs (id, user, interface, acknowledged, priority, key, digest, model,"
            " request, seed, count, state, created) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                job.id,
                origin.user,
                origin.interface,
                origin.acknowledged,
                origin.priority,
                origin.key,
                digest,
                job.model,
                job.request.model_dump_json(exclude_defaults=True),
                str(job.settings.seed),
                job.settings.count,
                job.state.value,
                job.created,
            ),
        )
        if origin.deadline is not None:
            values = job.id, origin.deadline
            self._db.execute("INSERT INTO deadlines (job, at) VALUES (?, ?)", values)

    def begin_job(self, job: Job) -> None:
        """Write that a job runs, and forget pictures of an earlier attempt."""
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM pictures WHERE job = ?", (job.id,))
        self._db.execute(
            "UPDATE jobs SET state = ?, attempts = ? WHERE id = ?",
            (JobState.RUNNING.value, job.attempts, job.id),
        )
        self._db.execute("COMMIT")

    def set_priority(self, job: str, priority: int) -> None:
        """Write another priority of a job."""
        self._db.execute("UPDATE jobs SET priority = ? WHERE id = ?", (priority, job))

    def end_job(self, job: str, state: JobState, message: str) -> None:
        """Write the end of a job. Its request goes: pictures in it are large."""
        self._db.execute(
            "UPDATE jobs SET state = ?, message = ?, ended = ?, request = NULL WHERE id = ?",
            (state.value, message, time.time(), job),
        )

    def add_picture(self, job: str, picture: PictureRecord) -> None:
        """Write a finished picture, whose file is there."""
        record = asdict(picture) | {"seed": str(picture.seed), "job": job}
        names = ", ".join(record)
        marks = ", ".join("?" * len(record))
        self._db.execute(
            f"INSERT OR REPLACE INTO pictures ({names}) VALUES ({marks})", tuple(record.values())
        )

    def unfinished_jobs(self) -> list[StoredJob]:
        """Return the jobs that a stop of the server cut off, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY id"
        )
        found = [self._job(row) for row in rows.fetchall()]
        deadlines = dict(self._db.execute("SELECT job, at FROM deadlines").fetchall())
        return [
            replace(each, origin=replace(each.origin, deadline=deadlines.get(each.id)))
            for each in found
        ]

    def job(self, job: str, user: str | None) -> StoredJob | None:
        """Return a job by its number; None where the ``user``, unless None, has no such."""
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        return None if row is None or user not in (None, row["user"]) else self._job(row)

    def job_by_key(self, user: str, key: str) -> StoredJob | None:
        """Return the job that a user sent with an idempotency key."""
        query = "SELECT * FROM jobs WHERE user = ? AND key = ?"
        row = self._db.execute(query, (user, key)).fetchone()
        return None if row is None else self._job(row)

    def jobs(self, user: str | None, before: str | None, limit: int) -> list[StoredJob]:
        """Return jobs, newest first: of a user, or of all if None; older than one if given."""
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE (?1 IS NULL OR user = ?1) AND (?2 IS NULL OR id < ?2)"
            " ORDER BY id DESC LIMIT ?3",
            (user, before, limit),
        )
        return [self._job(row) for row in rows.fetchall()]

    def pictures(self, job: str) -> list[PictureRecord]:
        """Return the pictures of a job in order."""
        rows = self._db.execute("SELECT * FROM pictures WHERE job = ? ORDER BY number", (job,))
        return [_picture(row) for row in rows.fetchall()]

    def search_pictures(self, search: PictureSearch, offset: int, limit: int) -> FoundPictures:
        """Return pictures of a search, newest first, and how many there are in all."""
        where, values = search.condition()
        source = f"FROM pictures JOIN jobs ON jobs.id = pictures.job WHERE {where}"
        total = self._db.execute(f"SELECT count(*) {source}", values).fetchone()[0]
        rows = self._db.execute(
            f"SELECT pictures.*, jobs.model AS model, jobs.created AS created {source}"
            " ORDER BY pictures.job DESC, pictures.number DESC LIMIT ? OFFSET ?",
            (*values, limit, offset),
        )
        found = [
            FoundPicture(row["job"], row["model"], row["created"], _picture(row))
            for row in rows.fetchall()
        ]
        return FoundPictures(total, found)

    def drop_picture(self, job: str, number: int) -> None:
        """Forget a picture, whose file may then be deleted."""
        self._db.execute("DELETE FROM pictures WHERE job = ? AND number = ?", (job, number))

    def _job(self, row: Any) -> StoredJob:
        done = row["state"] == JobState.DONE.value
        pictures = self.pictures(row["id"])
        report = {
            **{name: row[name] for name in ("id", "state", "model", "count", "priority")},
            "worker": None,
            "prompt": _prompt(row["request"], pictures),
            "seed": int(row["seed"]),
            "created": row["created"],
            "ended": row["ended"],
            "stage": "",
            "step": 0,
            "steps": 0,
            "progress": 1.0 if done else 0.0,
            "eta_seconds": None,
            "preview": None,
            "message": row["message"],
            "pictures": [picture_report(row["id"], each) for each in pictures],
        }
        origin = Origin(
            user=row["user"],
            interface=row["interface"],
            acknowledged=bool(row["acknowledged"]),
            priority=row["priority"],
            key=row["key"],
        )
        return StoredJob(
            id=row["id"],
            model=row["model"],
            origin=origin,
            digest=row["digest"],
            request=row["request"],
            state=JobState(row["state"]),
            attempts=row["attempts"],
            created=row["created"],
            report=report,
        )

    # ------------------------------------------------------------------ options, sessions, hashes

    def options(self, user: str) -> dict[str, object]:
        """Return what a user chose with ``POST /sdapi/v1/options``."""
        row = self._db.execute("SELECT chosen FROM options WHERE user = ?", (user,)).fetchone()
        return {} if row is None else dict(json.loads(row["chosen"]))

    def set_options(self, user: str, chosen: Mapping[str, object]) -> None:
        """Write a user's options."""
        query = "INSERT OR REPLACE INTO options (user, chosen) VALUES (?, ?)"
        self._db.execute(query, (user, json.dumps(dict(chosen))))

    def end_session(self, name: str, ends: int) -> None:
        """Keep the name of a session whose user signed out, until it would end by itself."""
        self._db.execute("DELETE FROM ended_sessions WHERE ends < ?", (time.time(),))
        self._db.execute("INSERT OR REPLACE INTO ended_sessions VALUES (?, ?)", (name, ends))

    def ended_sessions(self) -> list[str]:
        """Return the names of sessions whose users signed out."""
        return [name for (name,) in self._db.execute("SELECT name FROM ended_sessions").fetchall()]

    def hash_of(self, path: Path) -> str | None:
        """Return the SHA-256 of a file that has not changed since; None where it is not known."""
        facts = path.stat()
        query = "SELECT sha256 FROM hashes WHERE path = ? AND size = ? AND changed = ?"
        key = (str(path), facts.st_size, facts.st_mtime_ns)
        row = self._db.execute(query, key).fetchone()
        return None if row is None else str(row["sha256"])

    def set_hashes(self, known: Iterable[tuple[Path, str]]) -> None:
        """Keep the SHA-256 of files."""
        for path, digest in known:
            facts = path.stat()
            self._db.execute(
                "INSERT OR REPLACE INTO hashes (path, size, changed, sha256) VALUES (?, ?, ?, ?)",
                (str(path), facts.st_size, facts.st_mtime_ns, digest),
            )


def _picture(row: Any) -> PictureRecord:
    return PictureRecord(
        number=row["number"],
        file=row["file"],
        seed=int(row["seed"]),
        width=row["width"],
        height=row["height"],
        infotext=row["infotext"],
        partial=bool(row["partial"]),
    )


def _prompt(request: str | None, pictures: Sequence[PictureRecord]) -> str:
    """Return the prompt of a job; once it has ended, that of its first picture."""
    if request is not None:
        return str(json.loads(request).get("prompt", ""))
    return parse_infotext(pictures[0].infotext).prompt if pictures else ""
