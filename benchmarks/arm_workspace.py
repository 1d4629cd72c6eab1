"""Random actions, one after another, and where they lead an arm's tool: none may leave its workspace.

    python benchmarks/arm_workspace.py [--task pick_place_fine] [--actions 1000000] [--physics 20000] [--json FILE]

The guard of the SO-101 is asked for something at every tick, twenty times a second, and for something new about as
often as the task chooses, but four times a second at least. Half of the requests are joint angles at random, beyond the
joints' limits and not finite among them, half are what actions of the task ask for. The arm is believed to be where it
was told to be, but for an error that is drawn anew each time. What is counted is told tools outside the box. Then the
twin carries out some of them, blocked by trays and table, and it is measured how far its tool really leaves the box.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path

import msgspec
import numpy as np

from daydreamer.random_actions import random_action
from daydreamer.robots.registry import find_robot
from daydreamer.robots.so101.constants import GRID, LIMITS, READY_RAD
from daydreamer.robots.so101.pick_place import PickPlace
from daydreamer.robots.so101.pick_place_fine import PickPlaceFine
from daydreamer.safety.limiter import CommandLimiter
from daydreamer.safety.workspace import ROUNDING_M, beyond_m
from daydreamer.session.new import configure

TASKS = {"pick_place": PickPlace, "pick_place_fine": PickPlaceFine}

TICK_HZ = 20.0
LEAST_HZ = 4.0
"""New requests come at least so often."""
ERROR_RAD = 0.05
"""Standard deviation of how far joints are from where they were told to be."""


class Requests:
    """What is asked for, at random.

    Attributes:
      of_task: so many of them were what the task made of its actions.
    """

    def __init__(self, task: str, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._task = TASKS[task](seed)
        self._new_share = max(LEAST_HZ, self._task.spec.control_rate_hz) / TICK_HZ
        self._request = READY_RAD
        self.of_task = 0

    def draw(self, sent_rad: np.ndarray) -> np.ndarray:
        """The next request `[6]`."""
        if self._random.random() < self._new_share:
            self._request = self._drawn(sent_rad)
        return self._request

    def _drawn(self, sent_rad: np.ndarray) -> np.ndarray:
        kind = self._random.random()
        if kind < 0.001:
            return np.full(len(sent_rad), self._random.choice((np.nan, np.inf, -np.inf)))
        if kind < 0.5:
            return self._random.uniform(1.2 * LIMITS.lower_rad, 1.2 * LIMITS.upper_rad)
        self.of_task += 1
        task = self._task
        if isinstance(task, PickPlace):
            task.cell = GRID.nearest(LIMITS.workspace.tool_position_m(sent_rad))
        else:
            task.holds = bool(self._random.integers(2))
        return task.setpoint(random_action(task.spec.action, self._random), None, sent_rad)

    def errors(self) -> np.ndarray:
        """How far the joints `[6]` are from where they were told to be."""
        return self._random.normal(0.0, ERROR_RAD, len(READY_RAD))


def of_commands(task: str, actions: int) -> dict[str, float]:
    """What the guard lets through."""
    limiter, requests = CommandLimiter(LIMITS, 0.0, TICK_HZ), Requests(task, seed=0)
    limiter.depart(READY_RAD)
    outside, farthest_m, fastest_m_s, moved = 0, 0.0, 0.0, 0
    tool_position_m = LIMITS.workspace.tool_position_m
    before_m, begin_s = tool_position_m(READY_RAD), time.perf_counter()
    for _ in range(actions):
        sent_rad = limiter.setpoint
        told_rad = limiter.command(requests.draw(sent_rad), sent_rad + requests.errors()).setpoint
        beyond = beyond_m(LIMITS.workspace, told_rad)
        outside += beyond > ROUNDING_M
        farthest_m = max(farthest_m, beyond)
        tool_m = tool_position_m(told_rad)
        step_m, before_m = float(np.linalg.norm(tool_m - before_m)), tool_m
        fastest_m_s, moved = max(fastest_m_s, step_m * TICK_HZ), moved + (step_m > 1e-4)
    return {
        "actions": actions,
        "of_task": requests.of_task,
        "outside": outside,
        "farthest_outside_m": farthest_m,
        "fastest_tool_m_s": fastest_m_s,
        "moving_share": moved / actions,
        "microseconds_each": 1e6 * (time.perf_counter() - begin_s) / actions,
    }


def of_twin(task: str, actions: int) -> dict[str, float]:
    """Where the tool really goes."""
    config = configure(robot="so101", task=task, minutes=1.0, seed=0)
    limiter, requests = CommandLimiter(LIMITS, 0.0, TICK_HZ), Requests(task, seed=1)
    limiter.depart(READY_RAD)
    beyond = np.zeros(actions)
    with contextlib.closing(
        find_robot("so101").make_twin(msgspec.structs.replace(config.twin, camera=False), seed=0)
    ) as twin:
        for action in range(actions):
            measured_rad = twin.read()["joint_position_rad"]
            twin.command(limiter.command(requests.draw(limiter.setpoint), measured_rad).setpoint)
            twin.advance(1.0 / TICK_HZ)
            beyond[action] = beyond_m(LIMITS.workspace, twin.data.qpos[twin.position_at])
    return {
        "actions": actions,
        "outside_by_2_cm": int((beyond > 0.02).sum()),
        "farthest_outside_m": float(beyond.max()),
        "percentile_99_m": float(np.percentile(beyond, 99.0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default="pick_place", help="whose actions are drawn")
    parser.add_argument("--actions", type=int, default=1_000_000, help="asked of the guard")
    parser.add_argument("--physics", type=int, default=20_000, help="carried out by the twin")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    figures = {"commands": of_commands(options.task, options.actions), "twin": of_twin(options.task, options.physics)}
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
