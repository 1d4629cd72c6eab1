"""Other learners on the twins: how soon the A1 walks, and the Burger finds its goal by its camera.

    pip install '.[peers]'
    python benchmarks/peers.py --peer sac|crossq|droq --out FILE [--steps 20000] [--seed 0] [--update-ratio R]
    python benchmarks/peers.py --robot burger --task reach --peer sac_images --out FILE [--shift 4] [--threads 1]

    daydreamer demonstrate so101 pick_place_fine --out SHOWN
    python benchmarks/peers.py --robot so101 --task pick_place_fine --peer rlpd --demonstrations SHOWN --out FILE

    git clone https://github.com/danijar/dreamerv3 DIR
    pip install chex einops elements granular jaxtyping ninjax optax portal ruamel.yaml
    python benchmarks/peers.py --peer dreamerv3 --dreamerv3 DIR --out FILE [--train-ratio R]
    python benchmarks/peers.py --robot burger --task reach --peer dreamerv3 --dreamerv3 DIR --out FILE [--train-ratio R]

The robot is driven by our own control loop: the clock, the random beginning, filter, safety, observation and reward are
those of `daydreamer train` with the same seed, and the steps of the first `actor.random_s` are the same. Every learner
begins to learn at the end of them and, unlike ours, does not make up for the updates that they would have allowed.
Nothing is ever reset: the A1's episodes end by time only, and the Burger drives off by itself. Everything runs in
lock-step, on the CPU, but that with --gpu the peers that use JAX learn and act on JAX's first GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import math
import os
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jax
import msgspec

from daydreamer.compilation import keep_compilations
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.robots.registry import make_task
from daydreamer.session.new import configure

DREAMERV3 = "dreamerv3"
SAC_IMAGES = "sac_images"
RLPD = "rlpd"
BLIND = ("sac", "crossq", "droq")
"""The peers that cannot learn from pictures."""
PEERS = (*BLIND, SAC_IMAGES, RLPD, DREAMERV3)
PACKAGES = (
    *("daydreamer", "jax", "mujoco", "numpy", "flax", "sbx-rl", "stable-baselines3", "torch", "elements", "ninjax"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--robot", default="a1")
    parser.add_argument("--task", help="what it learns; its usual task if left out")
    parser.add_argument("--steps", type=int, default=20_000, help="of the robot; the A1 makes 20 a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON")
    parser.add_argument(
        "--update-ratio", type=int, metavar="R", help="gradient steps per step; as published if left out"
    )
    parser.add_argument(
        "--train-ratio", type=float, metavar="R", help="dreamerv3: replayed steps per step, 1024, with pictures 256"
    )
    parser.add_argument("--shift", type=int, default=4, help="sac_images: pixels by which pictures are moved")
    parser.add_argument("--threads", type=int, default=1, help="sac_images: of PyTorch")
    parser.add_argument(
        "--demonstrations", type=Path, nargs="+", default=[], metavar="SESSION", help="rlpd: half of each batch"
    )
    parser.add_argument("--critics", type=int, metavar="N", help="rlpd: as published, 10, if left out")
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="rlpd: where it begins; as published, 1, if left out"
    )
    parser.add_argument("--dreamerv3", type=Path, metavar="DIR", help="a checkout of their repository")
    parser.add_argument("--gpu", action="store_true", help="not the CPU")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    check(parser, arguments)
    try:
        config = make_config(arguments)
        jax.config.update("jax_platforms", "cuda,cpu" if arguments.gpu else "cpu")
        keep_compilations()
        run(arguments, config)
    except UserError as error:
        parser.error(str(error))
    except ModuleNotFoundError as error:
        parser.error(
            f"{error.name} is not installed; see the top of {Path(__file__).name} for what {arguments.peer} needs"
        )


def make_config(arguments: argparse.Namespace) -> SessionConfig:
    """The session that `daydreamer train` would have, of as many steps.

    Raises:
      UserError: there is no such robot or task, a setting is wrong, or the peer cannot learn from what the task sees.
    """
    named = {"task": arguments.task} if arguments.task else {}
    config = configure(
        robot=arguments.robot,
        minutes=1.0,
        seed=arguments.seed,
        overrides=arguments.overrides,
        is_shown=bool(arguments.demonstrations),
        **named,
    )
    spec = make_task(config).spec
    sees = any(space.is_image for space in spec.observation.values())
    unable = BLIND if sees else (SAC_IMAGES,)
    if arguments.peer in unable:
        able = ", ".join(peer for peer in PEERS if peer not in unable)
        raise UserError(
            f"--peer {arguments.peer} cannot learn from what '{config.task}' of '{config.robot}' observes; try {able}."
        )
    if spec.action.classes:
        raise UserError(f"The actions of '{config.task}' of '{config.robot}' are choices; peers learn motions alone.")
    return msgspec.structs.replace(config, minutes=arguments.steps * spec.control_period_s / 60)


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Ends the program if the arguments make no sense together."""
    is_dreamerv3 = arguments.peer == DREAMERV3
    if is_dreamerv3 and not (arguments.dreamerv3 and (arguments.dreamerv3 / "dreamerv3" / "main.py").is_file()):
        parser.error("--peer dreamerv3 needs --dreamerv3 DIR, a checkout of https://github.com/danijar/dreamerv3")
    if is_dreamerv3 and arguments.update_ratio is not None:
        parser.error("dreamerv3 counts replayed steps; use --train-ratio instead of --update-ratio")
    if not is_dreamerv3 and arguments.train_ratio is not None:
        parser.error("--train-ratio is dreamerv3's; use --update-ratio")
    if (arguments.peer == RLPD) != bool(arguments.demonstrations):
        parser.error("--peer rlpd and --demonstrations SESSION, of 'daydreamer demonstrate', belong together")
    if arguments.peer != RLPD and (arguments.critics is not None or arguments.temperature is not None):
        parser.error("--critics and --temperature are rlpd's")
    if arguments.critics is not None and arguments.critics < 2:
        parser.error("--critics must be 2 or more")
    if arguments.temperature is not None and not 0 < arguments.temperature < math.inf:
        parser.error("--temperature must be above 0")
    if arguments.update_ratio is not None and arguments.update_ratio < 1:
        parser.error("--update-ratio must be 1 or more")
    if arguments.gpu and arguments.peer == SAC_IMAGES:
        parser.error("sac_images uses PyTorch on the CPU; leave out --gpu")
    if not arguments.out.absolute().parent.is_dir():
        parser.error(f"the folder of {arguments.out} does not exist")


