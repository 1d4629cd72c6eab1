"""What a robot knows of getting up: `known_motions.json` in the session's directory, which outlives the actor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from daydreamer.contract.motions import KnownMotion
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import read_file
from daydreamer.texts import decode_json, seal_json, unseal_json

LARGEST_BYTES = 1 << 20


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    motions: Annotated[tuple[KnownMotion, ...], Meta(max_length=64)]


def read_known_motions(session: Session) -> tuple[KnownMotion, ...]:
    """What is known; nothing if there is no such file.

    Raises:
      UserError: it cannot be read, or is not what an actor of this robot wrote.
    """
    path = session.known_motions
    try:
        motions = decode_json(unseal_json(read_file(path, LARGEST_BYTES)), _File).motions
        _check(motions, session.spec)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {_CURE}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {_CURE}") from error
    return motions


_CURE = "remove it, and the robot finds out anew how it gets up."


def _check(motions: Sequence[KnownMotion], spec: RobotSpec) -> None:
    """Raises ValueError: these are no motions of this robot."""
    if any(len(action) != spec.action.size for motion in motions for action in motion.actions or ()):
        raise ValueError("it has an action that is none of this robot's")


def hand_down(learned: Session, session: Session) -> None:
    """Lets a session that is being made begin with what another one knows; with nothing where that is damaged.

    Raises:
      UserError: it cannot be written.
    """
    try:
        motions = read_known_motions(learned)
    except UserError as error:
        logging.warning("%s", error)
        return
    if motions:
        _write(session, motions)


def _write(session: Session, motions: tuple[KnownMotion, ...]) -> None:
    with writing("What gets the robot up", session.known_motions):
        write_atomically(session.known_motions, seal_json(msgspec.json.encode(_File(motions))))


class KnownMotions:
    """Keeps the file as new as what the actor knows.

    Attributes:
      motions: what the file says, at first what an earlier life, or another session, has left.
      problem: why nothing is known although there is a file; empty where all is well.
    """

    def __init__(self, session: Session, on_event: Callable[..., None] = lambda kind, **fields: None):
        """Reads what is there; where that is damaged, `on_event('known_motions_refused', error=...)` is called."""
        self._session = session
        self._failed = False
        self.problem = ""
        self.motions: tuple[KnownMotion, ...] = ()
        try:
            self.motions = read_known_motions(session)
        except UserError as error:
            self.problem = str(error)
            on_event("known_motions_refused", error=self.problem)

    def keep(self, motions: tuple[KnownMotion, ...]) -> None:
        """Call again and again, on a thread that may wait for a disk; complains once about one that does not take it.

        Args:
          motions: what is known now; the same object as long as nothing has been learned.
        """
        if motions is self.motions or motions == self.motions:
            return
        try:
            _write(self._session, motions)
        except UserError as error:
            if not self._failed:
                logging.error("%s; a restart would forget how the robot gets up.", error)
            self._failed = True
            return
        self.motions, self._failed = motions, False
