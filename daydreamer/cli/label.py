"""`daydreamer label`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from daydreamer.cli.interrupts import INTERRUPTED_STATUS
from daydreamer.cli.out_file import require_writable, written
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.labels import read_labels, write_labels
from daydreamer.storage.atomic import write_atomically
from daydreamer.storage.files import make_folder

if TYPE_CHECKING:
    from daydreamer.labelling.episodes import Episode
    from daydreamer.models.success import Learned

ASK = "Which show the task done? (as 19-24, none, 19-24 ?18 where 18 is unclear; s skips, b goes back, q ends)"
NOT_GOOD_ENOUGH_STATUS = 1


def label(
    directories: Sequence[Path],
    *,
    camera: str | None,
    episodes: int,
    train: bool,
    out: Path | None,
    gradient_steps: int,
    seed: int,
    as_json: bool,
) -> int:
    """Asks an operator of pictures, or trains on what was said; the exit status is 1 if that was not good enough.

    Raises:
      UserError: options that do not fit, or see `Labelling` and `daydreamer.labelling.training.train`.
    """
    if train:
        if out is None:
            raise UserError("--train needs a file to write: --out placed.safetensors.")
        return _train(directories, camera, out, gradient_steps, seed, as_json)
    if out is not None or as_json:
        raise UserError("--out and --json are of --train; without it you are asked of pictures, and labels are kept.")
    for directory in directories:
        session = Session.open(directory)
        with session.lock("labels"):
            try:
                Labelling(session, camera, episodes).ask()
            except (EOFError, KeyboardInterrupt):
                Terminal().print("\nWhat was said is kept; the same command goes on.")
                return INTERRUPTED_STATUS
    return 0


class Labelling:
    """Asks an operator of the pictures of a session."""

    def __init__(self, session: Session, camera: str | None, episodes: int):
        """Draws the sheets of at most so many episodes.

        Raises:
          UserError: there is no such camera, or no episode, or a sheet cannot be written.
        """
        from daydreamer.labelling.episodes import choose, read_episodes
        from daydreamer.labelling.training import find_camera

        self._session, self._camera = session, find_camera(session, camera)
        self._labels = read_labels(session, self._camera)
        begun = read_episodes(session)
        if not begun:
            raise UserError(f"{session.path} has no episode yet; let it run for some minutes.")
        self._chosen = choose([each for each in begun if not self._labels.keys() & {*each.names}], episodes)
        self._sheets = list(self._draw())

    def ask(self) -> None:
        """Until each sheet has been answered, or the operator ends it; each answer is kept at once."""
        console = Terminal()
        there = f"{len(self._sheets)} sheets in {self._session.labels}. Over SSH, copy them to where there is a screen."
        console.print(there if self._sheets else "All of its episodes have been labelled.", soft_wrap=True)
        place = 0
        while place < len(self._sheets):
            console.print(f"Sheet {place + 1} of {len(self._sheets)}: {self._sheets[place]}", soft_wrap=True)
            said = console.input(f"{ASK}: ").strip().lower()
            if said == "q":
                break
            if said in ("s", "b"):
                place = place + 1 if said == "s" else max(0, place - 1)
                continue
            try:
                console.print(self._keep(self._chosen[place], said))
                place += 1
            except ValueError as error:
                console.print(f"That is not understood: {error}.")
        console.print(self._conclusion(), soft_wrap=True)

    def _draw(self) -> Iterator[Path]:
        from daydreamer.labelling.episodes import read_pictures, shown_steps
        from daydreamer.labelling.sheet import PICTURES, draw_sheet

        self._shown = {each: shown_steps(each, PICTURES) for each in self._chosen}
        wanted = {step for steps in self._shown.values() for step in steps}
        pictures = read_pictures(self._session, self._camera, wanted)
        for episode, steps in self._shown.items():
            seconds = [(number - episode.first) * self._session.spec.control_period_s for _, number in steps]
            name = f"{self._camera}-{episode.actor_life:04d}-{episode.first:06d}.png"
            path = self._session.labels / name
            try:
                make_folder(path.parent)
                write_atomically(path, draw_sheet([pictures[step] for step in steps], seconds), durable=False)
            except OSError as error:
                raise UserError(f"{path} cannot be written ({error.strerror}); free some space.") from error
            yield path

    def _keep(self, episode: Episode, said: str) -> str:
        from daydreamer.labelling.sheet import parse_answer

        steps = self._shown[episode]
        answer = parse_answer(said, len(steps))
        for index, step in enumerate(steps):
            if index in answer.unclear:
                self._labels.pop(step, None)
            else:
                self._labels[step] = index in answer.successes
        write_labels(self._session, self._camera, self._labels)
        successes, unclear = len(answer.successes), len(answer.unclear)
        return f"{successes} successes, {len(steps) - successes - unclear} without, {unclear} left out."

    def _conclusion(self) -> str:
        successes = sum(self._labels.values())
        return (
            f"Labelled in {self._session.path}: {successes} pictures of a success, {len(self._labels) - successes} "
            f"without. Train: daydreamer label {self._session.path} --train --out placed.safetensors"
        )


def _train(
    directories: Sequence[Path], camera: str | None, out: Path, gradient_steps: int, seed: int, as_json: bool
) -> int:
    from daydreamer.accelerators import share_gpu_memory
    from daydreamer.compilation import keep_compilations
    from daydreamer.labelling.training import read_labelled, train
    from daydreamer.models.success import write_classifier

    require_writable(out)
    keep_compilations()
    share_gpu_memory()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Terminal(stderr=True), disable=as_json) as progress:
        bar = progress.add_task("Reading what was labelled", total=None)
        labelled = read_labelled(directories, camera)
        progress.update(bar, description="Training", total=gradient_steps)
        classifier = train(labelled, gradient_steps, seed, lambda done: progress.update(bar, completed=done))
    learned = classifier.learned
    if not learned.objection:
        with written(out):
            write_classifier(out, classifier.parameters, learned)
    if as_json:
        told = {"file": None if learned.objection else str(out), "objection": learned.objection}
        print(json.dumps(told | msgspec.to_builtins(learned), indent=2))
    else:
        Terminal().print(_account(learned, out), soft_wrap=True)
    return NOT_GOOD_ENOUGH_STATUS if learned.objection else 0


def _account(learned: Learned, out: Path) -> str:
    tested = learned.tested
    if learned.objection:
        verdict = f"Nothing was written, as it may not pay: {learned.objection}."
    else:
        verdict = (
            f"Written: {out}. Let it pay in the place of the task's own rule:\n"
            f"  daydreamer learn {learned.subject.robot} {learned.subject.task} --set success.classifier={out}"
        )
    return (
        f"Learned from {learned.successes} pictures of a success and {learned.failures} without, and of episodes that "
        f"were held out:\n"
        f"  right             {tested.correct.words}\n"
        f"  false positives   {tested.false_positives.words} pictures without a success\n"
        f"  missed            {tested.missed.words} pictures of a success\n"
        f"  paid wrongly      {tested.paid_wrongly.words} episodes\n"
        f"  not paid          {tested.unpaid.words} episodes that succeed\n"
        f"{verdict}"
    )
