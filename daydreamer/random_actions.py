"""Random actions: how a robot begins that nobody has taught anything."""

from __future__ import annotations

import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.spec import RobotSpec, Space

EXTREMES = 0.9
"""Probability that an element of a random action is -1 or 1, which moves a robot farthest: an A1 on its back is on its
feet after 24 s of such trials on average, with 0.6 after 40 to 54 s."""


class RandomActions:
    """Random actions, each held for a while, until the first time is over and there is a policy.

    They are held because white noise hardly gets through the low-pass filter of the commands (Dabney et al. 2021 hold
    them for the sake of exploration in general).
    """

    def __init__(self, spec: RobotSpec, config: ActorConfig, generator: np.random.Generator):
        self._space = spec.action
        self._first_steps = spec.steps(config.random_s)
        self._hold_steps = max(1, round(config.random_hold_s * spec.control_rate_hz))
        self._random = generator
        self._held = 0
        self._action = spec.action.zeros()

    def choose(self, reward: float, env_steps: int, has_policy: bool) -> np.ndarray | None:
        """See `Behavior.choose`."""
        if env_steps >= self._first_steps and has_policy:
            self._held = 0
            return None
        if self._held % self._hold_steps == 0:
            self._action = random_action(self._space, self._random)
        self._held += 1
        return self._action


def random_action(space: Space, generator: np.random.Generator) -> np.ndarray:
    """A random action: in [-1, 1] `[action]`, or a class of a discrete space `[]`."""
    if space.is_discrete:
        return generator.integers(space.classes, size=space.shape, dtype=np.int32)
    inside = generator.uniform(-1.0, 1.0, space.shape)
    at_an_end = generator.random(space.shape) < EXTREMES
    return np.where(at_an_end, np.sign(inside), inside).astype(np.float32)
