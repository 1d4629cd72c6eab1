"""Takes back a LeRobotDataset that `lerobot_dataset` has written: the steps of its episodes, as they were logged.

An episode of n steps has n - 1 frames. What was observed at its last step is not in there: what was observed before it
stands in its place. Terms of the reward and figures are not in there either, and are NaN; a single term is the reward.
"""

from __future__ import annotations

import math

import numpy as np

from daydreamer.experience.schema import action_sent_shape
from daydreamer.experience.step import Step
from daydreamer.export.lerobot_dataset import features_of
from daydreamer.export.lerobot_reader import PICTURES, Episode, EpisodeUnusable, RecordedDataset
from daydreamer.spec import RobotSpec

_MARK = "policy_version"
"""A feature that others' datasets do not have."""
MOST_VERSIONS = 1 << 32


def is_exported(dataset: RecordedDataset) -> bool:
    """Whether a dataset is one of ours."""
    return _MARK in dataset.features


class ExportedSteps:
    """The steps of a dataset of ours.

    Attributes:
      episodes: where they are.
    """

    def __init__(self, dataset: RecordedDataset, spec: RobotSpec):
        """Raises UserError: it is of another robot, task or settings, or is damaged."""
        self._dataset, self._spec = dataset, spec
        self._require_spec()
        self._images = {f"{PICTURES}{key}": space for key, space in spec.observation.items() if space.is_image}
        self._names = [name for name in features_of(spec) if name not in self._images and name not in _COUNTED]
        self._not_finite = self._shown = 0
        self.episodes = dataset.read_episodes(list(self._images))

    def read(self, episode: Episode) -> list[Step]:
        """The steps of an episode. Raises EpisodeUnusable."""
        columns = self._dataset.read_numbers(episode, self._names)
        observation = self._observation(episode, columns)
        self._require_range(columns)
        flat = {name: values[:, 0] for name, values in columns.items()}
        last, done = episode.frames, bool(flat["next.done"][-1])
        action = columns["action"].reshape(-1, *self._spec.action.shape)
        sent = columns.get("setpoint_sent", columns["action"]).reshape(-1, *action_sent_shape(self._spec))
        steps = []
        for number in range(episode.frames + 1):
            frame = min(number, last - 1)
            reward = float(flat["next.reward"][number - 1]) if number else 0.0
            terms = self._spec.reward_terms
            step = Step(
                actor_life=0,
                sequence=0,
                monotonic_ns=0,
                wall_ns=0,
                observation={key: values[frame] for key, values in observation.items()},
                action_requested=action[frame] if number < last else self._spec.action.zeros(),
                action_sent=sent[frame],
                reward=reward,
                reward_terms=dict.fromkeys(terms, reward if len(terms) == 1 else math.nan),
                info=dict.fromkeys(self._spec.info, math.nan),
                is_first=number == 0,
                is_last=number == last and done,
                is_terminal=number == last and done and not flat["next.truncated"][-1],
                policy_version=int(flat["policy_version"][frame]),
                intervention=bool(flat["is_intervention"][frame]),
                safety_flags=0,
                latency_s=0.0,
            )
            steps.append(step)
        self._shown += sum(step.intervention for step in steps)
        return steps

    def conclude(self, steps: int, reward: float) -> list[str]:
        """What is to be said of what was read, one sentence each."""
        remarks = []
        if self._not_finite:
            remarks.append(f"{self._not_finite} frames hold numbers that are not finite; nothing is learned from them.")
        if not self._shown:
            remarks.append(
                f"None of its {steps} steps was chosen by an operator or a teacher: --demonstrations takes nothing of "
                "it, and 'daydreamer train --from-logs' does."
            )
        return remarks

    def _observation(self, episode: Episode, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`[frames, ...]` by key, in the order of the specification."""
        numbers = [columns["action"], columns["next.reward"]]
        observation, begin = {}, 0
        for key, space in self._spec.observation.items():
            if space.is_image:
                frames = np.arange(episode.frames)
                observation[key] = self._dataset.read_pictures(episode, f"{PICTURES}{key}", frames, space.shape)
                continue
            values = columns["observation.state"][:, begin : begin + space.size]
            observation[key] = values.reshape(-1, *space.shape).astype(space.dtype)
            numbers.append(values)
            begin += space.size
        self._not_finite += int(np.count_nonzero(~np.isfinite(np.column_stack(numbers)).all(axis=1)))
        return observation

    def _require_range(self, columns: dict[str, np.ndarray]) -> None:
        action, versions = columns["action"], columns["policy_version"]
        if self._spec.action.is_discrete and not np.all((action >= 0) & (action < self._spec.action.classes)):
            raise EpisodeUnusable(f"its actions are not 0 to {self._spec.action.classes - 1}")
        if not np.all((versions >= 0) & (versions < MOST_VERSIONS)):
            raise EpisodeUnusable("it says that policies acted whose number none has")

    def _require_spec(self) -> None:
        dataset, spec = self._dataset, self._spec
        what = f"{spec.robot} {spec.task}"
        cure = "import it with the robot, the task and the settings (--set) that it was recorded with"
        if not math.isclose(dataset.rate_hz, spec.control_rate_hz, rel_tol=1e-6):
            raise dataset.refusal(
                f"it has {dataset.rate_hz:g} frames a second, and {what} {spec.control_rate_hz:g} steps", cure
            )
        ours, theirs = features_of(spec), dataset.features
        unknown = [name for name in theirs if name.startswith("observation.") and name not in ours]
        for name in [*ours, *unknown]:
            if name in unknown:
                raise dataset.refusal(f"{what} observes no {name}, which is in it", cure)
            if name not in theirs:
                raise dataset.refusal(f"it has no {name}, which {what} has", cure)
            mine, other = ours[name], theirs[name]
            if (mine["dtype"], mine["shape"], mine["names"]) != (other.dtype, other.shape, other.names):
                raise dataset.refusal(f"its {name} is not that of {what}", cure)


_COUNTED = ("timestamp", "frame_index", "episode_index", "index", "task_index")
