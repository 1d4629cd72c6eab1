"""Figures about the control loop that other threads may read while it runs."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from daydreamer.experience.step import Step

RECENT_S = 10.0
"""Span of the 'recent' means."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepFigures:
    """What is averaged of one step."""

    reward: float
    reward_terms: dict[str, float]
    info: dict[str, float]


class ActorStatistics:
    """Counters and recent means of the steps taken.

    Written by the control loop alone. Readers on other threads see each counter whole, though not all at one
    instant: a copy of a deque is one operation under the interpreter lock.

    Attributes:
      env_steps: logged steps of the session, this life and earlier ones.
      own_steps: logged steps of this life.
      episodes: finished episodes of the session.
      interventions: logged steps of this life whose action an operator chose.
    """

    def __init__(self, control_rate_hz: float, earlier_steps: int = 0, earlier_episodes: int = 0):
        self._earlier_steps = earlier_steps
        self._recent: collections.deque[StepFigures] = collections.deque(maxlen=round(RECENT_S * control_rate_hz))
        self._reward_sum = 0.0
        self.own_steps = 0
        self.episodes = earlier_episodes
        self.interventions = 0

    def add(self, step: Step) -> None:
        self._recent.append(StepFigures(step.reward, step.reward_terms, step.info))
        self._reward_sum += step.reward
        self.own_steps += 1
        self.episodes += step.is_last
        self.interventions += step.intervention

    @property
    def env_steps(self) -> int:
        return self._earlier_steps + self.own_steps

    @property
    def reward_mean(self) -> float | None:
        """Mean reward per step of this life."""
        return self._reward_sum / self.own_steps if self.own_steps else None

    def recent(self) -> dict[str, float]:
        """Means over the last `RECENT_S`: 'reward', 'reward/<term>' and 'info/<name>'; empty before any step."""
        steps = list(self._recent)
        if not steps:
            return {}
        means = {"reward": np.mean([step.reward for step in steps])}
        means |= {f"reward/{name}": np.mean([s.reward_terms[name] for s in steps]) for name in steps[0].reward_terms}
        means |= {f"info/{name}": np.mean([s.info[name] for s in steps]) for name in steps[0].info}
        return {name: float(mean) for name, mean in means.items()}
