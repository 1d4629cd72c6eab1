"""Whether the files of a session are as long as other files say that they were."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

from daydreamer.errors import UserError
from daydreamer.experience.header import read_header
from daydreamer.experience.log import list_logs
from daydreamer.policy.snapshot import published_snapshots
from daydreamer.session.directory import Session
from daydreamer.session.events import ROLL_BYTES, earlier_events
from daydreamer.session.seal import CorruptCheckpoint, Ledger, Progress, checkpoint_paths, read_seal
from daydreamer.session.status import ProcessStatus, read_process_status, reported_roles
from daydreamer.storage.files import file_size, list_folder
from daydreamer.telemetry.dreams import list_dreams

COMMANDS = {"walk", "keeper"}
"""Roles of which a session has one at a time."""


def take_ledger(session: Session) -> Ledger:
    """How much there is now; what cannot be read counts as nothing."""
    return Ledger(
        events_bytes=_events_bytes(session),
        dreams=_last_dream(session),
        metrics_bytes=dict(_metrics_bytes(session)),
        statuses=tuple(reported_roles(session)),
    )


@dataclasses.dataclass(frozen=True)
class Claims:
    """What statuses and the last checkpoint say that there is; None for what says nothing.

    Of a session that goes on there is ever more: they are to be read before what they are compared with.
    """

    actor: ProcessStatus | None
    learner: ProcessStatus | None
    progress: Progress | None


def read_claims(session: Session) -> Claims:
    """As of now."""
    actor, learner = (read_process_status(session, role) for role in ("actor", "learner"))
    return Claims(actor, learner, last_progress(session))


def find_losses(session: Session, claims: Claims, logged: dict[int, int]) -> list[str]:
    """What is gone although a status or the last checkpoint knows of it, one sentence each.

    Args:
      claims: read before `logged`.
      logged: last sequence number by actor life.
    """
    losses = [*_lost_steps(session, claims, logged), *_changed_settings(session)]
    learner, progress = claims.learner, claims.progress
    published = max(learner.last_publish_version or 0 if learner else 0, progress.policy_version if progress else 0)
    with contextlib.suppress(UserError):  # which is told by who reads them
        if published > (newest := max(published_snapshots(session.policy), default=0)):
            losses.append(f"Policies up to {published} were published; the last in {session.policy} is {newest}.")
    if progress is None or progress.ledger is None:
        return losses
    ledger, now = progress.ledger, take_ledger(session)
    if now.events_bytes < min(ledger.events_bytes, ROLL_BYTES):
        losses.append(
            f"{session.events} has lost its end: {now.events_bytes} of at least {ledger.events_bytes} bytes are there."
        )
    if now.dreams < ledger.dreams:
        losses.append(f"Predictions up to {ledger.dreams} were recorded; in {session.dreams} the last is {now.dreams}.")
    for name, size in ledger.metrics_bytes.items():
        if (there := now.metrics_bytes.get(name, 0)) < size:
            losses.append(f"{session.metrics / name} has lost its end: {there} of at least {size} bytes are there.")
    there = set(now.statuses)
    if there & COMMANDS:  # one command takes over from the other, and forgets what that reported
        there |= COMMANDS
    gone = sorted(set(ledger.statuses) - there)
    losses += [f"{session.status / f'{role}.json'} is gone: what that process reported last." for role in gone]
    return losses


def last_progress(session: Session) -> Progress | None:
    """Of the newest checkpoint whose record is sound; None without any."""
    with contextlib.suppress(OSError):
        for path in reversed(checkpoint_paths(session.checkpoints)):
            with contextlib.suppress(CorruptCheckpoint):
                return read_seal(path).progress
    return None


def _lost_steps(session: Session, claims: Claims, logged: dict[int, int]) -> Iterator[str]:
    cursors = claims.progress.cursors if claims.progress else {}
    known = {int(life): sequence - 1 for life, (_, sequence) in cursors.items()}
    actor = claims.actor
    if actor is not None and actor.actor_life is not None and actor.last_logged_sequence is not None:
        known[actor.actor_life] = max(known.get(actor.actor_life, -1), actor.last_logged_sequence)
    for life, last in sorted(known.items()):
        if last > (there := logged.get(life, -1)):
            yield (
                f"Actor life {life} logged {last + 1} steps; its log in {session.experience} has {there + 1}, as after "
                "a power loss."
            )


def _changed_settings(session: Session) -> Iterator[str]:
    """Since the last life began; who goes on by them does so knowingly, and the next life is recorded by them."""
    with contextlib.suppress(OSError, UserError):  # which is told by who reads them
        logs = list_logs(session.experience)
        header = read_header(logs[max(logs)]) if logs else None
        if header is not None and header.settings and header.settings != session.digest:
            yield (
                f"{session.path / 'session.yaml'} has been changed since actor life {max(logs)} was recorded; its "
                "settings may not be those that are shown."
            )


def _events_bytes(session: Session) -> int:
    size = 0
    for path in (earlier_events(session.events), session.events):
        with contextlib.suppress(OSError):
            size += file_size(path) or 0
    return size


def _last_dream(session: Session) -> int:
    try:
        return max((int(path.stem) for path in list_dreams(session.dreams)), default=0)
    except UserError:
        return 0


def _metrics_bytes(session: Session) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError):
        for folder in list_folder(session.metrics):
            with contextlib.suppress(OSError):
                for name in list_folder(session.metrics / folder):
                    with contextlib.suppress(OSError):
                        yield os.path.join(folder, name), file_size(session.metrics / folder / name) or 0
