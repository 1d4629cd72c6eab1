"""Any sequence of what can happen to an actor: what must hold, holds; and each old fault is found when it is put back.

    python benchmarks/safety_properties.py [--sequences 2000] [--faults [NAME]] [--json FILE]

The control loop, the supervisor and `Operators` are the real ones; the robot is twelve joints whose driver follows any
target. Hypothesis draws sequences of measurements (not finite, leaping, missing, absurd), gaps and stalls,
stops, resets, pauses, interventions, lifecycle transitions and deaths of the process, and shortens what it finds.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.operator import OperatorRequest, Operators
from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.states import SafetyState
from daydreamer.session.stop_latch import StopLatch

PERIOD_S = 0.05
STEP_RAD = 21.0 * PERIOD_S
DRIVER_RAD_S = 8.0
"""How fast the joints follow; what is farther than a step from them has not been commanded by anybody sane."""
NOISE_RAD = 0.002
SLUMP_RAD_S = 2.0
"""How fast damped joints go where gravity takes them."""
POLICY_OLD_S = 3.0
ACTOR = ActorConfig(random_s=0, rhythm_hz=None, fallen_reward=None)
SAFETY = SafetyConfig(
    ramp_speed_rad_s=5.0,
    not_following_action="damp",
    imu_action="hold",
    policy_old_s=POLICY_OLD_S,
    policy_old_action="hold",
    trips=5,
    latching=("joint_not_following", "joint_outside", "state_lost"),
)
MOVING = (SafetyState.RAMPING, SafetyState.RUNNING)
SILENT_S, STALLED_S = 0.3, 3.0
UNSAYABLE = ("nan", "inf", "absurd")  # of an angle, by an encoder
FAULTS = (*UNSAYABLE, "leap", "gyroscope", "accelerometer", "exponent", "quaternion", "velocity", "stale")


class Rig:
    """One session: a robot, and the actor's lives one after the other.

    Attributes:
      sent: commands so far, by what they were.
    """

    def __init__(self, seed: int, clips: bool, directory: Path):
        """`clips` makes a driver that keeps targets near its joints, as the A1's."""
        self._random = np.random.default_rng(seed)
        self.task = QuadrupedWalkTask(A1)
        if not clips:
            gains = dataclasses.replace(A1.limits.gains, max_target_error_rad=np.full(12, np.inf))
            limits = dataclasses.replace(A1.limits, gains=gains)
            self.task.embodiment = dataclasses.replace(self.task.embodiment, limits=limits)
        self.clips = clips
        self.now_s = 100.0
        self.true_rad = self.seen_rad = A1.rest_pose_rad.copy()
        self.zero_rad = np.zeros(12)
        self._slump_rad = self.true_rad
        self.held_rad: np.ndarray | None = None
        self.action: np.ndarray = np.zeros(12, np.float32)
        self.stall_s = 0.0
        self.steps = 0
        self.sent: collections.Counter[str] = collections.Counter()
        self._session = types.SimpleNamespace(status=directory)
        self._measurement: Measurement | None = None
        self._faulty_ticks = 0
        self.version, self.created_wall_s = 1, 0.0
        self.begin_life()

    # The policy and the log, as the loop wants them.

    def initial_state(self) -> None:
        return None

    def __call__(self, observation, state, is_first):
        return self.action, None

    def append(self, step) -> None:
        self.steps += 1
        assert self.loop.supervisor.state is SafetyState.RUNNING, "a step outside of running is no experience"
        for name, values in step.observation.items():
            assert np.isfinite(values).all() and np.abs(values).max() < 1e5, f"{name} of a step is {values}"
        assert np.isfinite(step.reward)
        self.now_s += self.stall_s

    def begin_life(self) -> None:
        """The process has been started (again): nothing is left of the last one but its session."""
        self.latch = StopLatch(self._session)
        self.loop = ControlLoop(
            self.task, ACTOR, self, actor_life=1, seed=0, safety=SAFETY, clock=lambda: self.now_s, on_event=self._event
        )
        self.operators = Operators(self.loop, self.task, self._event, lambda: self.now_s)
        self.loop.set_policy(self)
        self.events: list[tuple[str, dict]] = []
        if self.latch.stopped:
            self.loop.supervisor.emergency_stop("an earlier life")

    def _event(self, kind: str, **fields) -> None:
        self.events.append((kind, fields))

    @property
    def state(self) -> SafetyState:
        return self.loop.supervisor.state

    def tick(self, fault: str = "", joint: int = 0, amount: float = 0.0, peak_rad_s: float = 0.0, hot: bool = False):
        """The command, and whether the measurement was a new one. Time passes; the joints move."""
        measurement = self._measure(fault, joint, amount, peak_rad_s, hot)
        begin_s = self.now_s
        self.operators.tick()
        command = self.loop.step(measurement, begin_s)
        self.latch.keep(self.state is SafetyState.EMERGENCY_STOPPED)
        return command

    def pass_time(self, seconds: float = PERIOD_S) -> None:
        """The joints follow what they were told last."""
        reach = (DRIVER_RAD_S if self.held_rad is not None else SLUMP_RAD_S) * seconds
        if self.held_rad is not None:
            goal_rad = self.held_rad
            self._slump_rad = self._random.uniform(A1.limits.lower_rad, A1.limits.upper_rad)
        else:
            goal_rad = self._slump_rad
        self.true_rad = self.true_rad + np.clip(goal_rad - self.true_rad, -reach, reach)
        self.now_s += seconds

    def _measure(self, fault: str, joint: int, amount: float, peak_rad_s: float, hot: bool) -> Measurement:
        if fault == "stale" and self._measurement is not None:
            return self._measurement
        position_rad = self.true_rad + self.zero_rad + NOISE_RAD * self._random.standard_normal(12)
        velocity_rad_s, gyroscope = 0.05 * self._random.standard_normal(12), 0.01 * self._random.standard_normal(3)
        force, orientation = np.array([0.0, 0.0, 9.81]), np.array([1.0, 0.0, 0.0, 0.0])
        # What is said again and again cannot be told from the truth: a leap is a glitch of one sample.
        self._faulty_ticks = self._faulty_ticks + 1 if fault == "leap" else 0
        if fault == "leap" and self._faulty_ticks == 1 and self._sound_ticks >= 2:
            position_rad[joint] += amount
        match fault:
            case "nan":
                position_rad[joint] = np.nan
            case "inf":
                position_rad[joint] = np.inf
            case "absurd":
                position_rad[joint] = -1e154
            case "gyroscope":
                gyroscope[joint % 3] = 1e154
            case "accelerometer":
                force[joint % 3] = 3.39e38
            case "exponent":
                force[2] *= 2.0**16
            case "quaternion":
                orientation[:] = 0.0
            case "velocity":
                velocity_rad_s[joint] = -np.inf
        self._sound_ticks = 0 if fault == "leap" else self._sound_ticks + 1
        peaks = np.zeros(12)
        peaks[joint] = peak_rad_s
        self._measurement = Measurement(
            time_s=self.now_s - 0.004,
            values=dict(
                joint_position_rad=position_rad,
                joint_velocity_rad_s=velocity_rad_s,
                orientation_wxyz=orientation,
                angular_velocity_rad_s=gyroscope,
                linear_acceleration_m_s2=force,
                foot_force_n=np.full(4, 30.0),
                temperature_c=127.0 if hot else 40.0,
                battery_fraction=0.8,
                peak_joint_speed_rad_s=peaks,
            ),
        )
        return self._measurement

    _sound_ticks = 0


