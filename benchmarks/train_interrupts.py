"""Interrupts `daydreamer train` at random moments, and says what was kept: `python benchmarks/train_interrupts.py`.

Each try is a process of its own that is sent SIGINT while it learns. What it learned is kept if it ends by itself, with
status 130, and its newest checkpoint and policy are sound and as new as its status says.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import read_checkpoint
from daydreamer.policy.snapshot import latest_snapshot, read_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.seal import checkpoint_paths
from daydreamer.session.status import read_process_status


def attempt(directory: Path, delay_s: float) -> dict:
    """One try; `delay_s` after the first line that tells of gradient steps."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", "walk", "--preset", "tiny", "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--train-ratio", "200", "--out", str(directory)], stdout=subprocess.PIPE, text=True
    )
    lines = iter(process.stdout.readline, "")
    while " 0 gradient steps" in next(lines):
        pass
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    begin_s = time.monotonic()
    process.stdout.read()
    status = process.wait()
    result = {"delay_s": delay_s, "status": status, "ended_after_s": time.monotonic() - begin_s}
    session = Session.open(directory)
    agent = Agent(session.spec, session.config.model, session.config.learner)
    paths = checkpoint_paths(session.checkpoints)
    gradient_steps = read_process_status(session, "learner").gradient_steps
    if paths:
        _, progress = read_checkpoint(paths[-1], jax.eval_shape(lambda: agent.initialize(0)), session.spec.hash)
        read_snapshot(latest_snapshot(session.policy), session.spec)
        result |= {"checkpoint": int(paths[-1].name), "env_steps": progress.env_steps}
    result |= {"gradient_steps": gradient_steps}
    result["kept"] = status == 130 and result.get("checkpoint") == gradient_steps
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    results = []
    for number in range(options.tries):
        with tempfile.TemporaryDirectory(prefix="daydreamer-") as directory:
            results.append(attempt(Path(directory).resolve() / "session", draw.uniform(0.0, 3.0)))
        print(f"{number + 1}: {results[-1]}", flush=True)
    kept = sum(result["kept"] for result in results)
    print(f"kept what was learned: {kept} of {len(results)}")
    if options.out:
        options.out.write_text(json.dumps({"tries": len(results), "kept": kept, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
