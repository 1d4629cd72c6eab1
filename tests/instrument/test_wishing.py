"""Wishes: what may be said, what is refused, and that a plan comes to what was wished for."""

import json

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.cli import wish as command
from daydreamer.config import LearnerConfig, ModelConfig, SessionConfig
from daydreamer.errors import UserError
from daydreamer.instrument import granting, wish_training
from daydreamer.instrument.formula import Formula
from daydreamer.instrument.granting import PlanSettings, grant
from daydreamer.instrument.logged import LoggedSteps, read_logged
from daydreamer.instrument.wish_planning import PLAN, find_proposal, make_planner, make_policy, without_policy
from daydreamer.instrument.wish_training import WishTrainer
from daydreamer.instrument.wishing import (
    WishedReward,
    WishedWorldModel,
    find_wishables,
    formula_wish,
    named_wish,
    observed_signals,
    python_wish,
    require_reward,
    signal_names,
)
from daydreamer.learner.agent import Agent
from daydreamer.models.rssm import imagine_step
from daydreamer.models.transforms import symexp
from daydreamer.robots.registry import robots
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

SIGNALS = ("up_z", "forward_velocity_m_s")
TELL = {"up_z": jnp.array([1.0, 0.5]), "forward_velocity_m_s": jnp.array([-0.3, 0.2])}


@pytest.fixture(scope="module")
def session(learner_compiled):
    return Session.open(learner_compiled)


@pytest.fixture(scope="module")
def wishables(session):
    return find_wishables(session)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("-abs(forward_velocity_m_s + 0.3)", [0.0, -0.5]),
        ("where(up_z > 0.7, 2**3, 0) - min(up_z, 1) / 2", [7.5, -0.25]),
        ("(up_z > 0.1) + (up_z > 0.7) - (up_z < 0.7)", [2.0, 0.0]),
        ("-(forward_velocity_m_s > 0) + where(up_z > 0.7, 1, 0)", [1.0, -1.0]),
        ("clip(forward_velocity_m_s, -0.1, 0.1) + sqrt(max(up_z, 0.01))", [0.9, 0.5**0.5 + 0.1]),
    ],
)
def test_a_formula_is_what_it_says(text, expected):
    np.testing.assert_allclose(Formula(text, SIGNALS)(TELL), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("__import__('os').system('true')", "holds '__import__.*no formula may"),
        ("up_z.__class__", "holds 'up_z.__class__'"),
        ("[x for x in up_z]", "no formula may"),
        ("'up_z'", "no formula may"),
        ("0 < up_z < 1", "no formula may"),
        ("abs(up_z, 1)", "no formula may"),
        ("up_z +", "is no formula"),
        ("(" * 300 + "up_z" + ")" * 300, "is no formula|levels"),
        ("-" * 60 + "up_z", "more than 50 levels"),
        ("up_z" + " " * 2000, "longer than 2000"),
        ("1 + 1", "names no signal"),
        ("up_z + " + "9" * 400, "holds a number above"),
        ("up_z - 1e999", "holds a number above"),
        ("up_x", "predicts no signal 'up_x'; did you mean 'up_z'"),
    ],
)
def test_a_formula_can_do_nothing_else(text, reason):
    with pytest.raises(UserError, match=reason):
        Formula(text, SIGNALS)


def test_a_power_of_powers_is_infinite_at_once():
    assert np.isinf(Formula("up_z * 9**9**9**9", SIGNALS)(TELL)).all()


def test_the_wishes_of_every_robot_pay_best_where_they_come_true(subtests):
    for name, robot in robots().items():
        entry = robot.task()
        if entry.wishables is None:
            continue
        task, wishables = entry.make(SessionConfig(robot=name)), entry.wishables()

        @jax.jit
        def pay(seen, wishables=wishables):
            """Of each wish: what is paid where it has come true, and where it is missed a little."""
            told = {**wishables.signals(seen), "up_z": jnp.ones(1)}
            return {
                name: [
                    wish.reward(told | {wish.signal: jnp.array([wish.target(wish.usual) + miss])}, wish.usual)[0]
                    for miss in (0.0, 0.1)
                ]
                for name, wish in wishables.wishes.items()
            }

        paid = pay({key: jnp.zeros((1, *space.shape)) for key, space in task.spec.observation.items()})
        for wish_name, wish in wishables.wishes.items():
            with subtests.test(f"{name} {wish_name}"):
                assert wish.limits[0] <= wish.usual <= wish.limits[1]
                came, missed = paid[wish_name]
                assert np.isfinite(came) and came >= missed


