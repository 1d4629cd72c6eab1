"""DreamerV3's own implementation (Hafner et al. 2023), out of a checkout of it, on the robot.

Agent, replay and batches are built by their own code in their configuration `dmc_proprio` (vector observations,
`size1m`), or with pictures `dmc_vision` and `size1m`, which is their smallest, in float32; the loop here takes the
place of their driver, in lock-step with the robot.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
from learner_peer import accept_shardings_by_position

from daydreamer.spec import RobotSpec
from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot

ACTION = "action"


def configurations(spec: RobotSpec) -> list[str]:
    """Names of theirs, each over the one before."""
    sees = any(space.is_image for space in spec.observation.values())
    return ["dmc_vision", "size1m"] if sees else ["dmc_proprio"]


def train(
    robot: PeerRobot,
    record: RunRecord,
    *,
    checkout: Path,
    steps: int,
    seed: int,
    begin_steps: int,
    train_ratio: float | None,
    platform: str,
) -> None:
    """Learns for `steps`, from step `begin_steps` on.

    Args:
      train_ratio: replayed steps per environment step; None for that of their configuration.
      platform: of JAX, as cpu.
    """
    theirs = _import_main(checkout)
    import elements  # theirs too

    with tempfile.TemporaryDirectory() as directory:
        config = _configuration(checkout, directory, seed, train_ratio, platform, configurations(robot.spec))
        theirs.make_env = lambda config, index: _Spaces(robot.spec)
        agent = theirs.make_agent(config)
        replay = theirs.make_replay(config, "replay")
        batches = None
        should_train = elements.when.Ratio(config.run.train_ratio / (config.batch_size * config.batch_length))
        carry = agent.init_policy(1)
        train_carry = agent.init_train(config.batch_size)
        for steps_taken in range(1, steps + 1):
            observation = _observation(robot)
            carry, actions, entries = agent.policy(carry, {key: value[None] for key, value in observation.items()})
            step = robot.step(actions[ACTION][0])
            action = step.action_requested
            # Their policy goes on from the action that was carried out, in the random steps another than its own.
            carry = (*carry[:-1], {ACTION: [jax.device_put(action, agent.policy_mirrored)]})
            replay.add(observation | {ACTION: action} | {key: value[0] for key, value in entries.items()})
            record.add(step, robot.last_truth, robot.last_ending, int(agent.n_updates))
            if steps_taken < begin_steps or not len(replay):
                continue
            if batches is None:
                batches = iter(agent.stream(theirs.make_stream(config, replay, "train")))
            for _ in range(should_train(steps_taken)):
                train_carry, outputs, _ = agent.train(train_carry, next(batches))
                if "replay" in outputs:
                    replay.update(outputs["replay"])


def _import_main(checkout: Path) -> ModuleType:
    # Their code names the shardings of jax.jit by position, which jax accepts no more.
    jax.jit = accept_shardings_by_position(jax.jit)
    sys.path.insert(0, str(checkout))
    return importlib.import_module("dreamerv3.main")


def _configuration(
    checkout: Path, directory: str, seed: int, train_ratio: float | None, platform: str, names: list[str]
) -> Any:
    import elements
    from ruamel.yaml import YAML

    choices = YAML(typ="safe").load((checkout / "dreamerv3" / "configs.yaml").read_text())
    config = elements.Config(choices["defaults"])
    for name in names:
        config = config.update(choices[name])
    config = config.update(logdir=directory, seed=seed)
    config = config.update({"jax.platform": platform, "jax.compute_dtype": "float32", "jax.prealloc": False})
    if train_ratio is not None:
        config = config.update({"run.train_ratio": train_ratio})
    # Not in their file. They compile a report that is never asked for, and profile for a while.
    return elements.Config(**(dict(config) | {"jax": dict(config.jax) | {"precompile": False, "profiler": False}}))


class _Spaces:
    """What their code asks an environment before it makes an agent for it."""

    def __init__(self, spec: RobotSpec):
        import elements

        flags = ("is_first", "is_last", "is_terminal")
        self.obs_space = {
            key: elements.Space(np.uint8 if space.is_image else np.float32, space.shape)
            for key, space in spec.observation.items()
        }
        self.obs_space |= {"reward": elements.Space(np.float32)} | {flag: elements.Space(bool) for flag in flags}
        self.act_space = {ACTION: elements.Space(np.float32, spec.action.shape, -1, 1)}

    def close(self) -> None:
        pass


def _observation(robot: PeerRobot) -> dict[str, np.ndarray]:
    return robot.state.observation | {
        "reward": np.array(robot.state.reward, np.float32),
        "is_first": np.array(robot.is_first),
        "is_last": np.array(robot.is_last),
        "is_terminal": np.array(robot.state.ending is not None),
    }
