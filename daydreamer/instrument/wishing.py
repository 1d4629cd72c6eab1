"""What somebody wishes of a robot: a reward that its world model can tell of what it imagines that is observed."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.contract.wishes import Signals, Wishables
from daydreamer.errors import UserError
from daydreamer.instrument.formula import Formula, unknown_signal
from daydreamer.instrument.logged import LoggedSteps
from daydreamer.models.codecs import split_vectors, vector_keys
from daydreamer.models.transforms import symlog
from daydreamer.models.world_model import WorldModel
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.texts import printable_line

PYTHON_FUNCTION = "reward"
"""What the function in a file is called."""
CAUTION = 5.0
"""See `WishedWorldModel`."""
MOMENTS = 1024
"""Of the log, at random, that stand for all of it."""
FAR_QUANTILE = 0.95
"""Of the distances of the log's other moments to them: beyond it is where nobody has been."""
_SMALLEST_DEVIATION = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class WishedReward:
    """A reward that somebody wishes a robot to earn.

    Attributes:
      words: what it then does.
      of_signals: `[...]` of the signals.
      signals: of observations by key, in the units of the observation.
      shown: the signals that it is about.
      targets: what each is to be, as far as that can be said.
      begins: see `Wishables`.
    """

    words: str
    of_signals: Callable[[Signals], Array]
    signals: Callable[[Mapping[str, Array]], Signals]
    shown: tuple[str, ...]
    targets: Mapping[str, float] = dataclasses.field(default_factory=dict)
    begins: str | None = None

    def __call__(self, observation: Mapping[str, Array]) -> Array:
        """The reward `[...]` of observations by key `[..., *shape]`."""
        return self.of_signals(self.signals(observation))


class KnownSignals(dict[str, Array]):
    """Signals by name, also as attributes, that say which there are when another is asked for; and which were.

    Attributes:
      used: by a reward.
    """

    def __init__(self, values: Signals):
        super().__init__(values)
        self.used: dict[str, None] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self:
            raise UserError(unknown_signal(name, self))
        self.used[name] = None
        return super().__getitem__(name)

    def __getattr__(self, name: str) -> Array:
        return self[name]


class WishedWorldModel(WorldModel):
    """A world model whose reward is what is wished for, told of what it imagines that is measured.

    What is measured is kept within what ever was in the log, and costs what it has of novelty: a plan else goes where
    the model was never corrected, and promises anything.
    """

    def __init__(
        self, model: WorldModel, reward: WishedReward, steps: LoggedSteps, logged: np.ndarray, caution: float = CAUTION
    ):
        """The networks are those of `model`.

        Args:
          steps: the log that it has learned from.
          logged: what each of them would have earned, `[steps]`.
          caution: what a step costs that is twice as far from the log as it is from itself, in deviations of `logged`.
        """
        super().__init__(model.spec, model.config)
        self._reward = reward
        measured = np.asarray(symlog(jnp.asarray(steps.vectors())))
        self._lowest, self._highest = measured.min(0), measured.max(0)
        self._deviation = np.maximum(measured.std(0), _SMALLEST_DEVIATION)
        drawn = np.random.default_rng(0).permutation(len(measured))[: 2 * MOMENTS]
        others, kept = np.array_split(measured[drawn], 2)
        self._moments, self._far = kept / self._deviation, 1.0
        self._far = float(np.quantile(self._novelty(others), FAR_QUANTILE))
        self._cost = caution * float(logged.std())

    def outcomes(self, parameters, features: Array) -> tuple[Array, Array]:
        """Wished reward less what novelty costs, and probability to continue; see `WorldModel.outcomes`."""
        _, continues = super().outcomes(parameters, features)
        measured = features[..., -self.rssm.vector_size :]
        vector = measured[..., : len(self._lowest)]  # without hues
        reward = self._reward(split_vectors(jnp.clip(vector, self._lowest, self._highest), self.spec.observation))
        return reward - self._cost * jnp.maximum(self._novelty(vector) - 1.0, 0.0), continues

    def _novelty(self, vector: Array | np.ndarray) -> Array:
        """Distance `[...]` to the nearest moment of the log; 1 is as far as few of its own are."""
        return nearest(vector / self._deviation, self._moments) / self._far


def nearest(points: Array | np.ndarray, moments: np.ndarray) -> Array:
    """Root mean square over elements, `[...]`, from `[..., elements]` to the nearest of `[moments, elements]`."""
    squared = jnp.square(moments).sum(-1) - 2.0 * points @ moments.T
    squared = squared.min(-1) + jnp.square(points).sum(-1)
    return jnp.sqrt(jnp.maximum(squared, 1e-9) / moments.shape[-1])


def find_wishables(session: Session) -> Wishables:
    """What may be wished of a session's robot.

    Raises:
      UserError: the robot is not installed, or observes nothing but pictures.
    """
    config, spec = session.config, session.spec
    entry = find_robot(config.robot, session.record.robot_package).task(config.task)
    if not vector_keys(spec.observation):
        raise UserError(f"The robot of {session.path} observes pictures alone; a reward has nothing to be made of.")
    return entry.wishables() if entry.wishables else Wishables(signals=functools.partial(observed_signals, spec))


def observed_signals(spec: RobotSpec, observation: Mapping[str, Array]) -> dict[str, Array]:
    """The elements of what a robot observes, as it observes them: of one whose folder names no signals."""
    told: dict[str, Array] = {}
    for key in vector_keys(spec.observation):
        size = spec.observation[key].size
        flat = observation[key].reshape(*observation[key].shape[: -len(spec.observation[key].shape) or None], size)
        told |= {key if size == 1 else f"{key}_{index + 1}": flat[..., index] for index in range(size)}
    return told


