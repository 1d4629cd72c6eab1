"""What a session learns from beside its own experience: what an operator or a teacher has shown in another one."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from daydreamer.config import Body
from daydreamer.session.parentage import Amount, Digest
from daydreamer.texts import printable_line


class Demonstrated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session with demonstrations, as the `session.yaml` of one that learns from them has it.

    Attributes:
      path: where it was then; there may be nothing, or something else, today.
      digest: SHA-256 of its `session.yaml`, which is the identity of a session.
      robot, body: that it ran with.
      steps: whose action an operator or a teacher chose, and that can be learned from.
      reward: mean of these.
    """

    path: Annotated[str, Meta(max_length=4096)]
    digest: Digest
    robot: Annotated[str, Meta(max_length=64)]
    body: Body
    steps: Amount
    reward: Annotated[float, Meta(ge=-1e12, le=1e12)]

    @property
    def sentence(self) -> str:
        """For people: what was shown."""
        return (
            f"{self.steps} steps that were shown in {printable_line(self.path, 200)} ({self.robot}, {self.body}), mean "
            f"reward {self.reward:.2f}"
        )
