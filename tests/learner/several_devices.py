"""Programs that tests/learner/test_sharding.py starts, because JAX counts its devices once in a process.

    python several_devices.py one_process SESSION
    python several_devices.py two_processes SESSION PORT NUMBER

Each says what it found as one line of JSON.
"""

import contextlib
import functools
import json
import re
import sys
from pathlib import Path

import jax
import numpy as np

from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner import learner as learner_module
from daydreamer.learner.agent import Agent
from daydreamer.learner.devices import DeviceGroup, choose_devices
from daydreamer.learner.learner import Learner
from daydreamer.replay import Replay
from daydreamer.session.directory import Session

UPDATES = 10


def train(session, agent):
    """What comes of some gradient steps on all that the session has logged; and the state and the replay."""
    devices, config = agent.devices, session.config
    replay = Replay(session.spec, config.learner.replay_capacity, devices.whole)
    replay.append(ExperienceTail(session.experience, session.spec).read(1000))
    state = jax.jit(agent.initialize, static_argnums=0, out_shardings=devices.whole)(config.seed)
    update = agent.update.lower(state, replay.state).compile()
    metrics = []
    for _ in range(UPDATES):
        state, last = update(state, replay.state)
        metrics.append({name: float(value) for name, value in last.items()})
    sums = re.findall(r" = (.*) all-reduce\(", update.as_text())
    found = {
        "metrics": metrics,
        "operations": update.cost_analysis()["flops"],
        "summed": max((text.count("f32[") for text in sums), default=0),
        "skipped": int(state.skipped),
    }
    return found, state, replay


def lies_whole(tree, devices):
    return all(leaf.sharding.is_equivalent_to(devices.whole, leaf.ndim) for leaf in jax.tree.leaves(tree))


def one_process(session):
    """The same gradient steps on the first device and on all; then a whole learner on all."""
    config = session.config
    devices = choose_devices(config.learner)
    alone, _, _ = train(session, Agent(session.spec, config.model, config.learner))
    agent = Agent(session.spec, config.model, config.learner, devices)
    together, state, replay = train(session, agent)
    share = jax.jit(devices.divide)(np.zeros((config.learner.batch_size, 3))).addressable_shards[0].data.shape
    return {
        "devices": [len(jax.devices()), len(devices)],
        "share": share,
        "whole": lies_whole((state, replay.state), devices),
        "alone": alone,
        "together": together,
        "learner": live(session, agent),
    }


def live(session, agent):
    """A learner that trains, publishes, saves, and goes on."""
    learner_module.Agent = lambda *arguments: agent  # its program is compiled already
    with contextlib.closing(Learner(session)) as learner:
        learner.update()
        published, device = learner.publish(), learner.status("running").device
        learner.checkpoint()
    with contextlib.closing(Learner(session)) as learner:
        learner.update()
        whole = lies_whole((learner._state, learner.replay.state), agent.devices)
        return {"published": published, "device": device, "updates": learner.updates, "whole": whole}


def two_processes(session, port, number):
    """The gradient steps once more, on one device of each of two processes, which both read the log."""
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=number)
    devices = DeviceGroup(jax.devices())
    config = session.config
    found, state, _ = train(session, Agent(session.spec, config.model, config.learner, devices))
    checksum = sum(float(np.abs(np.asarray(leaf)).sum()) for leaf in jax.tree.leaves(state.parameters))
    return found | {
        "devices": [len(jax.local_devices()), len(devices)],
        "local": state.updates.is_fully_addressable,
        "checksum": checksum,
    }


if __name__ == "__main__":
    program, path, *numbers = sys.argv[1:]
    print(json.dumps(globals()[program](Session.open(Path(path)), *map(int, numbers))))
