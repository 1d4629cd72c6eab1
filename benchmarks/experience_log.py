"""How fast steps are written to and read from the experience log.

    python benchmarks/experience_log.py [--steps N] [--image | --session DIR] [--pictures FORMAT] [--json]

Appends are one write() each, with fsync every second in the background; reads check every checksum. With `--session`
they are those of a session, whose pictures are what a camera sees and not noise; it is not changed. Compressed pictures
are one write() more. Steps per second are by the time of the thread's processor, which others' work lengthens less than
the clock's; what a single append took (`append_*_ms`) is by the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np

from daydreamer.config import PictureFormat
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.pictures import PictureStorage
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

BLOCK_STEPS = 4096


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


def steps_of(path: Path, count: int) -> tuple[RobotSpec, list[Step], float]:
    """Robot and steps of a session's first life, and how long it took, in s."""
    session = Session.open(path)
    steps = [step for step in ExperienceTail(session.experience, session.spec).read(count) if step.actor_life == 1]
    return session.spec, steps, 1e-9 * (steps[-1].wall_ns - steps[0].wall_ns)


def measure(spec: RobotSpec, steps: list[Step], pictures: PictureStorage) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with ExperienceWriter(directory, spec, 1, fsync_period_s=1.0, pictures=pictures) as writer:
            started_s = time.thread_time()
            for step in steps:
                writer.append(step)
            append_s = time.thread_time() - started_s
        bytes_per_step = sum(path.stat().st_size for path in directory.iterdir()) / len(steps)
        tail = ExperienceTail(directory, spec)
        started_s = time.thread_time()
        read = 0
        while batch := tail.read(BLOCK_STEPS):
            read += len(batch)
        read_s = time.thread_time() - started_s
        if read != len(steps) or tail.problems:
            raise RuntimeError(f"{len(steps)} steps written, {read} read: {tail.problems}")
    latency_ms = writer.append_latency.summary()
    return {
        "appends_per_s": len(steps) / append_s,
        "reads_per_s": len(steps) / read_s,
        "append_p50_ms": latency_ms["p50"],
        "append_p99_ms": latency_ms["p99"],
        "append_max_ms": latency_ms["max"],
        "bytes_per_step": bytes_per_step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20_000)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--image", action="store_true", help="with a 64 x 64 camera picture of noise in every step")
    origin.add_argument("--session", type=Path, help="of which the steps are; --steps at most")
    parser.add_argument("--pictures", choices=get_args(PictureFormat), default="raw")
    parser.add_argument("--quality", type=int, default=95, help="of a JPEG")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pictures = PictureStorage(arguments.pictures, arguments.quality)
    if arguments.session:
        spec, steps, seconds = steps_of(arguments.session, arguments.steps)
        result = measure(spec, steps, pictures)
        result["mb_per_hour"] = 1e-6 * result["bytes_per_step"] * len(steps) * 3600 / seconds
    else:
        spec = robot(arguments.image)
        result = measure(spec, [make_step(sequence, spec) for sequence in range(arguments.steps)], pictures)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:16} {value:12.4g}" if value < 100 else f"{name:16} {value:12,.0f}")


if __name__ == "__main__":
    main()
