"""How far an exported policy is from ours, and how long a call takes.

    pip install '.[export]'
    python benchmarks/onnx_policy.py SESSION [--steps 1000] [--calls 20000] [--json FILE]

Both models of the newest policy, by its mean and sampled, run in onnxruntime for so many recurrent steps on what the
session's robot observed last. Each remembers what it has itself said, ours and theirs. The first is compared with the
same function in JAX, the second with the policy that drives the robot, from whose random numbers it draws. Prints the
largest difference of any number that comes out, and the time of calls in one thread, in ms.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from daydreamer.behavior.actor import correlate
from daydreamer.experience.tail import ExperienceTail
from daydreamer.export.onnx_policy import Arrays, PolicyGraph, one_thread, to_onnx
from daydreamer.policy.policy import Policy, PolicyState
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.session.directory import Session
from daydreamer.telemetry.columns import newest_steps


def policy_chance(graph: PolicyGraph, state: PolicyState, is_first: bool) -> Arrays:
    """The numbers that a policy will draw at its next step, as inputs of a sampled graph."""
    _, latent_key, action_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
    uniform = jax.random.uniform(latent_key, graph.inputs["latent_uniform"].shape)
    if graph.spec.action.is_discrete:
        action = {"action_uniform": jax.random.uniform(action_key, graph.inputs["action_uniform"].shape)}
    else:
        correlation = graph.model.noise_correlation * (1.0 - is_first)
        action = {"action_noise": correlate(state.noise, correlation, action_key)}
    return {name: np.asarray(value) for name, value in ({"latent_uniform": uniform} | action).items()}


def policy_steps(policy: Policy, graph: PolicyGraph, observations: Sequence[Arrays]) -> Iterator[tuple[Arrays, Arrays]]:
    """What a sampled graph is given, but for its memory, and what the policy said, as the graph would name it."""
    state = policy.initial_state()
    for number, observation in enumerate(observations):
        is_first = number == 0
        given = {f"observation_{key}": value[None] for key, value in observation.items()}
        given |= policy_chance(graph, state, is_first)
        _, state = policy(observation, state, is_first)
        latent = {f"next_{name}": np.asarray(value) for name, value in zip(graph.STATE, state.latent, strict=True)}
        yield given, {"action": np.asarray(state.action)} | latent


def graph_steps(graph: PolicyGraph, observations: Sequence[Arrays]) -> Iterator[tuple[Arrays, Arrays]]:
    """What goes into a graph that does without chance, and what comes out of it in JAX, step by step."""
    function, memory = jax.jit(graph), graph.beginning
    for observation in observations:
        given = {f"observation_{key}": value[None] for key, value in observation.items()}
        said = function(*((given | memory)[name] for name in graph.inputs))
        values = dict(zip(graph.outputs, map(np.asarray, said), strict=True))
        memory = graph.following(values)
        yield given, values


def largest_difference(graph: PolicyGraph, run: Any, steps: Iterator[tuple[Arrays, Arrays]]) -> float:
    memory, largest = graph.beginning, 0.0
    for given, expected in steps:
        found = dict(zip(graph.outputs, run(given | memory), strict=True))
        largest = max(largest, *(float(np.abs(found[name] - expected[name]).max(initial=0.0)) for name in expected))
        memory = graph.following(found)
    return largest


def measure(session: Session, sampled: bool, steps: int, calls: int) -> dict[str, Any]:
    import onnxruntime

    policy = Policy.load(latest_snapshot(session.policy), session.spec)
    begin_s = time.monotonic()
    content, _ = to_onnx(policy, session.spec, 0, sampled)
    converted_s = time.monotonic() - begin_s
    runtime = onnxruntime.InferenceSession(content, one_thread(onnxruntime))
    graph = PolicyGraph(policy.parameters, session.spec, policy.model, sampled)

    def run(arrays: Arrays) -> list[np.ndarray]:
        return runtime.run(list(graph.outputs), dict(arrays))

    tail = ExperienceTail(session.experience, session.spec, newest_steps(session, steps)[1])
    observations = [step.observation for step in tail.read(steps)]
    made = policy_steps(policy, graph, observations) if sampled else graph_steps(graph, observations)
    difference = largest_difference(graph, run, made)
    arrays = graph.beginning | next(iter(policy_steps(policy, graph, observations) if sampled else made), ({},))[0]
    if not sampled:
        arrays |= {f"observation_{key}": value[None] for key, value in observations[0].items()}
    times_ms = []
    for _ in range(calls):
        begin_s = time.perf_counter()
        run(arrays)
        times_ms.append(1e3 * (time.perf_counter() - begin_s))
    p50, p99 = np.percentile(times_ms, [50, 99])
    return {
        "sampled": sampled,
        "steps": len(observations),
        "largest_difference": difference,
        "bytes": len(content),
        "converted_s": converted_s,
        "call_p50_ms": p50,
        "call_p99_ms": p99,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    session = Session.open(options.session)
    results = [measure(session, sampled, options.steps, options.calls) for sampled in (False, True)]
    for result in results:
        print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
