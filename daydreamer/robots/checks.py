"""Whether what a robot's driver publishes is what the robot's folder says: judgements on recorded messages.

`daydreamer check-robot` records them; this module imports no ROS.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Sequence

import numpy as np

from daydreamer.contract.frames import GRAVITY_M_S2, rotation_matrix
from daydreamer.contract.limits import JointLimits
from daydreamer.robots.sensor_watch import gravity_words
from daydreamer.spec import RobotSpec

RANGE_MARGIN_RAD = 0.05
"""A calibrated encoder may say this much more than the mechanical limit."""

NEARLY_RAD = 0.2
"""Beyond a limit, a joint may have been pushed this far; more is a fault of the driver."""

REPEATED_SHARE = 0.1
FROZEN_MESSAGES = 10

REST_SPEED_RAD_S = 0.3
GRAVITY_TOLERANCE_M_S2 = 1.0
TILT_TOLERANCE_RAD = 0.15
MOTION_RAD = 0.15
"""Of a guided motion: less than what drivers keep targets within of the measured angle."""


class Verdict(enum.StrEnum):
    """Of one check; a robot with a FAIL must not be switched on with this driver."""

    OK = "ok"
    NOTE = "note"
    FAIL = "FAIL"


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
      name: what was looked at.
      verdict: of it.
      detail: figures, and the cure if it failed.
    """

    name: str
    verdict: Verdict
    detail: str


@dataclasses.dataclass
class TopicRecord:
    """Messages of one topic while the robot was left alone; `[n]` in the order of arrival.

    Attributes:
      topic: resolved name.
      received_s: steady clock.
      stamp_s: of the sender's wall clock; 0 where it does not stamp.
      latency_s: wall clock at reception less the message's stamp.
      names: that were heard, in the order in which they were first heard.
      repeated: names that stand in one message twice.
      misfits: messages whose fields have other lengths than their names.
      values: by field, `[n, wanted]` in the order of the specification, or `[n, columns]`; NaN where there is none.
      frame: of the newest message.
      publishers: names of the nodes that publish here, one for each publisher.
      senders: names that each publisher's messages had, by the publisher's identity.
    """

    topic: str
    received_s: list[float] = dataclasses.field(default_factory=list)
    stamp_s: list[float] = dataclasses.field(default_factory=list)
    latency_s: list[float] = dataclasses.field(default_factory=list)
    names: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    misfits: int = 0
    values: dict[str, list[Sequence[float]]] = dataclasses.field(default_factory=dict)
    frame: str = ""
    publishers: tuple[str, ...] = ()
    senders: dict[bytes, set[str]] = dataclasses.field(default_factory=dict)

    def field(self, name: str) -> np.ndarray:
        """`[n, columns]`; empty if there are no messages, or if they differ in length."""
        rows = self.values.get(name, [])
        return np.array(rows, np.float64) if len({len(row) for row in rows}) == 1 else np.zeros((0, 0))

    def clear(self) -> None:
        """Forgets the messages."""
        for rows in (self.received_s, self.stamp_s, self.latency_s, *self.values.values()):
            rows.clear()


@dataclasses.dataclass(frozen=True)
class GuidedMotion:
    """What came of commanding one joint `wanted_rad` away from where it was.

    Attributes:
      joint: index in the specification.
      wanted_rad: signed.
      moved_rad: `[joints]`, what all joints did, as reported.
      speed_integral_rad: `[joints]`, the integral of the reported velocities meanwhile.
      delay_s: from the command to a tenth of the motion; None if it did not come to that.
    """

    joint: int
    wanted_rad: float
    moved_rad: np.ndarray
    speed_integral_rad: np.ndarray
    delay_s: float | None


def check_names(record: TopicRecord, wanted: Sequence[str], kind: str, why_silent: str = "") -> Check:
    """All of the specification's joints or feet are there; order and further ones do not matter.

    Args:
      why_silent: if nothing came.
    """
    name = f"{kind} names"
    if not record.names:
        return Check(name, Verdict.FAIL, f"nothing on {record.topic}. {why_silent or 'Is the driver running?'}")
    missing = [entry for entry in wanted if entry not in record.names]
    if missing:
        return Check(
            name,
            Verdict.FAIL,
            f"{record.topic} lacks {', '.join(missing)}; it has {', '.join(record.names) or 'none'}. Rename them in "
            "the driver or in the robot's folder.",
        )
    if record.repeated:
        return Check(name, Verdict.FAIL, f"{record.topic} has the same name twice: {', '.join(record.repeated)}.")
    if record.misfits:
        detail = f"{record.misfits} messages on {record.topic} have more or fewer values than names; mend the driver."
        return Check(name, Verdict.FAIL, detail)
    same_order = [entry for entry in record.names if entry in wanted] == list(wanted)
    order = "in the folder's order" if same_order else "in another order, which is fine: they are matched by name"
    return Check(name, Verdict.OK, f"all {len(wanted)}, {order}")


