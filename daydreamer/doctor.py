"""Examines a session directory: what is there, what is damaged, and what to do about it. Looking changes nothing.

Files may come and go meanwhile: a running session can be examined too.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import jax
import msgspec
import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.closing import close_killed, is_complete
from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import ExperienceTail, LogTail
from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import INHERITED_STEP, SET_ASIDE_SUFFIX, read_checkpoint
from daydreamer.learner.inherited import read_held_out_experience, read_inherited_experience
from daydreamer.policy.snapshot import latest_snapshot, published_snapshots, read_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventTail
from daydreamer.session.labels import read_labels
from daydreamer.session.seal import CorruptCheckpoint, checkpoint_paths
from daydreamer.session.status import read_status
from daydreamer.storage.files import file_size, find_foreign, list_folder
from daydreamer.telemetry.accounts import find_losses, read_claims
from daydreamer.telemetry.dreams import list_dreams, read_dream
from daydreamer.telemetry.scalars import ScalarReader

_BATCH_STEPS = 4096
MOST_LIVES = 1000
"""Up to so many lives it is said which are missing."""
LITTLE_SPACE_BYTES = 1 << 30


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing about a session.

    Attributes:
      part: 'settings', 'experience', 'inherited', 'checkpoints', 'policy', 'events', 'dreams', 'labels', 'metrics',
        'files', 'processes' or 'disk'.
      state: 'note' is worth knowing and no damage.
      text: what is there.
      cure: what to do about it; empty if nothing.
    """

    part: str
    state: Literal["sound", "note", "damaged"]
    text: str
    cure: str = ""


def examine(session: Session) -> Iterator[Finding]:
    """All findings about a session, part by part. Reads every byte of its logs."""
    for path, what in find_foreign(session.path):
        cure = "Put a copy in its place, or remove it: it is not opened, and 'daydreamer resume' refuses it."
        yield Finding(part="files", state="damaged", text=f"{path} is {what}.", cure=cure)
    for problem in session.problems:
        yield Finding(part="settings", state="damaged", text=problem, cure=_SETTINGS_CURE)
    steps = 0
    for finding, life_steps in _examine_experience(session):
        steps += life_steps
        yield finding
    yield from _examine_inherited(session)
    yield from _examine_checkpoints(session, steps)
    yield from _examine_policies(session)
    yield from _examine_events(session)
    yield from _examine_dreams(session)
    yield from _examine_labels(session)
    yield from _examine_metrics(session)
    yield from _examine_processes(session)
    free_bytes = shutil.disk_usage(session.path).free
    if free_bytes < LITTLE_SPACE_BYTES:
        yield Finding(
            part="disk",
            state="note",
            text=f"Only {free_bytes / 1e6:.0f} MB are free.",
            cure="Free some space: a robot whose steps cannot be written is stopped.",
        )


_SETTINGS_CURE = "Restore session.yaml from a copy, or use the version that wrote it."


def close_logs(session: Session) -> Iterator[Finding]:
    """Closes the logs of killed actors, and says of each what became of it.

    Raises:
      UserError: an actor is at work, see `Session.lock`.
    """
    with session.lock("session"), session.lock("actor"):
        for path in list_logs(session.experience).values():
            try:
                if is_complete(path):
                    continue
                torn_bytes = close_killed(path)
            except (OSError, UserError) as error:
                yield Finding(part="experience", state="note", text=f"{path.name} is left as it is: {error}")
            else:
                counts = {"step": torn_bytes.log, "picture": torn_bytes.pictures}
                torn = "".join(f"; {size} bytes of a torn {what} were cut off" for what, size in counts.items() if size)
                yield Finding(part="experience", state="sound", text=f"{path.name} has been closed{torn}.")