joints = strategies.integers(0, 11)


class Murphy(RuleBasedStateMachine):
    """What may happen, and what must hold whatever happens."""

    tried: collections.Counter[str] = collections.Counter()
    """Over all sequences: sequences, ticks, and commands by what they were."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.rig = Rig(0, True, Path(self._directory.name))
        self.stopped = False  # by an operator, and not reset since
        self.holders: set[str] = set()
        self.paused = False
        self.latched = False  # by a watchdog, and not looked at since
        self.may_move = False  # somebody has set it out
        self.intervenes = False
        self.policy_s = self.rig.now_s
        self.learner_lives = True
        self.fresh_ticks = 0
        self.hot_s = -np.inf
        self.wrong_zero = False
        self.departed = True
        type(self).tried["sequences"] += 1

    @initialize(seed=strategies.integers(0, 2**31), clips=strategies.booleans(), sets_out=strategies.booleans())
    def begin(self, seed: int, clips: bool, sets_out: bool) -> None:
        self.rig = Rig(seed, clips, Path(self._directory.name))
        self.policy_s = self.rig.now_s
        if sets_out:
            self._ticks(3)
            self.activate()
            self._ticks(30)

    def teardown(self) -> None:
        self._directory.cleanup()

    # What happens to measurements, clocks and the policy.

    @rule(count=strategies.integers(1, 30), sign=strategies.sampled_from([-1.0, 0.0, 0.3, 1.0]))
    def live(self, count: int, sign: float) -> None:
        self.rig.action = np.full(12, sign, np.float32)
        self._ticks(count)

    @rule(value=strategies.sampled_from([np.nan, np.inf, -np.inf, 1e30]), joint=joints)
    def policy_goes_mad(self, value: float, joint: int) -> None:
        self.rig.action = np.zeros(12, np.float32)
        self.rig.action[joint] = value
        self._ticks(2)
        self.rig.action = np.zeros(12, np.float32)

    @rule(lives=strategies.booleans())
    def learner(self, lives: bool) -> None:
        self.learner_lives = lives
        self._ticks(1 if lives else 70)

    @rule(
        fault=strategies.sampled_from(FAULTS),
        count=strategies.integers(1, 6),
        joint=joints,
        amount=strategies.floats(-7, 7),
    )
    def measurement_is_wrong(self, fault: str, count: int, joint: int, amount: float) -> None:
        for _ in range(count):
            self._tick(fault, joint, amount)
        self._tick()

    @rule(joint=joints, amount=strategies.floats(-7, 7))
    def angle_leaps_where_it_departs(self, joint: int, amount: float) -> None:
        """The first sample after a gap, in which the robot was damped by its own driver."""
        self._ticks(2)
        self.rig.pass_time(SILENT_S)
        self._tick("leap", joint, amount)
        self._ticks(2)

    @rule(seconds=strategies.sampled_from([SILENT_S, 0.9, 1.5, 4.0]))
    def loop_stands_still(self, seconds: float) -> None:
        self.rig.pass_time(seconds)
        self._tick()

    @rule(seconds=strategies.sampled_from([0.1, SILENT_S, STALLED_S]))
    def disk_is_slow(self, seconds: float) -> None:
        self.rig.stall_s = seconds
        self._tick()
        self.rig.stall_s = 0.0

    @rule(joint=joints)
    def joint_swings(self, joint: int) -> None:
        """Slow whenever it is looked at, and far too fast in between."""
        self._ticks(3)
        self._swing(joint)
        self._ticks(25)

    @rule(joint=joints)
    def joint_swings_whenever_it_may(self, joint: int) -> None:
        self._ticks(2)
        times = SAFETY.trips * (self.rig.state is SafetyState.RUNNING)
        for _ in range(times):
            self._swing(joint)
            self._ticks(80)
        if times:
            assert self.rig.state not in MOVING, "a robot out of control is tried again and again"

    def _swing(self, joint: int) -> None:
        for _ in range(12):
            self._tick(joint=joint, peak_rad_s=40.0)
        assert self.rig.state not in MOVING, "a joint out of control goes on"

    @rule(asked=strategies.booleans())
    def robot_is_switched_off_and_on(self, asked: bool) -> None:
        """`asked` to set out meanwhile."""
        self._ticks(2)
        for _ in range(25):
            self._tick("stale")
        if asked:
            self.activate()
            self._tick("stale")
        self._ticks(60)
        assert self.rig.state not in MOVING, "it moves after a stop that was not ours, and nobody has said so"

    @rule()
    def temperature_is_wrong_once(self) -> None:
        if self.rig.now_s - self.hot_s > 2.0:
            self.hot_s = self.rig.now_s
            for _ in range(2):
                self._tick(hot=True)
                raised = self.rig.loop.supervisor.watchdogs.raised
                assert "over_temperature" not in raised, "one temperature that is wrong stops the robot"

    # What operators, the life cycle and fate do.

    @rule()
    def stop(self) -> None:
        self.rig.operators.request(OperatorRequest.EMERGENCY_STOP, "keyboard")
        self._has_stopped()

    @rule(holder=strategies.sampled_from("AB"), held=strategies.booleans(), ticks=strategies.integers(0, 3))
    def button(self, holder: str, held: bool, ticks: int) -> None:
        news = self.rig.operators.stop_held(holder, held)
        assert news == (held != (holder in self.holders))
        if held:
            self.holders.add(holder)
            if news:
                self._has_stopped()
        else:
            self.holders.discard(holder)
        self._ticks(ticks)

    @rule()
    def reset(self) -> None:
        accepted = self.rig.operators.request(OperatorRequest.EMERGENCY_RESET, "keyboard").accepted
        assert accepted == (self.stopped and not self.holders), "a reset is for a stop that nobody holds"
        if accepted:
            self.stopped = False
            assert self.rig.state is SafetyState.STOPPED

    @rule()
    def pause(self) -> None:
        self.paused |= self.rig.operators.request(OperatorRequest.PAUSE, "keyboard").accepted

    @rule(times=strategies.integers(1, 6))
    def resume(self, times: int) -> None:
        for _ in range(times):
            if self.rig.operators.request(OperatorRequest.RESUME, "keyboard").accepted:
                assert not self.stopped
                self._set_out()
            self._ticks(20 if times > 3 else 1)

    @rule()
    def activate(self) -> None:
        if self.rig.loop.supervisor.activate("life cycle"):
            assert not self.stopped
            self.intervenes = False
            self._set_out()

    @rule(ticks=strategies.integers(0, 2))
    def deactivate(self, ticks: int) -> None:
        if self.rig.loop.supervisor.deactivate("life cycle"):
            self.rig.held_rad = None
            self.may_move = self.paused = self.latched = self.intervenes = False
            self.departed = True
        self._ticks(ticks)

    @rule()
    def intervene(self) -> None:
        self.rig.operators.request(OperatorRequest.INTERVENE, "keyboard")
        self.intervenes = self.rig.loop.intervening
        self._ticks(2)

    @rule(ticks=strategies.integers(0, 2))
    def operator_goes_for_lunch(self, ticks: int) -> None:
        self.intervene()
        self.deactivate(ticks)
        self.activate()
        self._ticks(3)

    @rule(deadman=strategies.booleans(), value=strategies.sampled_from([0.0, 1.0, np.nan]))
    def gamepad(self, deadman: bool, value: float) -> None:
        self.rig.operators.gamepad(np.full(4, value), deadman)
        self.intervenes = self.rig.loop.intervening
        self._tick()

    @rule(turns=strategies.sampled_from([0, 0, 1, -1]), joint=joints)
    def die(self, turns: int, joint: int) -> None:
        """kill -9 and a new start; an encoder may have lost a turn meanwhile."""
        rig = self.rig
        rig.latch.keep(rig.state is SafetyState.EMERGENCY_STOPPED)  # a thread does, ten times a second
        rig.held_rad = None
        rig.zero_rad = np.zeros(12)
        rig.zero_rad[joint] = 2 * np.pi * turns
        self.wrong_zero = turns != 0
        rig.pass_time(1.0)
        rig.begin_life()
        self.policy_s = rig.now_s
        self.holders.clear()
        self.may_move = self.paused = self.latched = self.intervenes = False
        self.departed = True

    # What must hold.

    @invariant()
    def a_stop_stays(self) -> None:
        assert self.rig.operators.holders == self.holders, "who holds the stop is for each to say"
        if self.stopped:
            assert self.rig.state is SafetyState.EMERGENCY_STOPPED, "an operator's stop is lost"
        elif not self.may_move:
            assert self.rig.state is SafetyState.STOPPED, f"{self.rig.state} though nobody has set it out"

    def _has_stopped(self) -> None:
        assert self.rig.state is SafetyState.EMERGENCY_STOPPED
        self.rig.held_rad = None
        self.stopped, self.may_move, self.paused, self.latched, self.intervenes = True, False, False, False, False
        self.departed = True
        self._tick()

    def _set_out(self) -> None:
        self.may_move, self.paused, self.latched = True, False, False
        self.policy_s = max(self.policy_s, self.rig.now_s)

    def _ticks(self, count: int) -> None:
        for _ in range(count):
            self._tick()

    def _tick(self, fault: str = "", joint: int = 0, amount: float = 0.0, **more) -> None:
        rig, supervisor = self.rig, self.rig.loop.supervisor
        begin_s, seen_rad = rig.now_s, rig.seen_rad
        rig.seen_rad = rig.true_rad
        if self.learner_lives:
            rig.loop.set_policy(rig)
            self.policy_s = begin_s
        moved_rad = np.abs(rig.true_rad - seen_rad).max()
        sound = fault not in (*UNSAYABLE, "stale") and moved_rad < STEP_RAD
        self.fresh_ticks = self.fresh_ticks + 1 if sound else 0
        gaps, before = supervisor.watchdogs.trips["loop_overrun"], len(rig.events)
        stood_in_rad = supervisor.stand_in_rad
        command = rig.tick(fault, joint, amount, **more)
        if fault in UNSAYABLE and stood_in_rad is not None:
            assert supervisor.stand_in_rad[joint] == stood_in_rad[joint], "what no encoder can say moves a stand-in"
        Murphy.tried["ticks"] += 1
        if fault:
            Murphy.tried["ticks with a wrong measurement"] += 1
        if supervisor.watchdogs.trips["loop_overrun"] > gaps:
            self.departed = True
        self._judge_state(begin_s, before)
        self._judge_command(command, rig.now_s - begin_s, moved_rad)
        rig.pass_time()

    def _judge_state(self, begin_s: float, before: int) -> None:
        rig = self.rig
        if any(kind == "latched" for kind, _ in rig.events[before:]):
            self.latched = True
        if rig.state is SafetyState.STOPPED and not self.stopped:
            self.may_move = False  # it has been found unfit
        self.a_stop_stays()
        assert not (rig.state in MOVING and (self.paused or self.latched)), "it goes on, and nobody has said so"
        if rig.state is SafetyState.RUNNING:
            assert begin_s - self.policy_s <= POLICY_OLD_S + 2 * PERIOD_S, "an old policy is nobody's concern"
        assert self.intervenes or not rig.loop.intervening, "an operator's pose acts though nobody intervenes"
        self.intervenes = rig.loop.intervening
        raised = rig.loop.supervisor.watchdogs.raised
        assert "imu_inconsistent" not in raised, "the IMU has said nothing wrong that lasted"

    def _judge_command(self, command, took_s: float, moved_rad: float) -> None:
        rig, limits = self.rig, A1.limits
        stand_in_rad = rig.loop.supervisor.stand_in_rad
        if stand_in_rad is not None:
            assert np.isfinite(stand_in_rad).all(), "not finite, to a driver that knows positions only"
            assert (stand_in_rad >= limits.lower_rad).all() and (stand_in_rad <= limits.upper_rad).all()
            if not self.wrong_zero and self.fresh_ticks >= 4:
                away_rad = np.abs(stand_in_rad - rig.true_rad).max()
                assert away_rad < 2 * STEP_RAD, f"{away_rad:.2f} rad away stands in for where the joint is"
        if command is None:
            assert rig.state is SafetyState.STOPPED or took_s > SAFETY.loop_gap_s
            if rig.state is SafetyState.STOPPED:
                rig.held_rad, self.departed = None, True
            Murphy.tried["nothing sent"] += 1
            return
        assert rig.state is not SafetyState.STOPPED
        if command.relaxes:
            assert np.isnan(command.setpoint).all()
            rig.held_rad, self.departed = None, True
            Murphy.tried["damping"] += 1
            return
        Murphy.tried["positions"] += 1
        assert rig.state in (*MOVING, SafetyState.HOLDING), f"a position while {rig.state}"
        assert took_s <= SAFETY.loop_gap_s, "what was decided before a stall is sent after it"
        assert not self.wrong_zero, "a joint whose zero is a turn off is commanded"
        position_rad = command.setpoint
        assert np.isfinite(position_rad).all()
        assert (position_rad >= limits.lower_rad).all() and (position_rad <= limits.upper_rad).all()
        error_rad = np.abs(position_rad - rig.true_rad).max()
        if self.departed:
            # Believed is what a step from the last believed angle is, or has been said twice.
            assert error_rad <= STEP_RAD + moved_rad + NOISE_RAD * 8, (
                f"it departs {error_rad:.2f} rad from where the joint is"
            )
        else:
            leap_rad = np.abs(position_rad - rig.held_rad).max()
            assert leap_rad <= STEP_RAD + 1e-9, f"a step of {leap_rad:.2f} rad"
        if not rig.clips and rig.state is not SafetyState.HOLDING:
            assert error_rad < 0.38 + STEP_RAD, f"{error_rad:.2f} rad from the true joint, which is no small torque"
        rig.held_rad, self.departed = position_rad, False


def try_sequences(count: int, derandomize: bool = False, length: int = 30, shorten: bool = False) -> None:
    """Raises AssertionError for the first thing that does not hold; `shorten` then looks for less that does it."""
    run_state_machine_as_test(
        Murphy,
        settings=settings(
            max_examples=count,
            stateful_step_count=length,
            deadline=None,
            derandomize=derandomize,
            phases=(Phase.generate, Phase.shrink) if shorten else (Phase.generate,),
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@dataclasses.dataclass(frozen=True)
class Fault:
    """An old fault, put back.

    Attributes:
      name: what it was.
      edits: (file, text, text in its place) below `daydreamer`.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]