def test_named_wishes_take_a_number_within_limits(wishables):
    wish = named_wish(wishables, "go backwards")
    assert wish.words == "goes backwards at 0.3 m/s" and wish.targets == {"forward_velocity_m_s": -0.3}
    assert named_wish(wishables, "turn -0.5").targets == {"turn_rate_rad_s": -0.5}
    with pytest.raises(UserError, match="no wish 'backward' of this robot; did you mean 'backwards'"):
        named_wish(wishables, "backward 0.3")
    for wrong in ("turn 7", "turn nan"):
        with pytest.raises(UserError, match="'turn' takes a number from -2 to 2"):
            named_wish(wishables, wrong)


def test_a_python_file_is_the_operators_own(wishables, session, tmp_path, monkeypatch):
    path = tmp_path / "wish.py"
    path.write_text("def reward(signals):\n    return -abs(signals.forward_velocity_m_s + signals['up_z'])\n")
    assert python_wish(wishables, path, session).shown == ("forward_velocity_m_s", "up_z")
    cases = {
        "def reward(signals): return signals.forward": "no signal 'forward'.*lists them",
        "def reward(signals): return 1.0 if signals.up_z > 0 else 0.0": "decides by a signal.*jax.numpy.where",
        "def reward(signals): return signals.up_z / zero": "fails .*zero",
        "reward = 3": "no function reward",
        "raise RuntimeError('no')": "cannot be run",
    }
    for text, reason in cases.items():
        path.write_text(text)
        with pytest.raises(UserError, match=reason):
            python_wish(wishables, path, session)
    with pytest.raises(UserError, match="came with the session"):
        python_wish(wishables, session.path / "session.yaml", session)
    with pytest.raises(UserError, match="cannot be read"):
        python_wish(wishables, tmp_path / "none.py", session)
    monkeypatch.setattr("os.getuid", lambda: 4242)
    with pytest.raises(UserError, match="somebody else's file"):
        python_wish(wishables, path, session)


def test_a_reward_that_is_no_number_or_always_the_same_is_refused(wishables, session):
    steps = read_logged(session)
    spec = session.spec
    with pytest.raises(UserError, match="not finite at .* logged steps; keep"):
        require_reward(formula_wish(wishables, "log(up_z - 1)", spec), steps)
    with pytest.raises(UserError, match="is 1 at all .* let it change"):
        require_reward(formula_wish(wishables, "where(up_z < 5, 1, 0)", spec), steps)
    earned = require_reward(formula_wish(wishables, "up_z", spec), steps)
    np.testing.assert_allclose(earned, steps.rows["observation/gravity_up"][:, 2], rtol=1e-6)


