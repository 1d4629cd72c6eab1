"""Makes `report/`: pictures, and one page that holds them all and needs nothing else."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from daydreamer.config import encode_yaml
from daydreamer.report import dream_figures, figures, film, style
from daydreamer.report.figures import Missing
from daydreamer.report.history import SessionHistory, read_history
from daydreamer.report.verdict import Verdict, judge_session
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_atomically
from daydreamer.storage.files import make_folder, remove_file

LISTED_EVENTS = 300
"""So many of the latest events are listed; all are in events.jsonl."""


class Picture(NamedTuple):
    """One picture of the page.

    Attributes:
      name: of the file and of its place in the page.
      title, text: what it shows, and what a newcomer should see in it.
      make: its bytes.
      suffix: of the file.
      of_learning: it tells something of a session that learns alone.
    """

    name: str
    title: str
    text: str
    make: Callable[[SessionHistory], bytes]
    suffix: str = "png"
    of_learning: bool = False


def _png(draw: Callable) -> Callable[[SessionHistory], bytes]:
    return lambda history: style.to_png(draw(history))


PICTURES = (
    Picture(
        "learning-curve",
        "Learning curve",
        "Pale: means over ten seconds; bold: over a minute. Green lines are milestones. A curve that climbs is a robot "
        "that learns; a sudden drop is usually a fall.",
        _png(figures.learning_curve),
    ),
    Picture(
        "film",
        "The robot, as it moved",
        "Drawn from the logged joint angles and attitude, at fixed moments rather than good ones; "
        "orange is the head, the dark plate the back.",
        film.film,
        "gif",
    ),
    Picture("film-strip", "The same, frame by frame", "Four seconds each, from left to right.", film.film_strip),
    Picture(
        "prediction-error",
        "Does the world model know the robot?",
        "Below 1 the model's dreams are better than guessing that nothing changes; the curves should sink as the "
        "session goes on.",
        _png(dream_figures.prediction_error),
        of_learning=True,
    ),
    Picture(
        "dream-against-reality",
        "Dream against reality",
        "From the end of the grey part on the model sees nothing but the actions. For each kind of observation the "
        "element that moved most, in the units in which it is observed.",
        _png(dream_figures.dream_against_reality),
        of_learning=True,
    ),
    Picture(
        "timing",
        "Was the robot controlled in time?",
        "The orange line is the control period: work (left) should stay well below it, and observations (right) should "
        "be that far apart. The scale is logarithmic, so that single late steps can be seen; the last bar holds all "
        "that are later still.",
        _png(figures.timing),
    ),
    Picture(
        "safety",
        "Safety and events",
        "Above: the share of commands that had to be limited or replaced. Below: what happened when.",
        _png(figures.safety),
    ),
)


class Drawn(NamedTuple):
    """A picture as the page shows it: `source` is a data URL, or None and `missing` says why."""

    picture: Picture
    source: str | None
    missing: str


def write_report(session: Session) -> tuple[Path, Verdict]:
    """Writes the report of a session as far as it has come; returns the page and its verdict.

    Raises:
      UserError: a log cannot be read or is of another robot.
      OSError: `report/` cannot be written.
    """
    history = read_history(session)
    make_folder(session.report)
    verdict = judge_session(history)
    drawn = [_draw(picture, history) for picture in PICTURES if session.learns or not picture.of_learning]
    page = _template().render(
        name=session.path.name,
        history=history,
        verdict=verdict,
        drawn=drawn,
        figures=list(_figures(history)),
        events=[_event_row(history, event) for event in history.telemetry.events[-LISTED_EVENTS:]],
        versions=session.record.versions,
        configuration=encode_yaml(session.config).decode(),
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    path = session.report / "report.html"
    write_atomically(path, page.encode(), durable=False)
    return path, verdict


def _draw(picture: Picture, history: SessionHistory) -> Drawn:
    path = history.session.report / f"{picture.name}.{picture.suffix}"
    try:
        content = picture.make(history)
    except Missing as missing:
        remove_file(path)  # that of an earlier report would not fit this page
        return Drawn(picture, None, str(missing))
    write_atomically(path, content, durable=False)
    return Drawn(picture, f"data:image/{picture.suffix};base64,{base64.b64encode(content).decode()}", "")


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("daydreamer.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html")


def _figures(history: SessionHistory) -> Iterable[tuple[str, str]]:
    """Names and values of the table; what is not known is left out."""
    status = history.telemetry.status
    yield "robot and task", f"{history.session.spec.robot}, {history.session.spec.task}"
    if history.session.plays:
        yield "plays", history.session.plays.description
    if history.session.teacher:
        yield "chosen by", history.session.teacher
    yield "started", history.session.record.started
    if (parent := history.session.record.parent) is not None:
        yield "began with", f"{parent.sentence}; session {parent.digest[:12]}, step {parent.env_steps}"
    for shown in history.session.record.demonstrations:
        share = history.session.config.learner.demonstration_share
        yield "demonstrations", f"{share:.0%} of each batch; {shown.sentence}; session {shown.digest[:12]}"
    for log in history.session.record.logs:
        yield "learned offline from", f"{log.sentence}; session {log.digest[:12]}"
    yield "state", status["state"]
    yield "robot time", f"{history.minutes:.1f} of {history.session.config.minutes:g} min, {len(history.steps)} steps"
    for name, key, template in (
        ("episodes", "episodes", "{}"),
        ("gradient steps", "gradient_steps", "{}"),
        ("imagined steps per real one", "imagined_per_real_step", "{:.0f}"),
        ("replayed steps per real one", "train_ratio", "{:.0f}"),
        ("policies used", "policy_version", "{}"),
        ("deadline misses of the last life", "deadline_misses", "{}"),
    ):
        if status[key] is not None:
            yield name, template.format(status[key])
    for name, key in (
        ("control step", "actor_step_ms"),
        ("writing a step", "append_ms"),
        ("from robot to replay", "append_to_replay_ms"),
    ):
        if status[key]["p50"] is not None:
            yield name, "p50 {p50:.1f}, p99 {p99:.1f}, max {max:.1f} ms".format(**status[key])
    if status["device"] is not None:
        yield "learned on", status["device"]
    yield "lives of the actor", str(len(status["last_logged_sequence"]))


def _event_row(history: SessionHistory, event: dict[str, Any]) -> tuple[str, str, str, str]:
    told = {name: value for name, value in event.items() if name not in ("wall_s", "kind", "source", "pid")}
    details = ", ".join(f"{name} {value}" for name, value in told.items())
    minute = f"{history.robot_minutes(event):.1f}" if "wall_s" in event else "-"
    return minute, event.get("source", ""), event["kind"].replace("_", " "), details
