"""The behaviour learns in a world model whose reward is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daydreamer.behavior.actor import ActorDistribution
from daydreamer.behavior.actor_critic import ActorCritic, choose_starts
from daydreamer.behavior.returns import ReturnStatistics
from daydreamer.behavior.state import BehaviorState, ContinuedState, ended_dreams, gone_on
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.models.rssm import RSSM
from daydreamer.models.world_model import Batch, PredictionResiduals, WorldModel, to_action_vector
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(
    **{"deterministic": 16, "blocks": 2, "hidden": 16, "stochastic": 4, "classes": 4, "units": 32, "bins": 31},
    **{"encoder_layers": 1, "head_layers": 0, "actor_layers": 1, "critic_layers": 1},  # each is compiled
)
CONTINUOUS = Space((2,), low=-1.0, high=1.0)
DISCRETE = Space((), classes=5)
STARTS = 128
HORIZON = 3  # every imagined step is compiled


def make_spec(action):
    return RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, action, ("r",))


def make(action, gradient, **learner):
    config = LearnerConfig(actor_gradient=gradient, imagination_horizon=HORIZON, **learner)
    model = WorldModel(make_spec(action), MODEL)
    return model, ActorCritic(model, config), initial_parameters(action)


@functools.cache
def initial_parameters(action):
    """However the actor learns."""
    model = WorldModel(make_spec(action), MODEL)
    behavior = ActorCritic(model, LearnerConfig())
    # Run op by op this would take seconds.
    initialize = jax.jit(lambda one, other: model.initialize(one) | behavior.initialize(other))
    return initialize(jax.random.key(0), jax.random.key(1))


def replayed(action=CONTINUOUS):
    """Posterior states, residuals and the batch they came from: `STARTS` positions, all in the initial state."""
    shape = (STARTS // 4, 4)
    zeros = jnp.zeros(shape)
    actions = to_action_vector(jnp.zeros((*shape, *action.shape)), action)
    batch = Batch({"x": jnp.zeros((*shape, 3))}, actions, zeros, zeros, zeros, zeros, zeros, zeros)
    residuals = PredictionResiduals(jnp.zeros((*shape, 3)), jnp.ones(shape, bool))
    return RSSM(MODEL, 3).initial_state(shape), residuals, batch


@pytest.mark.parametrize(
    ("action", "gradient"),
    [
        (CONTINUOUS, "dynamics"),
        pytest.param(CONTINUOUS, "reinforce", marks=pytest.mark.long),
        (DISCRETE, "reinforce"),
        pytest.param(DISCRETE, "dynamics", marks=pytest.mark.long),  # which takes 'reinforce' then
    ],
)
def test_imagined_reward_rises(action, gradient):
    """A random but fixed world pays for one direction of its state; the actor must find the way there."""
    model, behavior, parameters = make(action, gradient)
    direction = 10 * jax.random.normal(jax.random.key(7), (MODEL.deterministic,))
    model.outcomes = lambda _, features: (
        features[..., : MODEL.deterministic] @ direction,
        jnp.ones(features.shape[:-1]),
    )
    states, residuals, batch = replayed(action)
    optimizer = optax.adam(5e-3)
    state = optimizer.init(parameters)

    @jax.jit
    def train(parameters, state, slow_critic, memory, key):
        def loss(parameters):
            total, updated, metrics = behavior.loss(parameters, slow_critic, memory, states, residuals, batch, key)
            return total, (updated, metrics)

        gradient, (memory, metrics) = jax.grad(loss, has_aux=True)(parameters)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, changes), state, memory, metrics

    memory, slow_critic = BehaviorState.initial(3e-4), parameters["critic"]
    rewards = []
    for key in jax.random.split(jax.random.key(2), 150):
        parameters, state, memory, metrics = train(parameters, state, slow_critic, memory, key)
        slow_critic = optax.incremental_update(parameters["critic"], slow_critic, 0.1)
        rewards.append(float(metrics["behavior/imagined_reward"]))
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 3 * np.std(rewards[:5])


@pytest.mark.parametrize("gradient", ["dynamics", "reinforce"])
def test_gradients_reach_actor_and_critic_only(gradient):
    _, behavior, parameters = make(CONTINUOUS, gradient)
    states, residuals, batch = replayed()

    def loss(parameters):
        memory = BehaviorState.initial(3e-4)
        return behavior.loss(parameters, parameters["critic"], memory, states, residuals, batch, jax.random.key(0))[0]

    # Fresh heads are all zero, and so would be every gradient through them.
    noise = np.random.default_rng(3)
    parameters = jax.tree.map(lambda x: x + np.float32(0.01) * noise.standard_normal(x.shape, np.float32), parameters)
    norms = {name: float(optax.tree.norm(g)) for name, g in jax.jit(jax.grad(loss))(parameters).items()}
    assert norms["actor"] > 0 and norms["critic"] > 0
    assert all(norms[name] == 0 for name in ("encoder", "rssm", "decoder", "outcome"))


@pytest.mark.parametrize(("gradient", "correlation"), [("dynamics", MODEL.noise_correlation), ("reinforce", 0.0)])
def test_imagined_noise_is_that_of_acting(gradient, correlation):
    model, behavior, parameters = make(CONTINUOUS, gradient)
    start = model.rssm.initial_state((2000,))
    statistics = BehaviorState.initial(3e-4).returns
    imagined = jax.jit(behavior.imagine)(
        parameters, parameters["critic"], statistics, start, jnp.zeros((HORIZON, 2000, 3)), jax.random.key(0)
    )
    noise = np.asarray((imagined.action.raw - imagined.distribution.mean) / imagined.distribution.deviation)
    np.testing.assert_allclose(noise.std((1, 2)), 1.0, atol=0.08)
    for lag in (1, 2):
        np.testing.assert_allclose(np.mean(noise[:-lag] * noise[lag:]), correlation**lag, atol=0.05)


def test_actions_stay_in_range_and_deviation_in_its_bounds():
    actor = make(CONTINUOUS, "dynamics")[1].actor
    features = 100 * jax.random.normal(jax.random.key(0), (500, 32))

    @jax.jit
    def act():
        parameters = actor.initialize(jax.random.key(1), features)
        distribution = actor(jax.tree.map(lambda x: 100 * x, parameters), features)
        return distribution.deviation, distribution.sample(jax.random.key(2)).action

    deviation, action = map(np.asarray, act())
    assert np.float32(MODEL.minimum_deviation) <= deviation.min() and deviation.max() <= MODEL.maximum_deviation
    assert np.abs(action).max() <= 1.0


def test_unknown_gradient_is_refused():
    with pytest.raises(ValueError, match="'dynamics' or 'reinforce'"):
        make(CONTINUOUS, "magic")


def test_the_critic_predicts_relative_to_the_mean_reward():
    """A fresh critic, which outputs 0 everywhere, already expects the mean reward for ever."""
    _, behavior, parameters = make(CONTINUOUS, "dynamics")
    statistics = ReturnStatistics.initial().update(jnp.float32(6.0), jnp.zeros(4), 0.01)
    features = 1.0 + RSSM(MODEL, 3).initial_state((5,)).features
    value, value_loss = jax.jit(behavior.value), jax.jit(behavior.value_loss)
    np.testing.assert_allclose(value(parameters["critic"], features, statistics), 600.0, rtol=1e-4)
    losses = value_loss(parameters["critic"], features, jnp.full(5, 600.0), statistics)
    assert losses.shape == (5,) and float(losses[0]) == pytest.approx(np.log(MODEL.bins), rel=1e-4)


def replayed_actions(behavior, parameters, action, reward, is_first=None):
    """`Replayed` of sequences `[4, 6]` with these actions `[4, 6, ...]` and rewards, in states that differ."""
    states = RSSM(MODEL, 3).initial_state((4, 6))
    states = states._replace(vector=jax.random.normal(jax.random.key(5), states.vector.shape))
    zeros = jnp.zeros((4, 6))
    is_first = zeros if is_first is None else is_first
    batch = Batch({}, action, reward, is_first, zeros.at[1, 3].set(1.0), zeros, zeros, zeros)
    return jax.jit(behavior.replayed)(parameters["critic"], ReturnStatistics.initial(), states, batch)


def test_replayed_returns_end_with_the_episode():
    """In the second sequence after its fourth step: from there on only the value counts, which is 0."""
    _, behavior, parameters = make(CONTINUOUS, "dynamics")
    reward = jnp.zeros((4, 6)).at[:, 4].set(1.0)
    replay = replayed_actions(behavior, parameters, jnp.zeros((4, 6, 2)), reward)
    discounted = 0.99 * 0.95
    np.testing.assert_allclose(replay.returns[:, 0], [discounted**3, discounted**2, discounted, 1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(replay.returns[:3, 1], 0.0, atol=1e-5)
    assert replay.weight[3, 1] == 0.0 and float(replay.weight.sum()) == 19.0


def test_replayed_returns_end_before_a_gap():
    """A pause, lost steps or another actor life: what comes then is no merit of what was done before."""
    _, behavior, parameters = make(CONTINUOUS, "dynamics")
    reward = jnp.full((4, 6), 5.0).at[:, 3:].set(14.0)
    is_first = jnp.zeros((4, 6)).at[:, 0].set(1.0).at[0, 3].set(1.0)
    replay = replayed_actions(behavior, parameters, jnp.zeros((4, 6, 2)), reward, is_first)
    discounted = 0.99 * 0.95
    np.testing.assert_allclose(replay.returns[:2, 0], [5.0 + discounted * 5.0, 5.0], rtol=1e-5)
    np.testing.assert_allclose(replay.returns[2, 2], 14.0 + discounted * (14.0 + discounted * 14.0), rtol=1e-5)
    assert replay.weight[:, 0].tolist() == [1.0, 1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("loss_name, whose", [("plan_imitation_loss", "by_policy"), ("shown_loss", "shown")])
def test_what_was_carried_out_is_imitated_whatever_it_led_to_and_only_that(loss_name, whose):
    _, behavior, parameters = make(CONTINUOUS, "dynamics")
    theirs = jnp.zeros((5, 4)).at[:, 0].set(1.0)
    shown = jnp.zeros((4, 6, 2)).at[0].set(0.5).at[1].set(-0.5)
    replay = replayed_actions(behavior, parameters, shown, jnp.full((4, 6), -5.0))._replace(**{whose: theirs})

    @jax.jit
    def imitate(learned):
        loss, gradient = jax.value_and_grad(getattr(behavior, loss_name))(learned, replay)
        return loss, jax.tree.map(lambda x, change: x - 0.1 * change, learned, gradient)

    first, learned = imitate(parameters)
    for _ in range(200):
        last, learned = imitate(learned)
    assert float(last) < 0.1 * float(first)
    mean = jnp.tanh(behavior.actor(learned["actor"], replay.features[:, 0]).mean)
    assert float(jnp.abs(mean - 0.5).mean()) < 0.2


@pytest.mark.parametrize("action", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_actions_that_paid_more_than_expected_are_imitated_and_no_others(action):
    _, behavior, parameters = make(action, "reinforce")
    shown = 0.5 * jnp.ones((4, 6, 2)) if action is CONTINUOUS else jnp.full((4, 6), 3)
    actions = to_action_vector(shown, action)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def imitate(learned, state, replay):
        gradient = jax.grad(behavior.imitation_loss)(learned, replay)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(learned, changes), state, optax.tree.norm(gradient["critic"])

    def after(reward):
        replay = replayed_actions(behavior, parameters, actions, jnp.full((4, 6), reward))
        learned, state = parameters, optimizer.init(parameters)
        for _ in range(100):
            learned, state, critic_norm = imitate(learned, state, replay)
            assert float(critic_norm) == 0.0
        distribution = jax.jit(behavior.actor)(learned["actor"], replay.features)
        if action is CONTINUOUS:
            return float(jnp.abs(jnp.tanh(distribution.mean) - 0.5).max())
        return float(1.0 - distribution.probabilities[..., 3].min())

    assert after(1.0) < 0.1
    assert after(-1.0) > 0.4
    clone = jax.jit(behavior.cloning_loss)
    losses = [clone(parameters, replayed_actions(behavior, parameters, actions, jnp.full((4, 6), r))) for r in (-1, 1)]
    assert losses[0] == losses[1] > 0.1, "behaviour cloning asks not what it paid"


def test_starts_are_drawn_without_replacement():
    chosen = choose_starts(STARTS // 4, 4, 32, jax.random.key(0))
    assert chosen.shape == (32,) and len(set(chosen.tolist())) == 32 and set(chosen.tolist()) < set(range(STARTS))
    assert choose_starts(STARTS // 4, 4, STARTS, jax.random.key(0)).tolist() == list(range(STARTS))


def test_disturbances_are_surprises_of_the_same_sequence():
    _, behavior, _ = make(CONTINUOUS, "dynamics", imagination_noise=1.0)
    vector = jnp.arange(3 * 8, dtype=jnp.float32).reshape(3, 8, 1).repeat(3, -1)
    valid = jnp.ones((3, 8), bool).at[1, ::2].set(False).at[2].set(False)
    chosen = jnp.array([0, 5, 9, 15, 20])
    disturbance = np.asarray(behavior.disturbances(PredictionResiduals(vector, valid), chosen, jax.random.key(0)))
    assert disturbance.shape == (HORIZON, 5, 3)  # horizon, starts, vector
    assert set(disturbance[:, :2, 0].ravel()) <= set(range(8)) and len(np.unique(disturbance[:, :2, 0])) > 3
    assert set(disturbance[:, 2:4, 0].ravel()) <= {9, 11, 13, 15}
    assert not disturbance[:, 4].any()  # nothing is known of that sequence


def test_imagined_measurements_are_disturbed():
    model, behavior, parameters = make(CONTINUOUS, "dynamics")
    statistics, start = BehaviorState.initial(3e-4).returns, model.rssm.initial_state((6,))
    imagine = jax.jit(behavior.imagine)
    calm, disturbed = (
        imagine(parameters, parameters["critic"], statistics, start, x, jax.random.key(0)).features
        for x in (jnp.zeros((HORIZON, 6, 3)), jnp.zeros((HORIZON, 6, 3)).at[0].set(0.5))
    )
    np.testing.assert_array_equal(disturbed[0], calm[0])
    np.testing.assert_allclose(disturbed[1, :, -3:], calm[1, :, -3:] + 0.5, rtol=1e-6)
    assert float(jnp.abs(disturbed[3] - calm[3]).max()) > 0.1  # it goes on from there


@pytest.mark.parametrize("action", [CONTINUOUS, DISCRETE], ids=["continuous", "discrete"])
def test_randomness_is_held_at_its_target(action):
    """Whether an actor starts out too random or too sure, the weight of the entropy moves towards the target."""
    _, behavior, parameters = make(action, "reinforce", actor_delay_updates=0)
    states, residuals, batch = replayed(action)

    @jax.jit
    def measure(actor_parameters):
        memory = BehaviorState.initial(0.01)
        updated_parameters = parameters | {"actor": actor_parameters}
        _, memory, metrics = behavior.loss(
            updated_parameters, parameters["critic"], memory, states, residuals, batch, jax.random.key(0)
        )
        return metrics["behavior/randomness"], jnp.exp(memory.log_entropy_scale)

    randomness, entropy_scale = measure(parameters["actor"])
    expected = 1.0 if action.is_discrete else 0.67  # of the initial deviation, 0.2
    assert float(randomness) == pytest.approx(expected, abs=0.03) and float(entropy_scale) < 0.01
    # The last layer's bias makes the actor sure of itself in every state.
    sure = jax.tree.map(lambda x: x, parameters["actor"])
    bias = sure["params"]["Dense_0"]["bias"]
    half = jnp.arange(bias.size) >= bias.size // 2
    sure["params"]["Dense_0"]["bias"] = 50.0 * jax.nn.one_hot(0, bias.size) if action.is_discrete else -50.0 * half
    randomness, entropy_scale = measure(sure)
    assert float(randomness) < 0.05 and float(entropy_scale) > 0.01


def test_the_weight_of_the_entropy_waits_for_an_actor_that_learns():
    _, behavior, parameters = make(CONTINUOUS, "dynamics", actor_delay_updates=2)
    states, residuals, batch = replayed()

    @jax.jit
    def update(memory):
        return behavior.loss(parameters, parameters["critic"], memory, states, residuals, batch, jax.random.key(0))[1]

    memory, scales = BehaviorState.initial(0.01), []
    for _ in range(3):
        memory = update(memory)
        scales.append(float(jnp.exp(memory.log_entropy_scale)))
    assert scales[:2] == pytest.approx([0.01, 0.01]) and scales[2] < 0.0099


def test_critic_and_imitation_see_what_was_measured():
    """Where the model went on from its own prediction, the robot was elsewhere all the same."""
    _, behavior, parameters = make(CONTINUOUS, "dynamics")
    noise = np.random.default_rng(3)
    parameters = jax.tree.map(lambda x: x + np.float32(0.1) * noise.standard_normal(x.shape, np.float32), parameters)
    states, residuals, batch = replayed()
    batch = batch._replace(observation={"x": 1.0 + batch.observation["x"]}, reward=batch.reward + 1.0)

    @jax.jit
    def losses(vector):
        predicted = states._replace(vector=vector + states.vector)
        memory, key = BehaviorState.initial(0.03), jax.random.key(0)
        return behavior.loss(parameters, parameters["critic"], memory, predicted, residuals, batch, key)[2]

    one, other = losses(0.0), losses(2.0)
    assert one["loss/critic"] != other["loss/critic"]
    for name in ("loss/replay_value", "loss/imitation"):
        assert one[name] == other[name] != 0.0, name


def test_dreams_go_on_as_often_as_their_future_counts():
    start = RSSM(MODEL, 3).initial_state((4,))
    behavior = ContinuedState(
        *BehaviorState.initial(0.03), jax.tree.map(lambda x: x[:2] + 7.0, start), jnp.array([1.0, 0])
    )
    begun, lives = gone_on(behavior, start, jnp.zeros(4))
    np.testing.assert_array_equal(lives, [1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(begun.vector[:, 0], [7.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(begun.stochastic[:, 0, 0], [7.0, 0.0, 0.0, 0.0])

    many = ContinuedState(*behavior[:2], RSSM(MODEL, 3).initial_state((4000,)), jnp.zeros(4000))
    last = jax.tree.map(lambda x: x + 1.0, RSSM(MODEL, 3).initial_state((5000,)))
    last = last._replace(vector=last.vector.at[0].set(jnp.nan))
    discount = jnp.full((HORIZON + 1, 5000), 0.9).at[2, 1000:].set(0.0)  # all but 1000 end
    lives = jnp.ones(5000).at[500:600].set(0.0)  # began where an episode had ended
    ended = ended_dreams(many, last, lives, discount, jax.random.key(0))
    assert not ended.goes_on[500:600].any() and ended.goes_on[600:1000].any()
    assert ended.goes_on[0] == 0.0 and not ended.goes_on[1000:].any() and not ended.ended.vector[0].any()
    assert float(ended.goes_on[600:1000].mean()) == pytest.approx(0.9**HORIZON, abs=0.07)
    assert (ended.ended.vector[1:] == 1.0).all()


@pytest.mark.parametrize("continued_share", [0.0, 0.25])
def test_nothing_is_learned_of_dreams_behind_the_end_of_an_episode(continued_share):
    _, behavior, parameters = make(CONTINUOUS, "dynamics", continued_share=continued_share)
    states, residuals, batch = replayed()
    memory = behavior.initial_state()

    @jax.jit
    def losses(batch):
        return behavior.loss(parameters, parameters["critic"], memory, states, residuals, batch, jax.random.key(0))[2]

    begun, some, ended = (
        losses(batch._replace(is_terminal=jnp.zeros_like(batch.reward).at[:rows].set(1.0)))
        for rows in (0, STARTS // 8, STARTS // 4)
    )
    for name in ("loss/actor", "loss/critic"):
        assert ended[name] == 0.0 < abs(some[name]) < abs(begun[name]), name


def test_what_goes_on_is_learned_from_and_nothing_else():
    _, behavior, parameters = make(CONTINUOUS, "dynamics", continued_share=0.25)
    noise = np.random.default_rng(3)
    parameters = jax.tree.map(lambda x: x + np.float32(0.1) * noise.standard_normal(x.shape, np.float32), parameters)
    states, residuals, batch = replayed()

    @jax.jit
    def update(memory):
        return behavior.loss(parameters, parameters["critic"], memory, states, residuals, batch, jax.random.key(0))[1:]

    fresh = behavior.initial_state()
    assert fresh.goes_on.shape == (round(0.25 * behavior.config.imagination_starts),)
    elsewhere = fresh._replace(ended=jax.tree.map(lambda x: x + 1.0, fresh.ended))
    following, once = update(fresh)
    assert once["behavior/continued"] == 0.0 < update(following)[1]["behavior/continued"] <= 1.0
    assert update(elsewhere)[1]["loss/critic"] == once["loss/critic"]
    assert update(elsewhere._replace(goes_on=jnp.ones_like(fresh.goes_on)))[1]["loss/critic"] != once["loss/critic"]
    assert following.goes_on.any() and np.isfinite(following.ended.vector).all() and following.ended.vector.any()


def test_without_dreams_nothing_of_them_is_learned():
    _, behavior, parameters = make(CONTINUOUS, "dynamics", imagination_scale=0.0)
    states, residuals, batch = replayed()
    memory = BehaviorState.initial(0.03)

    @jax.jit
    def gradient(batch):
        def loss(x):
            return behavior.loss(x, x["critic"], memory, states, residuals, batch, jax.random.key(0))[0]

        return optax.tree.norm(jax.grad(loss)(parameters)["actor"])

    assert float(gradient(batch)) == 0.0
    assert float(gradient(batch._replace(action=batch.action + 0.5, reward=batch.reward + 1.0))) > 0.0


def test_entropy_is_that_of_the_squashed_action():
    """Against a histogram of samples; and a saturated actor is drawn back by it."""
    mean, deviation = jnp.full((200_000, 1), 0.5), jnp.full((200_000, 1), 0.4)
    distribution = ActorDistribution(mean, deviation, None)
    sample = distribution.sample(jax.random.key(0))
    density, edges = np.histogram(sample.action, bins=200, range=(-1, 1), density=True)
    width = edges[1] - edges[0]
    filled = density > 0
    expected = -np.sum(density[filled] * np.log(density[filled])) * width
    assert float(distribution.entropy(sample.raw).mean()) == pytest.approx(expected, abs=0.01)

    def entropy(mean):
        return ActorDistribution(mean, jnp.full((1,), 0.1), None).entropy(mean)

    slopes = [float(jax.grad(lambda x: entropy(x[None]))(jnp.float32(mean))) for mean in (-3.0, 0.0, 3.0)]
    np.testing.assert_allclose(slopes, [2 * np.tanh(3.0), 0.0, -2 * np.tanh(3.0)], rtol=1e-3, atol=1e-4)
