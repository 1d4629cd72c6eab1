"""Logged steps as columns, for whoever looks at a session rather than learns from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.codec import StepDecoder
from daydreamer.experience.header import CorruptLog, read_header
from daydreamer.experience.log import list_logs
from daydreamer.experience.schema import action_sent_shape
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail, last_sequence
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec


@dataclasses.dataclass(frozen=True)
class StepColumns:
    """Some consecutive steps of a session, over all actor lives; every array starts with `[steps]`.

    Attributes:
      robot_s: robot time of the session at which each step ended.
      observation, reward_terms, info: by name, as logged.
      The others: see `Step`.
    """

    robot_s: np.ndarray
    actor_life: np.ndarray
    sequence: np.ndarray
    monotonic_ns: np.ndarray
    wall_ns: np.ndarray
    observation: Mapping[str, np.ndarray]
    action_requested: np.ndarray
    action_sent: np.ndarray
    reward: np.ndarray
    reward_terms: Mapping[str, np.ndarray]
    info: Mapping[str, np.ndarray]
    is_first: np.ndarray
    is_last: np.ndarray
    is_terminal: np.ndarray
    policy_version: np.ndarray
    intervention: np.ndarray
    safety_flags: np.ndarray
    latency_s: np.ndarray

    def __len__(self) -> int:
        return len(self.robot_s)


def read_columns(
    session: Session, last_steps: int | None = None, images: bool = True, problems: list[str] | None = None
) -> StepColumns:
    """The steps of a session, or about the last so many; what is damaged is left out, and added to `problems`.

    Raises:
      UserError: a log cannot be read, or is of another robot.
    """
    spec = session.spec if images else without_images(session.spec)
    skipped = 0 if last_steps is None else newest_steps(session, last_steps)[0]
    blocks = read_blocks(session, last_steps, images, problems)
    return _concatenate([to_columns([], spec, skipped), *blocks])


def read_blocks(
    session: Session, last_steps: int | None = None, images: bool = True, problems: list[str] | None = None
) -> Iterator[StepColumns]:
    """As `read_columns`, some thousand steps at a time: an hour of them, or images, would not fit into every memory."""
    skipped, cursors = (0, {}) if last_steps is None else newest_steps(session, last_steps)
    spec = session.spec if images else without_images(session.spec)
    tail = ExperienceTail(session.experience, session.spec, cursors)
    while steps := tail.read(_BLOCK_STEPS):
        yield to_columns(steps, spec, skipped)
        skipped += len(steps)
    if problems is not None:
        problems += [problem.text for problem in tail.problems if problem.kind != "gap" or last_steps is None]


def without_images(spec: RobotSpec) -> RobotSpec:
    """The specification as if there were no cameras."""
    observation = {key: space for key, space in spec.observation.items() if not space.is_image}
    return msgspec.structs.replace(spec, observation=observation)


def to_columns(steps: Sequence[Step], spec: RobotSpec, earlier_steps: int = 0) -> StepColumns:
    """Consecutive steps of a session, `earlier_steps` of which came before; observations as `spec` has them."""

    def stack(rows: list, shape: tuple[int, ...] = ()) -> np.ndarray:
        return np.array(rows) if rows else np.zeros((0, *shape))

    return StepColumns(
        robot_s=(earlier_steps + 1 + np.arange(len(steps))) * spec.control_period_s,
        observation={
            key: stack([step.observation[key] for step in steps], space.shape)
            for key, space in spec.observation.items()
        },
        action_requested=stack([step.action_requested for step in steps], spec.action.shape),
        action_sent=stack([step.action_sent for step in steps], action_sent_shape(spec)),
        reward_terms={name: stack([step.reward_terms[name] for step in steps]) for name in spec.reward_terms},
        info={name: stack([step.info[name] for step in steps]) for name in spec.info},
        **{name: stack([getattr(step, name) for step in steps]) for name in _SCALARS},
    )


def _concatenate(blocks: Sequence[StepColumns]) -> StepColumns:
    # Without the empty one, whose types are not those of the log, where there is another.
    blocks = blocks[1:] or blocks
    joined = {}
    for field in dataclasses.fields(StepColumns):
        parts = [getattr(block, field.name) for block in blocks]
        if isinstance(parts[0], Mapping):
            joined[field.name] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        else:
            joined[field.name] = np.concatenate(parts)
    return StepColumns(**joined)


_BLOCK_STEPS = 4096
_SCALARS = (
    "actor_life",
    "sequence",
    "monotonic_ns",
    "wall_ns",
    "reward",
    "is_first",
    "is_last",
    "is_terminal",
    "policy_version",
    "intervention",
    "safety_flags",
    "latency_s",
)


def newest_steps(session: Session, last_steps: int) -> tuple[int, dict[int, tuple[int, int]]]:
    """Number of steps before about the last so many, and cursors at which an `ExperienceTail` begins with these.

    Raises:
      UserError: a log cannot be read.
    """
    skipped, wanted, cursors = 0, last_steps, {}
    for life, path in reversed(list_logs(session.experience).items()):
        try:
            header = read_header(path)
        except CorruptLog:
            continue  # the tail finds nothing in it either
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); check disk and permissions.") from error
        if header is None:
            continue
        count = last_sequence(path) + 1
        begin = max(0, count - wanted)
        wanted -= count - begin
        skipped += begin
        size = StepDecoder(header.spec, header.channel, header.refers).record_size
        cursors[life] = (header.size + begin * size, begin)
    return skipped, cursors
