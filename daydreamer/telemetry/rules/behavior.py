"""Whether actor and critic get better inside the model, and the robot with them."""

from __future__ import annotations

import numpy as np

from daydreamer.telemetry.health import robot_state
from daydreamer.telemetry.rules import Advice
from daydreamer.telemetry.rules.model import is_poor
from daydreamer.telemetry.session_telemetry import CLOCK_TAG, SessionTelemetry

RECENT_S = 180.0
"""Span of the behaviour's figures that are judged: some dozens of points, so that no outlier decides."""

PROMISE_SHARE = 0.5
"""How far beyond the best reward ever held the critic may expect to go, as a share of the span from worst to best. A
robot that is still improving is expected to do a little better than ever; half the span more is wishful thinking."""

LEAST_SPAN = 0.1
"""The span is taken to be at least this share of the best reward, for a robot that has not changed it yet."""

COLLAPSED_SHARE = 0.1
"""Of `learner.entropy_target`: a randomness (0 to 1) below has been lost in spite of the weight that rises with it."""

FLAT_BLOCK_S = 300.0
"""The reward's means over this long are compared: a few falls and recoveries each."""

LEAST_PROMISE = 0.05
"""Reward per step. A critic that errs by so little does not chase promises of its own, also where no step has paid
anything yet, as for a robot that is rewarded at its goal alone."""

FLAT_AFTER_S = 900.0
"""Before this a reward comes and goes, as the A1 twin's with every fall; a plateau means nothing yet."""

FLAT_SHARE = 0.05
"""Of the span from the worst to the best minute: a gain over `2 FLAT_BLOCK_S` below it would take hours to matter."""


def critic_diverging(telemetry: SessionTelemetry) -> Advice | None:
    """The critic promises more than the robot, or who has shown it something, has ever come near to."""
    returns = telemetry.series("learner/behavior/return").last(RECENT_S)
    rewards = telemetry.series(CLOCK_TAG).value
    if not len(returns) or not len(rewards):
        return None
    discount = telemetry.session.config.learner.discount
    promised = float(np.median(returns)) * (1.0 - discount)
    shown = [each.reward for each in telemetry.session.record.demonstrations]
    worst, best = float(rewards.min()), max([float(rewards.max()), *shown])
    if promised <= best + max(PROMISE_SHARE * max(best - worst, LEAST_SPAN * abs(best)), LEAST_PROMISE):
        return None
    return Advice(
        rule="critic_diverging",
        level="bad",
        title="Critic diverging",
        finding=f"The critic expects a reward of {promised:.1f} per step in the long run, where the best that the "
        f"robot ever held for ten seconds{', or was shown,' if shown else ''} is {best:.1f}: the policy chases "
        "promises of its own.",
        cure="Lower learner.critic_learning_rate or learner.discount, or raise learner.replay_value_scale, "
        "which ties the critic to rewards that were received.",
    )


def entropy_collapsed(telemetry: SessionTelemetry) -> Advice | None:
    """The policy has stopped to try anything."""
    randomness = telemetry.series("learner/behavior/randomness").last(RECENT_S)
    target = telemetry.session.config.learner.entropy_target
    if not len(randomness) or np.median(randomness) >= COLLAPSED_SHARE * target:
        return None
    return Advice(
        rule="entropy_collapsed",
        level="warn",
        title="Entropy collapsed",
        finding=f"The policy's randomness is {np.median(randomness):.3f}, the target is {target:g}: it repeats itself "
        "and learns nothing new.",
        cure="Raise learner.entropy_rate or learner.entropy_scale; if the rewards are much larger "
        "than usual, scale them down.",
    )


def reward_flat(telemetry: SessionTelemetry) -> Advice | None:
    """The reward has stopped rising short of the goal; whether model or exploration is to blame."""
    reward, goal = telemetry.series(CLOCK_TAG), telemetry.session.presentation.goal
    if not len(reward) or reward.robot_s[-1] < FLAT_AFTER_S:
        return None
    if goal is not None and goal.name in telemetry.status["milestones_s"]:
        return None
    end_s = reward.robot_s[-1]
    minutes = [reward.between(begin_s, begin_s + 60.0) for begin_s in np.arange(0.0, end_s - 59.0, 60.0)]
    means = [values.mean() for values in minutes if len(values)]
    last = reward.between(end_s - FLAT_BLOCK_S, end_s)
    before = reward.between(end_s - 3 * FLAT_BLOCK_S, end_s - 2 * FLAT_BLOCK_S)
    if not len(before) or last.mean() - before.mean() >= FLAT_SHARE * (max(means) - min(means)):
        return None
    poor = is_poor(telemetry)
    return Advice(
        rule="reward_flat",
        level="warn",
        title="Reward flat",
        finding=f"The reward was {before.mean():.2f} ten minutes ago and is {last.mean():.2f} now. {_CAUSES[poor]}",
        cure=_explore(telemetry) if poor is False else _CURES[poor],
    )


def policy_stuck(telemetry: SessionTelemetry) -> Advice | None:
    """The policy of a live robot is paid nothing, and an operator who is there could show it what pays."""
    status = telemetry.status
    if status["stuck_s"] is None or robot_state(status) != "running":
        return None
    # Under ros2 launch there is no command that reads keys.
    by_keys = status["processes"].get("walk", {}).get("state") == "running"
    return Advice(
        rule="policy_stuck",
        level="warn",
        title="Policy stuck",
        finding=f"The policy has been paid nothing for {status['stuck_s'] / 60:.0f} minutes: it may not find by itself "
        "what pays.",
        cure=f"Intervene for a few seconds and show it: {_KEYS if by_keys else ''}hold the dead-man button of a "
        "gamepad, LB of an Xbox one, and steer by its sticks ('ros2 run joy joy_node').",
    )


def _explore(telemetry: SessionTelemetry) -> str:
    # Only what has feet falls.
    rescue = ", see that actor.fallen_reward is set," if telemetry.session.spec.foot_names else ""
    return (
        f"Raise learner.entropy_target to explore more{rescue} or bring the robot by hand into a pose that it has not "
        "seen."
    )


_KEYS = "press i in the session's terminal, steer by w, a, s, d, arrows, q and e, and press i again to give back; or "
_CAUSES = {
    False: "The model predicts well, so that the policy has nothing new to learn from.",
    True: "The model predicts poorly, so that what is learned inside it does not carry over.",
    None: "There are no recorded predictions to tell whether model or exploration is to blame.",
}
_CURES = {
    True: "See to the model first, with a higher learner.train_ratio, more computing power, or a look at the sensors.",
    None: "Set learner.dream_period_s above 0.",
}

RULES = (critic_diverging, reward_flat, entropy_collapsed, policy_stuck)
