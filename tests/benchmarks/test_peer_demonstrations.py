"""What a peer learns from demonstrations, and that its episodes count as ours do."""

import json
from pathlib import Path

import numpy as np
import pytest

from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.presentation import Presentation
from daydreamer.safety.flags import SAFETY_FLAGS
from sim.twin import TwinTruth

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SHOWN_FROM, SUCCEEDS, TIME_IS_UP, UNSOUND, LAST = 10, 19, 29, 35, 39
PARTS = ((SHOWN_FROM, SUCCEEDS), (SUCCEEDS + 1, TIME_IS_UP), (TIME_IS_UP + 1, UNSOUND - 1), (UNSOUND + 1, LAST))
PAIRS = [sequence for begin, end in PARTS for sequence in range(begin, end)]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def happen(step):
    """Two episodes that end, one that does not."""
    step.intervention = step.sequence >= SHOWN_FROM
    step.is_first = step.sequence in (0, SUCCEEDS + 1, TIME_IS_UP + 1)
    step.is_last = step.sequence in (SUCCEEDS, TIME_IS_UP)
    step.is_terminal = step.sequence == SUCCEEDS
    step.reward = float(step.is_terminal)
    step.safety_flags = SAFETY_FLAGS["not_following"] if step.sequence == UNSOUND else 0


@pytest.fixture
def recorder(record_session):
    recorder = record_session()
    recorder.log(2.0, happen)
    return recorder


def recorded(recorder):
    return ExperienceTail(recorder.session.experience, recorder.spec).read()


def test_what_was_shown_leads_to_what_came_of_it(recorder):
    from peer_learners.measured import Measured
    from peer_learners.shown import read_shown

    steps = recorded(recorder)
    recorder.log(0.05, happen)  # another life, of which nothing was shown
    shown, measured = read_shown([recorder.session.path], recorder.spec), Measured(recorder.spec.observation)
    vectors = measured({key: np.stack([step.observation[key] for step in steps]) for key in steps[0].observation})
    np.testing.assert_allclose(shown.observations, vectors[PAIRS], rtol=1e-6)
    np.testing.assert_allclose(shown.next_observations, vectors[np.array(PAIRS) + 1], rtol=1e-6)
    assert vectors.shape == (len(steps), measured.size)
    for row, sequence in enumerate(PAIRS):
        np.testing.assert_array_equal(shown.actions[row], steps[sequence].action_requested)
        assert shown.rewards[row] == shown.ends[row] == (sequence + 1 == SUCCEEDS)
    assert [source["steps"] for source in shown.sources] == [len(PAIRS)]


def test_a_session_in_which_nothing_was_shown_is_refused(record_session):
    from peer_learners.shown import read_shown

    recorder = record_session()
    recorder.log(1.0)
    with pytest.raises(UserError, match="nobody has shown anything"):
        read_shown([recorder.session.path], recorder.spec)


def test_half_of_each_batch_was_shown(recorder):
    pytest.importorskip("sbx")
    import gymnasium
    from peer_learners.rlpd import HalfShownReplayBuffer
    from peer_learners.shown import read_shown

    shown = read_shown([recorder.session.path], recorder.spec)
    size = shown.observations.shape[1]
    spaces = (gymnasium.spaces.Box(-np.inf, np.inf, (size,)), gymnasium.spaces.Box(-1.0, 1.0, (12,)))
    buffer, own = HalfShownReplayBuffer(100, *spaces, device="cpu", shown=shown), np.zeros((1, size))
    for is_time_limit in (False, True):
        infos = [{"action_carried_out": np.zeros(12), "TimeLimit.truncated": is_time_limit}]
        buffer.add(own, own, np.ones((1, 12)), np.full(1, -1.0), np.ones(1), infos)
    samples = buffer.sample(2 * 256)
    is_own = (samples.rewards == -1.0).numpy().ravel()
    assert is_own.reshape(2, 256).sum(1).tolist() == [128, 128]
    assert not samples.actions[is_own].any() and samples.actions[~is_own].any(1).all()
    assert 0 < samples.dones[is_own].sum() < is_own.sum(), "only one of two ended otherwise than by time"
    np.testing.assert_array_equal(samples.dones[~is_own], samples.rewards[~is_own])
    rows = {row.tobytes() for row in shown.observations}
    assert all(row.numpy().tobytes() in rows for row in samples.observations[~is_own])


