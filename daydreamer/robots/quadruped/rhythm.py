"""Rhythms: random periodic motions, by which a robot that stands comes upon walking."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from daydreamer.errors import UserError
from daydreamer.spec import RobotSpec

AMPLITUDE = 0.4
"""Root mean square over all random rhythms of an action's amplitude."""
BOUT_S = 4.0
"""How long a rhythm is followed."""
PAUSE_S = 2.0
"""How long the policy acts, at least, between two bouts."""
STILL_S = 0.5
"""A bout begins with action 0 for so long, and rises to its full amplitude within as long again."""
KEPT = 4
"""Rhythms that are remembered."""
FRESH = 0.2
"""Share of the bouts that try something new; the others vary what is remembered."""
RELATED = 0.5
"""With several aims, share of the bouts that try a relative of the best of one of them."""
VARIATION = 0.25
"""Of a new rhythm is added to a remembered one to vary it, and a tenth of this logarithmically to its frequency."""
DISAPPOINTMENT = 0.1
"""How far the score of a rhythm moves towards that of a variation that does worse: it may have been luck."""
TRIED_AT_LEAST = 32
"""Bouts before it is asked whether they are worth it."""
PROMISE = 0.5
"""By how much the reward of those remembered has to exceed the policy's, on average."""
POLICY_MEMORY_S = 10.0
"""Over which the policy's reward is averaged."""

SHOWING_S = 30.0
"""How long a policy that has learned elsewhere acts on its feet before the first bout: until its average says nothing
of how it got up any more."""


@dataclasses.dataclass
class Rhythm:
    """A periodic motion: action(t) = Re(amplitude exp(2 pi i frequency t)).

    Attributes:
      amplitude: complex `[action]`.
      scores: mean reward of its bout, for each aim.
    """

    frequency_hz: float
    amplitude: np.ndarray
    scores: list[float] = dataclasses.field(default_factory=list)

    def action(self, time_s: float) -> np.ndarray:
        """In [-1, 1] `[action]`, `time_s` after the beginning of a bout."""
        wave = (self.amplitude * np.exp(2j * np.pi * self.frequency_hz * time_s)).real
        rise = min(max(time_s / STILL_S - 1.0, 0.0), 1.0)
        return np.clip(rise * wave, -1.0, 1.0).astype(np.float32)


