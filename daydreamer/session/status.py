"""How a session is doing: each process writes a small file, the reader assembles them with what the logs say."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import last_sequence
from daydreamer.session.demonstrated import Demonstrated, Recorded
from daydreamer.session.directory import Session
from daydreamer.session.parentage import Parentage
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import list_folder, read_file, remove_file
from daydreamer.texts import decode_json, seal_json, unseal_json
from daydreamer.timing import LatencySummary

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
SILENT_S = 30.0
"""A process in another container, whose pid says nothing here, counts as gone when it has not reported for so long."""
STATUS_BYTES = 1 << 18
"""A status has some thousand."""
ProcessState = Literal["starting", "waiting", "running", "stopped", "failed"]


class ProcessIdentity(msgspec.Struct, frozen=True):
    """Names a process beyond doubt.

    Attributes:
      boot_id: of the machine's start.
      process_start: in clock ticks since then.
      pid_namespace: in which its pid is this one, as each container has its own; 0 of an earlier version.
    """

    pid: int
    boot_id: str
    process_start: int
    pid_namespace: int = 0

    @classmethod
    def of_this_process(cls) -> ProcessIdentity:
        return cls(os.getpid(), _boot_id(), _own_start(), _pid_namespace())

    @property
    def is_known_here(self) -> bool:
        """Whether its pid means something to this process."""
        return self.boot_id == _boot_id() and self.pid_namespace in (0, _pid_namespace())

    def is_alive(self) -> bool:
        """The process exists, and is known here; another one that got its pid does not count, nor does a zombie."""
        return self.is_known_here and _process_start(self.pid) == self.process_start


class ProcessStatus(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every process reports; None is 'not known'.

    Attributes:
      state: 'waiting' is for input, 'stopped' a clean end, 'failed' an end by an error that was reported.
      pid, heartbeat_wall_s: filled in by the writer, as the rest.
      heartbeat_steady_s: on a clock that nobody sets and that all processes since the machine's last start share.
      boot_id: of that start of the machine.
      process_start: in clock ticks since then.
      pid_namespace: see `ProcessIdentity`, which these four make up.
    """

    state: ProcessState
    pid: int = 0
    heartbeat_wall_s: float = 0.0
    heartbeat_steady_s: float = 0.0
    boot_id: str = ""
    process_start: int = 0
    pid_namespace: int = 0

    @property
    def identity(self) -> ProcessIdentity:
        """Names the process beyond doubt."""
        return ProcessIdentity(self.pid, self.boot_id, self.process_start, self.pid_namespace)


class ActorStatus(ProcessStatus):
    """What the actor reports.

    Attributes:
      env_steps, episodes: of the whole session.
      control_rate_hz: measured.
      ticks: of the control loop since it began; None of an earlier version, which did not say.
      deadline_misses: those of them that came late. A life ends where its log is full, and the loop goes on.
      ticks_per_step: of the loop for each control step; more than one where the policy chooses seldom.
      actor_step_ms: from control tick to command.
      policy_version: in use; policy_age_s is the time since it was published, None for one that is to stay.
      safety_events: commands that carried a safety flag, of this life; safety_counts by flag.
      safety_state: see `daydreamer.safety.states`; safety_cause is what led there.
      watchdogs_raised: action by name of each watchdog that is raised.
      watchdog_trips: how often each was, of this life.
      intervention_steps: logged steps of this life whose action an operator chose.
      plans: carried out in this life; None where the policy acts alone.
      plans_late: control steps of this life at which it acted alone all the same, see `policy.planning.Planner`.
      planned_steps: imagined for plans in the whole session.
      plan_ms: time to plan.
      state_age_s: of the newest usable measurement, at the last tick.
      learner_silence_s: time since the learner's last sign of life, or since the actor was started; None where there is
        no learner.
      learner_starting: whether the learner has yet to be seen at work, for the first time or after an end; likewise.
      tick_jitter_ms: how late ticks begin.
      reward_recent: mean per step; figures_recent: the same of the headline figures, by quantity, see
        `daydreamer.presentation`.
      stuck_s: robot time for which the policy has been paid nothing, where that is long and an operator can show by
        keys what pays; see `daydreamer.actor.stuck`.
      forward_velocity_recent: of earlier versions, in m/s; read as the figure 'info/forward_velocity_m_s'.
      milestones_s: robot seconds at which each was first reached, by name; see `daydreamer.telemetry.milestones`.
        Judged by what the robot measures in a live session, by the simulator's truth, where it has one, in lock-step.
      append_ms: time to log a step.
      image_age_s: of the picture that the policy saw last; None without a camera, or before the first.
      camera: topic, size, encoding and rate of what the camera sends, for people; None without one.
      notices: sentences for the operator, about what is so now.
    """

    env_steps: int | None = None
    episodes: int | None = None
    control_rate_hz: float | None = None
    ticks: int | None = None
    deadline_misses: int | None = None
    ticks_per_step: int = 1
    actor_step_ms: LatencySummary | None = None
    policy_version: int | None = None
    policy_age_s: float | None = None
    safety_events: int | None = None
    safety_counts: dict[str, int] | None = None
    safety_state: str | None = None
    safety_cause: str | None = None
    watchdogs_raised: dict[str, str] | None = None
    watchdog_trips: dict[str, int] | None = None
    intervention_steps: int | None = None
    plans: int | None = None
    plans_late: int | None = None
    planned_steps: int | None = None
    plan_ms: LatencySummary | None = None
    state_age_s: float | None = None
    learner_silence_s: float | None = None
    learner_starting: bool | None = None
    tick_jitter_ms: LatencySummary | None = None
    reward_recent: float | None = None
    stuck_s: float | None = None
    figures_recent: dict[str, float] | None = None
    forward_velocity_recent: float | None = None
    milestones_s: dict[str, float] | None = None
    actor_life: int | None = None
    last_logged_sequence: int | None = None
    append_ms: LatencySummary | None = None
    image_age_s: float | None = None
    camera: str | None = None
    notices: list[str] | None = None


