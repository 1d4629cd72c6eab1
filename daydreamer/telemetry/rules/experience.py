"""Whether what the robot senses and does can be learned from."""

from __future__ import annotations

import numpy as np

from daydreamer.telemetry.columns import StepColumns
from daydreamer.telemetry.rules import Advice
from daydreamer.telemetry.session_telemetry import SessionTelemetry

JUDGED_S = 20.0
"""Steps below this say too little. 20 s is more than any pose is held by a robot that explores."""

MOVING_DEVIATION = 0.02
"""Standard deviation of an action element (range -1 to 1) above which the robot is being moved."""

DOUBTED_S = 300.0
"""The actor repeats a remark every minute while its cause lasts."""

LEAST_IMAGES = 20
"""In a row, that are all alike to the last bit only where a camera stands still."""

SATURATED_ACTION, SATURATED_SHARE = 0.97, 0.6
"""An action beyond 0.97 is at its bound. Learned gaits touch the bounds with some joints for some of the time; more
than 60 % of all elements is bang-bang control, whose gradient through the squashing is gone."""

STILL_S = 2.0
"""How long joints and commands must rest before the odometry is expected to say zero: longer than a fall takes."""

STILL_COMMAND_RAD = 0.05
"""Range of the commands within `STILL_S`; less than the noise of any policy that acts."""

STILL_POSITION = 0.1
"""Range of the joint positions within `STILL_S`, in the units in which they are observed (A1: half of each joint's
range): sensor noise and settling, not a step."""

ON_BACK_UP_Z = -0.5
"""A robot whose up points down this far lies on its back, where legs cannot carry it anywhere."""

ON_BACK_S = 10.0
"""Time on the back before its mean speed is judged: rocking averages out."""

DRIFT_SPEED_M_S = 0.1
"""Mean speed of a robot that is at rest. The target is 0.3 m/s, so that this is a third of a perfect walk for free."""

_VELOCITY = ("forward_velocity_m_s", "lateral_velocity_m_s")
_LOG_KINDS = ("log_problem", "log_shorter_than_checkpoint")


def log_problems(telemetry: SessionTelemetry) -> Advice | None:
    """Experience, status or metrics are damaged or incomplete."""
    texts = [event.get("text") or _describe(event) for event in telemetry.events if event["kind"] in _LOG_KINDS]
    texts = list(dict.fromkeys([*texts, *telemetry.problems]))  # a restarted learner finds the same again
    if not texts:
        return None
    more = f" ({len(texts) - 1} more: 'daydreamer doctor {telemetry.session.path}')" if len(texts) > 1 else ""
    return Advice(
        rule="log_problems",
        level="bad",
        title="Files damaged or incomplete",
        finding=f"{texts[0]}{more} Everything else is used.",
        cure="Check the disk and its free space before going on.",
    )


def sensor_constant(telemetry: SessionTelemetry) -> Advice | None:
    """Something observed does not change at all while the robot moves: real sensors have noise."""
    spec = telemetry.session.spec
    rows = round(JUDGED_S * spec.control_rate_hz)
    if not _is_moved(telemetry.recent, rows):
        return None
    constant = []
    observed = {**telemetry.recent.observation, **telemetry.recent_images}
    seen_s = JUDGED_S
    for key in observed.keys() - set(telemetry.session.presentation.may_be_constant):
        values = observed[key][-rows:]
        # A switch may well stay as it is, and of large images few are looked at.
        if spec.observation[key].is_discrete or len(values) < LEAST_IMAGES:
            continue
        flat = values.reshape(len(values), -1)
        still = np.all(flat == flat[0], axis=0)
        if still.all():
            constant.append(key)
            seen_s = min(seen_s, len(values) * spec.control_period_s)
        elif not spec.observation[key].is_image:  # a pixel may well be black for ever
            constant += [f"{key} of {_element(telemetry, key, index)}" for index in np.flatnonzero(still)]
    if not constant:
        return None
    shown = ", ".join(sorted(constant)[:3]) + (f" and {len(constant) - 3} more" if len(constant) > 3 else "")
    return Advice(
        rule="sensor_constant",
        level="bad",
        title="Sensor constant",
        finding=f"{shown} has not changed in the last {seen_s:.0f} s although the robot was moving: the sensor, its "
        "cable or its driver has failed, or a topic is not connected.",
        cure="Stop the robot and look at the driver's output.",
    )