@pytest.fixture
def rlpd():
    """RLPD of ten critics, each of which says its own number, 0 to 9, of anything; so do their targets."""
    pytest.importorskip("sbx")
    import gymnasium
    import jax
    from peer_learners.rlpd import CRITICS, RLPD, settings

    class Nowhere(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1.0, 1.0, (3,))
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))

    arguments = settings(1, CRITICS, 1.0, 2)
    arguments["policy_kwargs"]["net_arch"] = [4]
    model = RLPD("MlpPolicy", Nowhere(), buffer_size=1, seed=0, **arguments)

    def numbered(parameter):
        says = parameter.shape == (CRITICS, 1)  # what is added at the very end
        return np.arange(CRITICS, dtype=np.float32)[:, None] if says else np.zeros_like(parameter)

    parameters = jax.tree.map(numbered, model.policy.qf_state.params)
    model.policy.qf_state = model.policy.qf_state.replace(params=parameters, target_params=parameters)
    return model


def test_critics_of_a_peer_learn_from_two_of_their_targets_and_no_entropy(rlpd):
    import jax

    numbers, critics = np.arange(10), rlpd.policy.qf_state
    observations, actions, rewards, discounts = np.ones((4, 3)), np.ones((4, 2)), np.full(4, 0.5), np.full(4, 0.9)

    def learn(state, ended, seed):
        batch = (observations, actions, observations, rewards, np.full(4, ended), discounts)
        arguments = (*batch, jax.random.PRNGKey(seed))
        updated, (loss, entropy_scale), _ = rlpd.update_critic(
            rlpd.policy.actor_state, state, rlpd.ent_coef_state, *arguments
        )
        assert entropy_scale == pytest.approx(1.0)
        return updated, float(loss)

    def loss_of(target):
        return pytest.approx(0.5 * float(np.square(target - numbers).sum()), rel=1e-5)

    alike = critics.replace(target_params=jax.tree.map(lambda each: np.full_like(each, each.max()), critics.params))
    updated, loss = learn(alike, ended=0.0, seed=0)
    assert loss == loss_of(0.5 + 0.9 * 9.0)
    jax.tree.map(np.testing.assert_array_equal, updated.target_params, alike.target_params)
    assert jax.tree.map(np.shape, updated.params) == jax.tree.map(np.shape, critics.params)
    assert learn(alike, ended=1.0, seed=0)[1] == loss_of(0.5)
    losses = {learn(critics, ended=0.0, seed=seed)[1] for seed in range(50)}
    lesser = {number for number in numbers if any(loss == loss_of(0.5 + 0.9 * number) for loss in losses)}
    assert len(lesser) == len(losses) > 2 and max(lesser) < 9, "the lesser of two that are drawn"


def test_the_actor_of_a_peer_learns_from_the_mean_of_all_critics(rlpd):
    import jax

    critics = rlpd.policy.qf_state
    _, kept, loss, _, entropy = rlpd.update_actor(
        rlpd.policy.actor_state, critics, rlpd.ent_coef_state, np.ones((4, 3)), jax.random.PRNGKey(0)
    )
    assert kept is critics and float(loss) == pytest.approx(-float(entropy) - 4.5, rel=1e-5)


def test_episodes_count_as_those_of_a_session(record_session, tmp_path):
    import episode_figures
    from peer_learners.record import RunRecord

    recorder, path = record_session(), tmp_path / "run.json"
    recorder.log(2.0, lambda step: (happen(step), setattr(step, "intervention", False)))
    record = RunRecord(path, recorder.spec.control_period_s, Presentation(), {})
    truth = TwinTruth(np.zeros(3), np.zeros(3), up_z=1.0, yaw_rad=0.0)
    for step in recorded(recorder):
        record.add(step, truth, "success" if step.is_terminal else None, updates=0)
    record.save()
    expected = [[0.017, True], [0.025, False]]
    assert json.loads(path.read_text())["episodes"] == episode_figures.of(recorder.session)["episodes"] == expected
    # A task may compute its reward from arrays, and a failure costs.
    step.is_terminal, step.reward = True, np.float64(-1.0)
    assert json.dumps(episode_figures.episode(3, 1.0, step)) == "[3.0, false]"
