"""When to act at random, and how."""

from __future__ import annotations

import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.spec import RobotSpec, Space

EXTREMES = 0.6
"""Probability that an element of a random action is -1 or 1, which moves a robot farthest."""
RESTS = 0.2
"""Share of random actions that are small, so that the robot also sees where rest takes it."""
REST_SIZE = 0.3
MEMORY_S = 5.0
"""Over which the reward of now is averaged."""


class Explorer:
    """Decides step by step whether the policy acts or chance does.

    Chance acts alone at first. Later it comes to the rescue: while the reward is below the middle between the worst
    and the best that was ever held, random actions take turns with the policy. A robot that has fallen into a
    state which the policy does not know its way out of would otherwise lie there and repeat itself: the noise of a
    policy is small and quick, where getting up takes one large move. Random actions are held for a while (Dabney et
    al. 2021) because white noise hardly gets through the low-pass filter of the commands.
    """

    def __init__(self, spec: RobotSpec, config: ActorConfig, generator: np.random.Generator):
        self._action_space = spec.action
        self._config = config
        self._random = generator
        self._hold_steps = max(1, round(config.random_hold_s * spec.control_rate_hz))
        self._rate = 1.0 / (MEMORY_S * spec.control_rate_hz)
        self._action: np.ndarray | None = None
        self._left = 0
        self._at_first = True
        self._reward: float | None = None
        self._worst, self._best = np.inf, -np.inf

    @property
    def struggling(self) -> bool:
        """Whether the robot does far worse than it has done before."""
        return self._reward is not None and self._reward < (self._worst + self._best) / 2

    def choose(self, reward: float, env_steps: int, has_policy: bool) -> np.ndarray | None:
        """The random action of this step `[action]`; None if the policy is to act.

        Args:
          reward: of this step.
          env_steps: of the session before this one.
          has_policy: chance acts until there is one.
        """
        at_first = env_steps < self._config.random_steps or not has_policy
        self._remember(reward)
        if at_first != self._at_first or self._left == 0:
            self._at_first = at_first
            rescue = not at_first and self.struggling and self._random.random() < self._config.rescue
            self._action = random_action(self._action_space, self._random) if at_first or rescue else None
            self._left = self._hold_steps
        self._left -= 1
        return self._action

    def _remember(self, reward: float) -> None:
        if self._reward is None:
            self._reward = reward
        self._reward += self._rate * (reward - self._reward)
        self._worst, self._best = min(self._worst, self._reward), max(self._best, self._reward)


def random_action(space: Space, generator: np.random.Generator) -> np.ndarray:
    """A random action: in [-1, 1] `[action]`, or a class of a discrete space `[]`."""
    if space.is_discrete:
        return generator.integers(space.classes, size=space.shape, dtype=np.int32)
    inside = generator.uniform(-1.0, 1.0, space.shape)
    at_an_end = generator.random(space.shape) < EXTREMES
    action = np.where(at_an_end, np.sign(inside), inside)
    if generator.random() < RESTS:
        action *= generator.uniform(0.0, REST_SIZE)
    return action.astype(np.float32)