def run(arguments: argparse.Namespace, config: SessionConfig) -> None:
    """One run, from the robot on its back to the file.

    Raises:
      UserError: see `Twin`.
      ModuleNotFoundError: what the peer needs is not installed.
    """
    if arguments.peer == SAC_IMAGES:
        from peer_learners import image_sac  # before the robot's renderer, see there
    from peer_learners.record import RunRecord
    from peer_learners.robot import PeerRobot

    task = make_task(config)
    common: dict[str, Any] = {
        "steps": arguments.steps,
        "seed": arguments.seed,
        "begin_steps": task.spec.steps(config.actor.random_s),
    }

    def make_record(settings: dict[str, Any]) -> RunRecord:
        description = describe(arguments, config, settings)
        return RunRecord(arguments.out, task.spec.control_period_s, task.presentation, description)

    with contextlib.closing(PeerRobot(config)) as robot:
        if arguments.peer == DREAMERV3:
            from peer_learners import official_dreamerv3

            names = official_dreamerv3.configurations(robot.spec)
            record = make_record({"configurations": names, "train_ratio": arguments.train_ratio})
            official_dreamerv3.train(
                robot,
                record,
                checkout=arguments.dreamerv3.resolve(),
                train_ratio=arguments.train_ratio,
                platform="cuda" if arguments.gpu else "cpu",
                **common,
            )
        elif arguments.peer == SAC_IMAGES:
            ratio = arguments.update_ratio or image_sac.UPDATE_RATIO
            settings = image_sac.settings(ratio, config.learner.discount, arguments.shift)
            record = make_record(settings)
            image_sac.train(robot, record, threads=arguments.threads, **common, **settings)
        elif arguments.peer == RLPD:
            from peer_learners import rlpd
            from peer_learners.shown import read_shown

            shown = read_shown(arguments.demonstrations, robot.spec)
            settings = rlpd.settings(
                arguments.update_ratio or rlpd.UPDATE_RATIO,
                arguments.critics or rlpd.CRITICS,
                arguments.temperature or rlpd.TEMPERATURE,
                robot.spec.action.size,
            )
            record = make_record(settings | {"demonstrations": shown.sources})
            rlpd.train(robot, record, shown, **common, **settings)
        else:
            from peer_learners import stable_baselines

            ratio = arguments.update_ratio or stable_baselines.UPDATE_RATIOS[arguments.peer]
            settings = stable_baselines.settings(arguments.peer, ratio)
            record = make_record(settings)
            stable_baselines.train(robot, record, arguments.peer, **common, **settings)
        record.save()


def describe(arguments: argparse.Namespace, config: SessionConfig, settings: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run."""
    versions = {"python": platform.python_version()}
    accelerator = jax.devices()[0].device_kind if arguments.gpu else "no GPU"
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    if arguments.peer == DREAMERV3:
        revision = ["git", "-C", str(arguments.dreamerv3), "rev-parse", "HEAD"]
        versions["dreamerv3_commit"] = subprocess.run(revision, capture_output=True, text=True).stdout.strip() or None
    return {
        "robot": config.robot,
        "task": config.task,
        "peer": arguments.peer,
        "seed": arguments.seed,
        "command": command(arguments),
        "settings": settings,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {accelerator}",
        "versions": versions,
    }


def command(arguments: argparse.Namespace) -> str:
    """What to type for the same run, without the paths of this machine."""
    words = ["python", "benchmarks/peers.py", "--robot", arguments.robot, "--peer", arguments.peer]
    if arguments.task:
        words += ["--task", arguments.task]
    words += ["--steps", str(arguments.steps), "--seed", str(arguments.seed)]
    if arguments.update_ratio is not None:
        words += ["--update-ratio", str(arguments.update_ratio)]
    if arguments.train_ratio is not None:
        words += ["--train-ratio", f"{arguments.train_ratio:g}"]
    if arguments.peer == SAC_IMAGES:
        words += ["--shift", str(arguments.shift), "--threads", str(arguments.threads)]
    for name in ("critics", "temperature"):
        if (value := getattr(arguments, name)) is not None:
            words += [f"--{name}", f"{value:g}"]
    if arguments.demonstrations:
        words += ["--demonstrations", *("SESSION" for _ in arguments.demonstrations)]
    if arguments.peer == DREAMERV3:
        words += ["--dreamerv3", "DIR"]
    if arguments.gpu:
        words.append("--gpu")
    for override in arguments.overrides:
        words += ["--set", override]
    return shlex.join([*words, "--out", "FILE"])


if __name__ == "__main__":
    main()
