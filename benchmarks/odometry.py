"""How well a quadruped's leg odometry knows the trunk's velocity: root mean square error against the twin's truth.

    python benchmarks/odometry.py [--robot a1] [--minutes 5] [--seed 0] [--json]

Two ways to move, with the default sensor noise and the robot's motor driver at 20 Hz: scrambling (random actions
through the control loop's filter; half of the time each is at the end of its range and held for half a second, which
throws the robot about) and an open-loop trot, the same for every robot. Besides the error it prints that of guessing
zero, and how fast the robot moved.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
from collections.abc import Callable

import numpy as np

from daydreamer.config import SessionConfig, TwinConfig, resolve
from daydreamer.contract.frames import rotation_matrix
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import JOINTS, Quadruped
from daydreamer.robots.quadruped.odometry import LegOdometry
from daydreamer.robots.quadruped.task import CONTROL_RATE_HZ, VELOCITY_WINDOW_STEPS, QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from daydreamer.safety.filter import LowPassFilter
from sim.twin import Twin

SCRAMBLE_HOLD_STEPS = 10
SCRAMBLE_BLOCK_STEPS = 400

TROT_FREQUENCY_HZ = 2.0
TROT_THIGH_SWING_RAD = 0.25
TROT_CALF_LIFT_RAD = 0.45

Controller = Callable[[int], np.ndarray]

QUADRUPEDS = {robot.name: robot for robot in (A1, GO2)}


def scramble(robot: Quadruped, seed: int, start_rad: np.ndarray) -> Controller:
    """Random joint targets `[12]` by control step."""
    task, random, config = QuadrupedWalkTask(robot), np.random.default_rng(seed), SessionConfig().actor
    low_pass = LowPassFilter(config.low_pass_cutoff_hz, CONTROL_RATE_HZ)
    low_pass.reset(start_rad)
    action = np.zeros(JOINTS)

    def targets(step: int) -> np.ndarray:
        nonlocal action
        if step // SCRAMBLE_BLOCK_STEPS % 2 == 0:
            action = random.uniform(-1, 1, JOINTS)
        elif step % SCRAMBLE_HOLD_STEPS == 0:
            action = random.choice((-1.0, 1.0), JOINTS)
        return low_pass(task.joint_targets(action))

    return targets


def trot(robot: Quadruped, step: int) -> np.ndarray:
    """Joint targets `[12]` by control step: diagonal pairs of legs swing in turn."""
    phase = 2 * math.pi * TROT_FREQUENCY_HZ * step / CONTROL_RATE_HZ
    targets = robot.stand_pose_rad.copy().reshape(4, 3)
    for leg, leg_phase in enumerate((phase, phase + math.pi, phase + math.pi, phase)):
        lift = max(0.0, math.sin(leg_phase))
        # The foot goes forward (smaller thigh angle) while it is lifted.
        targets[leg, 1] += TROT_THIGH_SWING_RAD * math.cos(leg_phase) + TROT_CALF_LIFT_RAD / 2 * lift
        targets[leg, 2] -= TROT_CALF_LIFT_RAD * lift
    return targets.reshape(-1)


@dataclasses.dataclass(frozen=True)
class Trace:
    """Velocities of base_link in its own frame, `[steps, 3]`, m/s: at each control step, and as rewarded."""

    estimate: np.ndarray
    rewarded: np.ndarray
    truth: np.ndarray


def record(robot: Quadruped, twin: Twin, controller: Controller, minutes: float) -> Trace:
    """Drives the twin and notes what the odometry says and what is true."""
    task, odometry = QuadrupedWalkTask(robot), LegOdometry(robot)
    estimate, rewarded, truth = [], [], []
    for step in range(round(minutes * 60 * CONTROL_RATE_HZ)):
        twin.command(controller(step))
        twin.advance(1 / CONTROL_RATE_HZ)
        measurement = twin.measure()
        info = task.observe(measurement, measurement["joint_position_rad"]).info
        estimate.append(odometry.update(measurement, rotation_matrix(measurement["orientation_wxyz"])))
        rewarded.append([info[f"{axis}_velocity_m_s"] for axis in ("forward", "lateral", "vertical")])
        truth.append(twin.truth().velocity_m_s)
    return Trace(np.array(estimate), np.array(rewarded), np.array(truth))


def moving_mean(values: np.ndarray, steps: int) -> np.ndarray:
    """Mean of the latest `steps` rows, with zeros before the first."""
    sums = np.cumsum(np.concatenate((np.zeros((steps, values.shape[1])), values)), axis=0)
    return (sums[steps:] - sums[:-steps]) / steps


def summarise(trace: Trace) -> dict[str, float]:
    """Root mean square errors of the forward velocity, m/s."""

    def forward_rms(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean(values[:, 0] ** 2)))

    return {
        "rms_error_m_s": forward_rms(trace.estimate - trace.truth),
        "rms_error_rewarded_m_s": forward_rms(trace.rewarded - moving_mean(trace.truth, VELOCITY_WINDOW_STEPS)),
        "rms_of_guessing_zero_m_s": forward_rms(trace.truth),
        "mean_forward_m_s": float(trace.truth[:, 0].mean()),
        "mean_error_m_s": float((trace.estimate - trace.truth)[:, 0].mean()),
    }


def measure(robot: Quadruped, config: TwinConfig, minutes: float, seed: int) -> dict[str, dict[str, float]]:
    """`summarise` by way of moving."""
    results = {}
    for name in ("scrambling", "trotting"):
        twin = find_robot(robot.name).make_twin(config, seed)
        twin.reset("standing" if name == "trotting" else "on_its_back")
        if name == "trotting":
            controller = functools.partial(trot, robot)
        else:
            controller = scramble(robot, seed, twin.measure()["joint_position_rad"])
        results[name] = summarise(record(robot, twin, controller, minutes))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", choices=list(QUADRUPEDS), default="a1")
    parser.add_argument("--minutes", type=float, default=5.0, help="simulated time of each way to move")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    config = resolve(find_robot(arguments.robot).preset("walk", "default", "twin")).twin
    results = measure(QUADRUPEDS[arguments.robot], config, arguments.minutes, arguments.seed)
    if arguments.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key:26s} {value:7.3f}")


if __name__ == "__main__":
    main()
