"""Policies in a model: the better one is said to be better, and what cannot be said is not."""

import dataclasses
import json
import shutil

import msgspec
import numpy as np
import pytest

from daydreamer.cli import rank as command
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.instrument import ranking
from daydreamer.instrument.logged import LEAST_WINDOWS, find_readouts, read_logged, windows_of_policy
from daydreamer.instrument.ranking import (
    Asked,
    Dreamed,
    Ranking,
    dream_of,
    find_candidates,
    make_world,
    order,
    pool,
    rank,
)
from daydreamer.instrument.trust import Trust
from daydreamer.learner.dream import spread_windows
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.session.demonstrated import Recorded
from daydreamer.session.directory import Session

STARTS, HORIZON_S = 16, 0.5
TRUST = Trust({0.5: 0.4, 1.0: 0.5}, {0.5: 0.6, 1.0: None})
RECORDED = Recorded(path="/logs", digest="0" * 64, robot="a1", body="twin", steps=1, reward=0.0, held_out_steps=1)


@pytest.fixture(scope="module")
def session(learner_compiled):
    return Session.open(learner_compiled)


@pytest.fixture(scope="module")
def world(session):
    return make_world(read_learned(session.path), read_logged(session), STARTS, seed=0)


@pytest.fixture(scope="module")
def dreamed(session, world):
    """The session's policy, in its model."""
    (candidate,) = find_candidates(session, ["newest"])
    return dream_of(candidate, Policy.load(candidate.path, session.spec, 0, 0.0), world, HORIZON_S)


@pytest.fixture
def make_ranking(session, dreamed):
    """`make_ranking(*rewards)`: policies that are the same but for what they earn, in order."""

    def make(*rewards, **changes):
        dreams = [dataclasses.replace(dreamed, reward=np.asarray(each), **changes) for each in rewards]
        return Ranking([Asked(read_learned(session.path), TRUST)], HORIZON_S, STARTS, order(dreams))

    return make


def test_policies_begin_where_one_has_acted_if_that_was_often_enough(session):
    steps, length = read_logged(session), 4
    by_policy = np.zeros(len(steps), np.float32)
    steps = dataclasses.replace(steps, rows=dict(steps.rows) | {"by_policy": by_policy})
    assert not len(windows_of_policy(steps, length, STARTS))
    by_policy[-LEAST_WINDOWS - length :] = 1.0  # as many stretches, which overlap
    assert not len(windows_of_policy(steps, length, STARTS))
    by_policy[-LEAST_WINDOWS * length :] = 1.0
    starts = windows_of_policy(steps, length, STARTS)
    assert len(starts) == STARTS and starts.min() == len(steps) - LEAST_WINDOWS * length


def test_a_dream_is_of_what_the_sensors_can_say(session, world, dreamed):
    steps = read_logged(session)
    readouts = find_readouts(steps)
    np.testing.assert_allclose(readouts["info/up_z"](steps.vectors()), steps.quantities["info/up_z"], atol=1e-4)
    policy = Policy.load(dreamed.candidate.path, session.spec, 0, 0.0)
    rollouts, again = (world.run(policy, session.spec.steps(HORIZON_S)) for _ in range(2))
    np.testing.assert_array_equal(rollouts.vector, again.vector)
    measured = steps.vectors()
    assert (rollouts.vector.max((0, 1)) <= measured.max(0) + 1e-4).all()
    assert (rollouts.vector.min((0, 1)) >= measured.min(0) - 1e-4).all()
    assert rollouts.reward.shape == (10, STARTS) and (rollouts.alive[0] == 1.0).all()
    assert rollouts.alive.shape == (11, STARTS) and (np.diff(rollouts.alive, axis=0) < 0.0).all()


def test_a_policy_comes_to_reward_speed_and_falls(dreamed):
    assert dreamed.figures.keys() == {"info/forward_velocity_m_s"}
    assert dreamed.occurrences_per_minute.keys() == {"fell"}
    assert dreamed.reward.shape == dreamed.figures["info/forward_velocity_m_s"].shape == (STARTS,)
    assert 0.0 <= dreamed.far <= 1.0 and (0.0 <= dreamed.ends).all()


def test_the_order_is_that_of_the_means_and_the_interval_that_of_the_states(dreamed):
    random = np.random.default_rng(0)
    worse, better = 9.0 + random.normal(size=100), 10.0 + random.normal(size=100)
    nothing = np.zeros(100)
    dreams = [Dreamed(dreamed.candidate, reward, {}, {}, nothing, 0.0) for reward in (worse, better)]
    first, last = order(dreams)
    assert (first.reward.mean, last.reward.mean) == (better.mean(), worse.mean())
    assert 0.15 < (first.reward.high - first.reward.low) / 2 < 0.25
    assert first.beats_next > 0.99 and last.beats_next is None


