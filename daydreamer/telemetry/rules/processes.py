"""Whether the processes of a session keep up with the robot and with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daydreamer.telemetry.health import life_ticks
from daydreamer.telemetry.rules import Advice
from daydreamer.telemetry.session_telemetry import SessionTelemetry

RATIO_SHARE = 0.5
"""Of the train ratio's ceiling. With half the gradient steps learning takes about twice the hour; a little less than
the ceiling is what it is for."""

TRAINED_STEPS = 4
"""Multiples of `learner.minimum_s` after which the measured ratio has forgotten that training began late."""

MISS_SHARE_WARN, MISS_SHARE_BAD = 0.01, 0.05
"""Of all control ticks. One in a hundred is a late command every five seconds at 20 Hz, which the model takes for
noise; one in twenty is another robot than the one that is learned."""

SLOW_STEP_SHARE = 0.5
"""Of the control period: an actor whose ordinary step takes longer has no room for a bad one."""

MISS_TICKS = 400
"""Ticks of an actor life before misses are judged: the first ones pay for imports and compilation."""

POLICY_AGE_PERIODS, POLICY_AGE_S = 6, 60.0
"""A policy older than so many publishing periods and than this many seconds: the learner has stopped delivering. A
restarted learner takes up to a minute to compile, which is no reason for concern."""

FIRST_POLICY_S = 120.0
"""Robot time after `learner.minimum_s` within which the first policy must have come."""


def process_gone(telemetry: SessionTelemetry) -> Advice | None:
    """A process has ended without having been told to, and nobody has started it again."""
    gone = {
        role: each for role, each in telemetry.status["processes"].items() if each["state"] in ("crashed", "failed")
    }
    if not gone:
        return None
    names, words = _gone_and_why(telemetry.events, gone)
    said = f" Its last words: {words}" if words else ""
    status = telemetry.status
    cure = f"go on with '{telemetry.session.resume_command()}', which loses no step."
    if not (status["env_steps"] or status["problems"]):
        cure = "mend that and begin again; nothing has been recorded here."
    if telemetry.session.is_offline:  # what it was learned from is still there, and another robot's session is no cure
        cure = "learn from its logs again, into another directory."
    return Advice(
        rule="process_gone",
        level="bad",
        title=f"{' and '.join(names).capitalize()} gone",
        finding=f"{_list(names)} ended without being told to.{said}",
        cure=f"See {telemetry.session.path / 'log'}, then {cure}",
    )


def _gone_and_why(
    events: Sequence[Mapping[str, Any]], gone: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], str | None]:
    """The processes to be named, and the last words of one of them.

    The command that runs a session fails because a process has ended that nobody has started again: that is named. What
    a process said before it was started last is of another one.
    """
    started = {event["process"]: index for index, event in enumerate(events) if event["kind"] == "process_start"}
    ends = [
        event
        for index, event in enumerate(events)
        if event["kind"] == "process_end" and index > started.get(event["process"], -1)
    ]
    names = list(gone)
    if gone.get("walk", {}).get("state") == "failed" and ends:
        names = list(dict.fromkeys([*(name for name in names if name != "walk"), ends[-1]["process"]]))
    faults = [
        event["error"]
        for index, event in enumerate(events)
        if event["kind"] == "fault" and event["source"] in names and index > started.get(event["source"], -1)
    ]
    words = faults or [event["last_line"] for event in ends if event["process"] in names and event["last_line"]]
    return names, words[-1] if words else None


def learner_slow(telemetry: SessionTelemetry) -> Advice | None:
    """The learner makes far fewer gradient steps than the train ratio allows."""
    status, config = telemetry.status, telemetry.session.config.learner
    ratio, env_steps = status["train_ratio"], status["env_steps"]
    if ratio is None or not env_steps or env_steps < TRAINED_STEPS * telemetry.session.spec.steps(config.minimum_s):
        return None
    if ratio >= RATIO_SHARE * config.train_ratio:
        return None
    rate = f" ({status['updates_per_s']:.1f} gradient steps/s)" if status["updates_per_s"] else ""
    return Advice(
        rule="learner_slow",
        level="warn",
        title="Learner too slow",
        finding=f"Each step is replayed {ratio:.0f} times where learner.train_ratio allows {config.train_ratio:.0f}"
        f"{rate}: the machine is too slow for these networks or busy with something else.",
        cure="Stop other programs, learn on a machine with a GPU, or make the networks smaller "
        "(model.deterministic, model.units).",
    )


def gpu_idle(telemetry: SessionTelemetry) -> Advice | None:
    """The learner uses the processor of a machine that has a GPU."""
    status = telemetry.status
    if not status["idle_gpus"]:
        return None
    return Advice(
        rule="gpu_idle",
        level="warn",
        title="GPU idle",
        finding=f"The learner runs on '{status['device']}', and this machine has {status['idle_gpus']} NVIDIA GPU(s).",
        cure="Install JAX for it, as with pip install 'daydreamer[cuda]', and see that JAX_PLATFORMS does not say cpu.",
    )


def deadline_misses(telemetry: SessionTelemetry) -> Advice | None:
    """The control loop is late too often."""
    status = telemetry.status
    if status["deadline_misses"] is None or not status["last_logged_sequence"]:
        return None
    ticks = life_ticks(status)
    share = status["deadline_misses"] / max(1, ticks)
    if ticks < MISS_TICKS or share < MISS_SHARE_WARN:
        return None
    p50_ms, period_s = status["actor_step_ms"]["p50"], telemetry.session.spec.control_period_s
    period_ms = 1e3 * period_s / status["ticks_per_step"]
    if p50_ms is not None and p50_ms > SLOW_STEP_SHARE * period_ms:
        cause = f"the actor itself is slow, half of its latest steps take more than {p50_ms:.0f} of {period_ms:.0f} ms."
        cure = "Make the networks smaller (model.deterministic, model.units), or use a faster machine."
    else:
        cause = "something else takes the processor from it now and then."
        cure = "Leave a core free, or stop other programs."
        granted = [event for event in telemetry.events if event["kind"] == "scheduling" and event["source"] == "actor"]
        if granted and granted[-1].get("real_time_priority") is None:
            cure = f"Permit real-time scheduling, which was refused (docs/realtime.md). {cure}"
    return Advice(
        rule="deadline_misses",
        level="bad" if share >= MISS_SHARE_BAD else "warn",
        title="Control loop late",
        finding=f"{status['deadline_misses']} of {ticks} control ticks ({share:.1%}) came late, so the robot moves "
        f"by another clock than the model learns; {cause}",
        cure=cure,
    )


def policy_old(telemetry: SessionTelemetry) -> Advice | None:
    """The robot has been driven by the same policy for too long, or has none although it should."""
    status, config = telemetry.status, telemetry.session.config.learner
    learner = status["processes"].get("learner")
    state = learner["state"] if learner else "missing"
    cure = (
        f"The learner is {state}; see {telemetry.session.path / 'log'} and, if it is gone, use "
        f"'{telemetry.session.resume_command()}'."
    )
    if not status["policy_version"]:
        late_steps = telemetry.session.spec.steps(config.minimum_s + FIRST_POLICY_S)
        if status["policy_version"] is None or (status["env_steps"] or 0) < late_steps:
            return None
        return Advice(
            rule="policy_old",
            level="bad",
            title="No policy yet",
            finding=f"After {status['robot_seconds'] / 60:.0f} robot minutes all actions are still random: no policy "
            "has come from the learner.",
            cure=cure,
        )
    age_s = status["policy_age_s"]
    if age_s is None or age_s < max(POLICY_AGE_PERIODS * config.publish_period_s, POLICY_AGE_S):
        return None
    return Advice(
        rule="policy_old",
        level="bad",
        title="Policy old",
        finding=f"The robot acts by a policy that is {age_s:.0f} s old, where a new one is due every "
        f"{config.publish_period_s:g} s: what it experiences does not reach its behaviour.",
        cure=cure,
    )


def _list(names) -> str:
    return " and ".join(f"the {name}" for name in names).capitalize()


RULES = (process_gone, learner_slow, gpu_idle, deadline_misses, policy_old)
