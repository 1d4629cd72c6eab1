"""How hard the Burger's tasks are: what random actions and, for `reach`, a policy written by hand achieve in its twin.

    PYTHONPATH=. python benchmarks/burger_policies.py [--episodes 25] [--seed 0] [--json FILE]

The control loop, guard and task are those of a session, in simulated time; nothing learns. The policy by hand sees what
a learned one sees: it turns until the post is in the middle of its picture, and drives. How often the robot touched a
wall is the simulator's truth, beside which stands what the task has noticed. For `reach_from_above` there is the mean
reward, by the picture, and the true distance.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
from pathlib import Path

import msgspec
import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.contract.signals import CAMERA
from daydreamer.experience.step import Step
from daydreamer.robots.burger import sight
from daydreamer.robots.burger.constants import GOAL
from daydreamer.robots.burger.embodiment import ABOVE
from daydreamer.robots.burger.reach import FACING
from daydreamer.robots.burger.reach_from_above import DISTANCE
from daydreamer.robots.burger.sight import find_post
from daydreamer.robots.colour import LEAST_LEVEL, TIMES_THE_OTHERS
from daydreamer.robots.registry import find_robot
from daydreamer.session.new import configure

NEAR_GOAL, TURN_GAIN = 0.06, 0.4
DARK_SHARE, CHASSIS_PIXELS = 0.8, 8
"""The policy by hand from above finds the robot by these: its chassis is so much darker than the floor, and within so
many pixels of the middle of its marker."""

WALLS = ("east", "west", "north", "south")
LONGEST_S = 36_000.0


class ByHand:
    """Turns towards where the post was seen last, until it is in the middle, and drives at it; see `ActingPolicy`."""

    version = 1
    created_wall_s = 0.0

    def initial_state(self) -> float:
        return 1.0

    def __call__(self, observation, side: float, is_first: bool) -> tuple[np.ndarray, float]:
        seen, bearing, _ = find_post(observation[CAMERA])
        if not seen:
            return np.array((-1.0, 0.8 * side), np.float32), side
        drive = 1.0 if abs(bearing) < FACING else -1.0
        return np.array((drive, np.clip(bearing, -1.0, 1.0)), np.float32), float(np.sign(bearing) or side)


class ByHandFromAbove:
    """Turns towards the goal and drives there, by the marker and by which side of it the dark chassis sticks out.

    See `ActingPolicy`; it remembers nothing.
    """

    version = 1
    created_wall_s = 0.0

    def initial_state(self) -> None:
        return None

    def __call__(self, observation, state: None, is_first: bool) -> tuple[np.ndarray, None]:
        picture = observation[ABOVE]
        place = sight.find_robot(picture)
        to_goal = np.zeros(2) if place is None else np.array(GOAL) - place
        if np.linalg.norm(to_goal) < NEAR_GOAL:
            return np.zeros(2, np.float32), None
        ahead = self._ahead(picture)
        # The picture's second axis is down: positive to the left of the robot.
        left = float(ahead[1] * to_goal[0] - ahead[0] * to_goal[1])
        off_rad = float(np.arctan2(left, ahead @ to_goal))
        backs = abs(off_rad) > np.pi / 2  # it drives either way
        turn = np.clip(TURN_GAIN * (np.arctan2(-left, -(ahead @ to_goal)) if backs else off_rad), -1.0, 1.0)
        drive = (-1.0 if backs else 1.0) * max(0.0, 1.0 - 2.0 * abs(turn))
        return np.clip((drive - turn, drive + turn), -1.0, 1.0).astype(np.float32), None

    @staticmethod
    def _ahead(picture: np.ndarray) -> np.ndarray:
        """From the middle of what is dark about the marker to the middle of the marker, in pixels; `[2]`."""
        level = picture.astype(np.float32)
        green = (level[..., 1] > LEAST_LEVEL) & (level[..., 1] > TIMES_THE_OTHERS * level[..., ::2].max(axis=-1))
        middle = np.argwhere(green).mean(axis=0)
        brightness = level.max(axis=-1)
        dark = np.argwhere(brightness < DARK_SHARE * np.median(brightness))
        dark = dark[np.abs(dark - middle).max(axis=1) < CHASSIS_PIXELS]
        return (middle - dark.mean(axis=0))[::-1] if len(dark) else np.zeros(2)


class Run:
    """A task in its twin until enough episodes have ended.

    Attributes:
      outcomes: episodes by how they ended: 'success', 'failure', 'time'.
      steps: of them.
      rewards: of each episode, the mean reward per step.
      distances: true ones at each step, of `reach_from_above`.
      touched: episodes in which the robot truly touched a wall.
      noticed: of those, the ones that ended in 'failure'.
      mistaken: episodes that ended in 'failure' although it did not.
    """

    def __init__(self, task: str, policy: ByHand | ByHandFromAbove | None, seed: int) -> None:
        config = configure(robot="burger", task=task, minutes=60.0, seed=seed)
        robot = find_robot("burger")
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.steps = self.touched = self.noticed = self.mistaken = 0
        self.rewards: list[float] = []
        self.distances: list[float] = []
        self._episode: list[float] = []
        self._ending = "time"
        self._touches = False
        self._twin = robot.make_twin(config.twin, seed)
        self._walls = {self._twin.model.geom(name).id for name in WALLS}
        actor = msgspec.structs.replace(config.actor, random_s=0.0 if policy else LONGEST_S)
        self._loop = ControlLoop(
            robot.task(task).make(config),
            actor,
            self,
            actor_life=1,
            seed=seed,
            clock=lambda: self._twin.time_s,
            on_event=self._on_event,
            on_step=self._on_step,
        )
        if policy:
            self._loop.set_policy(policy)

    def append(self, step: Step) -> None:
        """As a log, which nobody reads."""
        if step.is_first:
            self._touches = False

    def run(self, episodes: int) -> Run:
        with contextlib.closing(self._twin):
            while self.outcomes.total() < episodes:
                command = self._loop.step(self._twin.measure(), self._twin.time_s)
                self._twin.command(None if command.relaxes else command.setpoint)
                self._twin.advance(self._loop.tick_period_s)
                contacts = self._twin.data.contact.geom
                self._touches |= bool(len(self._walls.intersection(contacts.ravel().tolist())))
        return self

    def _on_event(self, kind: str, **fields: object) -> None:
        if kind == "episode_end":
            self._ending = str(fields["ending"])
            self._count()

    def _on_step(self, step: Step) -> None:
        self.steps += 1
        self._episode.append(step.reward)
        truth = self._twin.truth().quantities
        self.distances += [truth[DISTANCE]] if DISTANCE in truth else []
        if step.is_last and not step.is_terminal:
            self._count()

    def _count(self) -> None:
        self.outcomes[self._ending] += 1
        self.rewards.append(float(np.mean(self._episode)))
        self.touched += self._touches
        self.noticed += self._touches and self._ending == "failure"
        self.mistaken += not self._touches and self._ending == "failure"
        self._episode, self._ending = [], "time"


@dataclasses.dataclass
class Row:
    """What a policy achieved; see `Run`."""

    task: str
    policy: str
    seed: int
    episodes: int
    success: int
    bumped: int
    time_up: int
    steps: int
    mean_reward: float
    true_mean_distance: float | None
    touched_a_wall: int
    bumps_noticed: int
    bumps_mistaken: int


def measure(task: str, name: str, policy: ByHand | ByHandFromAbove | None, episodes: int, seed: int) -> Row:
    run = Run(task, policy, seed).run(episodes)
    return Row(
        task=task,
        policy=name,
        seed=seed,
        episodes=run.outcomes.total(),
        success=run.outcomes["success"],
        bumped=run.outcomes["failure"],
        time_up=run.outcomes["time"],
        steps=run.steps,
        mean_reward=round(float(np.mean(run.rewards)), 3),
        true_mean_distance=round(float(np.mean(run.distances)), 3) if run.distances else None,
        touched_a_wall=run.touched,
        bumps_noticed=run.noticed,
        bumps_mistaken=run.mistaken,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for task, name, policy in (
        ("reach", "random", None),
        ("reach", "by hand", ByHand()),
        ("reach_from_above", "random", None),
        ("reach_from_above", "by hand", ByHandFromAbove()),
    ):
        rows.append(measure(task, name, policy, options.episodes, options.seed))
        print(rows[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