def _examine_experience(session: Session) -> Iterator[tuple[Finding, int]]:
    """Findings with the number of sound steps that each of them stands for."""
    claims = read_claims(session)
    tail = ExperienceTail(session.experience, session.spec)
    counts: Counter[int] = Counter()
    logs: dict[int, Path] = {}
    try:
        logs = list_logs(session.experience)
        while batch := tail.read(_BATCH_STEPS):
            counts.update(step.actor_life for step in batch)
    except UserError as error:
        yield Finding(part="experience", state="damaged", text=str(error)), 0
    for life, path in logs.items():
        offset, _ = tail.cursors.get(life, (0, 0))
        yield _describe_log(session, path, life, offset, counts[life]), counts[life]
    for life in sorted(set(range(1, min(max(logs, default=0), MOST_LIVES))) - logs.keys()):
        # A writer that failed on a full disk takes its empty log with it; others leave theirs.
        yield Finding(part="experience", state="note", text=f"There is no log of actor life {life}."), 0
    for problem in tail.problems:
        cure = "Restore the file from a copy if there is one. 'daydreamer resume' goes on without what is missing."
        yield Finding(part="experience", state="damaged", text=problem.text, cure=cure), 0
    for loss in find_losses(session, claims, {life: (tail.cursors.get(life, (0, 0))[1]) - 1 for life in logs}):
        cure = "Restore the file from a copy if there is one; all else is used."
        yield Finding(part="files", state="damaged", text=loss, cure=cure), 0
    if not logs:
        yield Finding(part="experience", state="note", text="Nothing has been logged yet."), 0


def _describe_log(session: Session, path: Path, life: int, offset: int, count: int) -> Finding:
    steps = f"{path.name}: {count} steps, sequence numbers without gap"
    rest = LogTail(path, session.spec, offset, life)
    try:
        if file_size(path) == 0:
            text = f"{path.name} is empty: its actor was ended before it wrote anything, or what it wrote is lost."
            return Finding(part="experience", state="note", text=text)
        rest.read(1)
        torn_bytes = 0 if rest.closed else (file_size(path) or 0) - rest.offset
    except (UserError, OSError):
        return Finding(part="experience", state="note", text=f"{path.name}: {count} steps can be read.")
    if rest.closed:
        return Finding(part="experience", state="sound", text=f"{steps}, closed.")
    if torn_bytes > 0:
        text = f"{steps}; it ends in {torn_bytes} bytes of a step that was being written when its actor was ended."
        return Finding(part="experience", state="note", text=text, cure=f"It is left out. {_CLOSING}")
    text = f"{steps}; not closed: its actor runs, or was ended by force."
    return Finding(part="experience", state="sound", text=text, cure=_CLOSING)


_CLOSING = "The next life of the actor, or 'daydreamer doctor --repair', closes the file for other MCAP readers."


def _examine_inherited(session: Session) -> Iterator[Finding]:
    """What a session has of others; nothing of one that has nothing."""
    parent, shown, logs = session.record.parent, session.record.demonstrations, session.record.logs
    if parent is None and not shown and not logs:
        return
    if parent is not None:
        yield Finding(part="inherited", state="sound", text=f"It began with {parent.sentence}.")
    for each in shown:
        yield Finding(part="inherited", state="sound", text=f"It learns also from {each.sentence}.")
    for log in logs:
        yield Finding(part="inherited", state="sound", text=f"It learns offline from {log.sentence}.")
    if parent is not None and not (session.checkpoints / str(INHERITED_STEP)).is_dir():
        text = f"Checkpoint {INHERITED_STEP}, which it began with, is gone."
        cure = "Nothing, as long as there is a newer one; without any, learning begins at nothing."
        yield Finding(part="inherited", state="damaged", text=text, cure=cure)
    yield from _examine_blocks(session, read_inherited_experience, "of others' experience")
    if logs:
        yield from _examine_blocks(session, read_held_out_experience, "that are held out")