def signal_names(wishables: Wishables, spec: RobotSpec) -> list[str]:
    """Of all signals there are."""
    seen = {key: jnp.zeros((1, *spec.observation[key].shape)) for key in vector_keys(spec.observation)}
    return list(wishables.signals(seen))


def named_wish(wishables: Wishables, text: str) -> WishedReward:
    """A wish that the robot's folder has, as 'backwards', 'backwards 0.3' or 'go backwards'.

    Raises:
      UserError: there is no such wish, or not with this number; says what there is.
    """
    *words, last = text.split() or [""]
    try:
        value: float | None = float(last)
    except ValueError:
        words, value = [*words, last], None
    name = " ".join(words).removeprefix("go ")
    if name not in wishables.wishes:
        near = difflib.get_close_matches(name, wishables.wishes, 1)
        meant = f"; did you mean '{near[0]}'?" if near else "."
        there = f"It has {', '.join(wishables.wishes)}" if wishables.wishes else "Its folder names none"
        raise UserError(
            f"There is no wish '{printable_line(name)}' of this robot{meant} {there}; or say a formula with --reward."
        )
    wish = wishables.wishes[name]
    value = wish.usual if value is None else value
    low, high = wish.limits
    if not low <= value <= high:
        raise UserError(f"'{name}' takes a number from {low:g} to {high:g}, not {value:g}.")
    return WishedReward(
        words=wish.summary.format(value=value),
        of_signals=lambda signals: wish.reward(signals, value),
        signals=wishables.signals,
        shown=(wish.signal,),
        targets={wish.signal: wish.target(value)},
        begins=wishables.begins,
    )


def formula_wish(wishables: Wishables, text: str, spec: RobotSpec) -> WishedReward:
    """A wish that is a formula, see `Formula`.

    Raises:
      UserError: see there.
    """
    formula = Formula(text, signal_names(wishables, spec))
    return WishedReward(
        f"earns {text}", formula, wishables.signals, shown=tuple(formula.names), begins=wishables.begins
    )


def python_wish(wishables: Wishables, path: Path, session: Session) -> WishedReward:
    """A wish that is the function `reward(signals)` in a file of the operator's own, which is run.

    Raises:
      UserError: the file is somebody else's, came with the session, cannot be run, or its function fails.
    """
    _require_own(path, session)
    try:
        function = runpy.run_path(str(path)).get(PYTHON_FUNCTION)
    except Exception as error:
        raise UserError(f"{path} cannot be run ({error!r}); mend it.") from error
    if not callable(function):
        raise UserError(f"{path} has no function {PYTHON_FUNCTION}(signals); write one that returns the reward.")
    used: dict[str, None] = {}

    def of_signals(signals: Signals) -> Array:
        known = KnownSignals(signals)
        try:
            reward = jnp.asarray(function(known), jnp.float32)
        except UserError:
            raise
        except jax.errors.ConcretizationTypeError as error:
            raise UserError(
                f"{PYTHON_FUNCTION} in {path} decides by a signal, which is many numbers at once; write "
                "jax.numpy.where, jax.numpy.minimum and maximum in the place of if, min and max."
            ) from error
        except Exception as error:
            raise UserError(f"{PYTHON_FUNCTION} in {path} fails ({error!r}); mend it.") from error
        used.update(known.used)
        return reward

    _shape_of(of_signals, wishables, session.spec)
    return WishedReward(
        f"earns {PYTHON_FUNCTION} in {path}", of_signals, wishables.signals, tuple(used), begins=wishables.begins
    )


def _require_own(path: Path, session: Session) -> None:
    try:
        owner = path.stat().st_uid
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); name a file of yours with --python.") from error
    if owner != os.getuid():
        raise UserError(f"{path} is somebody else's file, and would be run as you; copy it once you have read it.")
    if path.resolve().is_relative_to(session.path.resolve()):
        raise UserError(f"{path} came with the session, and would be run; copy it elsewhere once you have read it.")


def _shape_of(of_signals: Callable[[Signals], Array], wishables: Wishables, spec: RobotSpec) -> None:
    """Runs a reward once without numbers, for its mistakes."""
    seen = {key: jnp.zeros(spec.observation[key].shape) for key in vector_keys(spec.observation)}
    jax.eval_shape(lambda observation: of_signals(wishables.signals(observation)), seen)


def require_reward(reward: WishedReward, steps: LoggedSteps) -> np.ndarray:
    """What the log would have earned, `[steps]`.

    Raises:
      UserError: it is not a finite number for each step, or the same for all.
    """
    observed = {
        key: jnp.asarray(steps.rows[f"observation/{key}"], jnp.float32) for key in vector_keys(steps.spec.observation)
    }
    earned = np.asarray(jax.jit(reward)(observed))
    if earned.shape != (len(steps),):
        raise UserError(
            f"The reward has shape {list(earned.shape)} for {len(steps)} steps; return one number for each, made of "
            "signals as they are."
        )
    wrong = ~np.isfinite(earned)
    if wrong.any():
        raise UserError(
            f"The reward is not finite at {wrong.sum()} of {len(steps)} logged steps; keep what is under log, sqrt, / "
            "and ** away from where they have no value, as max(x, 0.01) does."
        )
    if earned.std() < _SMALLEST_DEVIATION:
        raise UserError(
            f"The reward is {earned[0]:g} at all {len(steps)} logged steps, so that nothing can be told apart by it; "
            "let it change with a signal."
        )
    return earned
