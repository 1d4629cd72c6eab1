"""Kills processes of real sessions at random moments and looks whether anything is lost.

Runs `daydreamer learn ROBOT TASK` and `daydreamer resume` as an operator would, with networks so small that starting is
what takes the time. At random moments, while they start as well as while they run, one of them gets SIGKILL: the actor,
the learner, the twin, the command itself, or everything at once. Sometimes the session's directory is moved before it
is resumed. After each kill:

- every step that had been seen in the log before must be there, bit for bit, pictures too; in each actor life the
  sequence numbers must have neither gap nor duplicate;
- a replay filled as the learner fills it must hold what the log holds, step by step;
- what the actor's status had reported as logged must be there;
- the learner must go on at or beyond its newest checkpoint, and its gradient steps must rise again;
- what a resumed actor does first by a policy must be done by the newest one that had been published when everything
  had ended, byte for byte, unless its learner has published a newer one by then.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil

from daydreamer.experience.log import list_logs, next_actor_life
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail, last_sequence
from daydreamer.policy.snapshot import latest_snapshot, read_snapshot, snapshot_path
from daydreamer.replay import APPEND_SIZES, Replay, to_rows
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.seal import checkpoint_paths
from daydreamer.session.status import read_process_status

DAYDREAMER = (sys.executable, "-m", "daydreamer.cli.main")
SETTINGS = ("learner.checkpoint_period_s=2", "learner.publish_period_s=1")
PRESET = "tiny"
VICTIMS = {"actor": 3, "learner": 4, "twin": 2, "walk": 1, "everything": 3}
"""How often each is chosen, relative to each other."""
END_TIMEOUT_S = 600.0
PROGRESS_TIMEOUT_S = 900.0
MOVE_PROBABILITY = 0.25
_REPORTED = b""  # instead of a digest, where only the actor's word is known


@dataclasses.dataclass
class Report:
    """What the kills have come to.

    Attributes:
      kills: by victim.
      sessions, starts: sessions, and how often a command was started for one.
      moves: how often a session was moved to another directory before it was resumed.
      steps_logged: over all sessions.
      steps_lost, steps_altered, steps_duplicated, gaps: against what had been seen in the log before a kill.
      replay_differences: rows of the replay that were not what the log holds.
      problems: whatever else the reader of log or checkpoints complained about.
      learner_set_back: restarts after which the learner began below the newest checkpoint.
      learner_stuck: sessions whose gradient steps did not rise again.
      policies_resumed: resumed actor lives in which a policy acted that was there before; policies_newer: of them those
        in which the first to act was one that the resumed learner had published in the meantime.
      policies_set_back: lives in which the first to act was an older one, one that had not been published by then, or
        none, but for robots that explore by themselves.
      policies_altered: lives before which the policy was another one than under the same number afterwards.
      control_s: seconds from starting the command to the first step of the new actor life.
      training_s: seconds from starting the learner to its first gradient step; as its status shows, to 1 s.
      append_ms_p50, append_ms_p99: of the actor, as it last reported before each kill.
    """

    kills: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))
    sessions: int = 0
    starts: int = 0
    moves: int = 0
    steps_logged: int = 0
    steps_lost: int = 0
    steps_altered: int = 0
    steps_duplicated: int = 0
    gaps: int = 0
    replay_differences: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)
    learner_set_back: int = 0
    learner_stuck: int = 0
    policies_resumed: int = 0
    policies_newer: int = 0
    policies_set_back: int = 0
    policies_altered: int = 0
    control_s: list[float] = dataclasses.field(default_factory=list)
    training_s: list[float] = dataclasses.field(default_factory=list)
    append_ms_p50: list[float] = dataclasses.field(default_factory=list)
    append_ms_p99: list[float] = dataclasses.field(default_factory=list)

    @property
    def faults(self) -> int:
        """How often a promise was not kept; the exit status depends on it."""
        counted = (self.steps_lost, self.steps_altered, self.steps_duplicated, self.gaps, self.replay_differences)
        learner = self.learner_set_back + self.learner_stuck
        return sum(counted) + len(self.problems) + learner + self.policies_set_back + self.policies_altered

    def figures(self) -> dict:
        """For JSON: the lists of figures as count, median, 90th percentile and maximum."""
        values = dataclasses.asdict(self) | {"kills_in_all": sum(self.kills.values()), "faults": self.faults}
        for name in ("control_s", "training_s", "append_ms_p50", "append_ms_p99"):
            values[name] = _summary(values[name])
        return values


class SessionUnderFire:
    """One session, its command, and what has been seen of its log so far."""

    def __init__(
        self,
        directory: Path,
        number: int,
        domain: int,
        chance: random.Random,
        report: Report,
        arguments: Sequence[str],
    ):
        """`arguments` are those of `daydreamer learn` for it: robot, task and what they are to be like."""
        self.path = directory / f"session-{number}"
        self._directory = directory
        self._number = number
        self._environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "PYTHONPATH": os.pathsep.join(sys.path)}
        self._chance = chance
        self._report = report
        self._arguments = arguments
        self._walk: subprocess.Popen | None = None
        self._resumed: dict[int, tuple[int, bytes]] = {}
        self._seen: dict[tuple[int, int], bytes] = {}
        self._output = open(directory / f"session-{number}.txt", "ab")
        report.sessions += 1

    @property
    def running(self) -> bool:
        return self._walk is not None and self._walk.poll() is None

    def start(self) -> None:
        """Begins or resumes; returns at once."""
        arguments = ["learn", *self._arguments, "--session", str(self.path), "--no-dashboard"]
        if (self.path / "session.yaml").exists():
            if self._chance.random() < MOVE_PROBABILITY:
                self._move()
            arguments = ["resume", str(self.path)]
            self._note_policy()
        self._lives = len(list_logs(self.path / "experience"))
        self._started_s = time.monotonic()
        self._walk = subprocess.Popen(
            [*DAYDREAMER, *arguments, "--minutes", "600"],
            env=self._environment,
            stdout=self._output,
            stderr=self._output,
        )
        self._report.starts += 1

    def _note_policy(self) -> None:
        """Which policy there is for the actor life that begins now: nobody publishes one at the moment."""
        newest = latest_snapshot(self.path / "policy")
        if newest is not None:
            self._resumed[next_actor_life(self.path / "experience")] = int(newest.stem), _file_digest(newest)

    def _move(self) -> None:
        self._number += 1000
        target = self._directory / f"session-{self._number}"
        self.path.rename(target)
        self.path = target
        self._report.moves += 1

    def wait_for_control(self) -> None:
        """Until the new actor life has logged its first step."""

        def begun() -> bool:
            logs = list_logs(self.path / "experience")
            return len(logs) > self._lives and last_sequence(logs[max(logs)]) >= 0

        self._wait(begun, PROGRESS_TIMEOUT_S, "no control step")
        self._report.control_s.append(time.monotonic() - self._started_s)

    def wait_for_training(self) -> None:
        """Until the learner that runs now has made a gradient step of its own; there must be enough to learn from."""
        # Its own: the counter that it went on from is in its 'restored' event.
        begin_s = time.monotonic()
        while time.monotonic() - begin_s < PROGRESS_TIMEOUT_S:
            status, pid = read_process_status(Session.open(self.path), "learner"), self.pid_of("learner")
            if status is not None and status.pid == pid and status.state == "running":
                events = [event for event in read_events(self.path / "events.jsonl") if event["pid"] == pid]
                restored = [event["gradient_step"] for event in events if event["kind"] == "restored"]
                if (status.gradient_steps or 0) > max(restored, default=0):
                    start_s = next(event["wall_s"] for event in events if event["kind"] == "start")
                    self._report.training_s.append(time.time() - start_s)
                    return
            if not self.running:
                return
            time.sleep(0.1)
        self._report.learner_stuck += 1

    def pid_of(self, role: str) -> int | None:
        """The process id of whoever runs in this role; None if nobody does."""
        if role == "walk":
            return self._walk.pid if self.running else None
        module = {
            "actor": "ros_nodes.actor_node",
            "twin": "ros_nodes.twin_node",
            "learner": "daydreamer.learner.process",
        }
        for process in self._processes():
            if module[role] in _command_line(process):
                return process.pid
        return None

    def kill(self, victim: str) -> bool:
        """SIGKILL, now; False if there is no such process at the moment."""
        self._look()
        victims = [process.pid for process in self._processes()] if victim == "everything" else [self.pid_of(victim)]
        if victims in ([], [None]):
            return False
        newest = checkpoint_paths(self.path / "checkpoints")
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._report.kills[victim] += 1
        self._checkpoint_at_kill = int(newest[-1].name) if newest else 0
        self._killed_s = time.time()
        if victim != "learner":
            self._walk.wait(END_TIMEOUT_S)
            self._wait(lambda: not list(self._processes()), END_TIMEOUT_S, "a process outlived its session")
        return True

    def stop(self) -> None:
        """Ends the command as Ctrl-C does."""
        self._walk.send_signal(signal.SIGINT)
        self._walk.wait(END_TIMEOUT_S)

    def end(self) -> None:
        """Ends whatever is left of it."""
        for process in self._processes():
            process.kill()
        self._output.close()

    def check(self) -> None:
        """Reads log and events from the beginning and compares."""
        session = Session.open(self.path)
        steps = self._read(session)
        found: dict[tuple[int, int], bytes] = {}
        following: dict[int, int] = {}
        for step in steps:
            identity = (step.actor_life, step.sequence)
            self._report.steps_duplicated += identity in found
            self._report.gaps += step.sequence != following.get(step.actor_life, 0)
            following[step.actor_life] = step.sequence + 1
            found[identity] = _digest(step)
        self._report.steps_lost += len(self._seen.keys() - found.keys())
        self._report.steps_altered += sum(
            found.get(key, digest) != digest for key, digest in self._seen.items() if digest != _REPORTED
        )
        self._seen = found
        self._check_replay(session, steps)
        self._check_learner(session)
        self._check_policy(session, steps)

    def finish(self) -> None:
        """Counts what the session has come to; the learner that ended with it must have received all of it."""
        self.check()
        self._report.steps_logged += len(self._seen)
        received = read_process_status(Session.open(self.path), "learner").replay_steps
        self._report.replay_differences += abs(received - len(self._seen))

    def _look(self) -> None:
        """Notes which steps are in the log now, and what actor and learner report."""
        if not (self.path / "session.yaml").exists():
            return
        session = Session.open(self.path)
        status = read_process_status(session, "actor")
        if status is not None and status.append_ms is not None and status.append_ms.p50 is not None:
            self._report.append_ms_p50.append(status.append_ms.p50)
            self._report.append_ms_p99.append(status.append_ms.p99)
            if status.last_logged_sequence >= 0:
                self._seen.setdefault((status.actor_life, status.last_logged_sequence), _REPORTED)
        for step in self._read(session):
            self._seen[step.actor_life, step.sequence] = _digest(step)

    def _read(self, session: Session) -> list[Step]:
        tail = ExperienceTail(session.experience, session.spec)
        steps = tail.read()
        self._note(problem.text for problem in tail.problems)
        return steps

    def _check_replay(self, session: Session, steps: list[Step]) -> None:
        if not steps:
            return
        # Room for what a live actor logs meanwhile: it must not overwrite what is compared.
        replay = Replay(session.spec, len(steps) + APPEND_SIZES[-1])
        tail = ExperienceTail(session.experience, session.spec)
        while len(replay) < len(steps) and (batch := tail.read(APPEND_SIZES[1])):
            replay.append(batch)
        rows = to_rows(steps, session.spec)
        for name in ("reward", "actor_life", "sequence", "action", *(key for key in rows if "observation" in key)):
            held = np.asarray(replay.state.rows[name])[: len(steps)]
            self._report.replay_differences += int((held != rows[name]).reshape(len(steps), -1).any(-1).sum())

    def _check_learner(self, session: Session) -> None:
        """A learner that began after the kill must have begun at the newest checkpoint or beyond."""
        events = read_events(session.events)
        restored = [event for event in events if event["kind"] == "restored"]
        began = [event for event in restored if event["wall_s"] > self._killed_s]
        self._report.learner_set_back += sum(event["gradient_step"] < self._checkpoint_at_kill for event in began)
        self._note(event["error"] for event in events if event["kind"] == "checkpoint_damaged")

    def _check_policy(self, session: Session, steps: list[Step]) -> None:
        """Each resumed life is judged once, as soon as there is a step in it that is a policy's to choose."""
        config = session.config
        explores = make_task(config).make_behavior(config.actor, np.random.default_rng()) is not None
        random_steps = session.spec.steps(config.actor.random_s)
        for life, (version, digest) in list(self._resumed.items()):
            chosen = [step for step in steps[random_steps:] if step.actor_life == life]
            if explores:
                chosen = [step for step in chosen if step.policy_version]
            if not chosen:
                continue
            del self._resumed[life]
            acted, path = chosen[0].policy_version, snapshot_path(session.policy, version)
            self._report.policies_resumed += 1
            self._report.policies_newer += acted > version
            late = acted > version and _published_s(session, acted) > 1e-9 * chosen[0].wall_ns
            self._report.policies_set_back += acted < version or late
            self._report.policies_altered += path.exists() and _file_digest(path) != digest

    def _note(self, problems: Iterable[str]) -> None:
        self._report.problems += [text for text in problems if text not in self._report.problems]

    def _processes(self) -> Iterator[psutil.Process]:
        """Those that work for this session; the command itself first."""
        for process in psutil.process_iter():
            if process.pid != os.getpid() and str(self.path) in _command_line(process):
                yield process

    def _wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                raise TimeoutError(f"{self.path}: {what} within {timeout_s:g} s")
            time.sleep(0.05)