def sensor_doubted(telemetry: SessionTelemetry) -> Advice | None:
    """The actor has found something about the sensors that is no fault of a single message."""
    found = [
        event for event in telemetry.events if event["kind"] == "message" and isinstance(event.get("finding"), str)
    ]
    recent = [event for event in found if event["wall_s"] > telemetry.events[-1]["wall_s"] - DOUBTED_S]
    if not recent:
        return None
    texts = list(dict.fromkeys(event["finding"] for event in reversed(recent)))
    more = f" ({len(texts) - 1} more in events.jsonl)" if len(texts) > 1 else ""
    corrected = all(event.get("fault") == "foot_offset" for event in recent)
    return Advice(
        rule="sensor_doubted",
        level="warn" if corrected else "bad",
        title="Sensor doubtful",
        finding=f"{texts[0]}{more}",
        cure="See what check-robot says of it, and mend the driver: what is learned from wrong numbers stays learned.",
    )


def action_saturated(telemetry: SessionTelemetry) -> Advice | None:
    """The policy asks for the ends of the range nearly all the time."""
    steps, spec = telemetry.recent, telemetry.session.spec
    by_policy = steps.action_requested[steps.policy_version > 0]
    if spec.action.is_discrete or len(by_policy) < JUDGED_S * spec.control_rate_hz:
        return None
    share = float(np.mean(np.abs(by_policy) > SATURATED_ACTION))
    if share < SATURATED_SHARE:
        return None
    return Advice(
        rule="action_saturated",
        level="warn",
        title="Actions saturated",
        finding=f"{share:.0%} of the policy's actions lie at the ends of their range: it switches instead of "
        "steering, which wears the motors and leaves nothing to learn from.",
        cure="Raise learner.entropy_target, or lower "
        "learner.actor_learning_rate; if the robot needs more reach, widen the action's range.",
    )


def odometry_drift(telemetry: SessionTelemetry) -> Advice | None:
    """The odometry of a robot with legs says that it travels while it cannot: it rests, or lies on its back."""
    steps, spec = telemetry.recent, telemetry.session.spec
    if not len(steps) or not spec.foot_names or not set(_VELOCITY) <= steps.info.keys():
        return None
    velocity = np.stack([steps.info[name] for name in _VELOCITY], axis=1)
    situations = (
        (
            _at_rest(steps, round(STILL_S * spec.control_rate_hz)),
            round(STILL_S * spec.control_rate_hz),
            "no joint moves",
        ),
        (_on_back(steps), round(ON_BACK_S * spec.control_rate_hz), "the robot lies on its back"),
    )
    for where, least, situation in situations:
        speed = float(np.linalg.norm(velocity[where].mean(axis=0))) if where.sum() >= least else 0.0
        if speed > DRIFT_SPEED_M_S:
            return Advice(
                rule="odometry_drift",
                level="bad",
                title="Odometry drifting",
                finding=f"The odometry reports {speed:.2f} m/s on average while {situation}, and the reward pays for "
                "it.",
                cure="Check the calibration of the accelerometer and the foot contact sensors, and that the IMU is "
                "mounted as its frame says (REP-103).",
            )
    return None


def _is_moved(steps: StepColumns, rows: int) -> bool:
    if len(steps) < rows:
        return False
    return bool(np.any(steps.action_requested[-rows:].reshape(rows, -1).std(axis=0) > MOVING_DEVIATION))


def _at_rest(steps: StepColumns, window: int) -> np.ndarray:
    """`[steps]`, whether commands and joints have rested for `window` steps up to each."""
    position = steps.observation.get("joint_position")
    at_rest = np.zeros(len(steps), bool)
    if position is None or len(steps) < window:
        return at_rest
    rows = (values.reshape(len(steps), -1) for values in (steps.action_sent, position))
    ranges = [np.ptp(_windows(values, window), axis=-1).max(axis=-1) for values in rows]
    at_rest[window - 1 :] = (ranges[0] < STILL_COMMAND_RAD) & (ranges[1] < STILL_POSITION)
    return at_rest


def _on_back(steps: StepColumns) -> np.ndarray:
    up_z = steps.info.get("up_z")
    return np.zeros(len(steps), bool) if up_z is None else up_z < ON_BACK_UP_Z


def _windows(values: np.ndarray, window: int) -> np.ndarray:
    """`[steps - window + 1, elements, window]`."""
    return np.lib.stride_tricks.sliding_window_view(values, window, axis=0)


def _element(telemetry: SessionTelemetry, key: str, index: int) -> str:
    spec = telemetry.session.spec
    return spec.joint_names[index] if spec.observation[key].size == len(spec.joint_names) else f"element {index}"


def _describe(event: dict) -> str:
    return (
        f"The logs hold {event['env_steps']} steps, fewer than the {event['checkpoint_env_steps']} that the learner's "
        "checkpoint has seen, as after a power loss."
    )


RULES = (log_problems, sensor_constant, sensor_doubted, odometry_drift, action_saturated)
