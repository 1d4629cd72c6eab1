"""Random policy outputs, not finite ones among them, and measurements that are wrong, to the last byte that leaves.

    python benchmarks/safety_fuzz.py [--outputs 1000000] [--seed 0] [--life N] [--json FILE]

The real control loop, without a log, commands joints whose driver follows any target; what it returns becomes the
message that the actor would publish, is serialised and read again, and judged by the joints as they truly are. In one
of ten ticks or more the measurement holds a number that is not finite or absurd, or an angle that leaps for a sample.
Half of the outputs go through each interface.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.contract.limits import MotorGains
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import TaskState
from daydreamer.experience.step import Step
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.limiter import TORQUE_SHARE
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.safety.watchdogs import Watchdog
from ros_nodes import topics

TOLERANCE = 1e-9
LIFE_STEPS = 20_000
PERIOD_S = 0.05
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320, 1e30, -1e30, 1.0, -1.0])
ABSURD = np.array([np.nan, np.inf, -np.inf, 3.39e38, -3.39e38, 1e154, -1e154, 1e300, 9.81 * 2**16])
FIELDS = (
    "joint_position_rad",
    "joint_velocity_rad_s",
    "orientation_wxyz",
    "angular_velocity_rad_s",
    "linear_acceleration_m_s2",
    "foot_force_n",
)
DRIVER_RAD_S = 8.0
"""How fast the joints follow."""
NOISE_RAD = 0.002


class Fuzz:
    """A robot that is told anything, and says anything, to and from one actor after the other.

    Attributes:
      outputs: policy outputs so far; bad_outputs: those of them that answered a wrong measurement.
      messages: that left, and bytes of them.
      violations: messages that should not have left, by why.
      found: life and tick of each of them, for `--life`.
      states: ticks by state.
      flags: commands by safety flag.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.outputs = self.bad_outputs = self.bad_ticks = self.messages = self.bytes = 0
        reasons = ("position", "rate", "true joint", "stand-in", "not finite", "names", "out of turn", "after a stall")
        self.violations = dict.fromkeys(reasons, 0)
        self.found: list[dict[str, object]] = []
        self.states = dict.fromkeys(SafetyState, 0)
        self.flags = dict.fromkeys(SAFETY_FLAGS, 0)

    def figures(self) -> dict[str, object]:
        return {
            "policy_outputs": self.outputs,
            "of them answering a wrong measurement": self.bad_outputs,
            "ticks with a wrong measurement": self.bad_ticks,
            "messages": self.messages,
            "bytes": self.bytes,
            "violations": self.violations,
            "found": self.found,
            "ticks by state": self.states,
            "commands by flag": self.flags,
        }

    def live(self, number: int, steps: int = LIFE_STEPS) -> None:
        """One life of an actor: filter, gains, rate and the ratio of wrong measurements drawn anew.

        Each has its own random numbers, so that what was found in it is found again without those before it.
        """
        life = _Life(self, number)
        for _ in range(steps):
            life.tick()