def test_the_table_and_the_json_say_the_same(make_ranking, capsys):
    result = make_ranking(np.linspace(8, 9, STARTS), np.linspace(9, 10, STARTS))
    command._show(result)
    shown = capsys.readouterr().out
    assert "9.50 ± " in shown and "100%" in shown and "0.40 at 0.5 s" in shown
    as_json = json.loads(json.dumps(ranking.to_json(result), allow_nan=False))
    assert [round(each["reward"]["mean"], 2) for each in as_json["policies"]] == [9.5, 8.5]
    (model,) = as_json["models"]
    assert model["open_loop_ratio"] == {"0.5s": 0.4, "1s": 0.5} and not as_json["warnings"]


def test_a_policy_that_goes_where_the_model_has_not_been_is_marked(make_ranking, capsys):
    result = make_ranking(np.ones(STARTS), far=0.8)
    command._show(result)
    assert "never near where policy" in result.warnings[0] and "80%" in result.warnings[0]
    assert "never near where policy" in capsys.readouterr().out


def test_what_several_models_expect_is_pooled(session, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ranking, "require_trust", lambda learned, trust, purpose: None)  # it has hardly learned
    other = shutil.copytree(session.path, tmp_path / "other")
    done = []
    result = rank(
        session.path,
        ["newest"],
        beside=[session.path, other],  # of which one is the first again
        starts=STARTS,
        horizon_s=HORIZON_S,
        on_policy=lambda *each: done.append(each),
    )
    assert done == [(1, 2), (2, 2)] and len(result.models) == 2 and result.starts == 2 * STARTS
    (policy,) = result.policies
    assert policy.figures.keys() == {"info/forward_velocity_m_s"}
    command._show(result)
    assert capsys.readouterr().out.count(", gradient step 100: ") == 2


def test_each_model_says_as_much_however_much_its_log_has(dreamed):
    few = dataclasses.replace(dreamed, reward=np.zeros(10), ends=np.zeros(10), figures={}, far=0.1)
    many = dataclasses.replace(dreamed, reward=np.ones(90), ends=np.zeros(90), far=0.7)
    pooled = pool([few, many])
    assert pooled.reward.mean() == 0.5 and len(pooled.reward) == 20 and pooled.far == 0.7 and not pooled.figures


def test_what_a_model_cannot_tell_is_said(session):
    offline = Session(session.path, msgspec.structs.replace(session.record, logs=(RECORDED,)), session.digest)
    learned = dataclasses.replace(read_learned(session.path), session=offline)
    never, of_logs = Asked(learned, TRUST, begins_with_policy=False).warnings
    assert "Hardly any policy has acted" in never and "no speed and no falls" in of_logs
    assert not Asked(read_learned(session.path), TRUST).warnings


def test_a_model_of_another_robot_is_not_asked_beside(session):
    record = msgspec.structs.replace(session.record, robot_spec=msgspec.structs.replace(session.spec, robot="go2"))
    other = Session(session.path, record, session.digest)
    with pytest.raises(SpecMismatch, match="is of another robot than that of"):
        ranking.require_same_robot(read_learned(session.path), other)


def test_a_model_that_knows_nothing_is_not_asked(session):
    with pytest.raises(UserError, match="knows too little to rank.*open-loop error.*nothing changes.*learn on"):
        rank(session.path, ["newest"], starts=STARTS, horizon_s=HORIZON_S)


def test_policies_are_named_in_many_ways_and_each_counts_once(session):
    (path,) = session.policy.glob("*.safetensors")
    found = find_candidates(session, ["newest", "best", "100", "all", str(path), str(session.path)])
    assert [each.metadata.version for each in found] == [100] and found[0].session == session.path
    with pytest.raises(UserError, match="no policy '7'; choose best, newest, or one of 100"):
        find_candidates(session, ["7"])
    with pytest.raises(UserError, match="no policy 'tuesday'; name a version of"):
        find_candidates(session, ["tuesday"])


def test_a_policy_of_another_robot_is_refused(session, tmp_path):
    spec = msgspec.structs.replace(session.spec, robot="go2")
    metadata = SnapshotMetadata(version=1, gradient_step=1, env_steps=1, robot_spec=spec, model={})
    other = write_snapshot(tmp_path, {"actor": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(SpecMismatch, match="is a policy for robot specification.*robot is"):
        rank(session.path, [str(other)], starts=STARTS)


def test_a_log_that_is_too_short_says_what_is_missing(session, tmp_path):
    short = shutil.copytree(session.path, tmp_path / "short")
    log = next((short / "experience").glob("*.mcap"))
    log.write_bytes(log.read_bytes()[:40_000])
    with pytest.raises(UserError, match="minutes of experience, in which .* stretches .* 16 are needed.*resume"):
        rank(short, ["newest"])


def test_windows_hold_no_beginning_but_their_own():
    is_first = np.zeros(30, bool)
    is_first[[0, 12]] = True
    starts = spread_windows(is_first, 5, 100)
    assert starts.tolist() == [*range(0, 8), *range(12, 26)]
    assert len(spread_windows(is_first, 5, 4)) == 4 and spread_windows(is_first, 5, 4)[-1] == 25
    assert not len(spread_windows(is_first, 31, 4)) and not len(spread_windows(np.ones(9, bool), 5, 4))
