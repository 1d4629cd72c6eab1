"""The policies that are judged, and the robots that each of them is to drive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from daydreamer.config import RandomisationConfig, SessionConfig, TwinConfig
from daydreamer.contract.motions import KnownMotion
from daydreamer.errors import UserError
from daydreamer.evaluation.trial import KINDS, Trial
from daydreamer.policy.snapshot import copy_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.known_motions import read_known_motions
from daydreamer.session.new import configure_played
from daydreamer.session.played import PlayedPolicy
from daydreamer.session.several import open_sessions, short_names
from daydreamer.session.status import is_running
from daydreamer.telemetry.measured_policies import choose_policy

WISHES_DRAWN = "actor.draws_wishes=true"
"""Nobody is there to wish for anything, and standing would not show whether a robot follows."""
LEAST_NOMINAL = 5
"""Beginnings of the robot as published, however few are drawn: of one alone there is no interval."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A session with the policy of it that is judged.

    Attributes:
      name: of its directory, with as many of its parents as it takes.
      plays: which policy it is.
      snapshot: a copy of it, which stays though the session may go on.
      known_motions: what its robot knew of getting up.
      config: with which it acts; its twin is that of all contenders.
      running: whether the session still runs.
      other_twin: whether it was learned in another twin than that of all contenders.
    """

    session: Session
    name: str
    plays: PlayedPolicy
    snapshot: Path
    known_motions: tuple[KnownMotion, ...]
    config: SessionConfig
    running: bool
    other_twin: bool


def find_contenders(
    directories: Sequence[Path],
    folder: Path,
    *,
    version: str,
    samples: bool,
    overrides: Sequence[str],
    fitted: Mapping[str, Any] | None,
) -> list[Contender]:
    """The policies of some sessions, which are only read; all of them get the robots of the first session's twin.

    Args:
      folder: for copies of the policies.
      version: see `choose_policy`.
      samples: see `configure_played`.
      overrides: of the configuration, as `section.key=value`.
      fitted: settings of a twin that was fitted, or None.

    Raises:
      UserError: a session has no such policy or cannot be gone on with, its robot is another one or not installed, or a
        setting is wrong.
    """
    _refuse_incidents(overrides)
    sessions = open_sessions(directories)
    contenders: list[Contender] = []
    for session, name in zip(sessions, short_names(sessions), strict=True):
        session.require_resumable()
        policy = choose_policy(session, version)
        config = configure_played(
            session,
            policy.metadata,
            body="twin",
            minutes=1.0,
            samples=samples,
            twin=fitted,
            overrides=[WISHES_DRAWN, *overrides],
        )
        twin = msgspec.structs.replace(config.twin, incidents=(), random_incidents_per_minute=0.0)
        first = contenders[0].config.twin if contenders else twin
        same_twin = msgspec.structs.replace(first, camera=twin.camera, extra_cameras=twin.extra_cameras)
        contenders.append(
            Contender(
                session=session,
                name=name,
                plays=policy.played(session, version, samples),
                snapshot=copy_snapshot(policy.path, folder / str(len(contenders))),
                known_motions=read_known_motions(session),
                config=msgspec.structs.replace(config, twin=same_twin),
                running=is_running(session),
                other_twin=same_twin != twin,
            )
        )
    return contenders


def _refuse_incidents(overrides: Sequence[str]) -> None:
    if any("incidents" in assignment.partition("=")[0] for assignment in overrides):
        raise UserError(
            "Incidents happen in real time; rehearse them with 'daydreamer play DIR --set twin.incidents=...', and "
            "leave them out here."
        )


def trials_of(
    contenders: Sequence[Contender], *, robots: int, episodes: int, seconds: float | None, seed: int, is_fitted: bool
) -> list[Trial]:
    """What there is to be done, in an order in which all contenders get on alike.

    Args:
      robots: drawn at random; the robot as published is set out as often, but at least `LEAST_NOMINAL` times.
      episodes: of each.
      seconds: of each episode; None for as long as the task has them.
      seed: of the first robot; the others have those that follow.
      is_fitted: the twin is one that `fit` found: its published robot is the middle of what was found.
    """
    trials = []
    for number in range(max(robots, LEAST_NOMINAL)):
        for kind in KINDS if number < robots else KINDS[:1]:
            for index, contender in enumerate(contenders):
                spec, twin = contender.session.spec, contender.config.twin
                twin = random_twin(twin) if kind == "random" else nominal_twin(twin, is_fitted)
                trials.append(
                    Trial(
                        contender=index,
                        kind=kind,
                        config=msgspec.structs.replace(contender.config, twin=twin, seed=seed + number),
                        spec=spec,
                        presentation=contender.session.presentation,
                        snapshot=str(contender.snapshot),
                        known_motions=contender.known_motions,
                        episodes=episodes,
                        episode_steps=spec.episode_steps if seconds is None else max(1, spec.steps(seconds)),
                    )
                )
    return trials


def random_twin(twin: TwinConfig) -> TwinConfig:
    """Draws a robot for each seed."""
    return msgspec.structs.replace(twin, randomisation=msgspec.structs.replace(twin.randomisation, enabled=True))


def nominal_twin(twin: TwinConfig, is_fitted: bool) -> TwinConfig:
    """The robot as published, or in the middle of what a fit has found."""
    randomisation = RandomisationConfig()
    if is_fitted:
        ranges = {name: getattr(twin.randomisation, name) for name in RandomisationConfig.__struct_fields__}
        middles = {name: (0.5 * sum(ends),) * 2 for name, ends in ranges.items() if name != "enabled"}
        randomisation = RandomisationConfig(enabled=True, **middles)
    return msgspec.structs.replace(twin, randomisation=randomisation)