def fire(session: SessionUnderFire, kills: int, chance: random.Random, longest_s: float, measure: bool) -> None:
    """`kills` kills at moments up to `longest_s` after the start or the first control step; then a regular end."""
    done = 0
    while done < kills:
        if not session.running:
            session.start()
            # Half of the time what is killed is only starting.
            if chance.random() < 0.5:
                session.wait_for_control()
        time.sleep(chance.uniform(0, longest_s))
        victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        if not session.kill(victim):
            continue
        done += 1
        print(f"{session.path.name}: kill {done} of {kills}: {victim}", flush=True)
        if (session.path / "session.yaml").exists():
            session.check()
        if victim == "learner" and measure:
            session.wait_for_training()
    if not session.running:
        session.start()
    session.wait_for_control()
    session.wait_for_training()
    session.stop()
    session.finish()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return []


def _digest(step: Step) -> bytes:
    values = [step.monotonic_ns, step.wall_ns, step.reward, step.policy_version, step.is_first, step.is_last]
    digest = hashlib.sha256(repr(values).encode())
    for array in (step.action_requested, step.action_sent, *step.observation.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _file_digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _published_s(session: Session, version: int) -> float:
    """By the wall clock; 0 of one that has been removed by now."""
    path = snapshot_path(session.policy, version)
    return read_snapshot(path, session.spec)[1].created_wall_s if path.exists() else 0.0


def _summary(values: list[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    return {
        "count": len(values),
        "median": statistics.median(values),
        "p90": float(np.percentile(values, 90)),
        "max": max(values),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new directory for the sessions")
    parser.add_argument("--robot", default="a1", help="whose sessions they are")
    parser.add_argument("--task", default="walk")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=5, help="the kills are divided among them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--domain", type=int, default=20, help="ROS domain")
    parser.add_argument("--longest", type=float, default=8.0, metavar="S", help="longest wait before a kill")
    parser.add_argument("--measure", action=argparse.BooleanOptionalAction, default=True, help="wait for each learner")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further settings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    chance, report = random.Random(options.seed), Report()
    settings = [argument for setting in (*SETTINGS, *options.set) for argument in ("--set", setting)]
    arguments = [options.robot, options.task, "--preset", PRESET, *settings]
    for number in range(options.sessions):
        share = (number + 1) * options.kills // options.sessions - number * options.kills // options.sessions
        session = SessionUnderFire(options.out.absolute(), number + 1, options.domain, chance, report, arguments)
        try:
            fire(session, share, chance, options.longest, options.measure)
        finally:
            session.end()
        print(json.dumps(report.figures()), flush=True)
        if options.json:
            options.json.write_text(json.dumps(report.figures(), indent=2) + "\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
