"""Programs that test_sharding.py starts, because a process says once how many devices it has.

    python several_devices.py one_process SESSION
    python several_devices.py two_processes SESSION PORT NUMBER

What a program has found is the last line of its output, as JSON.
"""

import contextlib
import json
import re
import sys
import time
from pathlib import Path

import jax
import msgspec
import numpy as np

from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner import learner as learner_module
from daydreamer.learner.agent import Agent
from daydreamer.learner.devices import DeviceGroup, choose_devices
from daydreamer.learner.learner import Learner
from daydreamer.replay import Replay
from daydreamer.session.directory import Session

UPDATES = 10


def prepare(session, agent):
    """The compiled gradient step, a fresh train state, and a replay of all that the session has logged."""
    devices, config = agent.devices, session.config
    replay = Replay(session.spec, config.learner.replay_capacity, devices.whole)
    replay.append(ExperienceTail(session.experience, session.spec).read(1000))
    state = jax.jit(agent.initialize, static_argnums=0, out_shardings=devices.whole)(config.seed)
    return agent.update.lower(state, replay.state).compile(), state, replay.state


def train(update, state, replay):
    """What comes of some gradient steps, and the state after them."""
    metrics = []
    for _ in range(UPDATES):
        state, last = update(state, replay)
        metrics.append({name: float(value) for name, value in last.items()})
    sums = re.findall(r" = (.*) all-reduce\(", update.as_text())
    return {
        "metrics": metrics,
        "skipped": int(state.skipped),
        "operations": update.cost_analysis()["flops"],  # of one device
        "summed_arrays": sum(types.count("f32[") for types in sums),
    }, state


def one_process(session):
    """The same gradient steps on the first device and on all; then a learner on all."""
    spec, config = session.spec, session.config
    devices = choose_devices(config.learner)
    agent = Agent(spec, config.model, config.learner, devices)
    alone, _ = train(*prepare(session, Agent(spec, config.model, config.learner)))
    program = prepare(session, agent)
    together, _ = train(*program)
    return {
        "devices": [len(jax.devices()), len(devices)],
        "parts": [part.data.shape for part in jax.jit(devices.divide)(np.zeros((16, 3))).addressable_shards],
        "alone": alone,
        "together": together,
        "learner": live(session, agent, program[0]),
        "chosen": {size: len(choose_devices(resized(config.learner, size))) for size in (5, 6, 12, 24)},
        "refused": complaint(lambda: resized(config.learner, 12, devices=8)),
    }


class Compiled:
    """In the place of a jitted function, for who would compile it for the same arguments again."""

    def __init__(self, program):
        self._program = program

    def lower(self, *arguments):
        return self

    def compile(self):
        return self._program


def live(session, agent, update):
    """A learner that trains, publishes and saves; and one that goes on."""
    learner_module.Agent = lambda *arguments: agent
    agent.update = Compiled(update)
    with contextlib.closing(Learner(session)) as learner:
        learner.update()
        published, device = learner.publish(), learner.status("running").device
        learner.checkpoint()
    with contextlib.closing(Learner(session)) as learner:
        learner.update()
        arrays = jax.tree.leaves((learner._state, learner.replay.state))
        whole = all(array.sharding.is_equivalent_to(agent.devices.whole, array.ndim) for array in arrays)
        return {"published": published, "device": device, "updates": learner.updates, "whole": whole}


def resized(config, batch_size, devices=0):
    return msgspec.structs.replace(
        config, batch_size=batch_size, batch_length=8, imagination_starts=24, devices=devices
    )


def complaint(work):
    try:
        work()
    except ValueError as error:
        return str(error)


def two_processes(session, port, number):
    """The same gradient steps on one device of each of two processes. Both read the log."""
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=number)
    devices = DeviceGroup(jax.devices())
    agent = Agent(session.spec, session.config.model, session.config.learner, devices)
    program = prepare(session, agent)
    # Who begins alone waits 30 s for the other and fails; on a busy machine their compilers are farther apart.
    session.path.with_name(f"prepared_{number}").touch()
    while not session.path.with_name(f"prepared_{1 - number}").exists():
        time.sleep(0.05)
    found, state = train(*program)
    leaves = jax.tree.leaves(state.parameters)
    return found | {
        "devices": [len(jax.local_devices()), len(devices)],
        "of_this_process": leaves[0].is_fully_addressable,
        "parameters": sum(float(np.abs(np.asarray(leaf, np.float64)).sum()) for leaf in leaves),
    }


if __name__ == "__main__":
    program, path, *numbers = sys.argv[1:]
    print(json.dumps(globals()[program](Session.open(Path(path)), *map(int, numbers))))
