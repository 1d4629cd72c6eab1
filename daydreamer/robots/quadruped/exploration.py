"""When to act at random, when to repeat what once helped, and when to leave it to the policy."""

from __future__ import annotations

import dataclasses

import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.contract.motions import KnownMotion
from daydreamer.random_actions import random_action
from daydreamer.robots.quadruped.rhythm import Aims, Rhythms
from daydreamer.spec import RobotSpec

RANDOM_ACTIONS = 2
"""Random actions of a plan, each held for `random_hold_s`."""
SYMMETRIC = 0.5
"""Probability that a random action is its own mirror image, as those are that lift a robot with legs without tipping it
over."""
REST_S = 2.0
"""How long the last action of a motion is held, to see where the motion has led."""
MINIMAL_GAIN = 0.1
"""A motion that has not raised the reward by this much when its last action begins is given up without it."""
MEMORY_S = 1.0
"""Over which the reward of now is averaged."""
KEPT = 8
"""Motions that are remembered."""
FORGETTING = 0.95
"""How much an earlier trial counts beside the next one: policies, robots and floors change."""
NOVELTY = (1.0, 10.0)
"""Successes and failures that a motion never tried before, or a new policy, is credited with."""
RETRY_DISCOUNT = 0.5
"""What is left of a plan's chance each time it has failed since the robot fell: from where it lies now, with its legs
crossed under it, say, what has helped elsewhere may fail for ever."""


@dataclasses.dataclass
class RecoveryPlan:
    """A way for a fallen robot to get up, and how it has fared.

    Attributes:
      actions: `[RANDOM_ACTIONS, action]`, after which come the robot's `get_up_actions`; None leaves it to the policy.
      successes, failures: of its trials, recent ones in full.
      in_vain: failures since the robot last got up.
    """

    actions: np.ndarray | None
    successes: float = 1.0
    failures: float = 1.0
    in_vain: int = 0

    def count(self, succeeded: bool) -> None:
        self.successes = FORGETTING * self.successes + succeeded
        self.failures = FORGETTING * self.failures + (not succeeded)

    @property
    def success_rate(self) -> float:
        """Share of its trials that succeeded."""
        return self.successes / (self.successes + self.failures)

    def draw(self, generator: np.random.Generator) -> float:
        """How likely it is to succeed from here, drawn from what is known about it."""
        return RETRY_DISCOUNT**self.in_vain * generator.beta(self.successes + 1e-3, self.failures + 1e-3)