TOY = RobotSpec("toy", "toy", 20.0, 10, (), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
TOY_MODEL = ModelConfig(deterministic=16, hidden=16, stochastic=2, classes=2, units=16, bins=41)


class ToyWorld:
    """A world in which what a model drawn at random says comes is what comes.

    Attributes:
      model: that world, with the wish that x comes where the action 0.7 leads.
      steps: of a log in which that was done, after nothing had been.
      missed: how far from it x ends when nothing is done.
    """

    learner = LearnerConfig(
        discount=0.9, batch_size=4, batch_length=8, imagination_starts=16, mirror=False, imagination_noise=0.0
    )

    def __init__(self):
        agent = Agent(TOY, TOY_MODEL, self.learner)
        parameters = jax.jit(agent.initialize, static_argnums=0)(0).parameters
        # Actions are to move something: a new model changes little.
        change = jax.tree.map(lambda x: 10.0 * x, parameters["rssm"]["params"]["change_output"])
        self.parameters = parameters | {"rssm": {"params": parameters["rssm"]["params"] | {"change_output": change}}}
        self.rssm = agent.world_model.rssm
        self._move = jax.jit(
            lambda state, action, key: imagine_step(self.rssm, self.parameters["rssm"], state, action, key)
        )
        idle, driven = (self.live(lambda state, a=a: jnp.full((1, 2), a)) for a in (0.0, 0.7))
        self.wished = wished = float(driven[-10:, 0].mean())
        self.missed = abs(idle[-10:, 0].mean() - wished)
        assert self.missed > 0.1, "what is wished for does not come by itself"
        count, each = len(idle) + len(driven), len(idle)
        rows = {"observation/x": np.concatenate([idle, driven]).astype(np.float32)}
        rows["action"] = np.repeat(np.float32([0.0, 0.7]), each)[:, None].repeat(2, 1)
        rows["reward"] = np.zeros(count, np.float32)
        rows |= {flag: np.zeros(count, bool) for flag in ("is_last", "is_terminal", "by_policy", "shown")}
        rows["is_first"] = np.arange(count) % each == 0
        self.steps = LoggedSteps(TOY, rows, {})
        self.reward = WishedReward(
            "is there", lambda told: -jnp.abs(told["x_1"] - wished), lambda seen: observed_signals(TOY, seen), ("x_1",)
        )
        logged = require_reward(self.reward, self.steps)
        self.model = WishedWorldModel(agent.world_model, self.reward, self.steps, logged, caution=0.0)

    def live(self, act, steps=30):
        """Where x is, if `act(state)` says what is done."""
        state, seen = self.rssm.initial_state((1,)), []
        for key in jax.random.split(jax.random.key(1), steps):
            state = self._move(state, act(state), key)
            seen.append(np.asarray(state.vector[0]))
        return np.array(symexp(np.array(seen)))

    def missed_by(self, act):
        """How far from where it was wished x ends, as a share of what nothing comes to."""
        return abs(self.live(act)[-10:, 0].mean() - self.wished) / self.missed


@pytest.fixture(scope="module")
def toy_world():
    return ToyWorld()


def test_in_a_model_that_is_the_world_a_plan_finds_what_is_wished_for(toy_world):
    planner = make_planner(toy_world.model, SessionConfig(learner=toy_world.learner), horizon_s=0.3, samples=64)
    policy = make_policy(without_policy(toy_world.parameters), toy_world.model, 1, 0)
    first, deviations = policy.initial_state(), planner.nothing

    def plan(state):
        nonlocal deviations
        key = jax.random.key_data(jax.random.fold_in(jax.random.wrap_key_data(first.key), planner.plans))
        planned = planner.plan(policy, first._replace(latent=state, key=key), deviations)
        deviations = planned.deviations
        return planned.action[None]

    assert toy_world.missed_by(plan) < 0.25


def test_in_a_model_that_is_the_world_a_policy_learns_in_dreams_what_is_wished_for(toy_world, monkeypatch):
    monkeypatch.setattr(wish_training, "HORIZON_STEPS", 3)  # less to compile
    trainer = WishTrainer(
        toy_world.model, toy_world.reward, toy_world.parameters, toy_world.learner, toy_world.steps, seed=0
    )
    actor = ActorCritic(toy_world.model, toy_world.learner).actor

    @jax.jit
    def act(parameters, state):
        return jnp.tanh(actor(parameters["actor"], state.features).mean)

    assert toy_world.missed_by(lambda state: act(trainer.parameters, state)) == pytest.approx(1.0, abs=0.05)
    done = []
    trainer.train(400, done.append)
    assert done[0] == 1 and done[-1] == 400
    assert toy_world.missed_by(lambda state: act(trainer.parameters, state)) < 0.5
    model = {name: value for name, value in toy_world.parameters.items() if name not in ("actor", "critic")}
    assert {name: trainer.parameters[name] for name in model} == model, "the model stays as it is"


def test_a_wish_is_learned_whatever_the_session_was_to_learn_and_from_whom(toy_world, monkeypatch):
    monkeypatch.setattr(wish_training, "HORIZON_STEPS", 2)  # less to compile
    monkeypatch.setattr(wish_training, "DELAY_UPDATES", 0)
    settings = {"imagination_scale": 0.0, "imitation_scale": 0.0, "shown_scale": 1.0, "cloning_scale": 1.0}
    learner = msgspec.structs.replace(toy_world.learner, **settings)
    trainer = WishTrainer(toy_world.model, toy_world.reward, toy_world.parameters, learner, toy_world.steps, seed=0)
    usual = LearnerConfig()
    assert trainer._config.imagination_scale == usual.imagination_scale > 0.0
    assert trainer._config.imitation_scale == usual.imitation_scale
    assert trainer._config.shown_scale == trainer._config.cloning_scale == 0.0
    before = jax.tree.map(np.array, trainer.parameters["actor"])
    trainer.train(40)
    changed = jax.tree.leaves(jax.tree.map(lambda x, y: np.abs(x - y).max(), before, trainer.parameters["actor"]))
    assert max(changed) > 1e-3


def test_members_that_know_the_log_guard_what_is_learned_for_a_wish(toy_world):
    learner = msgspec.structs.replace(toy_world.learner, members=2)
    known = jax.jit(Agent(TOY, TOY_MODEL, learner).initialize, static_argnums=0)(5).parameters["members"]
    parameters = toy_world.parameters | {"members": known}
    trainer = WishTrainer(toy_world.model, toy_world.reward, parameters, learner, toy_world.steps, seed=0)
    jax.tree.map(np.testing.assert_array_equal, trainer.parameters["members"], known)


def test_novelty_costs_what_is_unlike_the_log(wishables, session):
    steps = read_logged(session)
    reward = formula_wish(wishables, "up_z", session.spec)
    agent = Agent(session.spec, session.config.model, session.config.learner)
    model = WishedWorldModel(agent.world_model, reward, steps, require_reward(reward, steps))
    logged = jnp.sign(steps.vectors()) * jnp.log1p(jnp.abs(steps.vectors()))
    assert (np.asarray(model._novelty(logged)) <= 1.0).mean() > 0.9
    assert (np.asarray(model._novelty(logged + 3.0)) > 1.0).all()


def test_a_model_that_knows_nothing_plans_no_wish(session):
    with pytest.raises(UserError, match="knows too little to plan.*nothing changes.*learn on"):
        grant(session.path, lambda wishables, session: named_wish(wishables, "crouch"))


def test_a_wish_is_put_to_the_twin_and_told(session, monkeypatch, capsys):
    monkeypatch.setattr(wish_training, "HORIZON_STEPS", 2)  # less to compile
    monkeypatch.setattr(granting, "require_trust", lambda *arguments: None)  # this one has hardly learned
    monkeypatch.setattr(granting, "measure_trust", lambda *arguments: granting.Trust({0.5: 0.9}, {0.5: 0.9}))
    done = []
    granted = grant(
        session.path,
        lambda wishables, session: named_wish(wishables, "crouch 0.2"),
        plan=PlanSettings(horizon_s=0.15, samples=4),
        gradient_steps=2,
        seconds=0.5,
        attempts=1,
        on_step=lambda driver, step, of: done.append((driver, step, of)),
    )
    assert done[:3] == [("training in dreams", 1, 2), ("training in dreams", 2, 2), ("by planning", 1, 30)]
    assert done[-1] == ("policy alone", 30, 30)
    planned, trained, alone = granted.came
    assert trained.driver == "trained in dreams"
    assert len({planned.reward, trained.reward, alone.reward}) == 3 and alone.latency_ms is None
    # The robot's own height is that which the simulator knows, as long as it is on its feet.
    assert abs(planned.signals["height_m"].mean - planned.truth["height_m"].mean) < 0.03
    command._show(granted, command.Terminal())
    shown = capsys.readouterr().out
    assert "+0.20" in shown and "in truth" in shown and "control period of 50 ms" in shown
    assert json.loads(json.dumps(granting.to_json(granted)))["targets"] == {"height_m": 0.2}


def test_what_there_is_to_wish_is_listed_and_one_wish_is_made_at_a_time(session, wishables, capsys):
    arguments = dict(proposal="none", horizon_s=0.6, samples=8, caution=5.0, seconds=1.0, attempts=1, seed=0)
    arguments |= dict(overrides=[], as_json=False, python=None, gradient_steps=0)
    command.wish(session.path, None, formula=None, **arguments)
    shown = capsys.readouterr().out
    assert "crouch" in shown and "-2 to 2" in shown and "FR_hip_joint_rad" in shown
    with pytest.raises(UserError, match="One wish at a time"):
        command.wish(session.path, "crouch", formula="up_z", **arguments)
    with pytest.raises(UserError, match="--proposal is 'best'; choose policy or none"):
        find_proposal("best")
    assert "forward_velocity_m_s" in signal_names(wishables, session.spec) and PLAN.samples
