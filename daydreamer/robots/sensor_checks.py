"""Whether feet, wheels, camera, battery and thermometers of a robot that is left alone say what they should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daydreamer.contract.embodiment import FootSensing
from daydreamer.contract.limits import JointLimits
from daydreamer.robots.checks import Check, TopicRecord, Verdict
from daydreamer.robots.sensor_watch import SMALLEST_OFFSET_N, ChargeUnit, TemperatureUnit

LOWEST_FORCE_N = -5.0
CARRIED = (0.7, 1.3)
"""Share of the robot's weight that the feet of one that stands report together."""

STEADY_N = 5.0
"""Range of a foot's force while nobody touches the robot."""

REST_M_S, REST_RAD_S, LEAP_M = 0.03, 0.1, 0.05
"""Odometry of a robot that stands may say this much, and step so far from one message to the next."""


def check_foot_forces(
    force_n: np.ndarray, names: Sequence[str], sensing: FootSensing, unloaded: str, known_n: Sequence[float] = ()
) -> list[Check]:
    """Feet read nothing in the air, and together the robot's weight on the ground.

    Args:
      force_n: `[n, feet]`, as reported.
      unloaded: how it is known that the feet are in the air, as 'it hangs'; empty if it is not known.
      known_n: of the parameter foot_force_unloaded_n, one for each foot or for all; empty if it is not given.
    """
    name = "foot forces"
    if force_n.size == 0 or not np.isfinite(force_n).all():
        return [Check(name, Verdict.FAIL, "'effort' is not filled, or not finite; it holds the normal force in N")]
    reads_n = np.median(force_n, 0)
    net_n = reads_n - (np.array(known_n) if len(known_n) else 0.0)
    said = ", ".join(f"{foot} {force:.0f}" for foot, force in zip(names, net_n, strict=True)) + " N"
    judge = _unloaded if unloaded else _loaded
    checks = [Check(name, *judge(said, net_n, reads_n, names, sensing, unloaded))]
    restless = [foot for foot, swing in zip(names, np.ptp(force_n, axis=0), strict=True) if swing > 2 * STEADY_N]
    if restless:
        detail = f"{', '.join(restless)} changes by more than {2 * STEADY_N:.0f} N in a robot that is left alone"
        checks.append(Check("foot noise", Verdict.NOTE, f"{detail}: does it move, or is the sensor noisy?"))
    return checks


def _unloaded(
    said: str, net_n: np.ndarray, reads_n: np.ndarray, names: Sequence[str], sensing: FootSensing, unloaded: str
) -> tuple[Verdict, str]:
    largest_n = float(np.abs(net_n).max())
    if largest_n <= SMALLEST_OFFSET_N:
        return Verdict.OK, f"{said} ({unloaded})"
    zeros = ", ".join(f"{force:.1f}" for force in reads_n)
    cure = f"set foot_force_unloaded_n: [{zeros}] in the actor's parameters, and give it here to see it work"
    if largest_n <= sensing.contact_n:
        return Verdict.NOTE, f"{said} although {unloaded}: an offset; {cure}"
    effect = f"more than {sensing.contact_n:.0f} N counts as standing, so that odometry and reward go wrong"
    return Verdict.FAIL, f"{said} although {unloaded}: {effect}; {cure}"


def _loaded(
    said: str, net_n: np.ndarray, reads_n: np.ndarray, names: Sequence[str], sensing: FootSensing, unloaded: str
) -> tuple[Verdict, str]:
    total_n, weight_n = float(net_n.sum()), sensing.weight_n
    together = f"{said}, {total_n:.0f} N together"
    if net_n.min() < LOWEST_FORCE_N:
        return Verdict.FAIL, f"{said}: the ground pushes, it does not pull; an offset or a sign is wrong"
    if total_n > CARRIED[1] * weight_n:
        cause = "an offset (hang it, and check with --hanging), newton_per_foot_force, or a heavy payload"
        return Verdict.FAIL, f"{together} of a robot that weighs {weight_n:.0f} N: {cause}"
    if total_n < CARRIED[0] * weight_n and net_n.min() > sensing.contact_n:
        cause = "all feet read as standing, but they do not carry the robot: an offset, or it lies on them"
        return Verdict.FAIL, f"{together}: {cause}. Hang it, and check with --hanging"
    standing = net_n > sensing.contact_n
    if total_n > CARRIED[0] * weight_n and not standing.all():
        dead = ", ".join(foot for foot, loaded in zip(names, standing, strict=True) if not loaded)
        return Verdict.NOTE, f"{together}, which is its weight, but {dead} carries nothing: is it in the air, or dead?"
    if total_n > CARRIED[0] * weight_n:
        return Verdict.OK, f"{together}, of a robot that weighs {weight_n:.0f} N"
    return Verdict.NOTE, (
        f"{together}: it does not stand. Offsets show while it hangs (--hanging), dead and exchanged sensors when each "
        "foot is pressed by hand"
    )


def _known(record: TopicRecord) -> np.ndarray:
    """`[messages]`, what was reported, without what stands for nothing."""
    values = record.field("value")
    return values[np.isfinite(values).all(axis=1), 0] if values.size else np.zeros(0)


