import functools
import types

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.experience.log import ExperienceWriter, next_actor_life
from daydreamer.experience.step import Step
from daydreamer.learner import learner
from daydreamer.learner.agent import Agent
from daydreamer.learner.dream import OpenLoopPredictor
from daydreamer.spec import RobotSpec


@pytest.fixture(autouse=True, scope="module")
def learners_share_their_programs():
    """What learners of equal settings do is traced and compiled once, for all tests and for what a file's share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "Agent", shared_agent)
        patch.setattr(learner, "OpenLoopPredictor", _shared_predictor)
        yield


def shared_agent(spec, model, config, devices, hindsight=None):
    del devices  # the same for equal settings
    assert hindsight is None, "tests of tasks that are wished for make their own"
    return _agent(msgspec.json.encode(spec), model, config)


@functools.lru_cache
def _agent(spec_json, model, config):
    agent = Agent(msgspec.json.decode(spec_json, type=RobotSpec), model, config)
    agent.update, agent.initialize = CompiledOnce(agent.update), jax.jit(agent.initialize, static_argnums=0)
    return agent


class CompiledOnce:
    """A jitted function, which is compiled once for arguments of the same types, whoever asks."""

    def __init__(self, function):
        self._function, self._compiled = function, {}

    def __call__(self, *arguments):
        return self._function(*arguments)

    def lower(self, *arguments):
        leaves, tree = jax.tree.flatten(arguments)
        types_of = tree, *map(jax.typeof, leaves)
        if types_of not in self._compiled:
            self._compiled[types_of] = self._function.lower(*arguments).compile()
        return types.SimpleNamespace(compile=lambda: self._compiled[types_of])


_shared_predictor = functools.lru_cache(OpenLoopPredictor)


@pytest.fixture(scope="session")
def write_steps():
    """`write_steps(session, count, change)`: one more life, at random; `change(step)` alters each step."""

    def write(session, count, change=lambda step: None):
        spec, random = session.spec, np.random.default_rng(0)
        life = next_actor_life(session.experience)
        with ExperienceWriter(session.experience, spec, life, 1.0) as writer:
            for n in range(count):
                step = Step(
                    actor_life=life,
                    sequence=n,
                    monotonic_ns=n,
                    wall_ns=n,
                    observation={"x": random.normal(size=3).astype(np.float32)},
                    action_requested=random.uniform(-1, 1, 2).astype(np.float32),
                    action_sent=np.full(2, np.nan, np.float32),
                    reward=random.normal(),
                    reward_terms=dict.fromkeys(spec.reward_terms, 0.0),
                    info={},
                    is_first=n % spec.episode_steps == 0,
                    is_last=n % spec.episode_steps == spec.episode_steps - 1,
                    is_terminal=False,
                    policy_version=0,
                    intervention=False,
                    safety_flags=0,
                    latency_s=0.0,
                )
                change(step)
                writer.append(step)

    return write