class _Life:
    """One actor and one robot. Its own policy and log, as the loop wants them."""

    version, created_wall_s = 1, 0.0

    def __init__(self, fuzz: Fuzz, number: int):
        self._fuzz, self._number, self._ticks = fuzz, number, 0
        self._random = random = np.random.default_rng((fuzz.seed, number))
        self._interface = topics.COMMAND_INTERFACES[number % len(topics.COMMAND_INTERFACES)]
        self._task = task = _AnyTargets(random)
        self._follows_any_target = bool(random.random() < 0.5)
        rate_rad_s = random.choice([10.0, 21.0])
        limits = dataclasses.replace(A1.limits, command_rate_rad_s=np.full(JOINTS, rate_rad_s))
        if self._follows_any_target:
            far = MotorGains(A1.limits.gains.stiffness_n_m_rad, np.full(JOINTS, np.inf))
            limits = dataclasses.replace(limits, gains=far)
        task.embodiment = dataclasses.replace(task.embodiment, limits=limits)
        self._step_rad = rate_rad_s * PERIOD_S
        self._wrong_share = random.choice([0.2, 0.5])
        # What trips again and again is latched, and somebody would have to come each time: here they do.
        actor = ActorConfig(
            low_pass_cutoff_hz=random.choice([0.0, 1.5, 9.0]), random_s=0, fallen_reward=None, rhythm_hz=None
        )
        safety = SafetyConfig(ramp_speed_rad_s=5.0, trips=1000, not_following_s=600.0, blocked_s=600.0)
        self._gap_s = safety.loop_gap_s
        self._now_s, self._stall_s = 1.0, 0.0
        self._loop = ControlLoop(task, actor, self, actor_life=1, seed=0, safety=safety, clock=lambda: self._now_s)
        self._loop.set_policy(self)
        self._supervisor: SafetySupervisor = self._loop.supervisor
        self._true_rad = random.uniform(A1.limits.lower_rad, A1.limits.upper_rad)
        self._said_rad = np.full(JOINTS, np.nan)
        self._said_s = -np.inf
        self._moved_unheard_rad = np.full(JOINTS, np.inf)
        self._held_rad: np.ndarray | None = None
        self._sent_rad: np.ndarray | None = None
        self._measurement: Measurement | None = None
        self._sound = 0
        self._wrong = False
        self._gaps = 0
        self._names = task.spec.joint_names
        self._supervisor.activate()

    def initial_state(self) -> None:
        return None

    def __call__(self, observation, state, is_first):
        self._fuzz.outputs += 1
        self._fuzz.bad_outputs += self._wrong
        bad = self._random.random() < 0.05
        return np.full(JOINTS, np.nan if bad else 0.0, np.float32), None

    def append(self, step: Step) -> None:
        self._now_s += self._stall_s

    def tick(self) -> None:
        random, supervisor = self._random, self._supervisor
        self._ticks += 1
        before_rad = self._true_rad
        self._pass_time(PERIOD_S if random.random() > 1e-3 else random.exponential(0.5))
        if press_anything(supervisor, random, self._now_s):
            self._held_rad = self._sent_rad = None  # the actor has sent a damping command at once
        measurement, begin_s = self._measure(), self._now_s
        self._fuzz.bad_ticks += self._wrong
        self._stall_s = random.exponential(0.5) if random.random() < 1e-3 else 0.0
        command = self._loop.step(measurement, begin_s)
        self._fuzz.states[supervisor.state] += 1
        if supervisor.watchdogs.trips[Watchdog.LOOP_OVERRUN] > self._gaps:
            self._gaps = supervisor.watchdogs.trips[Watchdog.LOOP_OVERRUN]
            self._sent_rad = None  # the robot may be anywhere; it departs from there
        if command is None:
            self._count(
                "out of turn", supervisor.state is not SafetyState.STOPPED and self._now_s - begin_s <= self._gap_s
            )
            if supervisor.state is SafetyState.STOPPED:
                self._held_rad = self._sent_rad = None
            return
        for name, bit in SAFETY_FLAGS.items():
            self._fuzz.flags[name] += bool(command.flags & bit)
        late = self._now_s - begin_s > self._gap_s
        self._count("after a stall", late and not command.relaxes)
        moved_rad = float(np.abs(self._true_rad - before_rad).max())
        self._publish(command, moved_rad)

    def _publish(self, command, moved_rad: float) -> None:
        message = topics.joint_command_message(
            self._interface, Time(), self._names, command.setpoint, self._supervisor.stand_in_rad
        )
        if message is None:
            return
        data = serialize_message(message)
        self._fuzz.messages += 1
        self._fuzz.bytes += len(data)
        received = deserialize_message(data, topics.command_type(self._interface))
        if self._interface == "joint_state":
            self._count("names", list(received.name) != list(self._names))
        position_rad = np.array(received.position if self._interface == "joint_state" else received.data)
        if position_rad.size == 0 and self._interface == "joint_state":
            self._count("not finite", any(received.velocity))
            self._judge_damping(command)
            return
        self._count("not finite", not np.isfinite(position_rad).all())
        outside = (position_rad < A1.limits.lower_rad - TOLERANCE) | (position_rad > A1.limits.upper_rad + TOLERANCE)
        self._count("position", outside.any())
        error_rad = np.abs(position_rad - self._true_rad).max()
        if command.relaxes:
            # What a driver that knows positions only takes for damping is where the joints are. A sample may be off by
            # what the rate limit allows; and until a joint has said the truth twice, nobody can know how it moved.
            self._judge_damping(command)
            off_rad = np.abs(position_rad - self._true_rad)
            self._count("stand-in", (off_rad > self._step_rad + self._moved_unheard_rad + 8 * NOISE_RAD).any())
            return
        running = (SafetyState.RAMPING, SafetyState.RUNNING, SafetyState.HOLDING)
        self._count("out of turn", self._supervisor.state not in running)
        if self._sent_rad is None:
            self._count("true joint", error_rad > self._step_rad + moved_rad + 8 * NOISE_RAD)
        else:
            self._count("rate", np.abs(position_rad - self._sent_rad).max() > self._step_rad + TOLERANCE)
        if self._follows_any_target and self._supervisor.state is not SafetyState.HOLDING:
            torque_rad = TORQUE_SHARE * A1.limits.torque_n_m / A1.limits.gains.stiffness_n_m_rad
            self._count("true joint", error_rad > torque_rad.max() + self._step_rad + moved_rad + 8 * NOISE_RAD)
        self._held_rad = self._sent_rad = position_rad

    def _judge_damping(self, command) -> None:
        damped = (SafetyState.RAMPING, SafetyState.DAMPING, SafetyState.EMERGENCY_STOPPED)
        self._count("out of turn", not command.relaxes or self._supervisor.state not in damped)
        self._held_rad = self._sent_rad = None

    def _count(self, reason: str, violated: bool) -> None:
        if violated:
            self._fuzz.violations[reason] += 1
            where = {"life": self._number, "tick": self._ticks, "interface": self._interface}
            self._fuzz.found.append(where | {"reason": reason})

    def _pass_time(self, seconds: float) -> None:
        before_rad = self._true_rad
        if self._held_rad is None:
            self._true_rad = self._true_rad + self._random.uniform(-0.02, 0.02, JOINTS)
        else:
            reach = DRIVER_RAD_S * seconds
            self._true_rad = self._true_rad + np.clip(self._held_rad - self._true_rad, -reach, reach)
        self._true_rad = np.clip(self._true_rad, A1.limits.lower_rad, A1.limits.upper_rad)
        self._moved_unheard_rad = self._moved_unheard_rad + np.abs(self._true_rad - before_rad)
        self._now_s += seconds

    def _hear(self, measurement: Measurement) -> None:
        """Keeps in mind how far each joint has moved since it said twice running where it was."""
        said_rad = measurement["joint_position_rad"]
        truthful = np.abs(said_rad - self._true_rad) <= 8 * NOISE_RAD
        twice = truthful & (np.abs(said_rad - self._said_rad) <= self._step_rad)
        twice &= measurement.time_s - self._said_s >= PERIOD_S / 2
        self._moved_unheard_rad = np.where(twice, 0.0, self._moved_unheard_rad)
        self._said_rad, self._said_s = np.where(truthful, said_rad, np.nan), measurement.time_s

    def _measure(self) -> Measurement:
        random = self._random
        self._wrong = False
        if random.random() < 0.01 and self._measurement is not None:
            return self._measurement  # none has come
        measurement = Measurement(
            time_s=self._now_s - 0.004,
            values=dict(
                joint_position_rad=self._true_rad + NOISE_RAD * random.standard_normal(JOINTS),
                joint_velocity_rad_s=random.normal(0.0, 5.0, JOINTS),
                orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
                angular_velocity_rad_s=np.zeros(3),
                linear_acceleration_m_s2=np.array([0.0, 0.0, 9.81]),
                foot_force_n=np.full(4, 30.0),
                temperature_c=float(random.choice([50.0, 127.0], p=[0.95, 0.05])),
            ),
        )
        # What is said twice running cannot be told from the truth; a glitch is over by then.
        if random.random() < self._wrong_share:
            self._wrong = True
            leap = self._sound >= 2 and random.random() < 0.7
            if leap:
                self._leap(measurement)
            else:
                values = measurement[random.choice(FIELDS)]
                values[random.integers(len(values))] = random.choice(ABSURD)
            self._sound = 0 if leap else self._sound + 1
        else:
            self._sound += 1
        self._hear(measurement)
        self._measurement = measurement
        return measurement

    def _leap(self, measurement: Measurement) -> None:
        random = self._random
        joints = random.random(JOINTS) < random.choice([0.1, 1.0])
        joints[random.integers(JOINTS)] = True
        far = random.uniform(-7.0, 7.0, JOINTS) * 10.0 ** random.choice([0, 0, 0, 2, 30])
        measurement["joint_position_rad"][joints] += far[joints]