class Aims(Protocol):
    """What rhythms are looked for beside one another, as for going forwards and for turning."""

    @property
    def alternate(self) -> Sequence[bool]:
        """For each, whether left and right take turns."""

    def relative(self, amplitude: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """An amplitude, complex `[action]`, that may do for one of them what this one does for another."""

    def last_step(self) -> np.ndarray:
        """What of the last step a bout is judged by, `[quantities]`."""

    def scores(self, steps: np.ndarray) -> list[float]:
        """How well each of them was met by steps `[steps, quantities]`, as a mean reward."""


class Rhythms:
    """Looks for rhythms that pay, and shows them to the learner.

    The noise of acting hardly moves a robot that stands; of random rhythms one in five to ten walks. So bouts of
    rhythms alternate with the policy, new ones or variations of the best (a small evolution strategy, Rechenberg 1973),
    until the policy does as well. What they lead to is replayed like everything else: the model learns how the robot
    moves when it walks, and the actor imitates what paid, see `ActorCritic.imitation_loss`.

    That gaits are periodic and alternate is prior knowledge, as are the pattern generators through which robots act in
    Bohlinger et al. 2025, Gait in Eight; here only the exploration has it, and the policy is free.

    With several aims the bouts look for each of them in turn, as long as there are bouts, and what one comes upon is
    remembered for all of them. Every other one tries what is related to the best of any aim, see `Aims.relative`: what
    goes forwards says much about how to go backwards, or to turn.
    """

    def __init__(
        self,
        spec: RobotSpec,
        frequency_hz: tuple[float, float],
        generator: np.random.Generator,
        until_reward: float | None = None,
        aims: Aims | None = None,
    ):
        """No rhythm yet.

        Args:
          frequency_hz: lowest and highest.
          until_reward: see `ActorConfig.rhythm_until_reward`.
          aims: None for the reward alone.

        Raises:
          UserError: the robot cannot follow them.
        """
        if spec.action.is_discrete:
            raise UserError(
                f"The actions of {spec.robot} are discrete and have no rhythms; set actor.rhythm_hz to null."
            )
        lowest, highest = frequency_hz
        if not 0.0 < lowest <= highest <= spec.control_rate_hz / 2:
            raise UserError(
                f"actor.rhythm_hz is [{lowest:g}, {highest:g}]; give the lowest and the highest frequency, above 0 and "
                f"at most {spec.control_rate_hz / 2:g} Hz, half the control rate."
            )
        self._spec = spec
        self._frequency_hz = frequency_hz
        self._random = generator
        self._period_s = spec.control_period_s
        self._aims = aims
        self._alternate = (True,) if aims is None else tuple(aims.alternate)
        self._aim = -1
        self._best: list[list[Rhythm]] = [[] for _ in self._alternate]
        self._tried = 0
        self._rhythm: Rhythm | None = None
        self._parent: Rhythm | None = None
        self._seen: list[Any] = []
        self._paused_s = PAUSE_S
        self._until_reward = until_reward
        self._policy_reward: float | None = None
        self._watched_s = 0.0

    def choose(
        self, reward: float, *, stands: bool, fallen: bool, policy_acts: bool, may_begin: bool
    ) -> np.ndarray | None:
        """The action of this step `[action]`; None if no rhythm is followed.

        Args:
          reward: of this step.
          stands: whether a bout may begin from here.
          fallen: ends a bout.
          policy_acts: where no rhythm is followed; otherwise bouts follow one another.
          may_begin: a bout at all.
        """
        if self._rhythm is not None:
            self._seen.append(reward if self._aims is None else self._aims.last_step())
            if fallen or self._time_s >= BOUT_S:
                self._judge()
        elif policy_acts and not fallen:
            self._watch_policy(reward)
        if self._rhythm is None and may_begin and stands and not fallen:
            if not policy_acts or (self._paused_s >= PAUSE_S and self._promising()):
                self._begin()
        return None if self._rhythm is None else self._rhythm.action(self._time_s)

    @property
    def _time_s(self) -> float:
        return len(self._seen) * self._period_s

    def _watch_policy(self, reward: float) -> None:
        self._paused_s += self._period_s
        self._watched_s += self._period_s
        before = reward if self._policy_reward is None else self._policy_reward
        self._policy_reward = before + self._period_s / POLICY_MEMORY_S * (reward - before)

    def _promising(self) -> bool:
        if self._until_reward is not None:
            if self._watched_s < SHOWING_S or self._policy_reward is None or self._policy_reward >= self._until_reward:
                return False
        if self._tried < TRIED_AT_LEAST or self._policy_reward is None or self._aims is not None:
            return True  # with several aims, what a policy earns says nothing of those that nobody asks it for now
        return np.mean([each.scores[0] for each in self._best[0]]) > self._policy_reward + PROMISE

    def _begin(self) -> None:
        self._seen, self._paused_s = [], 0.0
        self._aim = (self._aim + 1) % len(self._best)
        best = self._best[self._aim]
        rhythm, self._parent = self._draw(), None
        if self._aims is not None and best and self._random.random() < RELATED:
            found = self._best[self._random.integers(len(self._best))][0]
            rhythm.frequency_hz = found.frequency_hz
            rhythm.amplitude = self._aims.relative(found.amplitude, self._random)
        elif best and self._random.random() >= FRESH:
            ranks = np.arange(len(best), 0, -1)
            self._parent = parent = best[self._random.choice(len(ranks), p=ranks / ranks.sum())]
            factor = np.exp(0.1 * self._random.normal())
            rhythm.frequency_hz = float(np.clip(factor * parent.frequency_hz, *self._frequency_hz))
            rhythm.amplitude = parent.amplitude + VARIATION * rhythm.amplitude
        self._rhythm = rhythm

    def _draw(self) -> Rhythm:
        """A random rhythm; where the aim asks for it, each side does, half a period later, what the other one did."""
        parts = self._random.normal(size=(2, self._spec.action.size)) * np.sqrt(0.5)
        if self._spec.mirror and self._alternate[self._aim]:
            parts = (parts - self._spec.mirror_image("action", parts)) * np.sqrt(0.5)
        return Rhythm(float(self._random.uniform(*self._frequency_hz)), AMPLITUDE * (parts[0] + 1j * parts[1]))

    def _judge(self) -> None:
        """By all steps since full amplitude; what a fall has cut off counts as the last step before."""
        rhythm, self._rhythm = self._rhythm, None
        self._tried += 1
        missing = [self._seen[-1]] * (round(BOUT_S / self._period_s) - len(self._seen))
        counted = [*self._seen, *missing][round(2 * STILL_S / self._period_s) :]
        rhythm.scores = [float(np.mean(counted))] if self._aims is None else self._aims.scores(np.array(counted))
        aim, parent = self._aim, self._parent
        if parent is not None and rhythm.scores[aim] < parent.scores[aim]:
            parent.scores[aim] += DISAPPOINTMENT * (rhythm.scores[aim] - parent.scores[aim])
        for aim, best in enumerate(self._best):
            best.append(rhythm)
            best.sort(key=lambda each: each.scores[aim], reverse=True)
            del best[KEPT:]
