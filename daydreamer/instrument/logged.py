"""Stretches of a session's log: from where dreams start, and what the model is judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.dream import spread, spread_windows
from daydreamer.learner.inherited import read_logged_by_others
from daydreamer.learner.sound import is_sound
from daydreamer.models.world_model import Batch, to_action_vector
from daydreamer.replay import Continuity, row_bytes, to_rows
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.columns import newest_steps
from daydreamer.telemetry.quantities import is_known, of_step

CONTEXT_S = 1.0
"""What the model sees of the log before it goes on by itself."""
MOST_STEPS, MOST_BYTES = 100_000, 1 << 30
"""Of a log, the newest that are read; of one with pictures only as many as take this much memory."""
LEAST_WINDOWS = 16
"""Fewer starting states say nothing about a policy."""
KNOWN_SHARE = 0.999
"""Share of a quantity's variance that a linear function of the observation has to explain, see `Readout`."""
_BLOCK_STEPS = 4096


@dataclasses.dataclass(frozen=True)
class LoggedSteps:
    """The newest steps of a session that something can be learned from.

    Attributes:
      spec: of the robot.
      rows: as `replay.to_rows` makes them, `[steps, ...]`; `is_first` wherever a step does not follow from the last.
      quantities: by the names that presentations have for them, `[steps]`.
      skipped: how many steps of the session came before.
    """

    spec: RobotSpec
    rows: Mapping[str, np.ndarray]
    quantities: Mapping[str, np.ndarray]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.rows["reward"])

    @property
    def minutes(self) -> float:
        """Robot time."""
        return len(self) * self.spec.control_period_s / 60.0

    def vectors(self) -> np.ndarray:
        """All vector observations side by side, `[steps, vector]`, in their own units."""
        spaces = self.spec.observation.items()
        parts = [self.rows[f"observation/{key}"].reshape(len(self), -1) for key, space in spaces if not space.is_image]
        return np.concatenate([np.zeros((len(self), 0), np.float32), *parts], 1)

    def minute(self, step: int) -> float:
        """Robot time of the session at which a step began."""
        return (self.skipped + step) * self.spec.control_period_s / 60.0

    def batch(self, starts: np.ndarray, length: int) -> Batch:
        """The stretches of `length` steps that begin at `starts` `[batch]`, each as an episode of its own."""
        index = starts[:, None] + np.arange(length)
        rows = {name: jnp.asarray(values[index]) for name, values in self.rows.items()}
        nothing = jnp.zeros(index.shape)
        return Batch(
            observation={key: rows[f"observation/{key}"] for key in self.spec.observation},
            action=to_action_vector(rows["action"], self.spec.action),
            reward=rows["reward"],
            is_first=nothing.at[:, 0].set(1.0),
            is_last=nothing,
            is_terminal=nothing,
            by_policy=nothing,
            shown=nothing,
        )


