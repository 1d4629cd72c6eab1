"""The session directory: all that actor, learner and operator share about one run."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec

from daydreamer.config import SessionConfig, encode_yaml, load_yaml
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.session.atomic import write_atomically
from daydreamer.spec import RobotSpec, spec_difference

FORMAT_VERSION = 1
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
    """

    format_version: int
    started: str
    seed: int
    spec_hash: str
    versions: dict[str, str]
    config: SessionConfig
    robot_spec: RobotSpec


class Session:
    """Paths and record of one session; opening one locks nothing and changes nothing.

    Attributes:
      path: of the directory.
      record: content of `session.yaml`.
    """

    def __init__(self, path: Path, record: SessionRecord):
        self.path = path
        self.record = record

    @classmethod
    def create(cls, path: Path | str, config: SessionConfig, spec: RobotSpec) -> Session:
        """A new session in a new or empty directory.

        Raises:
          UserError: there is something at `path` already, or it cannot be written.
        """
        path = Path(path).absolute()
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; choose another --session.")
        if _record_path(path).exists():
            raise UserError(
                f"{path} is a session already; go on with 'daydreamer resume {path}', under ros2 launch with "
                f"resume:={path}, or choose another --session."
            )
        record = SessionRecord(
            format_version=FORMAT_VERSION,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seed=config.seed,
            spec_hash=spec.hash,
            versions=_versions(),
            config=config,
            robot_spec=spec,
        )
        session = cls(path, record)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise UserError(f"{path} is not empty and not a session; choose another --session or empty it.")
            for directory in session._directories:
                directory.mkdir()
            # Last, because its presence is what makes the directory a session.
            write_atomically(_record_path(path), encode_yaml(record))
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); choose another --session.") from error
        return session

    @classmethod
    def open(cls, path: Path | str) -> Session:
        """An existing session.

        Raises:
          UserError: there is none at `path`, or its `session.yaml` is not valid; names the key.
        """
        path = Path(path).absolute()
        if not _record_path(path).is_file():
            what = "does not exist" if not path.exists() else "is not a session: it has no session.yaml"
            raise UserError(f"{path} {what}; start one with 'daydreamer walk --session {path}'.")
        values = load_yaml(_record_path(path))
        version = values.get("format_version") if isinstance(values, dict) else None
        if version != FORMAT_VERSION:
            raise UserError(
                f"{_record_path(path)} has format version {version}, this program reads {FORMAT_VERSION}; use the "
                "version that wrote it."
            )
        try:
            record = msgspec.convert(values, SessionRecord, strict=False)
        except msgspec.ValidationError as error:
            raise UserError(f"{_record_path(path)} is wrong: {error}. Restore what was written there.") from error
        return cls(path, record)

    @property
    def launch_record(self) -> Path:
        """How `ros2 launch` drove the robot, if it did."""
        return self.path / "launch.json"

    @property
    def wiring(self) -> Path:
        """Over which interface and topics the robot is driven."""
        return self.path / "wiring.json"

    def resume_command(self, further_minutes: float | None = None) -> str:
        """What an operator types to go on with it, by the command that it was begun with."""
        if self.launch_record.exists():
            length = "" if further_minutes is None else f" minutes:={further_minutes:g}"
            return f"ros2 launch daydreamer walk.launch.py resume:={self.path}{length}"
        length = "" if further_minutes is None else f" --minutes {further_minutes:g}"
        return f"daydreamer resume {self.path}{length}"

    @property
    def config(self) -> SessionConfig:
        return self.record.config

    @property
    def spec(self) -> RobotSpec:
        return self.record.robot_spec

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

    @contextlib.contextmanager
    def lock(self, role: str = "session") -> Iterator[None]:
        """Holds a role of this session, so that there is one actor, one learner and one command at a time.

        The kernel releases the lock when the process ends, however it ends.

        Raises:
          UserError: another process holds it; names its pid.
        """
        path = self._locks / f"{role}.lock"
        try:
            self._locks.mkdir(exist_ok=True)
            # No link is followed: in a stranger's session it could lead to any file of the operator's.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written ({error.strerror}); free some space, or check the disk and its permissions."
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
                raise UserError(
                    f"{self.path} is already in use by pid {holder} (as {role}); stop that process, or choose another "
                    "session."
                ) from error
            # On a full disk nobody learns who holds the lock; it is held all the same.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _record_path(path: Path) -> Path:
    return path / "session.yaml"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