def check_publishers(record: TopicRecord, wanted: Sequence[str] = ()) -> Check:
    """One node publishes a topic, or several that each have joints or feet of their own.

    Args:
      wanted: the specification's joints or feet, for topics that name them.
    """
    name = f"publishers of {record.topic}"
    count = len(record.publishers)
    who = ", ".join(sorted(record.publishers))
    if count <= 1:
        return Check(name, Verdict.OK if count else Verdict.NOTE, who or "none was seen")
    parts = [names & set(wanted) for names in record.senders.values()]
    apart = len(parts) == count and sum(map(len, parts)) == len(set().union(*parts))
    if wanted and apart:
        return Check(name, Verdict.OK, f"{who}, each with names of its own")
    return Check(
        name,
        Verdict.FAIL,
        f"{count} publishers: {who}. What they say takes turns, as if the robot leapt; stop all but one, or remap it.",
    )


def check_rate(record: TopicRecord, spec: RobotSpec, state_timeout_s: float) -> Check:
    """At least one message a control period, and no gap that would count as a stale state."""
    name = f"rate of {record.topic}"
    if len(record.received_s) < 3:
        return Check(name, Verdict.FAIL, f"{len(record.received_s)} messages")
    gaps_s = np.diff(record.received_s)
    rate_hz, longest_s = 1.0 / gaps_s.mean(), gaps_s.max()
    detail = f"{rate_hz:.0f} Hz, longest gap {1e3 * longest_s:.0f} ms"
    if rate_hz < spec.control_rate_hz:
        return Check(name, Verdict.FAIL, f"{detail}; the control loop runs at {spec.control_rate_hz:g} Hz")
    if longest_s > state_timeout_s:
        return Check(
            name, Verdict.FAIL, f"{detail}; beyond {1e3 * state_timeout_s:.0f} ms the state is stale and the robot held"
        )
    if rate_hz < 2 * spec.control_rate_hz:
        return Check(name, Verdict.NOTE, f"{detail}; below twice the control rate a state is up to a period old")
    return Check(name, Verdict.OK, detail)


def check_latency(record: TopicRecord, spec: RobotSpec) -> Check:
    """Messages are stamped, and not older than a control period when they arrive."""
    name = f"latency of {record.topic}"
    if not record.latency_s:
        return Check(name, Verdict.FAIL, "no messages")
    median_ms, worst_ms = 1e3 * np.median(record.latency_s), 1e3 * np.max(record.latency_s)
    detail = f"median {median_ms:.1f} ms, worst {worst_ms:.1f} ms"
    if abs(median_ms) > 1e6:
        zero = not any(record.stamp_s)
        what = "are stamped 0" if zero else "are stamped with another clock, as a simulator's or that since boot"
        return Check(name, Verdict.NOTE, f"messages {what}: fill header.stamp with the time, to see how old they are")
    if median_ms < -1.0:
        detail = f"{detail}: stamped in the future, so the clocks differ; synchronise them (chrony) to see the latency"
        return Check(name, Verdict.NOTE, detail)
    if median_ms > 1e3 * spec.control_period_s:
        return Check(name, Verdict.FAIL, f"{detail}; more than a control period, or the clocks differ")
    return Check(name, Verdict.OK, detail)


def check_stamps(record: TopicRecord) -> Check:
    """Each message is newer than the one before; one that comes again is a state that is older than it seems."""
    name = f"stamps of {record.topic}"
    steps_s = np.diff(record.stamp_s)
    if not steps_s.size or not any(record.stamp_s):
        return Check(name, Verdict.NOTE, "nothing to compare")
    backwards, again = int((steps_s < 0.0).sum()), float((steps_s == 0.0).mean())
    if backwards:
        cause = "two publishers, a clock that is being set, or a recording that begins anew"
        return Check(name, Verdict.FAIL, f"{backwards} of {steps_s.size} run backwards: {cause}")
    if again > REPEATED_SHARE:
        detail = f"{again:.0%} are the same as the one before: the driver sends old states again; publish each once"
        return Check(name, Verdict.FAIL if again > 0.9 else Verdict.NOTE, detail)
    return Check(name, Verdict.OK, "increase")