class LearnerStatus(ProcessStatus):
    """What the learner reports.

    Attributes:
      gradient_steps, imagined_steps: of the whole session.
      train_ratio: replayed steps per environment step, measured.
      replay_steps: held now.
      append_to_replay_ms: from a step's wall time to its being in the replay.
      last_publish_version: of the policy.
      device: that it learns on, as 'cpu' or 'NVIDIA H100'.
      idle_gpus: NVIDIA GPUs that this machine has while it learns on the CPU.
    """

    gradient_steps: int | None = None
    imagined_steps: int | None = None
    train_ratio: float | None = None
    replay_steps: int | None = None
    append_to_replay_ms: LatencySummary | None = None
    updates_per_s: float | None = None
    last_publish_version: int | None = None
    device: str | None = None
    idle_gpus: int | None = None


class TwinStatus(ProcessStatus):
    """What the simulated robot reports.

    Attributes:
      robot_seconds: simulated.
      real_time_factor: simulated time over wall time.
      step_ms: physics of one control period.
      command_age_s: since the last command arrived.
      forward_velocity_m_s: the simulator's truth, mean over 10 s; for evaluation only.
    """

    robot_seconds: float | None = None
    real_time_factor: float | None = None
    step_ms: LatencySummary | None = None
    command_age_s: float | None = None
    forward_velocity_m_s: float | None = None


class WalkStatus(ProcessStatus):
    """What the command that runs a session reports.

    Attributes:
      elapsed_s: of this command.
      message: for the operator.
    """

    elapsed_s: float | None = None
    message: str | None = None


ROLES: dict[str, type[ProcessStatus]] = {
    "walk": WalkStatus,
    "actor": ActorStatus,
    "learner": LearnerStatus,
    "twin": TwinStatus,
    "keeper": ProcessStatus,
}


class ProcessSummary(msgspec.Struct, kw_only=True):
    """One process as the reader sees it; 'crashed' is one that is gone without having said so."""

    state: str
    pid: int
    heartbeat_age_s: float


class SessionStatus(msgspec.Struct, kw_only=True):
    """What `daydreamer status --json` prints; None where it is not known.

    Attributes:
      state: 'running', 'stopped', or 'crashed' if any process ended with an error or is gone without a word.
      plays: which frozen policy, in words; None for a session that learns.
      env_steps: as logged, over all actor lives.
      robot_seconds: of experience at the nominal control rate.
      last_logged_sequence: by actor life, taken from the logs.
      imagined_per_real_step: by the learner, and for plans.
      processes: by role.
      parent: the session that it began with; None for one that began with nothing learned.
      demonstrations, logs: sessions that it learns from.
      problems: what could not be read, one sentence each.
      notices: none of an actor that is gone.
      The others: see `ActorStatus` and `LearnerStatus`.
    """

    state: Literal["running", "stopped", "crashed"]
    plays: str | None = None
    env_steps: int | None = None
    robot_seconds: float | None = None
    episodes: int | None = None
    gradient_steps: int | None = None
    imagined_steps: int | None = None
    imagined_per_real_step: float | None = None
    train_ratio: float | None = None
    policy_version: int | None = None
    policy_age_s: float | None = None
    control_rate_hz: float | None = None
    ticks: int | None = None
    deadline_misses: int | None = None
    ticks_per_step: int = 1
    actor_step_ms: LatencySummary = LatencySummary()
    append_ms: LatencySummary = LatencySummary()
    append_to_replay_ms: LatencySummary = LatencySummary()
    replay_steps: int | None = None
    updates_per_s: float | None = None
    last_publish_version: int | None = None
    device: str | None = None
    idle_gpus: int | None = None
    last_logged_sequence: dict[int, int] = {}
    safety_events: int | None = None
    safety_counts: dict[str, int] = {}
    safety_state: str | None = None
    safety_cause: str | None = None
    watchdogs_raised: dict[str, str] = {}
    watchdog_trips: dict[str, int] = {}
    intervention_steps: int | None = None
    plans: int | None = None
    plans_late: int | None = None
    planned_steps: int | None = None
    plan_ms: LatencySummary = LatencySummary()
    state_age_s: float | None = None
    image_age_s: float | None = None
    camera: str | None = None
    learner_silence_s: float | None = None
    learner_starting: bool | None = None
    tick_jitter_ms: LatencySummary = LatencySummary()
    reward_recent: float | None = None
    stuck_s: float | None = None
    figures_recent: dict[str, float] = {}
    milestones_s: dict[str, float] = {}
    notices: list[str] = []
    processes: dict[str, ProcessSummary] = {}
    parent: Parentage | None = None
    demonstrations: tuple[Demonstrated, ...] = ()
    logs: tuple[Recorded, ...] = ()
    problems: list[str] = []