class Explorer:
    """Decides step by step whether the policy acts, or a motion that is random or remembered.

    Motions come first. Later they come to the rescue: while the robot has fallen, as its reward tells, it tries ways
    out one after the other. A motion is a few random actions, to roll over, and then those by which the robot gets up
    from its belly, which are known. One that led out is remembered, together with its mirror image if the robot has
    one. Which way is tried is drawn by how well each has done (Thompson 1933): the policy is one of them, a new random
    motion another. So a robot that has fallen gets up as soon as it has once got up by chance, and leaves it to the
    policy as soon as that does better.

    What is known of getting up outlives it, see `RemembersMotions` and its `known_motions`.

    On its feet it may try rhythms, see `Rhythms`.

    Actions are held because white noise hardly gets through the low-pass filter of the commands (Dabney et al. 2021
    hold them for the sake of exploration in general).
    """

    def __init__(
        self,
        spec: RobotSpec,
        config: ActorConfig,
        generator: np.random.Generator,
        get_up_actions: np.ndarray | None = None,
        aims: Aims | None = None,
    ):
        """An explorer that has found nothing yet.

        Args:
          get_up_actions: see `QuadrupedWalkTask`; None to rest at the action 0.
          aims: of rhythms, see `Rhythms`.
        """
        self._spec = spec
        self._get_up_actions = [spec.action.zeros()] if get_up_actions is None else list(get_up_actions)
        self._config = config
        self._mirrors = bool(spec.mirror) and not spec.action.is_discrete
        self._random = generator
        self._hold_steps = max(1, round(config.random_hold_s * spec.control_rate_hz))
        self._last_action_step = (RANDOM_ACTIONS + len(self._get_up_actions) - 1) * self._hold_steps
        self._rest_steps = round(REST_S * spec.control_rate_hz)
        self._rate = 1.0 / (MEMORY_S * spec.control_rate_hz)
        self._policy = RecoveryPlan(None, *NOVELTY)
        self._novelty = RecoveryPlan(None, *NOVELTY)
        self._remembered: list[RecoveryPlan] = []
        self._trial: RecoveryPlan | None = None
        self._trial_step = 0
        self._is_new = False
        self._is_rescue = False
        self._reward_before = 0.0
        self._at_first = False
        self._reward: float | None = None
        self.known_motions: tuple[KnownMotion, ...] = ()
        self._rhythms = None
        if config.rhythm_hz:
            self._rhythms = Rhythms(spec, config.rhythm_hz, generator, config.rhythm_until_reward, aims)

    @property
    def fallen(self) -> bool:
        """Whether the robot needs help."""
        fallen_reward = self._config.fallen_reward
        return None not in (self._reward, fallen_reward) and self._reward < fallen_reward

    def recall(self, motions: tuple[KnownMotion, ...]) -> None:
        """See `RemembersMotions`; motions of another shape than those of now are passed over."""
        for motion in motions:
            counts = motion.successes, motion.failures
            if motion.actions is None:
                self._policy = RecoveryPlan(None, *counts)
            elif len(motion.actions) == RANDOM_ACTIONS:
                self._remembered.append(RecoveryPlan(np.array(motion.actions, np.float32), *counts))
        del self._remembered[KEPT:]
        self._publish()

    def _publish(self) -> None:
        """Replaces `known_motions` as a whole: other threads look at it."""
        self.known_motions = tuple(
            KnownMotion(
                actions=None if plan.actions is None else tuple(map(tuple, plan.actions.tolist())),
                successes=plan.successes,
                failures=plan.failures,
            )
            for plan in (self._policy, *self._remembered)
        )

    def choose(self, reward: float, env_steps: int, has_policy: bool) -> np.ndarray | None:
        """The action of this step `[action]`; None if the policy is to act.

        Args:
          reward: of this step.
          env_steps: of the session before this one.
          has_policy: only motions until there is one.
        """
        at_first = env_steps < self._spec.steps(self._config.random_s) or not has_policy
        self._remember(reward)
        if self._at_first and not at_first:
            self._trial = None
        self._at_first = at_first
        if self._trial is not None and self._is_over():
            self._judge()
        if self._trial is None:
            action = self._rhythm_action(reward, env_steps, at_first)
            if action is not None or not (at_first or self.fallen):
                return action
            self._begin(at_first, reward)
        step, self._trial_step = self._trial_step, self._trial_step + 1
        if self._trial.actions is None:
            return None
        position = min(step, self._last_action_step) // self._hold_steps
        get_up = position - RANDOM_ACTIONS
        return self._trial.actions[position] if get_up < 0 else self._get_up_actions[get_up]

    def _rhythm_action(self, reward: float, env_steps: int, at_first: bool) -> np.ndarray | None:
        if self._rhythms is None:
            return None
        return self._rhythms.choose(
            reward,
            stands=min(reward, self._reward) >= self._config.recovered_reward,
            fallen=self.fallen,
            policy_acts=not at_first,
            may_begin=env_steps < self._spec.steps(self._config.rhythm_s),
        )

    def _begin(self, at_first: bool, reward: float) -> None:
        self._trial_step = 0
        self._is_rescue = self.fallen
        self._reward_before = reward  # of now: the mean still remembers how it was before the fall
        known = self._remembered if self._is_rescue else []
        plans = [self._novelty, *known] if at_first else [self._novelty, self._policy, *known]
        plan = max(plans, key=lambda plan: plan.draw(self._random))
        self._is_new = plan is self._novelty
        self._trial = RecoveryPlan(self._random_actions()) if self._is_new else plan

    def _is_over(self) -> bool:
        rested = self._trial_step - self._last_action_step
        return rested >= self._rest_steps or (rested >= 0 and self._reward < self._reward_before + MINIMAL_GAIN)

    def _judge(self) -> None:
        trial, self._trial = self._trial, None
        if not self._is_rescue:
            return  # there was nothing to get out of
        succeeded = self._reward >= self._config.recovered_reward
        (self._novelty if self._is_new else trial).count(succeeded)
        if succeeded:
            for plan in (self._policy, *self._remembered):
                plan.in_vain = 0
            if self._is_new:
                self._keep(trial.actions)
        else:
            trial.in_vain += 1
        self._publish()

    def _keep(self, actions: np.ndarray) -> None:
        found = [RecoveryPlan(actions, successes=2.0)]
        if self._mirrors:
            found.append(RecoveryPlan(self._spec.mirror_image("action", actions)))
        plans = sorted(self._remembered, key=lambda plan: plan.success_rate, reverse=True)
        self._remembered = found + plans[: KEPT - len(found)]

    def _random_actions(self) -> np.ndarray:
        return np.stack([self._symmetric_action() for _ in range(RANDOM_ACTIONS)])

    def _symmetric_action(self) -> np.ndarray:
        action = random_action(self._spec.action, self._random)
        if not self._mirrors or self._random.random() >= SYMMETRIC:
            return action
        # One element of each pair decides for both; one that is its own partner takes what serves both images.
        partners = np.abs(self._spec.mirror["action"]) - 1
        own, other = np.arange(len(partners)), self._spec.mirror_image("action", action)
        return np.where(partners > own, action, np.where(partners < own, other, (action + other) / 2))

    def _remember(self, reward: float) -> None:
        if self._reward is None:
            self._reward = reward
        self._reward += self._rate * (reward - self._reward)