OLD_FAULTS = (
    Fault(
        "an angle is believed at once",
        (
            ("safety/belief.py", "believed = near | ", "believed = np.isfinite(sample_rad) | near | "),
            ("safety/belief.py", "self._confirming_s = control_period_s / 2", "self._confirming_s = -1.0"),
        ),
    ),
    Fault(
        "an absurd angle is believed when it is said twice, and damps at a limit",
        (
            ("safety/belief.py", "np.abs(sample_rad) <= self._largest_rad", "np.isfinite(sample_rad)"),
            (
                "safety/belief.py",
                "possible = believed & (sample_rad >= self._lower_rad) & (sample_rad <= self._upper_rad)",
                "possible = believed",
            ),
        ),
    ),
    Fault(
        "torque gives way as fast as an angle leaps",
        (
            ("safety/belief.py", "believed = near | ", "believed = np.isfinite(sample_rad) | near | "),
            ("safety/limiter.py", "reachable, previous_rad - self._largest_change_rad", "reachable, reachable"),
            ("safety/limiter.py", "previous_rad + self._largest_change_rad\n", "reachable\n"),
        ),
    ),
    Fault(
        "a joint that is a turn off is led to its limit",
        (("safety/belief.py", "OUTSIDE_RAD = 0.2", "OUTSIDE_RAD = np.inf"),),
    ),
    Fault(
        "one button's false releases another's stop",
        (
            (
                "actor/operator.py",
                "        if held == (holder in self.holders):\n",
                "        held or self.holders.clear()\n        if held == (holder in self.holders):\n",
            ),
        ),
    ),
    Fault(
        "a reset is accepted while the stop is held",
        (("actor/operator.py", "        if self.holders:\n", "        if False:\n"),),
    ),
    Fault(
        "an intervention outlives the stop",
        (("actor/operator.py", "        if stopped or out_of_reach:", "        if out_of_reach:"),),
    ),
    Fault(
        "a resume that changes nothing wakes the watchdogs",
        (
            (
                "safety/supervisor.py",
                "        if still := [",
                "        self.watchdogs.acknowledge(now_s)\n        if still := [",
            ),
        ),
    ),
    Fault(
        "any finite number is a measurement",
        (("safety/belief.py", "<= largest).all()", "< np.inf).all()"),),
    ),
    Fault(
        "an orientation without length is one",
        (
            ("safety/belief.py", "SMALLEST_QUATERNION = 1e-3", "SMALLEST_QUATERNION = -1.0"),
            ("contract/frames.py", "squared if squared > 1e-300 else 0.0", "squared"),
        ),
    ),
    Fault(
        "what trips again and again latches nothing",
        (
            ("safety/supervisor.py", "len(trips_s) >= safety.trips", "False"),
            ("safety/supervisor.py", "name.value in safety.latching", "False"),
        ),
    ),
    Fault(
        "what is raised while nobody drives never latches",
        (("safety/supervisor.py", "        self._tripped = set()  #", "        #"),),
    ),
    Fault(
        "joints are looked at twenty times a second",
        (("safety/watchdogs.py", "speed_rad_s = np.fmax(speed_rad_s, peak_rad_s)", "pass"),),
    ),
    Fault(
        "one slow sample begins anew",
        (
            (
                "safety/watchdogs.py",
                "        if fast and elapsed_s",
                "        if not fast:\n            self._fast.clear()\n        if fast and elapsed_s",
            ),
            ("safety/watchdogs.py", "speed_rad_s = np.fmax(speed_rad_s, peak_rad_s)", "pass"),
        ),
    ),
    Fault(
        "a command goes out after a stall",
        (("safety/supervisor.py", "or late_s <= self._safety.loop_gap_s", "or True"),),
    ),
    Fault(
        "the latch is lost when the actor is started again",
        (("session/stop_latch.py", "self.stopped = os.path.lexists(self._path)", "self.stopped = False"),),
    ),
    Fault(
        "the measured pose stands in, whatever it is",
        (
            ("safety/supervisor.py", "self.limiter.inside(position_rad)\n", "self.measurement[JOINT_POSITION]\n"),
            ("safety/supervisor.py", "measurement = measurement.with_value(", "measurement.with_value("),
        ),
    ),
    Fault(
        "one temperature is enough",
        (("safety/watchdogs.py", "REPORT_LASTS_S = 1.5", "REPORT_LASTS_S = 0.0"),),
    ),
    Fault(
        "an emergency stop of a robot that stands still is lost",
        (("safety/states.py", "    (_S.STOPPED, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,\n", ""),),
    ),
    Fault(
        "a watchdog that clears ends a pause",
        (("safety/supervisor.py", "        elif self._paused:\n            self._hold(OPERATOR_PAUSE)\n", ""),),
    ),
    Fault(
        "an action that is not finite is commanded",
        (("safety/limiter.py", "if not np.all(np.isfinite(requested_rad)):", "if False:"),),
    ),
    Fault(
        "after damping it goes on from the pose of before",
        (
            (
                "safety/supervisor.py",
                "            self.limiter.forget()\n        self._on_event",
                "            pass\n        self._on_event",
            ),
            (
                "safety/limiter.py",
                "        self.forget()\n        return self._counted(",
                "        return self._counted(",
            ),
        ),
    ),
)
"""Faults of this project's own history, each as it was or as near to it as what is there now allows."""


