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

BEST, NEWEST = "best", "newest"


@dataclasses.dataclass(frozen=True)
class MeasuredPolicy:
    """A policy that a session has kept.

    Attributes:
      path: of its snapshot.
      metadata: see `SnapshotMetadata`.
      reward: mean per step of what followed the actions that it and its neighbours chose; None for too few of them.
      steps: how many these are.
    """

    path: Path
    metadata: SnapshotMetadata
    reward: float | None
    steps: int

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

    What counts are steps within `window_s`, half before and half after a policy was made, that follow an action which
    was a policy's own: nothing random, no rhythm, no rescue, no operator.

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
    robot_s, reward = _chosen_by_policies(read_columns(session, images=False, problems=[]))
    sums = np.concatenate(((0.0,), np.cumsum(reward)))
    policies = []
    for path, metadata in kept:
        made_s = metadata.env_steps * session.spec.control_period_s
        begin, end = np.searchsorted(robot_s, (made_s - window_s / 2, made_s + window_s / 2))
        steps = int(end - begin)
        enough = steps >= max(1, session.spec.steps(LEAST_S))
        mean = float(sums[end] - sums[begin]) / steps if enough else None
        policies.append(MeasuredPolicy(path, metadata, mean, steps))
    return policies


def choose_policy(session: Session, wanted: str = BEST) -> MeasuredPolicy:
    """A policy of a session that is sound.

    Args:
      wanted: 'best' by measured reward, where none has one the newest; 'newest'; or the number of a version.

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
    policies.sort(key=lambda policy: policy.version, reverse=True)
    if wanted == BEST:  # the newest of equals
        policies.sort(key=lambda policy: -np.inf if policy.reward is None else policy.reward, reverse=True)
    for policy in policies:
        try:
            read_snapshot(policy.path, session.spec)
        except UserError as error:
            refusal = error
        else:
            return policy
    raise refusal


def _numbered(session: Session, policies: Sequence[MeasuredPolicy], wanted: str) -> MeasuredPolicy:
    by_version = {str(policy.version): policy for policy in policies}
    if wanted not in by_version:
        there = list(by_version)
        some = ", ".join(there if len(there) <= 12 else [*there[:4], "...", *there[-6:]])
        raise UserError(f"{session.path} has no policy '{wanted}'; choose {BEST}, {NEWEST}, or one of {some}.")
    read_snapshot(by_version[wanted].path, session.spec)
    return by_version[wanted]


def _chosen_by_policies(steps: StepColumns) -> tuple[np.ndarray, np.ndarray]:
    """Robot time and reward, each `[chosen]`, of the steps that follow an action that a policy chose."""
    chosen = (steps.policy_version > 0) & (steps.intervention == 0)
    follows = chosen[:-1] & (steps.is_first[1:] == 0) & np.isfinite(steps.reward[1:])
    return steps.robot_s[1:][follows], steps.reward[1:][follows]