def read_logged(session: Session) -> LoggedSteps:
    """The newest steps of a session, with the quantities that its presentation speaks of.

    Of a session that learns offline they are those of its logs, without the quantities, which are not kept of them.

    Raises:
      UserError: a log cannot be read, or is of another robot.
    """
    if session.is_offline:
        return _read_others(session)
    spec, presentation = session.spec, session.presentation
    told = [figure.quantity for figure in presentation.figures]
    told += [occurrence.quantity for occurrence in presentation.occurrences]
    names = [name for name in dict.fromkeys(told) if is_known(name, spec)]
    most = min(MOST_STEPS, max(1, MOST_BYTES // row_bytes(spec)))
    skipped, cursors = newest_steps(session, most)
    tail, continuity = ExperienceTail(session.experience, spec, cursors), Continuity()
    blocks: list[dict[str, np.ndarray]] = []
    values: dict[str, list[float]] = {name: [] for name in names}
    while steps := tail.read(_BLOCK_STEPS):
        if sound := [step for step in steps if is_sound(step)]:
            blocks.append(to_rows(sound, spec))
            continuity.mark(blocks[-1])
            for name in names:
                values[name] += [of_step(step, name) for step in sound]
    if not blocks:
        raise UserError(f"{session.path} has no experience yet; let it run for some minutes.")
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return LoggedSteps(spec, rows, {name: np.array(each) for name, each in values.items()}, skipped)


def _read_others(session: Session) -> LoggedSteps:
    """What a session that has no steps of its own learns from, and what is held out."""
    rows = read_logged_by_others(session, min(MOST_STEPS, max(1, MOST_BYTES // row_bytes(session.spec))))
    if rows is None:
        raise UserError(f"{session.path} has lost the steps that it learned from; restore {session.inherited}.")
    return LoggedSteps(session.spec, rows, {})


def choose_windows(session: Session, steps: LoggedSteps, length: int, count: int) -> np.ndarray:
    """Where stretches of `length` steps begin, spread over the whole log; at most `count`.

    Raises:
      UserError: there are too few of them.
    """
    starts = spread_windows(steps.rows["is_first"], length, count)
    if len(starts) < LEAST_WINDOWS:
        raise UserError(
            f"{session.path} has {steps.minutes:.1f} minutes of experience, in which {len(starts)} stretches of "
            f"{length * steps.spec.control_period_s:.1f} s are without a gap; {LEAST_WINDOWS} are needed. Let it run "
            f"on: '{session.resume_command()}'."
        )
    return starts


def windows_of_policy(steps: LoggedSteps, length: int, count: int) -> np.ndarray:
    """Where stretches begin in which a policy chose every action; none if too few of them do not overlap.

    They are of `length` steps, spread over the whole log, and at most `count`.

    Where chance, or what gets a fallen robot up, is at work, no policy has to answer for what comes next.
    """
    starts = spread_windows(steps.rows["is_first"], length, len(steps))
    chosen_before = np.concatenate(((0,), np.cumsum(steps.rows["by_policy"])))
    starts = starts[chosen_before[starts + length] - chosen_before[starts] == length]
    apart, end = 0, 0
    for start in starts:
        if start >= end:
            apart, end = apart + 1, start + length
    return spread(starts, count) if apart >= LEAST_WINDOWS else starts[:0]


def find_window(session: Session, steps: LoggedSteps, length: int, minute: float | None) -> int:
    """Where the stretch of `length` steps without a gap begins that ends next to a robot minute; None: the newest.

    Raises:
      UserError: there is none, or the log that is read does not reach there.
    """
    starts = spread_windows(steps.rows["is_first"], length, len(steps))
    if not len(starts):
        raise UserError(
            f"{session.path} has no stretch of {length * steps.spec.control_period_s:.1f} s without a gap in its log; "
            f"let it run on: '{session.resume_command()}'."
        )
    if minute is None:
        return int(starts[-1])
    begin, end = steps.minute(0), steps.minute(len(steps))
    if not begin <= minute <= end:
        raise UserError(
            f"The log of {session.path} that is read is of robot minutes {begin:.2f} to {end:.2f}; choose --minute "
            "among these."
        )
    wanted = steps.spec.steps(60.0 * minute) - steps.skipped
    return int(starts[np.abs(starts + length - wanted).argmin()])


@dataclasses.dataclass(frozen=True)
class Readout:
    """A quantity of a presentation as a linear function of the vector observations.

    The model predicts what is observed, and not what else is logged. Most of what is worth a headline is one of its
    elements in another unit: forward speed, the trunk's tilt. What is not cannot be told of a dream.

    Attributes:
      quantity: its name.
      weight: `[vector + 1]`; the last is the constant.
    """

    quantity: str
    weight: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Of vector observations `[..., vector]` in their own units, `[...]`."""
        return vectors @ self.weight[:-1] + self.weight[-1]


def find_readouts(steps: LoggedSteps) -> dict[str, Readout]:
    """By quantity, those that the log says how to tell from the observation."""
    vectors = np.asarray(steps.vectors(), np.float64)
    with_constant = np.concatenate([vectors, np.ones((len(vectors), 1))], 1)
    readouts = {}
    for quantity, values in steps.quantities.items():
        known = np.isfinite(values)
        variance = values[known].var() if known.any() else 0.0
        if variance > 0.0:
            weight = np.linalg.lstsq(with_constant[known], values[known], rcond=1e-9)[0]
            readout = Readout(quantity, weight)
            if np.square(readout(vectors[known]) - values[known]).mean() < (1.0 - KNOWN_SHARE) * variance:
                readouts[quantity] = readout
    return readouts


def random_key(seed: int, use: int) -> jax.Array:
    """Randomness of a use of its own."""
    return jax.random.fold_in(jax.random.key(seed), use)