def put_back(fault: Fault, package: Path) -> None:
    """Edits a copy of the package.

    Raises:
      ValueError: what is to be replaced is not there any more.
    """
    for file, text, other in fault.edits:
        path = package / file
        content = path.read_text()
        if text not in content:
            raise ValueError(f"{fault.name}: {file} has no {text!r} any more")
        path.write_text(content.replace(text, other))


def copy_package(directory: Path) -> Path:
    """The package as it is, in a directory of its own."""
    package = directory / "daydreamer"
    shutil.copytree(Path(__file__).parents[1] / "daydreamer", package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def find_again(fault: Fault, sequences: int) -> str | None:
    """What a copy with an old fault is found out by; None if it is not."""
    with tempfile.TemporaryDirectory() as directory:
        put_back(fault, copy_package(Path(directory)))
        command = [sys.executable, __file__, "--sequences", str(sequences), "--derandomize"]
        environment = {"PATH": os.defpath, "PYTHONPATH": directory}
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
    errors = [line for line in run.stderr.splitlines() if re.match(r"(  \| )*\w*(Error|Exception)\b", line)]
    return (errors or run.stderr.splitlines())[-1].strip(" |") if run.returncode else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--length", type=int, default=30, help="of a sequence, in things that happen")
    parser.add_argument("--derandomize", action="store_true", help="the same sequences each time")
    parser.add_argument("--shorten", action="store_true", help="the sequence that is found to break something")
    parser.add_argument("--faults", nargs="?", const="", help="put old faults back (those whose name has this in it)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    if options.faults is not None:
        figures = {}
        for fault in (fault for fault in OLD_FAULTS if options.faults in fault.name):
            figures[fault.name] = found = find_again(fault, options.sequences)
            print(f"{fault.name}: {found}", file=sys.stderr, flush=True)
    else:
        begin_s = time.perf_counter()
        try_sequences(options.sequences, options.derandomize, options.length, options.shorten)
        figures = {"seconds": time.perf_counter() - begin_s, "violations": 0} | Murphy.tried
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
