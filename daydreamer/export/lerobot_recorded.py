"""Makes experience of a LeRobotDataset that other tools have recorded of a robot.

That is what a task would have observed, what a policy would have done to move as it did, and what would have been paid.

Where the recording moves faster than the task's largest steps it is slowed down, so that each action leads where the
robot went. What was measured, told and seen is then taken at the task's control rate: joints in between two frames, and
of pictures the newest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from daydreamer.contract.recording import RecordedTask
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.export.lerobot_reader import COPY, PICTURES, Episode, EpisodeUnusable, Feature, RecordedDataset
from daydreamer.texts import printable_line

MEASURED, TOLD = "observation.state", "action"
MOST_STEPS = 12_000
"""Of an episode, whose pictures are held in memory."""
_EPSILON_S = 1e-6
SLOWED = 0.95
"""Share of its own pace below which it is told that a recording was slowed down."""


@dataclasses.dataclass(frozen=True)
class _Path:
    """What a robot did, at the task's control rate.

    Attributes:
      measured_rad, velocity_rad_s: `[steps, joints]`.
      told_rad: `[steps + 1, joints]` that it was following at each step, and after the last one.
      frames: `[steps]` of the recording, the newest at each step.
    """

    measured_rad: np.ndarray
    velocity_rad_s: np.ndarray
    told_rad: np.ndarray
    frames: np.ndarray


class RecordedSteps:
    """The steps of a dataset of others.

    Attributes:
      episodes: where they are.
    """

    def __init__(self, dataset: RecordedDataset, recorded: RecordedTask, cameras: Mapping[str, str]):
        """Args:
          cameras: features that are pictures, by the task's camera; those that are missing are of its name.

        Raises:
          UserError: it is of another robot, lacks something, is too slow, or is damaged.
        """
        self._dataset, self._recorded = dataset, recorded
        self._spec = recorded.task.spec
        self._require_robot()
        self._columns = {feature: self._columns_of(feature) for feature in (MEASURED, TOLD)}
        self._cameras = self._find_cameras(cameras)
        self._recorded_s = self._taken_s = 0.0
        self.episodes = dataset.read_episodes(list(self._cameras.values()))

    def read(self, episode: Episode) -> list[Step]:
        """The steps of an episode.

        Raises:
          EpisodeUnusable: it cannot be read, has numbers that are none, or is too short.
          UserError: its numbers are in another unit.
        """
        path = self._path(episode)
        signals = self._recorded.task.embodiment.signals
        pictures = {
            camera: self._dataset.read_pictures(episode, key, path.frames, signals[camera].shape)
            for camera, key in self._cameras.items()
        }
        actions = np.clip(self._recorded.motions(path.told_rad), -1.0, 1.0).astype(np.float32)
        steps: list[Step] = []
        for number in range(len(path.frames)):
            values = {JOINT_POSITION: path.measured_rad[number], JOINT_VELOCITY: path.velocity_rad_s[number]}
            values |= {camera: seen[number] for camera, seen in pictures.items()}
            measurement = Measurement(number * self._spec.control_period_s, values)
            if not steps:
                self._recorded.task.restart(measurement, 0.0)
                self._recorded.task.reset()
            is_last = number == len(path.frames) - 1
            state = self._recorded.observe(measurement, path.told_rad[number], is_last)
            step = Step(
                actor_life=0,
                sequence=0,
                monotonic_ns=0,
                wall_ns=0,
                observation=state.observation,
                action_requested=actions[number],
                action_sent=path.told_rad[number + 1].astype(np.float32),
                reward=state.reward,
                reward_terms=state.reward_terms,
                info=state.info,
                is_first=not steps,
                is_last=is_last or state.ending is not None,
                is_terminal=state.ending is not None,
                policy_version=0,
                intervention=True,
                safety_flags=0,
                latency_s=0.0,
            )
            steps.append(step)
            if step.is_last:
                break
        return steps

    def conclude(self, steps: int, reward: float) -> list[str]:
        """What is to be said of what was read, one sentence each.

        Raises:
          UserError: nothing of it would be paid.
        """
        if not reward > 0.0:
            raise self._dataset.refusal(
                f"by the task's own rule nothing in {len(self.episodes)} episodes is paid",
                "see whether --camera and --units are right, and if each episode ends in success say --success last",
            )
        pace = self._recorded_s / self._taken_s
        slowed = f"It was slowed down to {pace:.0%} of its pace, as it moves faster than the task's largest steps."
        return [*([slowed] if pace < SLOWED else []), *self._recorded.remarks()]

    def _path(self, episode: Episode) -> _Path:
        values = self._dataset.read_numbers(episode, (MEASURED, TOLD))
        numbers = {feature: values[feature][:, columns] for feature, columns in self._columns.items()}
        for feature, each in numbers.items():
            if bad := np.count_nonzero(~np.isfinite(each).all(axis=1)):
                raise EpisodeUnusable(f"in {bad} of its frames {feature} has numbers that are not finite")
        try:
            measured_rad, wanted_rad = (self._recorded.setpoints(each.astype(np.float64)) for each in numbers.values())
        except UserError as error:
            raise UserError(f"Episode {episode.number} of {self._dataset.path} cannot be imported: {error}") from error
        path = self._at_control_rate(measured_rad, wanted_rad)
        if len(path.frames) < 2:
            raise EpisodeUnusable(f"its {episode.frames} frames are less than two control steps")
        return path

    def _at_control_rate(self, measured_rad: np.ndarray, wanted_rad: np.ndarray) -> _Path:
        """Of frames `[frames, joints]`."""
        rate_hz, frame_s = self._spec.control_rate_hz, 1.0 / self._dataset.rate_hz
        # What is wanted at a frame is followed after it.
        told_rad = np.concatenate((wanted_rad[:1], wanted_rad[:-1]))
        sizes = np.abs(self._recorded.motions(told_rad)).max(axis=1, initial=0.0)
        time_s = np.concatenate(([0.0], np.cumsum(np.maximum(frame_s, sizes / rate_hz))))
        self._recorded_s += frame_s * (len(time_s) - 1)
        self._taken_s += time_s[-1]
        if time_s[-1] * rate_hz > MOST_STEPS:
            raise EpisodeUnusable(
                f"it would take {time_s[-1]:.0f} s at the task's pace, and {MOST_STEPS} steps are taken"
            )
        steps_s = np.arange(math.floor(time_s[-1] * rate_hz + _EPSILON_S) + 1) / rate_hz
        velocity_rad_s = np.gradient(measured_rad, time_s, axis=0) if len(time_s) > 1 else np.zeros_like(measured_rad)

        def at_steps(values: np.ndarray) -> np.ndarray:
            return np.column_stack([np.interp(steps_s, time_s, column) for column in values.T])

        return _Path(
            at_steps(measured_rad),
            at_steps(velocity_rad_s),
            np.concatenate((at_steps(told_rad), wanted_rad[-1:])),
            np.searchsorted(time_s, steps_s + _EPSILON_S, side="right") - 1,
        )

    def _require_robot(self) -> None:
        dataset, spec = self._dataset, self._spec
        if dataset.robot is not None and dataset.robot not in self._recorded.robots:
            raise dataset.refusal(
                f"it is of a '{dataset.robot}', and not of a {spec.robot} ({', '.join(self._recorded.robots)})",
                "choose the --robot that it is of",
            )
        if dataset.rate_hz < spec.control_rate_hz:
            raise dataset.refusal(
                f"it has {dataset.rate_hz:g} frames a second, fewer than {spec.task} has steps "
                f"({spec.control_rate_hz:g})",
                "record it faster",
            )

    def _columns_of(self, feature: str) -> list[int]:
        """Where the robot's numbers are among those of a feature."""
        each = self._dataset.features.get(feature, Feature("none"))
        names = each.names if isinstance(each.names, list) else []
        if missing := [name for name in self._recorded.names if name not in names]:
            there = printable_line(", ".join(map(str, names)) or "nothing by name", 200)
            raise self._dataset.refusal(
                f"its {feature} has no {missing[0]}, but {there}",
                f"take one in which the joints are called {', '.join(self._recorded.names)}, as LeRobot calls them",
            )
        if len(names) != (width := math.prod(each.shape)):
            raise self._dataset.refusal(f"its {feature} has {len(names)} names for {width} numbers", COPY)
        return [names.index(name) for name in self._recorded.names]

    def _find_cameras(self, said: Mapping[str, str]) -> dict[str, str]:
        """The feature that is each camera's pictures."""
        cameras, there = self._recorded.task.embodiment.cameras, self._dataset.pictures
        if unknown := [camera for camera in said if camera not in cameras]:
            raise UserError(f"{self._spec.task} has no camera '{unknown[0]}'; it has {', '.join(cameras)}.")
        found = {}
        for camera in cameras:
            key = said.get(camera, camera)
            key = key if key.startswith(PICTURES) else PICTURES + key
            if key not in there:
                shown = printable_line(", ".join(there) or "no video", 300)
                raise self._dataset.refusal(
                    f"it has no {printable_line(key)} for the camera '{camera}', but {shown}",
                    f"say which it is, as --camera {camera}={there[0] if there else PICTURES + 'top'}",
                )
            found[camera] = key
        return found