_NOTHING = TaskState({}, 0.0, {}, {})


class _AnyTargets(QuadrupedWalkTask):
    """Whatever the action, the policy's targets are anything."""

    def __init__(self, random: np.random.Generator):
        super().__init__(A1)
        self._random = random

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        """What is made of a measurement is not what is tried here, and would take most of the time."""
        return _NOTHING

    def joint_targets(self, action: np.ndarray) -> np.ndarray:
        if action.ndim != 1 or not hasattr(self, "_random"):
            return super().joint_targets(action)
        return any_targets_rad(super(), self._random)


def any_targets_rad(task: QuadrupedWalkTask, random: np.random.Generator) -> np.ndarray:
    """What a policy may ask for, `[joints]`, a fifth each: in its range, Cauchy, huge, special, random bits."""
    match random.integers(5):
        case 0:
            return task.joint_targets(random.uniform(-1, 1, JOINTS))
        case 1:
            return task.joint_targets(random.standard_cauchy(JOINTS))
        case 2:
            return random.standard_normal(JOINTS) * 10.0 ** random.integers(-3, 300)
        case 3:
            return random.choice(SPECIAL, JOINTS)
    bits = random.integers(0, 2**64, JOINTS, np.uint64, endpoint=False)
    return bits.view(np.float64)


def press_anything(
    supervisor: SafetySupervisor, random: np.random.Generator, now_s: float, restart: bool = False
) -> bool:
    """Operators press everything at any time, also within one tick; whether that stopped the robot.

    Args:
      restart: a stopped robot is set out again at once.
    """
    stopped = False
    if random.random() < 0.002:
        request = random.choice(["pause", "emergency_stop", "deactivate"])
        stopped = getattr(supervisor, request)() and request != "pause"
    if random.random() < 0.02 or (restart and supervisor.state is SafetyState.STOPPED):
        supervisor.emergency_reset()
        supervisor.resume(now_s)
    return stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--outputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--life", type=int, help="this one alone, with what was found in it")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    np.seterr(all="ignore")
    fuzz, begin_s, lives = Fuzz(options.seed), time.perf_counter(), 0
    while fuzz.outputs < options.outputs:
        fuzz.live(lives if options.life is None else options.life)
        lives += 1
        figures = {"seconds": time.perf_counter() - begin_s, "lives": lives} | fuzz.figures()
        if options.life is not None:
            break
        if options.json:  # what there is so far, too: it takes its time on a busy machine
            options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
