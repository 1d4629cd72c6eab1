"""A session that plays a frozen policy of another one: what it is made of, and what is refused."""

import tarfile
from pathlib import Path

import msgspec
import pytest

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.processes import session_processes
from daydreamer.session.directory import Session
from daydreamer.session.new import configure_played, new_played_session
from daydreamer.telemetry.measured_policies import choose_policy

FORMATS = Path(__file__).parent / "formats"
"""Each is a session that an earlier version has learned; see test_formats.py."""


@pytest.fixture(scope="module", params=sorted(FORMATS.iterdir()), ids=lambda path: path.name)
def learned(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("learned") / "session"
    with tarfile.open(request.param) as archive:
        archive.extractall(place, filter="data")
    return Session.open(place)


def configure(learned, **options):
    return configure_played(learned, choose_policy(learned).metadata, **{"body": "twin", "minutes": 2.0} | options)


def test_it_acts_as_it_was_learned_with_but_explores_nothing(learned):
    config = configure(learned)
    assert (config.minutes, config.seed, config.body) == (2.0, learned.config.seed, "twin")
    assert (config.actor.random_s, config.actor.rhythm_hz, config.model.acting_noise) == (0.0, None, 0.0)
    assert not config.actor.draws_wishes
    # What gets a fallen robot up, and everything else, is as it was.
    assert config.actor.fallen_reward == 7.0
    assert config.actor.low_pass_cutoff_hz == learned.config.actor.low_pass_cutoff_hz
    assert config.twin == learned.config.twin and config.safety == learned.config.safety
    sampled = configure(learned, samples=True, seed=9, overrides=["twin.command_latency_s=0.01"])
    assert (sampled.model.acting_noise, sampled.seed, sampled.twin.command_latency_s) == (1.0, 9, 0.01)


def test_on_hardware_there_is_what_hardware_asks_for(learned):
    config = configure(learned, body="hardware")
    assert (config.body, config.safety.policy_old_action, config.safety.trips) == ("hardware", "hold", 5)
    with pytest.raises(UserError, match="'body' cannot be set"):
        configure(learned, overrides=["body=hardware"])


def test_it_is_complete_without_the_session_that_learned_it(learned, tmp_path):
    policy = choose_policy(learned)
    plays = policy.played(learned, "best", samples=False)
    session = Session.open(
        new_played_session(tmp_path / "played", configure(learned), learned, plays, policy.path).path
    )
    assert session.plays == plays and session.plays.session == str(learned.path)
    assert (session.plays.version, session.plays.chosen) == (policy.version, "best")
    assert session.plays.session_digest == learned.digest
    copy = latest_snapshot(session.policy)
    assert copy.name == policy.path.name and copy.read_bytes() == policy.path.read_bytes()
    loaded = Policy.load(copy, session.spec, acting_noise=session.config.model.acting_noise)
    # So that nothing is compiled twice.
    assert loaded.model == session.config.model
    assert [process.name for process in session_processes(session)] == ["actor", "twin"]
    # And it can be played again.
    again = choose_policy(session)
    assert again.version == policy.version and configure(session).model == session.config.model


def test_a_robot_that_has_changed_since_is_refused_by_what_has_changed(learned, tmp_path):
    with pytest.raises(SpecMismatch, match="observation 'camera' exists only here.*learned with"):
        configure(learned, overrides=["twin.camera=true"])
    other = Session(learned.path, msgspec.structs.replace(learned.record, robot_package="rover_robot"), "")
    other.record = msgspec.structs.replace(
        other.record, config=msgspec.structs.replace(learned.config, robot="rover"), robot_package="rover_robot"
    )
    with pytest.raises(UserError, match="comes with the package rover_robot"):
        configure_played(other, choose_policy(learned).metadata, body="twin", minutes=1.0)


def test_a_length_that_is_none_is_refused(learned):
    with pytest.raises(UserError, match="would do nothing"):
        configure(learned, minutes=0.0)


def test_where_a_policy_is_from_is_shown_and_not_obeyed(learned):
    plays = choose_policy(learned).played(learned, "1", samples=True)
    strange = msgspec.structs.replace(plays, session="/home/\x1b]0;me\x07/monday", reward=None)
    assert strange.words == f"policy {plays.version} of monday"
    assert "\x1b" not in strange.description and "not measured there; it acts with its noise" in strange.description