class StatusWriter:
    """Writes the status file of one process; about once a second is often enough."""

    def __init__(self, session: Session, role: str):
        """`role` is one of ROLES."""
        self._type = ROLES[role]
        self._path = _status_path(session, role)

    def write(self, status: ProcessStatus | Mapping[str, Any]) -> None:
        """Replaces the status, with a fresh heartbeat.

        Raises:
          msgspec.ValidationError: a field that the role does not have, or of a wrong type.
          UserError: the file cannot be written.
        """
        # Through JSON, so that numpy scalars become numbers and values that are not finite become null.
        typed = msgspec.json.decode(msgspec.json.encode(status, enc_hook=_to_builtin), type=self._type)
        own = ProcessIdentity.of_this_process()
        typed.pid, typed.boot_id = own.pid, own.boot_id
        typed.process_start, typed.pid_namespace = own.process_start, own.pid_namespace
        typed.heartbeat_wall_s, typed.heartbeat_steady_s = time.time(), time.monotonic()
        with writing("The status", self._path):
            # Not synced: it is out of date after a power loss anyway.
            write_atomically(self._path, seal_json(msgspec.json.encode(typed)), durable=False)

    def attempt(self, status: ProcessStatus | Mapping[str, Any]) -> None:
        """As `write`, but a disk that does not take it is complained about on stderr and no reason to end."""
        try:
            self.write(status)
        except UserError as error:
            logging.error("%s", error)


def forget_status(session: Session, role: str) -> None:
    """What a process in this role reported last does not count any more: nobody is in it now."""
    with contextlib.suppress(OSError):
        remove_file(_status_path(session, role))


def reported_roles(session: Session) -> list[str]:
    """Roles whose processes have ever reported, and have not been forgotten."""
    try:
        there = set(list_folder(session.status))
    except OSError:
        return []
    return [role for role in ROLES if _status_path(session, role).name in there]


def read_status(session: Session) -> dict[str, Any]:
    """`SessionStatus` as plain values for JSON; what is missing is None."""
    problems = list(session.problems)
    roles = {role: _read_role(session, role, problems) for role in ROLES}
    actor, learner = roles["actor"], roles["learner"]
    actor = actor if isinstance(actor, ActorStatus) else ActorStatus(state="stopped")
    learner = learner if isinstance(learner, LearnerStatus) else LearnerStatus(state="stopped")
    logged = _last_logged(session, problems)
    # The log is the truth; a session without one was trained in lock-step.
    env_steps = sum(sequence + 1 for sequence in logged.values()) if logged else actor.env_steps
    processes = {role: _summarise(status) for role, status in roles.items() if status is not None}
    if "actor" in processes and processes["actor"].state in ("stopped", "failed", "crashed"):
        actor.notices = None
    imagined, planned = learner.imagined_steps, actor.planned_steps or 0
    status = SessionStatus(
        state=_overall({process.state for process in processes.values()}),
        plays=session.plays.description if session.plays else None,
        env_steps=env_steps,
        robot_seconds=None if env_steps is None else env_steps / session.spec.control_rate_hz,
        imagined_per_real_step=(imagined + planned) / env_steps if imagined is not None and env_steps else None,
        last_logged_sequence=logged,
        processes=processes,
        parent=session.record.parent,
        demonstrations=session.record.demonstrations,
        logs=session.record.logs,
        problems=problems,
        **_known(actor, "episodes control_rate_hz ticks deadline_misses ticks_per_step actor_step_ms append_ms"),
        **_known(actor, "policy_version policy_age_s"),
        figures_recent=_recent_figures(actor),
        **_known(actor, "safety_events reward_recent stuck_s milestones_s"),
        **_known(actor, "safety_counts safety_state safety_cause watchdogs_raised watchdog_trips intervention_steps"),
        **_known(actor, "state_age_s image_age_s camera learner_silence_s learner_starting"),
        **_known(actor, "tick_jitter_ms notices"),
        **_known(actor, "plans plans_late planned_steps plan_ms"),
        **_known(learner, "gradient_steps imagined_steps train_ratio replay_steps append_to_replay_ms"),
        **_known(learner, "updates_per_s last_publish_version device idle_gpus"),
    )
    return msgspec.json.decode(msgspec.json.encode(status), type=dict[str, Any])


