"""The session directory: all that actor, learner and operator share about one run."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from daydreamer.config import SessionConfig, decode_yaml, encode_yaml, take_unknown
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.presentation import Presentation
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.session.demonstrated import Demonstrated, Recorded
from daydreamer.session.formats import FORMAT_VERSION, rename_settings, upgrade
from daydreamer.session.parentage import Parentage
from daydreamer.session.played import PlayedPolicy
from daydreamer.spec import RobotSpec, spec_difference
from daydreamer.storage.atomic import write_atomically
from daydreamer.storage.files import FOLDER_MODE, find_foreign, make_folder, open_file, read_file

Teacher = Literal["scripted", "keyboard", "gamepad", "leader", "imported"]
_TEACHERS: Mapping[Teacher, str] = {
    "scripted": "a scripted teacher",
    "keyboard": "an operator at the keyboard",
    "gamepad": "an operator with a gamepad",
    "leader": "an operator with a leader arm",
    "imported": "whoever recorded the dataset",
}

RECORD_BYTES = 1 << 20
"""A `session.yaml` has some ten thousand."""
# Whatever influences a result; absent ones are left out.
_PACKAGES = (
    "daydreamer",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "mujoco",
    "dm-control",
    "numpy",
    "mcap",
)


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Content of `session.yaml`: what was run.

    Attributes:
      format_version: of the session directory.
      started: UTC, ISO 8601.
      seed: as in the configuration.
      spec_hash: of the robot's specification.
      versions: of Python and the packages that matter, by name, and the platform.
      config: full and resolved.
      robot_spec: what the robot senses and does.
      presentation: how it is shown; None in sessions that were begun before there were any.
      robot_package: the package that brought the robot.
      plays: the frozen policy that it plays; None for a session that learns.
      parent: the session that it began with; None for one that began with nothing learned.
      demonstrations: the sessions that it was shown something in.
      logs: the sessions from whose experience it learns offline; none for one that has a robot of its own.
      teacher: who chose in it, where nobody learns, 'imported' for whoever has recorded a dataset; None where somebody
        learns, or a policy is played.
    """

    format_version: int
    started: str
    seed: int
    spec_hash: str
    versions: dict[str, str]
    config: SessionConfig
    robot_spec: RobotSpec
    presentation: Presentation | None = None
    robot_package: Annotated[str, msgspec.Meta(max_length=100)] = "daydreamer"
    plays: PlayedPolicy | None = None
    parent: Parentage | None = None
    demonstrations: Annotated[tuple[Demonstrated, ...], msgspec.Meta(max_length=1000)] = ()
    logs: Annotated[tuple[Recorded, ...], msgspec.Meta(max_length=1000)] = ()
    teacher: Teacher | None = None


