"""A world model that goes on from a logged state, a step at a time, driven by a policy or by a person."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.contract.task import OPERATOR_AXES
from daydreamer.errors import UserError
from daydreamer.instrument.logged import CONTEXT_S, LoggedSteps, find_readouts, find_window, random_key
from daydreamer.instrument.rollouts import follow, observation_of
from daydreamer.learner.learned import Learned
from daydreamer.models.rssm import LatentState, imagine_step
from daydreamer.models.transforms import symlog
from daydreamer.models.world_model import Batch, WorldModel, to_action_vector
from daydreamer.policy.policy import Policy, PolicyFunction, PolicyState

ROBOTS = 2
"""That are imagined at a time: the one that is driven, and one that does something else from the same state."""
KEPT_S = 60.0
"""How far back a dream can be rewound."""
OVER = 0.5
"""A dream is over where the model expects with this probability that its episode has ended."""
OUTSIDE = 0.1
"""Of what a number ranges over in the log, by which an imagined one may lie beyond."""
_SMALLEST_MARGIN = 1e-3
_OBSERVE, _DREAM = range(2)


class Ever(NamedTuple):
    """What was ever measured, `[vector]`, symlog; of what is not measured but seen, hues, everything.

    Attributes:
      lowest, highest: of the log.
      below, above: as far beyond as `OUTSIDE` says.
    """

    lowest: Array
    highest: Array
    below: Array
    above: Array

    @classmethod
    def of(cls, vectors: np.ndarray, size: int) -> Ever:
        """Of the log's vectors `[steps, measured]` in their own units, for states of `size`."""
        lowest, highest = vectors.min(0), vectors.max(0)
        margin = OUTSIDE * (highest - lowest) + _SMALLEST_MARGIN
        unseen = np.full(size - vectors.shape[1], np.inf, np.float32)

        def ends(low: np.ndarray, high: np.ndarray) -> tuple[Array, Array]:
            return jnp.concatenate([symlog(jnp.asarray(low)), -unseen]), jnp.concatenate(
                [symlog(jnp.asarray(high)), unseen]
            )

        return cls(*ends(lowest, highest), *ends(lowest - margin, highest + margin))


class Robots(NamedTuple):
    """Where imagined robots are, `[robots, ...]`.

    Attributes:
      state: of the model, with a batch of 1.
      observation: what each would measure, by key.
      remembered: of the policy.
      alive: probability that the episode has not ended.
      outside: whether the model would have had it measure what was never measured, see `OUTSIDE`.
    """

    state: LatentState
    observation: dict[str, Array]
    remembered: PolicyState
    alive: Array
    outside: Array


class Moment(NamedTuple):
    """Attributes:
    robots: all of them.
    step: `[]`, since the dream began.
    """

    robots: Robots
    step: Array


