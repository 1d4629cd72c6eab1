"""`daydreamer import`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from daydreamer.cli.shown import ShownEpisodes
from daydreamer.config import Body, SessionConfig
from daydreamer.contract.recording import RecordingOptions, Success, Units
from daydreamer.demonstration.shown import Shown
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.export.importing import Recording, write_recording
from daydreamer.export.lerobot_exported import ExportedSteps, is_exported
from daydreamer.export.lerobot_reader import RecordedDataset
from daydreamer.export.lerobot_recorded import RecordedSteps
from daydreamer.robots.registry import find_robot, make_task, robots
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import ActorStatus, StatusWriter


def import_dataset(
    directory: Path,
    *,
    out: Path,
    robot: str | None,
    task: str | None,
    cameras: Sequence[str],
    units: str | None,
    calibration: Path | None,
    success: str | None,
    body: Body,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Makes a session of demonstrations in `out` of a LeRobotDataset, or leaves nothing there.

    Args:
      cameras: 'camera=feature' for each of the task's cameras whose pictures have another name.

    Raises:
      UserError: unknown robot or task, a dataset that cannot be used or is of something else, or `out` cannot become a
        session.
    """
    dataset = RecordedDataset(directory)
    entry = find_robot(robot or _robot_of(dataset))
    if is_exported(dataset):
        task = task or dataset.read_task()
    chosen = functools.partial(configure, robot=entry.name, task=task, seed=0, body=body, overrides=overrides)
    recording = _recording(dataset, chosen(minutes=1.0), cameras, units, calibration, success)
    told, remarks = ShownEpisodes(len(recording.episodes), as_json), list[str]()
    status = ActorStatus(state="stopped", env_steps=0, episodes=0, intervention_steps=0)

    def tell(steps: Sequence[Step]) -> None:
        shown = Shown()
        for step in steps:
            shown.add(step)
            status.intervention_steps += step.intervention
        status.env_steps, status.episodes = status.env_steps + shown.steps, status.episodes + shown.whole
        told.add(shown)

    def endow(session: Session) -> None:
        remarks.extend(write_recording(session, recording, tell))
        EventLog(session.events).record("imported", "actor", path=dataset.path, robot=dataset.robot)

    frames = sum(episode.frames for episode in recording.episodes)
    session = new_session(out, chosen(minutes=frames / dataset.rate_hz / 60.0), endow=endow, teacher="imported")
    StatusWriter(session, "actor").write(status)
    for remark in remarks:
        told.say(remark)
    told.conclude(session, teaches=bool(status.intervention_steps))


def _recording(
    dataset: RecordedDataset,
    config: SessionConfig,
    cameras: Sequence[str],
    units: str | None,
    calibration: Path | None,
    success: str | None,
) -> Recording:
    if is_exported(dataset):
        if cameras or units or calibration or success:
            raise UserError(
                f"{dataset.path} was exported by daydreamer and says all of itself; leave out --camera, --units, "
                "--calibration and --success."
            )
        return ExportedSteps(dataset, make_task(config).spec)
    options = RecordingOptions(
        units=_choice("--units", units or "degrees", get_args(Units)),
        calibration=calibration,
        success=_choice("--success", success or "rule", get_args(Success)),
    )
    recorded = find_robot(config.robot).recorded(config.task)(config, options)
    return RecordedSteps(dataset, recorded, _pairs(cameras))


def _robot_of(dataset: RecordedDataset) -> str:
    if dataset.robot not in robots():
        name = "a robot that it does not name" if dataset.robot is None else f"a '{dataset.robot}'"
        raise UserError(f"{dataset.path} is of {name}; say which it is by --robot, as --robot so101.")
    return dataset.robot


def _choice(option: str, value: str, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise UserError(f"{option} '{value}' is unknown; choose {' or '.join(choices)}.")
    return value


def _pairs(cameras: Sequence[str]) -> dict[str, str]:
    pairs = dict[str, str]()
    for each in cameras:
        camera, equals, feature = each.partition("=")
        if not (camera and equals and feature):
            raise UserError(f"--camera {each} says nothing; name one as --camera above=observation.images.top.")
        pairs[camera] = feature
    return pairs
