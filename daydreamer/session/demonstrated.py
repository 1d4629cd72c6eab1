"""What a session learns from beside, or in place of, its own experience: what others have shown, or recorded."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from daydreamer.config import Body
from daydreamer.session.parentage import Amount, Digest
from daydreamer.texts import printable_line


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session whose steps another one learns from, as the `session.yaml` of that one has it.

    Attributes:
      path: where it was then; there may be nothing, or something else, today.
      digest: SHA-256 of its `session.yaml`, which is the identity of a session.
      robot, body: that it ran with.
      steps: of it that are learned from.
      reward: mean of these.
    """

    path: Annotated[str, Meta(max_length=4096)]
    digest: Digest
    robot: Annotated[str, Meta(max_length=64)]
    body: Body
    steps: Amount
    reward: Annotated[float, Meta(ge=-1e12, le=1e12)]

    @property
    def _origin(self) -> str:
        return f"in {printable_line(self.path, 200)} ({self.robot}, {self.body}), mean reward {self.reward:.2f}"


class Demonstrated(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session with demonstrations: its steps are those whose action an operator or a teacher chose."""

    @property
    def sentence(self) -> str:
        """For people: what was shown."""
        return f"{self.steps} steps that were shown {self._origin}"


class Recorded(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session that another one learns from offline, whoever chose in it.

    Attributes:
      held_out_steps: of its end, by which is judged what the model predicts, and from which nothing is learned.
    """

    held_out_steps: Amount

    @property
    def sentence(self) -> str:
        """For people: what was recorded."""
        return f"{self.steps} steps that were recorded {self._origin}; {self.held_out_steps} more are held out"