def _examine_blocks(
    session: Session, read: Callable[..., dict[str, np.ndarray] | None], steps_of_what: str
) -> Iterator[Finding]:
    """Steps that were copied from other sessions."""
    problems: list[str] = []
    try:
        rows = read(session, lambda kind, **fields: problems.append(_describe_event(kind, fields)))
    except UserError as error:
        yield Finding(part="inherited", state="damaged", text=str(error))
        return
    for problem in problems:
        cure = "Nothing: less of others' experience is replayed."
        yield Finding(part="inherited", state="damaged", text=problem, cure=cure)
    if rows is not None:
        text = f"{len(rows['reward'])} steps {steps_of_what}; checksums fit."
        yield Finding(part="inherited", state="sound", text=text)


def _describe_event(kind: str, fields: dict[str, object]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{kind.replace('_', ' ')}: {told}.".capitalize()


def _examine_checkpoints(session: Session, logged_steps: int) -> Iterator[Finding]:
    if session.plays:
        yield Finding(part="checkpoints", state="note", text=f"Nobody learns: it plays {session.plays.description}.")
        return
    if session.teacher:
        text = f"Nobody learns: {session.teacher} shows a task."
        yield Finding(part="checkpoints", state="note", text=text)
        return
    try:
        agent = Agent(session.spec, session.config.model, session.config.learner)
        template = jax.eval_shape(lambda: agent.initialize(0))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        text = f"With the settings in session.yaml there are no networks: {str(error).splitlines()[0]}"
        yield Finding(part="settings", state="damaged", text=text, cure=_SETTINGS_CURE)
        return
    sound = received = 0
    try:
        paths = checkpoint_paths(session.checkpoints)
    except OSError as error:
        text = f"{session.checkpoints} cannot be read ({error.strerror})."
        yield Finding(part="checkpoints", state="damaged", text=text)
        return
    for path in paths:
        try:
            _, progress = read_checkpoint(path, template, session.spec.hash)
        except CorruptCheckpoint as error:
            if path.exists():  # otherwise a newer one has just replaced it
                before = "uses the one before it" if sound else "begins anew, from all experience there is"
                cure = f"Nothing: the learner sets it aside and {before}."
                yield Finding(part="checkpoints", state="damaged", text=f"{path.name}: {error.reason}", cure=cure)
        except UserError as error:
            yield Finding(part="checkpoints", state="damaged", text=str(error))
        else:
            sound += 1
            text = f"{path.name}: gradient step {path.name}, {progress.env_steps} steps received; checksum fits."
            yield Finding(part="checkpoints", state="sound", text=text)
            received = progress.env_steps
    if received > logged_steps:
        lost = received - logged_steps
        text = f"The learner had received {lost} steps that the logs no longer hold, as after a power loss."
        yield Finding(part="checkpoints", state="damaged", text=text, cure="Nothing: what it learned stays.")
    if not sound:
        yield Finding(part="checkpoints", state="note", text="There is none to go on from; learning begins anew.")
    for name in sorted(list_folder(session.checkpoints)):
        path = session.checkpoints / name
        if SET_ASIDE_SUFFIX in name:
            yield Finding(
                part="checkpoints", state="note", text=f"{name} was set aside.", cure=f"Delete {path} at any time."
            )
        elif "tmp" in name:
            text = f"{name}: a checkpoint that was not completed, or is being written."
            yield Finding(part="checkpoints", state="note", text=text, cure="Nothing: the learner removes it.")


def _examine_policies(session: Session) -> Iterator[Finding]:
    sound = []
    try:
        published = published_snapshots(session.policy)
    except UserError as error:
        yield Finding(part="policy", state="damaged", text=str(error))
        return
    for version, path in sorted(published.items()):
        try:
            read_snapshot(path, session.spec)
        except UserError as error:
            if path.exists():  # otherwise newer ones have just replaced it
                cure = "Nothing: the actor uses the one before it, and the learner publishes another."
                if session.plays:
                    cure = "Play it anew from the session that learned it."
                yield Finding(part="policy", state="damaged", text=str(error), cure=cure)
        else:
            sound.append(version)
    if sound:
        text = f"{len(sound)} policies, versions {sound[0]} to {sound[-1]}; checksums fit."
        yield Finding(part="policy", state="sound", text=text)
    elif session.plays:
        text = f"There is none to play; it was {session.plays.words}."
        yield Finding(part="policy", state="damaged", text=text, cure="Play it anew from the session that learned it.")
    elif session.learns:
        yield Finding(part="policy", state="note", text="There is none; the robot begins with random actions.")
    try:
        latest_snapshot(session.policy)
    except UserError as error:
        yield Finding(part="policy", state="damaged", text=str(error), cure="Nothing.")


def _examine_events(session: Session) -> Iterator[Finding]:
    tail = EventTail(session.events)
    try:
        events = tail.read()
    except UserError as error:
        yield Finding(part="events", state="damaged", text=str(error))
        return
    unreadable = [event.get("line", "at the beginning") for event in events if event["kind"] == "unreadable"]
    if unreadable:
        lines = ", ".join(map(str, unreadable[:10])) + f" and {len(unreadable) - 10} more" * (len(unreadable) > 10)
        text = f"{session.events.name}: line {lines} cannot be read, as after a power loss or on a full disk."
        yield Finding(part="events", state="note", text=text, cure="Nothing: all other events are read.")
    if tail.torn_bytes:
        text = f"{session.events.name} ends in {tail.torn_bytes} bytes of an event that was being written."
        yield Finding(part="events", state="note", text=text, cure="Nothing: it is left out.")
    yield Finding(part="events", state="sound", text=f"{len(events) - len(unreadable)} events.")


def _examine_dreams(session: Session) -> Iterator[Finding]:
    sound = 0
    try:
        paths = list_dreams(session.dreams)
    except UserError as error:
        yield Finding(part="dreams", state="damaged", text=str(error))
        return
    numbers = [int(path.stem) for path in paths]
    for path in paths:
        try:
            read_dream(path, session.spec)
        except UserError as error:
            yield Finding(part="dreams", state="damaged", text=str(error), cure="Nothing: the others are shown.")
        else:
            sound += 1
    if sound:
        yield Finding(part="dreams", state="sound", text=f"{sound} predictions can be read.")
    if numbers and len(numbers) < numbers[-1]:
        text = f"{numbers[-1] - len(numbers)} of {numbers[-1]} predictions are gone."
        yield Finding(part="dreams", state="note", text=text)


def _examine_labels(session: Session) -> Iterator[Finding]:
    for camera in (key for key, space in session.spec.observation.items() if space.is_image):
        try:
            labels = read_labels(session, camera)
        except UserError as error:
            yield Finding(part="labels", state="damaged", text=str(error))
            continue
        if labels:
            text = f"{len(labels)} pictures of '{camera}' are labelled, {sum(labels.values())} of them as successes."
            yield Finding(part="labels", state="sound", text=text)


def _examine_metrics(session: Session) -> Iterator[Finding]:
    reader = ScalarReader(session.metrics)
    tags = reader.read()
    for problem in reader.problems.values():
        yield Finding(part="metrics", state="damaged", text=problem, cure="Nothing: all before is shown.")
    if tags:
        points = sum(len(each.value) for each in tags.values())
        yield Finding(part="metrics", state="sound", text=f"{points} points of {len(tags)} curves can be read.")


def _examine_processes(session: Session) -> Iterator[Finding]:
    status = read_status(session)
    for problem in status["problems"]:
        if "/status/" in problem:
            yield Finding(part="processes", state="damaged", text=problem, cure="Nothing: it is written anew.")
    for role, process in status["processes"].items():
        end = {"crashed": "is gone without a word", "failed": "ended with an error"}.get(process["state"])
        if end:
            text = f"The {role} (pid {process['pid']}) {end}."
            cure = f"Go on with '{session.resume_command()}'; what it said is in {session.path / 'log'}."
            yield Finding(part="processes", state="note", text=text, cure=cure)
    if status["state"] == "running":
        yield Finding(part="processes", state="note", text="The session is running.")
