"""Other learners on the twin: minutes until it is upright, stands and walks.

    pip install '.[peers]'
    python benchmarks/peers.py --peer sac|crossq|droq --out FILE [--steps 20000] [--seed 0] [--update-ratio R]

    git clone https://github.com/danijar/dreamerv3 DIR
    pip install chex einops elements granular jaxtyping ninjax optax portal ruamel.yaml
    python benchmarks/peers.py --peer dreamerv3 --dreamerv3 DIR --out FILE [--train-ratio R]

The robot is driven by our own control loop: the clock, the random beginning, filter, safety, observation and reward are
those of `daydreamer train walk` with the same seed, and the steps of the first `actor.random_s` are the same. Every
learner begins to learn at the end of them and, unlike ours, does not make up for the updates that they would have
allowed. Episodes end by time only, and nothing is ever reset. Everything runs in lock-step, on the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jax

from daydreamer.compilation import keep_compilations
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.robots.registry import make_task
from daydreamer.session.new import configure

DREAMERV3 = "dreamerv3"
PEERS = ("sac", "crossq", "droq", DREAMERV3)
PACKAGES = ("daydreamer", "jax", "mujoco", "numpy", "flax", "sbx-rl", "stable-baselines3", "elements", "ninjax")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--steps", type=int, default=20_000, help="of the robot, 20 a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON")
    parser.add_argument(
        "--update-ratio", type=int, metavar="R", help="gradient steps per step; as published if left out"
    )
    parser.add_argument("--train-ratio", type=float, metavar="R", help="dreamerv3: replayed steps per step, 1024")
    parser.add_argument("--dreamerv3", type=Path, metavar="DIR", help="a checkout of their repository")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    check(parser, arguments)
    try:
        config = configure(
            robot="a1", minutes=arguments.steps / 1200, seed=arguments.seed, overrides=arguments.overrides
        )
        jax.config.update("jax_platforms", "cpu")
        keep_compilations()
        run(arguments, config)
    except UserError as error:
        parser.error(str(error))
    except ModuleNotFoundError as error:
        parser.error(
            f"{error.name} is not installed; see the top of {Path(__file__).name} for what {arguments.peer} needs"
        )


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Ends the program if the arguments make no sense together."""
    is_dreamerv3 = arguments.peer == DREAMERV3
    if is_dreamerv3 and not (arguments.dreamerv3 and (arguments.dreamerv3 / "dreamerv3" / "main.py").is_file()):
        parser.error("--peer dreamerv3 needs --dreamerv3 DIR, a checkout of https://github.com/danijar/dreamerv3")
    if is_dreamerv3 and arguments.update_ratio is not None:
        parser.error("dreamerv3 counts replayed steps; use --train-ratio instead of --update-ratio")
    if not is_dreamerv3 and arguments.train_ratio is not None:
        parser.error("--train-ratio is dreamerv3's; use --update-ratio")
    if arguments.update_ratio is not None and arguments.update_ratio < 1:
        parser.error("--update-ratio must be 1 or more")
    if not arguments.out.absolute().parent.is_dir():
        parser.error(f"the folder of {arguments.out} does not exist")


def run(arguments: argparse.Namespace, config: SessionConfig) -> None:
    """One run, from the robot on its back to the file.

    Raises:
      UserError: see `Twin`.
      ModuleNotFoundError: what the peer needs is not installed.
    """
    from peer_learners.record import RunRecord
    from peer_learners.robot import PeerRobot

    common: dict[str, Any] = {
        "steps": arguments.steps,
        "seed": arguments.seed,
        "begin_steps": make_task(config).spec.steps(config.actor.random_s),
    }
    with contextlib.closing(PeerRobot(config)) as robot:
        if arguments.peer == DREAMERV3:
            from peer_learners import official_dreamerv3

            settings = {"configuration": official_dreamerv3.CONFIGURATION, "train_ratio": arguments.train_ratio}
            record = RunRecord(arguments.out, robot.spec.control_period_s, describe(arguments, settings))
            official_dreamerv3.train(
                robot,
                record,
                checkout=arguments.dreamerv3.resolve(),
                train_ratio=arguments.train_ratio,
                **common,
            )
        else:
            from peer_learners import stable_baselines

            ratio = arguments.update_ratio or stable_baselines.UPDATE_RATIOS[arguments.peer]
            settings = stable_baselines.settings(arguments.peer, ratio)
            record = RunRecord(arguments.out, robot.spec.control_period_s, describe(arguments, settings))
            stable_baselines.train(robot, record, arguments.peer, **common, **settings)
        record.save()


def describe(arguments: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    if arguments.peer == DREAMERV3:
        revision = ["git", "-C", str(arguments.dreamerv3), "rev-parse", "HEAD"]
        versions["dreamerv3_commit"] = subprocess.run(revision, capture_output=True, text=True).stdout.strip() or None
    return {
        "peer": arguments.peer,
        "seed": arguments.seed,
        "command": command(arguments),
        "settings": settings,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "versions": versions,
    }


def command(arguments: argparse.Namespace) -> str:
    """What to type for the same run, without the paths of this machine."""
    words = ["python", "benchmarks/peers.py", "--peer", arguments.peer]
    words += ["--steps", str(arguments.steps), "--seed", str(arguments.seed)]
    if arguments.update_ratio is not None:
        words += ["--update-ratio", str(arguments.update_ratio)]
    if arguments.train_ratio is not None:
        words += ["--train-ratio", f"{arguments.train_ratio:g}"]
    if arguments.peer == DREAMERV3:
        words += ["--dreamerv3", "DIR"]
    for override in arguments.overrides:
        words += ["--set", override]
    return shlex.join([*words, "--out", "FILE"])


if __name__ == "__main__":
    main()