def is_running(session: Session) -> bool:
    """Whether its processes are at work, as far as can be known."""
    try:
        return bool(read_status(session)["state"] == "running")
    except UserError:
        return False


def read_process_status(session: Session, role: str) -> ProcessStatus | None:
    """What the process in this role reported last; None if nothing that can be read."""
    return _read_role(session, role, [])


def _recent_figures(actor: ActorStatus) -> dict[str, float]:
    figures = {"info/forward_velocity_m_s": actor.forward_velocity_recent, **(actor.figures_recent or {})}
    return {quantity: mean for quantity, mean in figures.items() if mean is not None}


def _known(status: ProcessStatus, names: str) -> dict[str, Any]:
    values = {name: getattr(status, name) for name in names.split()}
    return {name: value for name, value in values.items() if value is not None}


def _read_role(session: Session, role: str, problems: list[str]) -> ProcessStatus | None:
    path = _status_path(session, role)
    try:
        status = decode_json(unseal_json(read_file(path, STATUS_BYTES)), ROLES[role])
    except FileNotFoundError:
        return None
    except OSError as error:
        problems.append(f"{path} cannot be read ({error.strerror}).")
        return None
    except ValueError as error:
        problems.append(f"{path} is damaged ({error}).")
        return None
    return status


def _last_logged(session: Session, problems: list[str]) -> dict[int, int]:
    logged = {}
    try:
        logs = list_logs(session.experience)
    except UserError as error:
        problems.append(str(error))
        logs = {}
    for life, path in logs.items():
        try:
            logged[life] = last_sequence(path)
        except UserError as error:
            problems.append(str(error))
    return logged


def _summarise(status: ProcessStatus) -> ProcessSummary:
    ended = status.state in ("stopped", "failed")
    state = status.state if ended or _is_alive(status) else "crashed"
    return ProcessSummary(state=state, pid=status.pid, heartbeat_age_s=heartbeat_age_s(status))


def heartbeat_age_s(status: ProcessStatus) -> float:
    """Since the process reported; of another machine or an earlier start of this one, as far as wall clocks tell."""
    if status.boot_id == _boot_id():
        return time.monotonic() - status.heartbeat_steady_s
    return max(0.0, time.time() - status.heartbeat_wall_s)


def has_ended(status: ProcessStatus) -> bool:
    """Whether the process that wrote this is gone, by all that can be told: of another machine's nothing can.

    Of another container's only that it has been silent for long.
    """
    return status.boot_id == _boot_id() and not _is_alive(status)


def _is_alive(status: ProcessStatus) -> bool:
    """The process that wrote this exists; another one that got its pid does not count, nor does a zombie.

    Nor does a process of this machine count for a session that was copied here from another one. One in another
    container, with the session in common, exists as long as it reports.
    """
    if status.boot_id == _boot_id() and not status.identity.is_known_here:
        return heartbeat_age_s(status) < SILENT_S
    return status.identity.is_alive()


@functools.cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()


@functools.cache
def _pid_namespace() -> int:
    return _PID_NAMESPACE.stat().st_ino


def _process_start(pid: int) -> int | None:
    """When a process was started, in clock ticks since the machine was; None if there is none, or only a zombie.

    From /proc, because psutil's `create_time` moves when the wall clock is set.
    """
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # nobody's, or nobody's that we may know of
        return None
    # The second field is the program's name in parentheses and may hold anything (proc(5)).
    fields = content[content.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else int(fields[19])


def _own_start() -> int:
    start = _process_start(os.getpid())
    assert start is not None, "who asks is no zombie"
    return start


def _overall(states: set[str]) -> Literal["running", "stopped", "crashed"]:
    if states & {"crashed", "failed"}:
        return "crashed"
    return "running" if states - {"stopped"} else "stopped"


def _status_path(session: Session, role: str) -> Path:
    return session.status / f"{role}.json"


def _to_builtin(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a status cannot hold a {type(value).__name__}")