def check_charge(record: TopicRecord, limits: JointLimits) -> Check:
    """The charge is known, in which unit it is reported, and whether it is enough."""
    known = _known(record)
    if not known.size:
        return Check(record.topic, Verdict.NOTE, "not reported, so not watched")
    unit = ChargeUnit()
    try:
        charge = [unit(value) for value in known.tolist()][-1]
    except ValueError as error:
        return Check(record.topic, Verdict.FAIL, f"{error}; mend the driver")
    detail, verdict = f"{100 * charge:.0f} %", Verdict.OK
    if unit.percent:
        verdict = Verdict.NOTE
        detail = f"percentage is {known[-1]:g}, where 1 is full (0 to 1 by definition): taken as {detail}"
    if limits.battery_fraction is not None and charge < limits.battery_fraction:
        verdict = Verdict.FAIL
        detail += f"; below {100 * limits.battery_fraction:.0f} % the robot is held: charge it"
    return Check(record.topic, verdict, detail)


def check_temperature(record: TopicRecord, limits: JointLimits) -> Check:
    """The hottest that any motor was is known, in which unit it is reported, and whether it is cool enough."""
    known = _known(record)
    if not known.size:
        return Check(record.topic, Verdict.NOTE, "not reported, so not watched")
    unit = TemperatureUnit()
    value_c = max(unit(value) for value in known.tolist())  # motors report one after the other
    detail, verdict = f"{value_c:.0f} °C", Verdict.OK
    if unit.kelvin:
        verdict, detail = Verdict.NOTE, f"{known.max():.0f}, which is taken for kelvin: {detail}; publish °C"
    if limits.temperature_c is not None and value_c > limits.temperature_c:
        verdict = Verdict.FAIL
        detail += f"; above {limits.temperature_c:.0f} °C the robot is damped: let it cool, or mend the driver's unit"
    return Check(record.topic, verdict, detail)


def check_odometry(twist: np.ndarray, position_m: np.ndarray, why_silent: str = "") -> Check:
    """Wheel odometry of a robot that is left alone stands still.

    Args:
      twist: `[n, 2]`, forward speed in m/s and turn rate in rad/s.
      position_m: `[n, 2]`.
      why_silent: what may be the reason where there are no messages.
    """
    if not len(twist):
        return Check("odometry", Verdict.FAIL, f"no messages. {why_silent}".strip())
    if not (np.isfinite(twist).all() and np.isfinite(position_m).all()):
        return Check("odometry", Verdict.FAIL, "not finite")
    speed_m_s, turn_rad_s = np.abs(np.median(twist, 0)).tolist()
    leap_m = float(np.linalg.norm(np.diff(position_m, axis=0), axis=1).max(initial=0.0))
    detail = f"{speed_m_s:.2f} m/s and {turn_rad_s:.2f} rad/s at rest, steps of {leap_m:.3f} m at most"
    if leap_m > LEAP_M:
        return Check("odometry", Verdict.FAIL, f"{detail}: it leaps; is it reset, or published twice?")
    if speed_m_s > REST_M_S or turn_rad_s > REST_RAD_S:
        return Check("odometry", Verdict.NOTE, f"{detail}: it moves, or units are others (m/s, rad/s)")
    return Check("odometry", Verdict.OK, detail)


def check_camera(
    topic: str,
    looks_like: str,
    received_s: Sequence[float],
    refused: Sequence[str],
    control_rate_hz: float,
    timeout_s: float,
    why_silent: str = "",
) -> Check:
    """Pictures come that can be read, often enough.

    Args:
      looks_like: size and encoding of the newest that could be read; empty if none could.
      received_s: `[n]`, all of them, steady clock.
      refused: why others could not be read.
      timeout_s: a picture that is older holds the robot.
    """
    name = f"camera {topic}"
    if not received_s:
        return Check(name, Verdict.FAIL, f"nothing came. {why_silent}".strip())
    if not looks_like:
        return Check(name, Verdict.FAIL, f"no picture can be read: {refused[-1] if refused else 'none was whole'}")
    gaps_s = np.diff(received_s)
    if not gaps_s.size:
        detail = f"{looks_like}, but one picture only; {1e3 * timeout_s:.0f} ms without one hold the robot"
        return Check(name, Verdict.FAIL, detail)
    rate_hz, longest_s = 1.0 / gaps_s.mean(), gaps_s.max()
    detail = f"{looks_like}, {rate_hz:.1f} Hz, longest gap {1e3 * longest_s:.0f} ms"
    if longest_s > timeout_s:
        cure = "send more often (the limit is the robot's folder's, or else actor.image_timeout_s)"
        return Check(name, Verdict.FAIL, f"{detail}; {1e3 * timeout_s:.0f} ms without a picture hold the robot: {cure}")
    if refused:
        return Check(name, Verdict.NOTE, f"{detail}; {len(refused)} could not be read: {refused[-1]}")
    if rate_hz < 0.9 * control_rate_hz:
        detail += f"; the policy sees each about {control_rate_hz / rate_hz:.0f} times, which is fine"
    return Check(name, Verdict.OK, detail)