class Session:
    """Paths and record of one session; opening one locks nothing and changes nothing.

    Attributes:
      path: of the directory, absolute and without links, see `daydreamer.storage.files`.
      record: content of `session.yaml`.
      digest: SHA-256 of the file; the logs say by which one they were recorded.
      unknown: settings in the file that this version does not have, as 'learner.batch_seize'.
    """

    def __init__(self, path: Path, record: SessionRecord, digest: str, unknown: tuple[str, ...] = ()):
        self.path = path
        self.record = record
        self.digest = digest
        self.unknown = unknown

    @classmethod
    def create(
        cls,
        path: Path | str,
        config: SessionConfig,
        spec: RobotSpec,
        presentation: Presentation | None = None,
        robot_package: str = "daydreamer",
        plays: PlayedPolicy | None = None,
        parent: Parentage | None = None,
        endow: Callable[[Session], object] = lambda session: None,
        *,
        demonstrations: tuple[Demonstrated, ...] = (),
        logs: tuple[Recorded, ...] = (),
        teacher: Teacher | None = None,
    ) -> Session:
        """A new session in a new or empty directory.

        Args:
          parent: the session that it begins with.
          endow: puts what comes of others into the directory, before it becomes a session.
          demonstrations, logs, teacher: see `SessionRecord`.

        Raises:
          UserError: there is something at `path` already, or it cannot be written.
        """
        path = _without_links(path)
        if os.path.exists(path) and not os.path.isdir(path):
            raise UserError(f"{path} is a file; choose another directory.")
        if os.path.lexists(_record_path(path)):
            raise UserError(
                f"{path} is a session already; go on with 'daydreamer resume {path}', under ros2 launch with "
                f"resume:={path}, or choose another directory for a new one."
            )
        record = SessionRecord(
            format_version=FORMAT_VERSION,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seed=config.seed,
            spec_hash=spec.hash,
            versions=_versions(),
            config=config,
            robot_spec=spec,
            presentation=presentation,
            robot_package=robot_package,
            plays=plays,
            parent=parent,
            demonstrations=demonstrations,
            logs=logs,
            teacher=teacher,
        )
        content = encode_yaml(record)
        session = cls(path, record, _digest(content))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One that is there already is as open to others as its owner has made it.
            path.mkdir(mode=FOLDER_MODE, exist_ok=True)
            if any(path.iterdir()):
                raise UserError(f"{path} is not empty and not a session; choose another directory, or empty it.")
            for directory in session._directories:
                make_folder(directory)
            session._endow(endow)
            # Last, because its presence is what makes the directory a session.
            write_atomically(_record_path(path), content)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); choose another directory.") from error
        return session

    def _endow(self, endow: Callable[[Session], object]) -> None:
        """Leaves an empty directory, which can be tried again, where it fails."""
        try:
            endow(self)
        except BaseException:
            for each in self.path.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            raise

    @classmethod
    def open(cls, path: Path | str) -> Session:
        """An existing session. Settings that this version does not have are passed over, see `unknown`.

        Raises:
          UserError: there is none at `path`, or its `session.yaml` is not valid; names the key.
        """
        path = _without_links(path)
        record_path = _record_path(path)
        try:
            content = read_file(record_path, RECORD_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            what = "does not exist" if not os.path.exists(path) else "is not a session: it has no session.yaml"
            if os.path.lexists(record_path):
                what = f"is not a session: {error.strerror}"
            raise UserError(f"{path} {what}; {_where_sessions_are(path)}") from error
        except OSError as error:
            raise UserError(f"{record_path} cannot be read ({error.strerror}); {_cure(path, error)}.") from error
        values = decode_yaml(content, str(record_path))
        version = values.get("format_version") if isinstance(values, dict) else None
        if version not in (1, FORMAT_VERSION):
            raise UserError(
                f"{record_path} has format version {version}, this program reads up to {FORMAT_VERSION}; use the "
                "version that wrote it."
            )
        try:
            if version == 1:
                upgrade(values)
        except ValueError as error:
            raise UserError(f"{record_path} is wrong: {error}. Restore what was written there.") from error
        rename_settings(values)
        unknown = tuple(take_unknown(values, SessionRecord))
        try:
            record = msgspec.convert(values, SessionRecord, strict=False)
            record.robot_spec.check()
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            raise UserError(f"{record_path} is wrong: {error}. Restore what was written there.") from error
        return cls(path, record, _digest(content), unknown)

    @property
    def problems(self) -> list[str]:
        """What is wrong with `session.yaml`, one sentence each; whoever only reads goes on all the same."""
        problems = []
        if self.unknown:
            problems.append(
                f"{_record_path(self.path)} has settings that this version does not have: {', '.join(self.unknown)}; "
                "they are passed over."
            )
        if self.record.spec_hash != self.spec.hash:
            problems.append(
                f"{_record_path(self.path)} has been changed: it says that the robot specification is "
                f"{self.record.spec_hash}, but what it describes is {self.spec.hash}."
            )
        return problems

    @property
    def launch_record(self) -> Path:
        """How `ros2 launch` drove the robot, if it did."""
        return self.path / "launch.json"

    @property
    def wiring(self) -> Path:
        """Over which interface and topics the robot is driven."""
        return self.path / "wiring.json"

    @property
    def known_motions(self) -> Path:
        """What the robot knows of getting up."""
        return self.path / "known_motions.json"

    def resume_command(self, further_minutes: float | None = None) -> str:
        """What an operator types to go on with it, by the command that it was begun with; offline, with a robot."""
        if self.is_offline:
            body = "" if self.config.body == "twin" else f" --body {self.config.body}"
            return f"daydreamer learn {self.config.robot} {self.config.task}{body} --from {self.path}"
        if os.path.lexists(self.launch_record):
            length = "" if further_minutes is None else f" minutes:={further_minutes:g}"
            file = "walk.launch.py" if self.config.task == "walk" else "learn.launch.py"
            return f"ros2 launch daydreamer {file} resume:={self.path}{length}"
        length = "" if further_minutes is None else f" --minutes {further_minutes:g}"
        return f"daydreamer resume {self.path}{length}"

    @property
    def config(self) -> SessionConfig:
        return self.record.config

    @property
    def spec(self) -> RobotSpec:
        return self.record.robot_spec

    @property
    def plays(self) -> PlayedPolicy | None:
        """The frozen policy that drives the robot, where nobody learns; None for a session that learns."""
        return self.record.plays

    @property
    def learns(self) -> bool:
        """Whether there is a learner: nobody learns where a frozen policy plays, or a teacher shows."""
        return self.plays is None and self.record.teacher is None

    @property
    def is_offline(self) -> bool:
        """Whether it learns from what others have recorded, and no robot moves."""
        return bool(self.record.logs)

    @property
    def driven_by(self) -> tuple[str, str] | None:
        """What drives the robot where nobody learns, as ('plays', 'policy 431 of monday'); None if somebody does."""
        if self.plays is not None:
            return "plays", self.plays.words
        return None if self.teacher is None else ("shown by", self.teacher)

    @property
    def teacher(self) -> str | None:
        """Who has shown the task where nobody learns, as 'a scripted teacher'; None if that is not so."""
        return None if self.record.teacher is None else _TEACHERS[self.record.teacher]

    @property
    def presentation(self) -> Presentation:
        """The task's own; for a session that was begun before there were any, that of the robots of that time."""
        if self.record.presentation is not None:
            return self.record.presentation
        return WALK if self.spec.task == "walk" else Presentation()

    @property
    def experience(self) -> Path:
        return self.path / "experience"

    @property
    def policy(self) -> Path:
        return self.path / "policy"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def inherited(self) -> Path:
        """Experience of others: of the session that it began with, demonstrations, or logs it learns from offline."""
        return self.path / "inherited"

    @property
    def held_out(self) -> Path:
        """What is held out of the logs that it learns from offline: by it is judged, and nothing is learned from it."""
        return self.path / "held_out"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    @property
    def status(self) -> Path:
        return self.path / "status"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def dreams(self) -> Path:
        return self.path / "dreams"

    @property
    def labels(self) -> Path:
        """What an operator has said of pictures: whether the task has been done there."""
        return self.path / "labels"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def _directories(self) -> tuple[Path, ...]:
        return (self.experience, self.policy, self.checkpoints, self.metrics, self.status, self.report, self._locks)

    @property
    def _locks(self) -> Path:
        return self.path / "locks"

    def require_spec(self, spec: RobotSpec) -> None:
        """Refuses to go on with another robot.

        Raises:
          SpecMismatch: names both hashes and what differs.
        """
        if spec.hash != self.spec.hash:
            raise SpecMismatch(
                f"{self.path} was begun with robot specification {self.spec.hash}, this robot's is {spec.hash}: "
                f"{spec_difference(spec, self.spec)}. Start a new session."
            )

    def require_resumable(self) -> None:
        """Refuses what can be looked at, but not gone on with.

        That is a session with settings that this version does not have, and one in which something leads out of its
        directory: libraries open files there that know nothing of strangers.

        Raises:
          UserError: names the settings, or the first link, pipe, socket or device.
        """
        if self.unknown:
            raise UserError(
                f"{self.path} was recorded with settings that this version of daydreamer does not have: "
                f"{', '.join(self.unknown)}. Go on with the version that recorded it "
                f"({self.record.versions.get('daydreamer', 'unknown')}), or without what they did: delete them from "
                f"{_record_path(self.path)}. To look at it 'daydreamer status' and 'report' work as they are."
            )
        for path, what in find_foreign(self.path):
            raise UserError(
                f"{path} is {what}; all that belongs to a session lies in its directory. Put a copy in its place, or "
                "remove it."
            )

    @contextlib.contextmanager
    def lock(self, role: str = "session") -> Iterator[None]:
        """Holds a role of this session, so that there is one actor, one learner and one command at a time.

        The kernel releases the lock when the process ends, however it ends. It is held on two things: the lock file,
        which says by whom, and a folder of the session, which cannot be deleted by a mistake that leaves a session.

        Raises:
          UserError: another process holds it; names its pid. Or the session is not one to be gone on with, see
            `require_resumable`.
        """
        self.require_resumable()
        path = self._locks / f"{role}.lock"
        with contextlib.ExitStack() as stack:
            try:
                make_folder(self._locks)
                descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                raise UserError(f"{path} cannot be written ({error.strerror}); {_cure(self.path, error)}.") from error
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise self._in_use(role, f"by pid {_holder(descriptor)} (as {role})") from error
            if role in _LOCKED_FOLDERS:
                folder = os.open(self.path / _LOCKED_FOLDERS[role], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, folder)
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise self._in_use(role, f"(as {role}) by a process whose lock file has been deleted") from error
                except OSError:  # a file system that does not lock folders
                    pass
            # On a full disk nobody learns who holds the lock; it is held all the same.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield

    def _in_use(self, role: str, by: str) -> UserError:
        return UserError(f"{self.path} is already in use {by}; stop that process, or choose another session.")


_LOCKED_FOLDERS = {
    "session": ".",
    "actor": "experience",
    "learner": "checkpoints",
    "twin": "status",
    "dashboard": "metrics",
}


def _holder(descriptor: int) -> str:
    """The pid in a lock file, if one stands there."""
    try:
        return str(int(os.pread(descriptor, 16, 0)))
    except ValueError:
        return "unknown"


def _began_s(path: Path) -> float:
    return _record_path(path).stat().st_mtime


def _where_sessions_are(path: Path) -> str:
    """What an operator who named `path` may have meant."""
    folder = path if path.is_dir() else path.parent
    with contextlib.suppress(OSError):
        there = {each.name: each for each in folder.iterdir() if os.path.lexists(_record_path(each))}
        if folder != path and (near := difflib.get_close_matches(path.name, there, 1)):
            return f"did you mean {there[near[0]]}?"
        if there:
            return f"the newest session in {folder} is {max(there.values(), key=_began_s)}."
    return f"say where one is, as sessions/TIME, or start one with 'daydreamer walk --session {path}'."


def _without_links(path: Path | str) -> Path:
    """The place that a path leads to; the operator's own links on the way to a session are followed."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is a RuntimeError before Python 3.13
        raise UserError(f"{path} leads nowhere ({error}); choose another directory.") from error


def _cure(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"if it was recorded by another user, as with sudo, make it yours: sudo chown -R $USER {path}"
    return "free some space, or check the disk and its permissions"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _record_path(path: Path) -> Path:
    return path / "session.yaml"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