def check_frozen(record: TopicRecord, fields: Sequence[str], what: str) -> Check | None:
    """What is measured has noise; None if it has."""
    rows = [record.field(name) for name in fields]
    rows = [values for values in rows if len(values) >= FROZEN_MESSAGES and not np.isnan(values).all()]
    if not rows or any(np.nanmax(np.ptp(values, axis=0)) > 0.0 for values in rows):
        return None
    return Check(
        f"noise of {record.topic}",
        Verdict.NOTE,
        f"{what} the same to the last bit in {len(rows[0])} messages: a frozen driver, or a simulator without noise. "
        "Move the robot by hand and look again.",
    )


def check_joint_ranges(position_rad: np.ndarray, spec: RobotSpec, limits: JointLimits) -> Check:
    """All measured angles lie within the mechanical limits: units, signs, offsets and names are plausible.

    Args:
      position_rad: `[n, joints]`.
    """
    low, high = limits.lower_rad - RANGE_MARGIN_RAD, limits.upper_rad + RANGE_MARGIN_RAD
    if not np.isfinite(position_rad).all():
        return Check("joint ranges", Verdict.FAIL, "positions are not finite")
    outside = [
        f"{joint} at {angle:+.2f} rad, limits {lower:+.2f} to {upper:+.2f}"
        for joint, angle, lower, upper, out in zip(
            spec.joint_names,
            np.median(position_rad, 0),
            limits.lower_rad,
            limits.upper_rad,
            np.any((position_rad < low) | (position_rad > high), 0),
            strict=True,
        )
        if out
    ]
    if outside:
        cause = _why_outside(np.median(position_rad, 0), low, high, spec.joint_names)
        return Check("joint ranges", Verdict.FAIL, f"{'; '.join(outside)}. {cause}")
    return Check("joint ranges", Verdict.OK, "all within the mechanical limits")


def _why_outside(angle_rad: np.ndarray, low: np.ndarray, high: np.ndarray, names: Sequence[str]) -> str:
    """The likeliest reason why joints are where none can be, and its cure."""

    def inside(angles_rad: np.ndarray) -> np.ndarray:
        return (angles_rad >= low) & (angles_rad <= high)

    out = np.flatnonzero(~inside(angle_rad))
    for turns in (-1, 1):
        if inside(angle_rad + turns * math.tau)[out].all():
            return "A whole turn less would fit: the zero of the encoder is wrong; calibrate it."
    for first in out:
        for second in range(len(names)):
            swapped = angle_rad.copy()
            swapped[[first, second]] = swapped[[second, first]]
            if second != first and inside(swapped)[list({*out.tolist(), second})].all():
                return f"They fit if {names[first]} and {names[second]} are exchanged: are the names swapped?"
    if np.abs(angle_rad).max() > math.tau and inside(np.radians(angle_rad)).all():
        return "They fit as degrees: publish rad."
    if inside(-angle_rad)[out].all():
        return "They fit with the other sign: turn the axis round."
    if np.maximum(low - angle_rad, angle_rad - high).max() < NEARLY_RAD:
        return "Move the joint by hand to where it can be; if it is, its zero is wrong. The actor does not set out so."
    return "Check names, sign, zero and unit. The actor does not set out so."


def check_permissions(missing: Sequence[str]) -> Check:
    """The robot's processes may go before all others.

    Args:
      missing: see `daydreamer.scheduling.missing_permissions`.
    """
    name = "permissions"
    if not missing:
        return Check(name, Verdict.OK, "real-time scheduling and locked memory")
    detail = f"no {' and no '.join(missing)}: commands come late while the machine is busy; see docs/realtime.md"
    return Check(name, Verdict.NOTE, detail)


def check_rest(velocity_rad_s: np.ndarray, spec: RobotSpec) -> Check:
    """Reported speeds `[n, joints]` of a robot that does not move are small."""
    if velocity_rad_s.size == 0 or np.isnan(velocity_rad_s).all():
        detail = "not filled: they are made of the angles' changes, which is noisier; fill 'velocity' if it is measured"
        return Check("joint velocities", Verdict.NOTE, detail)
    if not np.isfinite(velocity_rad_s).all():
        return Check("joint velocities", Verdict.FAIL, "not finite")
    speeds = np.abs(np.median(velocity_rad_s, 0))
    fastest = int(speeds.argmax())
    detail = f"at most {speeds[fastest]:.2f} rad/s at rest ({spec.joint_names[fastest]})"
    if speeds[fastest] >= REST_SPEED_RAD_S:
        detail += "; it moves, or the unit is another one (rad/s is wanted)"
    return Check("joint velocities", Verdict.OK if speeds[fastest] < REST_SPEED_RAD_S else Verdict.NOTE, detail)


