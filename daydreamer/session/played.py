"""What a session plays that has no learner: a frozen policy of another session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from daydreamer.texts import printable_line

_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class PlayedPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it came from; the snapshot itself lies in the session that plays it.

    Attributes:
      session: directory of the session that has learned it, as it was called then.
      session_digest: SHA-256 of that session's `session.yaml`.
      version, gradient_step, env_steps: see `SnapshotMetadata`.
      robot_minutes: of that session, when it was made.
      chosen: by measured reward, as the newest, or by its number.
      reward: mean per step of what it and its neighbours chose there, see `measure_policies`; None if not known.
      reward_steps: of which this is the mean.
      samples: it acts with the noise that it learned with; otherwise by its mean.
    """

    session: Annotated[str, Meta(max_length=4096)]
    session_digest: Annotated[str, Meta(max_length=128)]
    version: _Count
    gradient_step: _Count
    env_steps: _Count
    robot_minutes: Annotated[float, Meta(ge=0.0, le=1e12)]
    chosen: Literal["best", "newest", "version"]
    reward: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    reward_steps: _Count = 0
    samples: bool = False

    @property
    def words(self) -> str:
        """As 'policy 431 of monday'."""
        return f"policy {self.version} of {printable_line(Path(self.session).name)}"

    @property
    def description(self) -> str:
        """The same, with where it lies, how long it had learned, and how well it did there."""
        known = "not measured" if self.reward is None else f"reward {self.reward:.2f} over {self.reward_steps} steps"
        how = "with its noise" if self.samples else "by its mean"
        return (
            f"policy {self.version} of {printable_line(self.session, 200)}, robot minute {self.robot_minutes:.1f}, "
            f"{known} there; it acts {how}"
        )
