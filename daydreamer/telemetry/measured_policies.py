"""How well each policy that a session has kept did: by the reward that followed what it chose itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daydreamer.errors import UserError
from daydreamer.policy.snapshot import SnapshotMetadata, published_snapshots, read_snapshot, read_snapshot_metadata
from daydreamer.session.directory import Session
from daydreamer.session.played import PlayedPolicy
from daydreamer.telemetry.columns import StepColumns, read_columns

WINDOW_S = 60.0
"""Robot time about a policy over which it is measured: itself and its neighbours, which are hardly others. A policy is
at work for seconds, too few to tell good ones from lucky ones."""

LEAST_S = 10.0
"""Of steps within the window that policies chose; less is no measurement."""

_ROUNDING_S = 1e-6
"""Times are sums of periods. The last step of an episode is one of it, and often the one that is paid."""

LEAST_EPISODES = 3
"""The window grows until it has so many whole ones: of one that lasts a minute nobody knows how lucky it was."""

BEST, NEWEST = "best", "newest"


@dataclasses.dataclass(frozen=True)
class MeasuredPolicy:
    """A policy that a session has kept.

    Attributes:
      path: of its snapshot.
      metadata: see `SnapshotMetadata`.
      reward: mean per step of what followed the actions that it and its neighbours chose; None for too few of them.
      steps: how many these are.
      standard_error: of that mean, by how the episodes that these steps are of differ; 0 where it is one alone.
    """

    path: Path
    metadata: SnapshotMetadata
    reward: float | None
    steps: int
    standard_error: float = 0.0

    @property
    def version(self) -> int:
        return self.metadata.version

    @property
    def robot_minutes(self) -> float:
        """Robot time of the session at which it was made."""
        return self.metadata.env_steps * self.metadata.robot_spec.control_period_s / 60.0

    def played(self, learned: Session, wanted: str, samples: bool) -> PlayedPolicy:
        """What the session that plays it is to know.

        Args:
          learned: the session that it is of.
          wanted: see `choose_policy`.
          samples: see `PlayedPolicy`.
        """
        return PlayedPolicy(
            session=str(learned.path),
            session_digest=learned.digest,
            version=self.version,
            gradient_step=self.metadata.gradient_step,
            env_steps=self.metadata.env_steps,
            robot_minutes=self.robot_minutes,
            chosen="best" if wanted == BEST else "newest" if wanted == NEWEST else "version",
            reward=self.reward,
            reward_steps=self.steps,
            samples=samples,
        )


def measure_policies(session: Session, window_s: float = WINDOW_S) -> list[MeasuredPolicy]:
    """The policies that a session has kept, in the order in which they were made; those that are damaged are left out.

    What counts are steps within `window_s`, half before and half after a policy was made, or as much more as it takes
    for `LEAST_EPISODES` whole episodes, that follow an action which was a policy's own: nothing random, no rhythm, no
    rescue, no operator.

    Raises:
      UserError: logs or policies cannot be read, or are of another robot.
    """
    kept = []
    for _, path in sorted(published_snapshots(session.policy).items()):
        try:
            kept.append((path, read_snapshot_metadata(path)))
        except UserError:  # damaged, or removed meanwhile by a learner that goes on
            continue
    if not kept:
        return []
    chosen = _chosen_by_policies(read_columns(session, images=False, problems=[]))
    least_steps = max(1, session.spec.steps(LEAST_S))
    policies = []
    for path, metadata in kept:
        made_s = metadata.env_steps * session.spec.control_period_s
        about = chosen.within(made_s, window_s / 2)
        if len(about.reward) < least_steps:
            policies.append(MeasuredPolicy(path, metadata, None, len(about.reward)))
            continue
        about = chosen.within(made_s, max(window_s / 2, chosen.reach(made_s, LEAST_EPISODES)))
        mean = float(about.reward.mean())
        policies.append(MeasuredPolicy(path, metadata, mean, len(about.reward), about.standard_error()))
    return policies


def choose_policy(session: Session, wanted: str = BEST) -> MeasuredPolicy:
    """A policy of a session that is sound.

    Args:
      wanted: 'best' by measured reward, see `_best`; 'newest'; or the number of a version.

    Raises:
      UserError: there is none, or not this one.
    """
    policies = measure_policies(session)
    if not policies:
        raise UserError(
            f"{session.path} has no policy yet; let it learn for longer, as with '{session.resume_command()}'."
        )
    if wanted not in (BEST, NEWEST):
        return _numbered(session, policies, wanted)
    while policies:
        policy = _best(policies) if wanted == BEST else policies[-1]
        try:
            read_snapshot(policy.path, session.spec)
        except UserError as error:
            refusal = error
            policies.remove(policy)
        else:
            return policy
    raise refusal


def _best(policies: Sequence[MeasuredPolicy]) -> MeasuredPolicy:
    """The newest of those that are within one standard error of the highest reward, where none has one of all.

    The highest of many measurements is a lucky one, and a later policy has learned from more: this is the rule of one
    standard error (Breiman et al. 1984). How well the later one is known does not help it.
    """
    measured = [(policy, policy.reward) for policy in policies if policy.reward is not None]
    if not measured:
        return policies[-1]
    highest, reward = max(measured, key=lambda each: each[1])
    return [policy for policy, other in measured if other >= reward - highest.standard_error][-1]


def _numbered(session: Session, policies: Sequence[MeasuredPolicy], wanted: str) -> MeasuredPolicy:
    by_version = {str(policy.version): policy for policy in policies}
    if wanted not in by_version:
        there = list(by_version)
        some = ", ".join(there if len(there) <= 12 else [*there[:4], "...", *there[-6:]])
        raise UserError(f"{session.path} has no policy '{wanted}'; choose {BEST}, {NEWEST}, or one of {some}.")
    read_snapshot(by_version[wanted].path, session.spec)
    return by_version[wanted]


@dataclasses.dataclass(frozen=True)
class _ChosenSteps:
    """Steps that follow an action which a policy chose, each `[chosen]`.

    Attributes:
      robot_s: at which they ended.
      reward: that they brought.
      episode: the number of that which each is of.
    """

    robot_s: np.ndarray
    reward: np.ndarray
    episode: np.ndarray

    def within(self, middle_s: float, half_s: float) -> _ChosenSteps:
        """Those at most so far from a moment."""
        begin = np.searchsorted(self.robot_s, middle_s - half_s - _ROUNDING_S)
        part = slice(begin, np.searchsorted(self.robot_s, middle_s + half_s + _ROUNDING_S, side="right"))
        return _ChosenSteps(self.robot_s[part], self.reward[part], self.episode[part])

    def reach(self, middle_s: float, episodes: int) -> float:
        """How far from a moment so many whole episodes end, or all that there are."""
        begins = np.unique(self.episode, return_index=True)[1]
        ends_s = np.sort(np.maximum.reduceat(np.abs(self.robot_s - middle_s), begins))
        return float(ends_s[:episodes][-1])

    def standard_error(self) -> float:
        """Of the mean reward: steps of one episode are alike, so that episodes are what is counted."""
        episode = np.unique(self.episode, return_inverse=True)[1]
        deviations = np.bincount(episode, self.reward - self.reward.mean())
        count = len(deviations)
        if count < 2:
            return 0.0
        return float(np.sqrt(count / (count - 1) * np.square(deviations).sum()) / len(self.reward))


def _chosen_by_policies(steps: StepColumns) -> _ChosenSteps:
    chosen = (steps.policy_version > 0) & (steps.intervention == 0)
    follows = chosen[:-1] & (steps.is_first[1:] == 0) & np.isfinite(steps.reward[1:])
    episode = np.cumsum(steps.is_first)
    return _ChosenSteps(steps.robot_s[1:][follows], steps.reward[1:][follows], episode[1:][follows])
