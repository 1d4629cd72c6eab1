"""Random policy outputs, not finite ones among them, through the real supervisor: does any command leave the limits?

python benchmarks/safety_fuzz.py --outputs 1000000
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time

import numpy as np

from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.experience.step import SAFETY_FLAGS
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.base import Measurement, MotorGains
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.limiter import TORQUE_SHARE
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.safety.watchdogs import Watchdog

TOLERANCE = 1e-9
LIFE_STEPS = 20_000
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320, 1e30, -1e30, 1.0, -1.0])


class Fuzz:
    """A robot that is thrown about while a policy says anything.

    Attributes:
      outputs: policy outputs so far.
      violations: commands outside of the limits, by limit.
      states: ticks by state.
      flags: commands by safety flag.
    """

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)
        self.outputs = 0
        self.violations = dict.fromkeys(("position", "rate", "torque", "not finite", "out of turn"), 0)
        self.states = dict.fromkeys(SafetyState, 0)
        self.flags = dict.fromkeys(SAFETY_FLAGS, 0)

    def live(self, steps: int) -> None:
        """One life of a supervisor: filter, gains and pose drawn anew."""
        random, task = self._random, QuadrupedWalkTask(A1)
        if random.random() < 0.5:  # a driver that follows any target, so that torque has to be limited
            far = MotorGains(A1.limits.gains.stiffness_n_m_rad, np.full(JOINTS, np.inf))
            task.limits = dataclasses.replace(task.limits, gains=far)
        rate_rad_s = random.choice([5.0, 21.0])
        task.limits = dataclasses.replace(task.limits, command_rate_rad_s=np.full(JOINTS, rate_rad_s))
        actor = ActorConfig(low_pass_cutoff_hz=random.choice([0.0, 1.5, 9.0]))
        supervisor = SafetySupervisor(task, actor, SafetyConfig())
        supervisor.activate()
        now_s = measured_s = 0.0
        previous, gaps = None, 0
        for _ in range(steps):
            now_s += 0.05 if random.random() > 1e-3 else random.exponential(0.5)
            if random.random() > 0.002 and now_s - measured_s < 0.5 or random.random() < 0.3:
                measured_s = now_s
            measurement = self._measurement(measured_s)
            if press_anything(supervisor, random, now_s):
                previous = None  # the actor has sent a damping command at once; then it departs from where the robot is
            state = supervisor.begin_tick(now_s, measurement, bool(random.random() > 0.002))
            self.states[state] += 1
            if state is SafetyState.RUNNING:
                self.outputs += 1
                command = supervisor.command(self._request(task), measurement.joint_position_rad)
            else:
                command = supervisor.command_without_policy(measurement.joint_position_rad)
            if supervisor.watchdogs.trips[Watchdog.LOOP_OVERRUN] > gaps:
                gaps += 1
                previous = None  # the robot may be anywhere; it departs from there
            previous = self._check(task.limits, rate_rad_s, state, command, measurement, previous)

    def _request(self, task: QuadrupedWalkTask) -> np.ndarray:
        kind = self._random.integers(5)
        if kind == 0:
            return task.joint_targets(self._random.uniform(-1, 1, JOINTS))
        if kind == 1:
            return task.joint_targets(self._random.standard_cauchy(JOINTS))
        if kind == 2:
            return self._random.standard_normal(JOINTS) * 10.0 ** self._random.integers(-3, 300)
        if kind == 3:
            return self._random.choice(SPECIAL, JOINTS)
        bits = self._random.integers(0, 2**64, JOINTS, np.uint64, endpoint=False)
        return bits.view(np.float64)

    def _measurement(self, time_s: float) -> Measurement:
        random = self._random
        return Measurement(
            time_s=time_s,
            joint_position_rad=random.uniform(A1.limits.lower_rad - 0.5, A1.limits.upper_rad + 0.5),
            joint_velocity_rad_s=random.normal(0.0, 5.0, JOINTS),
            orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            angular_velocity_rad_s=np.zeros(3),
            linear_acceleration_m_s2=np.zeros(3),
            foot_force_n=np.zeros(4),
            temperature_c=float(random.uniform(20, 71)) if random.random() < 0.01 else 50.0,
        )

    def _check(self, limits, rate_rad_s, state, command, measurement, previous):
        if command is None or command.damping:
            may = (SafetyState.STOPPED,) if command is None else (SafetyState.DAMPING, SafetyState.EMERGENCY_STOPPED)
            self.violations["out of turn"] += state not in may
            return None
        for name, bit in SAFETY_FLAGS.items():
            self.flags[name] += bool(command.flags & bit)
        position = command.position_rad
        if not np.isfinite(position).all():
            self.violations["not finite"] += 1
            return None
        outside = (position < limits.lower_rad - TOLERANCE) | (position > limits.upper_rad + TOLERANCE)
        self.violations["position"] += bool(outside.any())
        gives_way = command.flags & SAFETY_FLAGS["torque_clipped"]
        if previous is not None and not gives_way:
            self.violations["rate"] += bool((np.abs(position - previous) > rate_rad_s * 0.05 + TOLERANCE).any())
        if not command.flags & SAFETY_FLAGS["holding"]:
            # Where the joint itself is outside of its limits, the nearest pose inside is what can be asked for.
            joint = np.clip(measurement.joint_position_rad, limits.lower_rad + 0.01, limits.upper_rad - 0.01)
            error = np.minimum(np.abs(position - joint), limits.gains.max_target_error_rad)
            torque = limits.gains.stiffness_n_m_rad * error
            self.violations["torque"] += bool((torque > TORQUE_SHARE * limits.torque_n_m + 1e-6).any())
        return position


def press_anything(supervisor: SafetySupervisor, random: np.random.Generator, now_s: float) -> bool:
    """Operators press everything at any time, also within one tick; whether that stopped the robot."""
    stopped = False
    if random.random() < 0.002:
        request = random.choice(["pause", "emergency_stop", "deactivate"])
        stopped = getattr(supervisor, request)() and request != "pause"
    if random.random() < 0.02:
        supervisor.emergency_reset()
        supervisor.resume(now_s)
    return stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    np.seterr(all="ignore")
    fuzz, begin_s = Fuzz(options.seed), time.perf_counter()
    while fuzz.outputs < options.outputs:
        fuzz.live(min(LIFE_STEPS, options.outputs - fuzz.outputs + 100))
    figures = {
        "policy_outputs": fuzz.outputs,
        "seconds": time.perf_counter() - begin_s,
        "violations": fuzz.violations,
        "ticks by state": fuzz.states,
        "commands by flag": fuzz.flags,
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