@dataclasses.dataclass(frozen=True)
class Imagined:
    """What one robot has come to.

    Attributes:
      observation: what it would measure, by key.
      reward: on arriving.
      figures: headline figures by quantity, as far as they can be told from what is observed.
      alive: probability that the episode has not ended.
      outside: whether it would measure what was never measured, see `OUTSIDE`, were it not held at the ends of that.
      operated: whether a person has chosen the action.
    """

    observation: Mapping[str, np.ndarray]
    reward: float
    figures: Mapping[str, float]
    alive: float = 1.0
    outside: bool = False
    operated: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the episode has rather ended than not."""
        return self.alive < OVER


@dataclasses.dataclass(frozen=True)
class Frame:
    """A moment of a dream, for those who look.

    Attributes:
      step: since the dream began.
      robot: the one that is driven.
      other: the one that does something else, if there is one.
    """

    step: int
    robot: Imagined
    other: Imagined | None = None


class DreamModel:
    """World model and policy, compiled for `ROBOTS` robots at once.

    Chance is the same for all robots, and at each step the same however often the dream comes by: what differs comes of
    what was done.

    Attributes:
      minute: robot time of the logged state from which dreams begin.
      period_s: of a step.
    """

    def __init__(self, learned: Learned, policy: Policy, steps: LoggedSteps, minute: float | None, seed: int):
        """Begins next to a robot minute of the log; None: at its end.

        Raises:
          UserError: see `find_window`.
        """
        self.period_s = steps.spec.control_period_s
        length = max(2, steps.spec.steps(CONTEXT_S))
        window = find_window(learned.session, steps, length, minute)
        self.minute = steps.minute(window + length)
        self._session = learned.session
        self._model = learned.agent.world_model
        self._policy = policy
        self._parameters = jax.device_put(learned.parameters)
        self._readouts = find_readouts(steps)
        self._ever = Ever.of(steps.vectors(), self._model.rssm.vector_size)
        self._reward = float(steps.rows["reward"][window + length - 1])
        self._context = steps.batch(np.array([window]), length)
        self._seed = seed
        self._advance = jax.jit(advance_robots, static_argnums=(0, 1))

    def begin(self) -> tuple[Moment, Frame]:
        """The logged state, of all robots."""
        key = jax.random.key_data(random_key(self._seed, _DREAM))
        remembered = self._policy.function.initial_state(np.asarray(key))
        begin = jax.jit(begin_robots, static_argnums=(0, 1))
        moment = begin(
            self._model,
            self._policy.function,
            self._parameters,
            self._policy.parameters,
            self._context,
            jax.tree.map(lambda values: jnp.asarray(values)[None], remembered),
            random_key(self._seed, _OBSERVE),
        )
        observation = {key: np.asarray(values[0]) for key, values in moment.robots.observation.items()}
        return moment, Frame(0, Imagined(observation, self._reward, self._figures(self._vector(observation))))

    def advance(
        self, moment: Moment, sources: tuple[int, int], told: tuple[np.ndarray | None, np.ndarray | None]
    ) -> tuple[Moment, list[Imagined]]:
        """One step of all robots.

        Args:
          sources: in the place of which robot of `moment` each goes on.
          told: the action of each; None where the policy acts.

        Raises:
          UserError: what the model predicts is not finite.
        """
        space = self._model.spec.action
        actions = np.stack([space.zeros() if action is None else action for action in told])
        moment, reward = self._advance(
            self._model,
            self._policy.function,
            self._parameters,
            self._policy.parameters,
            self._ever,
            moment,
            np.array(sources, np.int32),
            to_action_vector(jnp.asarray(actions), space),
            np.array([action is not None for action in told]),
            random_key(self._seed, _DREAM),
        )
        after = moment.robots
        observation, rewards, alive, outside = jax.device_get((after.observation, reward, after.alive, after.outside))
        robots = []
        for number, action in enumerate(told):
            seen = {key: values[number] for key, values in observation.items()}
            vector = self._vector(seen)
            if not (np.isfinite(vector).all() and np.isfinite(rewards[number])):
                raise UserError(f"What the model of {self._session.path} predicts is not finite; use another session.")
            how = {"outside": bool(outside[number]), "operated": action is not None}
            robots.append(Imagined(seen, float(rewards[number]), self._figures(vector), float(alive[number]), **how))
        return moment, robots

    def _vector(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """As `LoggedSteps.vectors` has it."""
        spaces = self._model.spec.observation.items()
        parts = [np.ravel(observation[key]) for key, space in spaces if not space.is_image]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _figures(self, vector: np.ndarray) -> dict[str, float]:
        return {name: float(readout(vector)) for name, readout in self._readouts.items()}


class Dream:
    """A dream as whoever drives it sees it: taken over, rewound, branched.

    Attributes:
      frame: as it is now.
      stick: `[6]`, see `Task.operator_action`.
      operated: whether the stick acts, in the policy's place.
      branched: whether there is another robot, which goes on as it was driven when they parted.
    """

    def __init__(self, model: DreamModel, operator_action: Callable[[np.ndarray], np.ndarray]):
        """Begins at the logged state, driven by the policy."""
        self._model = model
        self._operator_action = operator_action
        self.stick = np.zeros(OPERATOR_AXES)
        self.operated = self.branched = False
        self._other_stick: np.ndarray | None = None
        self._exchanged = False
        kept = max(1, round(KEPT_S / model.period_s)) + 1
        self._past: collections.deque[tuple[Moment, Frame]] = collections.deque([model.begin()], maxlen=kept)
        self._first = self._past[0]

    @property
    def frame(self) -> Frame:
        return self._past[-1][1]

    def advance(self) -> Frame:
        """One step more; where the episode is over, back to the logged state."""
        if self.frame.robot.is_over:
            self.restart()
            return self.frame
        sources = (0, 0) if not self.branched else (1, 0) if self._exchanged else (0, 1)
        self._exchanged = False
        told = self._told(self._stick)
        other_told = self._told(self._other_stick) if self.branched else told
        moment, (robot, other) = self._model.advance(self._past[-1][0], sources, (told, other_told))
        frame = Frame(self.frame.step + 1, robot, other if self.branched else None)
        self._past.append((moment, frame))
        if other.is_over:
            self.branched = False
        return frame

    def restart(self) -> None:
        """Back to the logged state, with one robot."""
        self._past.clear()
        self._past.append(self._first)
        self.branched = self._exchanged = False

    def rewind(self, seconds: float) -> float:
        """Back by so much, or as far as is remembered, with one robot; returns by how much."""
        steps = min(round(seconds / self._model.period_s), len(self._past) - 1)
        for _ in range(steps):
            self._past.pop()
        self.branched = self._exchanged = False
        return steps * self._model.period_s

    def steer(self, axis: int, by: float) -> None:
        """Moves the stick, which stays there, and takes over."""
        self.stick[axis] = np.clip(self.stick[axis] + by, -1.0, 1.0)
        self.operated = True

    def branch(self) -> None:
        """From here on there is another robot, which goes on as this one was driven until now."""
        self.branched, self._exchanged = True, False
        self._other_stick = self._stick

    def exchange(self) -> None:
        """The other robot is the one to be driven from here on; both go on as they were driven."""
        if self.branched:
            self._exchanged = not self._exchanged
            stick, self._other_stick = self._other_stick, self._stick
            self.operated = stick is not None
            if stick is not None:
                self.stick = stick

    @property
    def _stick(self) -> np.ndarray | None:
        """What drives; None: the policy."""
        return self.stick.copy() if self.operated else None

    def _told(self, stick: np.ndarray | None) -> np.ndarray | None:
        return None if stick is None else self._operator_action(stick)


def begin_robots(
    model: WorldModel,
    function: PolicyFunction,
    parameters: Any,
    policy_parameters: Any,
    context: Batch,
    remembered: PolicyState,
    key: Array,
) -> Moment:
    """The moment at the ends of stretches of the log `[batch, time]`, each for `ROBOTS` robots, one after the other."""
    observed = model.observe(parameters, context, key)
    act = jax.vmap(function.step, in_axes=(None, 0, 0, None))
    # The last logged action is whoever drives' own to choose.
    seen = jax.tree.map(lambda values: jnp.swapaxes(values[:, :-1], 0, 1), context)
    remembered, _ = jax.lax.scan(functools.partial(follow, act, policy_parameters), remembered, seen)
    state = jax.tree.map(lambda values: values[:, -1:], observed.states)
    observation = {name: values[:, -1] for name, values in context.observation.items()}
    count = len(context.reward)
    one = Robots(state, observation, remembered, jnp.ones(count), jnp.zeros(count, bool))
    return Moment(jax.tree.map(lambda values: jnp.repeat(values, ROBOTS, 0), one), jnp.int32(0))


def advance_robots(
    model: WorldModel,
    function: PolicyFunction,
    parameters: Any,
    policy_parameters: Any,
    ever: Ever,
    moment: Moment,
    sources: Array,
    told: Array,
    is_told: Array,
    key: Array,
) -> tuple[Moment, Array]:
    """The moment after this one, and the rewards `[robots]`; of the arguments see `DreamModel.advance`.

    No joint turns farther, and nothing goes faster, than it ever did: what would is held there.
    """
    chance = jax.random.fold_in(key, moment.step)

    def one(robot: Robots, told: Array, is_told: Array) -> tuple[Robots, Array]:
        measured = robot.state.vector[0]
        _, remembered = function.act(policy_parameters, robot.observation, measured, robot.remembered, jnp.float32(0.0))
        action = jnp.where(is_told, told[None], remembered.action)
        state = imagine_step(model.rssm, parameters["rssm"], robot.state, action, chance)
        outside = ((state.vector < ever.below) | (state.vector > ever.above)).any()
        state = state._replace(vector=jnp.clip(state.vector, ever.lowest, ever.highest))
        reward, continues = model.outcomes(parameters, state.features)
        observation = {name: values[0] for name, values in observation_of(model, parameters, state).items()}
        alive = robot.alive * continues[0]
        return Robots(state, observation, remembered._replace(action=action), alive, outside), reward[0]

    robots, reward = jax.vmap(one)(jax.tree.map(lambda values: values[sources], moment.robots), told, is_told)
    return Moment(robots, moment.step + 1), reward