def check_imu(
    orientation_wxyz: np.ndarray,
    angular_velocity_rad_s: np.ndarray,
    acceleration_m_s2: np.ndarray,
    frame: str,
    why_silent: str = "",
) -> list[Check]:
    """REP-103 and REP-145, on a robot at rest; arrays `[n, 4]`, `[n, 3]`, `[n, 3]`."""
    if not len(orientation_wxyz):
        return [Check("IMU", Verdict.FAIL, f"no messages. {why_silent}".strip())]
    checks = []
    norms = np.linalg.norm(orientation_wxyz, axis=1)
    good = bool(np.all(np.abs(norms - 1.0) < 0.01))
    checks.append(
        Check(
            "IMU orientation",
            Verdict.OK if good else Verdict.FAIL,
            "a unit quaternion" if good else f"norm {norms.mean():.2f} instead of 1; does the IMU give an orientation?",
        )
    )
    gravity = np.median(acceleration_m_s2, 0)
    strength = float(np.linalg.norm(gravity))
    right = abs(strength - GRAVITY_M_S2) < GRAVITY_TOLERANCE_M_S2
    detail = f"{strength:.2f} m/s²" if right else gravity_words(strength)
    checks.append(Check("IMU gravity", Verdict.OK if right else Verdict.FAIL, detail))
    if good and strength > 0:
        up = rotation_matrix(np.median(orientation_wxyz, 0))[2]
        angle_rad = float(np.arccos(np.clip(up @ gravity / strength, -1.0, 1.0)))
        agrees = angle_rad < TILT_TOLERANCE_RAD
        hint = "" if agrees else "; the orientation must turn base_link into the world (x forward, y left, z up)"
        detail = f"orientation and accelerometer disagree by {np.degrees(angle_rad):.1f}°{hint}"
        checks.append(Check("IMU axes", Verdict.OK if agrees else Verdict.FAIL, detail))
    turning = float(np.abs(np.median(angular_velocity_rad_s, 0)).max())
    still = turning < 0.1
    detail = f"{turning:.3f} rad/s at rest" + (
        "" if still else "; the robot moves, or calibrate it, or it is not in rad/s"
    )
    checks.append(Check("IMU gyroscope", Verdict.OK if still else Verdict.FAIL, detail))
    named = frame == "base_link"
    detail = "base_link" if named else f"'{frame}'; its axes have to be those of base_link all the same"
    checks.append(Check("IMU frame", Verdict.OK if named else Verdict.NOTE, detail))
    return checks


def check_motion(motion: GuidedMotion, spec: RobotSpec) -> Check:
    """The joint that was told to moved, the way it was told, about as far, and no other."""
    name = f"moves: {spec.joint_names[motion.joint]}"
    moved = motion.moved_rad / motion.wanted_rad
    own = moved[motion.joint]
    others = np.nan_to_num(np.abs(moved))
    others[motion.joint] = 0.0
    other = int(others.argmax())
    told = f"told {motion.wanted_rad:+.2f} rad, moved {motion.moved_rad[motion.joint]:+.2f}"
    if others[other] > 0.5 and abs(own) < 0.5:
        return Check(
            name,
            Verdict.FAIL,
            f"{told}; {spec.joint_names[other]} moved {motion.moved_rad[other]:+.2f}: the names are swapped",
        )
    if not math.isfinite(own):
        return Check(name, Verdict.FAIL, f"{told}: its angle was not reported")
    if own < -0.3:
        return Check(name, Verdict.FAIL, f"{told}: the sign is wrong")
    if own < 0.3:
        return Check(name, Verdict.FAIL, f"{told}: it does not follow")
    if own > 1.7:
        return Check(name, Verdict.FAIL, f"{told}: the unit or the gear ratio is wrong")
    # Speeds of a motion this small are mostly noise; their sign and size show in the integral. NaN is not reported.
    share = motion.speed_integral_rad[motion.joint] / motion.moved_rad[motion.joint]
    if share <= 0.5 or share >= 1.5:
        return Check(name, Verdict.FAIL, f"{told}, but its velocity says {share:+.1f} times that: wrong sign or unit")
    delay = "" if motion.delay_s is None else f", after {1e3 * motion.delay_s:.0f} ms"
    if others[other] > 0.5:
        return Check(name, Verdict.NOTE, f"{told}{delay}; {spec.joint_names[other]} moved as well: is it free?")
    return Check(name, Verdict.OK, f"{told}{delay}")


def safe_to_move(checks: Iterable[Check]) -> bool:
    """Whether guided motions may follow: nothing has failed."""
    return all(check.verdict is not Verdict.FAIL for check in checks)
