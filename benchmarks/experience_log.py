"""How fast steps are written to and read from the experience log.

    python benchmarks/experience_log.py [--steps N] [--image] [--json]

Appends are one write() each, with fsync every second in the background; reads check every checksum.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.spec import RobotSpec, Space


def robot(image: bool) -> RobotSpec:
    """A quadruped's specification: 42 floats, with `image` also a 64 x 64 camera picture."""
    observation = {"vector": Space((42,))} | ({"image": Space((64, 64, 3), "uint8")} if image else {})
    return RobotSpec(
        robot="quadruped",
        task="walk",
        control_rate_hz=20.0,
        episode_steps=250,
        joint_names=tuple(f"joint_{i}" for i in range(12)),
        foot_names=("front_left", "front_right", "rear_left", "rear_right"),
        observation=observation,
        action=Space((12,), low=-1.0, high=1.0),
        reward_terms=("upright", "hip", "shoulder", "knee", "velocity"),
        info=("forward_velocity_m_s",),
    )


def make_step(sequence: int, spec: RobotSpec) -> Step:
    random = np.random.default_rng(sequence)
    return Step(
        actor_life=1,
        sequence=sequence,
        monotonic_ns=time.monotonic_ns(),
        wall_ns=time.time_ns(),
        observation={
            key: random.integers(0, 256, space.shape, np.uint8) if space.is_image else random.random(42, np.float32)
            for key, space in spec.observation.items()
        },
        action_requested=random.random(12, np.float32),
        action_sent=random.random(12, np.float32),
        reward=1.0,
        reward_terms=dict.fromkeys(spec.reward_terms, 0.2),
        info=dict.fromkeys(spec.info, 0.1),
        is_first=sequence % 250 == 0,
        is_last=sequence % 250 == 249,
        is_terminal=False,
        policy_version=1,
        intervention=False,
        safety_flags=0,
        latency_s=0.001,
    )


def measure(count: int, image: bool) -> dict[str, float]:
    spec = robot(image)
    steps = [make_step(sequence, spec) for sequence in range(count)]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with ExperienceWriter(directory, spec, actor_life=1, fsync_period_s=1.0) as writer:
            started_s = time.perf_counter()
            for step in steps:
                writer.append(step)
            append_s = time.perf_counter() - started_s
        bytes_per_step = writer.path.stat().st_size / count
        tail = ExperienceTail(directory, spec)
        started_s = time.perf_counter()
        read = len(tail.read())
        read_s = time.perf_counter() - started_s
        if read != count or tail.problems:
            raise RuntimeError(f"{count} steps written, {read} read: {tail.problems}")
    latency_ms = writer.append_latency.summary()
    return {
        "appends_per_s": count / append_s,
        "reads_per_s": count / read_s,
        "append_p50_ms": latency_ms["p50"],
        "append_p99_ms": latency_ms["p99"],
        "append_max_ms": latency_ms["max"],
        "bytes_per_step": bytes_per_step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--image", action="store_true", help="with a 64 x 64 camera picture in every step")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.steps, arguments.image)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:16} {value:12.4g}" if value < 100 else f"{name:16} {value:12,.0f}")


if __name__ == "__main__":
    main()
