"""Brings new policies to the control loop without ever making it wait."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from pathlib import Path

from daydreamer.actor.control_loop import ActingPolicy
from daydreamer.periodic import periodically
from daydreamer.policy.snapshot import latest_snapshot, published_snapshots
from daydreamer.spec import RobotSpec


class PolicyLoader:
    """Loads, warms up and hands over each new snapshot.

    A snapshot that cannot be used is reported once and the policy at work stays. If there is none yet, as when a
    session is resumed, the newest usable one before it is taken.

    Attributes:
      busy: a snapshot is being loaded now.
    """

    def __init__(
        self,
        directory: Path,
        spec: RobotSpec,
        load: Callable[[Path, RobotSpec], ActingPolicy],
        *,
        on_policy: Callable[[ActingPolicy], None],
        on_event: Callable[..., None],
        poll_s: float,
    ):
        """A loader of the snapshots in `directory`.

        Args:
          load: makes a policy of a snapshot, as `Policy.load`.
          on_policy: takes over a warm policy; called on the thread that polls.
          on_event: called as `on_event(kind, **fields)`, likewise.
          poll_s: time between two looks.
        """
        self._directory = directory
        self._spec = spec
        self._load = load
        self._on_policy = on_policy
        self._on_event = on_event
        self._poll_s = poll_s
        self.busy = False
        self._seen: Path | None = None
        self._refused: set[Path] = set()
        self._acting = False
        self._refusal: str | None = None

    def poll(self) -> bool:
        """Looks once, on the caller's thread; whether a new policy was handed over."""
        try:
            path = latest_snapshot(self._directory)
        except Exception as error:
            self._refuse(error)
            return not self._acting and self._load_earlier()
        if path is None or path == self._seen:
            return False
        self._seen = path
        return self._hand_over(path) or (not self._acting and self._load_earlier())

    def _load_earlier(self) -> bool:
        """Hands over the newest snapshot that can be used; tries each once."""
        for _, path in sorted(published_snapshots(self._directory).items(), reverse=True):
            if path not in self._refused and self._hand_over(path):
                return True
        return False

    def _hand_over(self, path: Path) -> bool:
        try:
            self.busy = True
            policy = self._load(path, self._spec)
            warm_up(policy, self._spec)
        except Exception as error:
            # Whatever is wrong with a snapshot, the robot goes on with the policy it has.
            self._refused.add(path)
            self._refuse(error)
            return False
        else:
            self._on_policy(policy)
            self._acting = True
            return True
        finally:
            self.busy = False

    def running(self) -> contextlib.AbstractContextManager[None]:
        """Polls on a thread of its own inside the `with` block; a load in progress is finished before it ends."""
        return periodically(self.poll, self._poll_s, "policy-loader")

    def _refuse(self, error: Exception) -> None:
        if str(error) != self._refusal:
            self._refusal = str(error)
            traceback.print_exception(error)
            self._on_event("policy_refused", error=self._refusal)


def warm_up(policy: ActingPolicy, spec: RobotSpec) -> None:
    """Calls a policy in the two ways the control loop will, so that it compiles now."""
    observation = {key: space.zeros() for key, space in spec.observation.items()}
    _, state = policy(observation, policy.initial_state(), True)
    policy(observation, state, False)
