"""Policies in a model: the better one is said to be better, and what cannot be said is not."""

import dataclasses
import json
import shutil

import jax
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.instrument import ranking
from daydreamer.instrument.logged import find_readouts, read_logged
from daydreamer.instrument.ranking import Candidate, Dreamed, find_candidates, make_world, order, rank
from daydreamer.instrument.trust import measure_trust
from daydreamer.learner.dream import spread_windows
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot

STARTS, HORIZON_S = 16, 0.5


@pytest.fixture(scope="module")
def ranked(learned):
    return rank(learned.path, ["all"], starts=STARTS, horizon_s=HORIZON_S)


def test_each_policy_has_its_place_with_what_it_is_expected_to_come_to(learned, ranked):
    assert {each.candidate.metadata.version for each in ranked.policies} == {1, 2}
    assert ranked.trust.is_earned and ranked.starts == STARTS and ranked.horizon_s == HORIZON_S
    for each in ranked.policies:
        assert each.reward.low <= each.reward.mean <= each.reward.high
        assert each.figures.keys() == {"info/forward_velocity_m_s"} and each.occurrences_per_minute.keys() == {"fell"}
        assert 0.0 <= each.far <= 1.0
    first, last = ranked.policies
    assert first.reward.mean >= last.reward.mean and first.beats_next >= 0.5 and last.beats_next is None


def test_it_is_the_same_again_and_for_programs_as_well(learned, ranked):
    result = CliRunner().invoke(
        app, ["rank", str(learned.path), "2", "1", "--starts", str(STARTS), "--horizon", str(HORIZON_S), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(json.dumps(ranking.to_json(ranked)))


def test_a_policy_is_told_by_the_states_that_it_leads_to(learned):
    """The robot of the log walks or lies; a step of a dream is either, and its speed is that of its observation."""
    model, steps = read_learned(learned.path), read_logged(learned)
    readouts = find_readouts(steps)
    np.testing.assert_allclose(readouts["info/up_z"](steps.vectors()), steps.quantities["info/up_z"], atol=1e-4)
    world = make_world(model, steps, STARTS, seed=0)
    policy = Policy.load(find_candidates(learned, ["newest"])[0].path, learned.spec, 0, 0.0)
    rollouts = world.run(policy, learned.spec.steps(HORIZON_S))
    again = world.run(policy, learned.spec.steps(HORIZON_S))
    np.testing.assert_array_equal(rollouts.vector, again.vector)
    # What is measured in a dream was measured once.
    assert (rollouts.vector.max((0, 1)) <= steps.vectors().max(0) + 1e-4).all()
    assert (rollouts.vector.min((0, 1)) >= steps.vectors().min(0) - 1e-4).all()


def test_a_model_that_knows_nothing_is_not_asked(learner_compiled):
    with pytest.raises(UserError, match="knows too little to rank.*open-loop error.*nothing changes.*learn on"):
        rank(learner_compiled, ["newest"], starts=STARTS, horizon_s=HORIZON_S)


def test_an_untrained_model_is_worse_than_nothing_changes(learned):
    model = read_learned(learned.path)
    fresh = jax.tree.map(np.asarray, model.agent.initialize(1).parameters)
    untrained = dataclasses.replace(model, state=model.state._replace(parameters=fresh))
    assert measure_trust(untrained, read_logged(learned)).mean > measure_trust(model, read_logged(learned)).mean


def test_policies_are_named_in_many_ways_and_each_counts_once(learned, learner_compiled):
    file = learned.policy / "000001.safetensors"
    found = find_candidates(learned, ["newest", "2", str(file), "1", "all", str(learner_compiled)])
    assert [each.metadata.version for each in found[:2]] == [2, 1] and len(found) == 3
    assert found[2].session == learner_compiled.resolve()
    with pytest.raises(UserError, match="no policy '7'; choose best, newest, or one of 1, 2"):
        find_candidates(learned, ["7"])
    with pytest.raises(UserError, match="no policy 'tuesday'; name a version of"):
        find_candidates(learned, ["tuesday"])


def test_a_policy_of_another_robot_is_refused(learned, tmp_path):
    """Before the log is read."""
    spec = msgspec.structs.replace(learned.spec, robot="go2")
    metadata = SnapshotMetadata(version=1, gradient_step=1, env_steps=1, robot_spec=spec, model={})
    other = write_snapshot(tmp_path, {"actor": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(SpecMismatch, match="is a policy for robot specification.*robot is 'a1' here and 'go2' there"):
        rank(learned.path, [str(other)], starts=STARTS)


def test_a_log_that_is_too_short_says_what_is_missing(learned, tmp_path):
    short = shutil.copytree(learned.path, tmp_path / "short")
    log = next((short / "experience").glob("*.mcap"))
    log.write_bytes(log.read_bytes()[:20_000])
    with pytest.raises(UserError, match="minutes of experience, in which .* stretches .* 16 are needed.*resume"):
        rank(short, ["newest"])


def test_a_policy_that_goes_where_the_model_has_not_been_is_marked(learned, ranked):
    stranger = dataclasses.replace(ranked.policies[0], far=0.8)
    marked = dataclasses.replace(ranked, policies=[stranger])
    assert "never near where policy" in marked.warnings[0] and "80%" in marked.warnings[0]


def test_the_order_is_that_of_the_means_and_the_interval_that_of_the_states(learned):
    candidates = [Candidate(learned.path, learned.path, find_candidates(learned, [v])[0].metadata) for v in "12"]
    random = np.random.default_rng(0)
    rewards = [9.0 + random.normal(size=100), 10.0 + random.normal(size=100)]
    nothing = np.zeros(100)
    dreams = [Dreamed(each, reward, {}, {}, nothing, 0.0) for each, reward in zip(candidates, rewards, strict=True)]
    first, last = order(dreams)
    assert [each.candidate.metadata.version for each in (first, last)] == [2, 1]
    assert 0.15 < (first.reward.high - first.reward.low) / 2 < 0.25 and first.beats_next > 0.99


def test_windows_hold_no_beginning_but_their_own():
    is_first = np.zeros(30, bool)
    is_first[[0, 12]] = True
    starts = spread_windows(is_first, 5, 100)
    assert starts.tolist() == [*range(0, 8), *range(12, 26)]
    assert len(spread_windows(is_first, 5, 4)) == 4 and spread_windows(is_first, 5, 4)[-1] == 25
    assert not len(spread_windows(is_first, 31, 4)) and not len(spread_windows(np.ones(9, bool), 5, 4))
