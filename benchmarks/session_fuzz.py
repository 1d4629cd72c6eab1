"""Damages the files of a session, one at a time, and lets every command that reads sessions look at it.

    python benchmarks/session_fuzz.py [--mutations 600] [--camera] [--out benchmarks/results/session_fuzz.json]

A mutation changes bytes of a file (a bit, a digit, zeros, cut off, emptied, inserted, deeply nested), takes it away, or
puts something else in its place (a link out of the session, a pipe, a folder, a hole of a terabyte). For each kind of
file it is counted how often a command ended in a traceback, did not end, opened something outside of the session, or
showed something else than before while neither it nor `doctor` said that anything is wrong.

Commands run in a process of their own that is used again, so that its peak memory says something (what a command adds
to it says more, and whose it was is named); every 50th mutation is looked at by real commands, too.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from daydreamer.errors import UserError

TIMEOUT_S = 300.0
"""After which a look counts as hung, also on a machine that others use."""
SECRET = "must not be read, and not be changed"
REAL_EVERY = 50
PICTURES_EVERY = 7
"""The quick way draws for one mutation in so many; drawing takes longer than all else together. It has no factor in
common with the kinds of files or of mutations, 16 or 17 each, so that all of them have their turn."""
COMMANDS = ("status", "doctor", "report", "pictures", "watch", "narrator", "replay", "lock")
HARDLY_READ, NOT_SHOWN = ("checkpoints", "launch.json", "locks", "log", "policy"), ("status", "doctor", "lock")
"""Kinds of files that `report`, `watch` and `replay` show nothing of, and those who look at them."""


# What is done to a file -----------------------------------------------------------------------------------------------


def _bit(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _digit(content: bytes, draw: random.Random) -> bytes:
    places = [match.start() for match in re.finditer(rb"[0-9]", content)]
    changed = bytearray(content)
    if places:
        place = draw.choice(places)
        changed[place] = draw.choice([digit for digit in b"0123456789" if digit != changed[place]])
    return bytes(changed)


def _zeros(content: bytes, draw: random.Random) -> bytes:
    begin = draw.randrange(len(content) + 1)
    end = min(len(content), begin + draw.choice((1, 16, 4096)))
    return content[:begin] + bytes(end - begin) + content[end:]


def _cut_off(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _emptied(content: bytes, draw: random.Random) -> bytes:
    return b""


def _inserted(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.randbytes(draw.choice((1, 8, 300))) + content[place:]


def _nested(content: bytes, draw: random.Random) -> bytes:
    return content + draw.choice((b"[", b'{"a":')) * 100_000 + b"\n"


def _escapes(content: bytes, draw: random.Random) -> bytes:
    """Texts become what a terminal obeys, and rich's markup."""
    words = [match.span() for match in re.finditer(rb"[a-z_]{5,}", content)]
    if not words:
        return content
    begin, end = draw.choice(words)
    return content[:begin] + draw.choice((b"\\u001b]0;x\\u0007\\u001b[6n", b"[/x][bold]", b"\x1b[6n")) + content[end:]


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bit": _bit,
    "digit": _digit,
    "zeros": _zeros,
    "cut off": _cut_off,
    "emptied": _emptied,
    "inserted": _inserted,
    "nested": _nested,
    "escapes": _escapes,
}


def _gone(path: Path, outside: Path) -> None:
    path.unlink()


def _link(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside / "secret")


def _dangling_link(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside / "made by the session")


def _pipe(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path, outside: Path) -> None:
    path.unlink()
    path.mkdir()


def _hole(path: Path, outside: Path) -> None:
    os.truncate(path, 1 << 40)


def _linked_folder(path: Path, outside: Path) -> None:
    """The folder of the file is a link to a copy outside."""
    folder = path.parent
    shutil.move(folder, outside / "folder")
    folder.symlink_to(outside / "folder")


REPLACEMENTS: dict[str, Callable[[Path, Path], None]] = {
    "gone": _gone,
    "link": _link,
    "dangling link": _dangling_link,
    "pipe": _pipe,
    "device": _device,
    "folder": _folder,
    "hole": _hole,
    "linked folder": _linked_folder,
}


@dataclasses.dataclass(frozen=True)
class Mutation:
    """`what` is done to the file at `name`, relative to the session; `seed` says where exactly."""

    name: str
    what: str
    seed: int

    def apply(self, session: Path, outside: Path) -> None:
        path = session / self.name
        if self.what in CHANGES:
            path.write_bytes(CHANGES[self.what](path.read_bytes(), random.Random(self.seed)))
        elif self.what != "linked folder" or path.parent != session:
            REPLACEMENTS[self.what](path, outside)


def kind_of(name: str) -> str:
    """Kind of a session's file, by which results are counted."""
    folder = name.split("/")[0]
    if folder == "checkpoints":
        return "checkpoints (record)" if name.endswith("progress/metadata") else "checkpoints (arrays)"
    if folder in ("policy", "status", "dreams") and not name.endswith(".safetensors"):
        return f"{folder} ({Path(name).name})"
    return "experience (pictures)" if name.endswith(".pictures.mcap") else folder


def draw_mutations(session: Path, count: int, seed: int) -> list[Mutation]:
    """As many of each kind of file, and of each of these as many of each change."""
    draw = random.Random(seed)
    files = collections.defaultdict(list)
    for path in sorted(path for path in session.rglob("*") if path.is_file()):
        name = str(path.relative_to(session))
        files[kind_of(name)].append(name)
    whats = [*CHANGES, *REPLACEMENTS]
    mutations = []
    for number in range(count):
        kinds = sorted(files)
        kind = kinds[number % len(kinds)]
        what = whats[(number // len(kinds)) % len(whats)]
        mutations.append(Mutation(draw.choice(files[kind]), what, draw.randrange(1 << 30)))
    return mutations


# What looks at it -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Seen:
    """What a command showed, with the sentences by which it said that something is wrong."""

    shown: str
    named: list[str]


def _see(command: str, path: Path) -> Seen:
    """Runs a command on a session, as its function of the command line does.

    Raises:
      UserError, and whatever it should not.
    """
    from daydreamer.session.directory import Session

    return globals()[f"_see_{command}"](Session.open(path))


def _see_status(session) -> Seen:
    from daydreamer.cli.status import show_status

    as_json = json.loads(_output(lambda: show_status(session.path, True)))
    text = _output(lambda: show_status(session.path, False))
    _require_printable(text)
    for process in as_json["processes"].values():
        process["heartbeat_age_s"] = None
    named = [*as_json["problems"], *(f"{each['rule']} {each['sentence']}" for each in as_json["advice"])]
    return Seen(json.dumps(as_json), named)


def _see_doctor(session) -> Seen:
    from daydreamer.doctor import examine

    findings = list(examine(session))
    text = "\n".join(f"{each.part} {each.text}" for each in findings)
    return Seen(text, [f"{each.part} {each.text}" for each in findings if each.state != "sound"])


def _see_report(session) -> Seen:
    """Its text; the pictures are a matter of their own."""
    from daydreamer.report import page
    from daydreamer.report.history import read_history

    pictures, page.PICTURES = page.PICTURES, ()
    try:
        path, verdict = page.write_report(session)
    finally:
        page.PICTURES = pictures
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:+-]+", "", path.read_text())
    return Seen(text, [*read_history(session).problems, *verdict.wrong])


def _see_pictures(session) -> Seen:
    from daydreamer.report.figures import Missing
    from daydreamer.report.history import read_history
    from daydreamer.report.page import PICTURES

    history, shown = read_history(session), []
    for picture in PICTURES:
        try:
            shown.append(hashlib.sha256(picture.make(history)).hexdigest())
        except Missing as missing:
            shown.append(str(missing))
    return Seen("\n".join(shown), history.problems)


def _see_watch(session) -> Seen:
    """All that the dashboard draws, without a server."""
    from daydreamer.viewer.dashboard import Dashboard

    logged = io.StringIO()
    with _logging_to(logged):
        dashboard = Dashboard(session, session.config.minutes, None)
        try:
            for _ in range(200):
                if not dashboard.update():
                    break
        finally:
            dashboard.close()
    return Seen("", logged.getvalue().splitlines())


def _see_narrator(session) -> Seen:
    from daydreamer.cli.narrator import Narrator
    from daydreamer.cli.progress import describe, summarise
    from daydreamer.session.dashboard import dashboard_url
    from daydreamer.session.status import read_status

    said: list[str] = []
    narrator = Narrator(session, said.append)
    narrator.look()
    status = read_status(session)
    said += [describe(status, session, 60.0), *summarise(status), str(dashboard_url(session))]
    return Seen("\n".join(said), list(narrator.wrong))


def _see_replay(session) -> Seen:
    from daydreamer.experience.log import list_logs
    from daydreamer.experience.tail import LogTail

    steps = sum(len(LogTail(path, session.spec).read()) for path in list_logs(session.experience).values())
    return Seen(str(steps), [])


def _see_lock(session) -> Seen:
    """What comes before `resume` starts anything."""
    from daydreamer.cli.launching import launch_record
    from daydreamer.session.progress import minutes_to_go

    session.require_resumable()
    launch_record(session)
    with contextlib.suppress(UserError):
        minutes_to_go(session, None)
    with session.lock("session"), session.lock("actor"), session.lock("learner"):
        return Seen("", [])


def _output(command: Callable[[], object]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        command()
    return output.getvalue()


@contextlib.contextmanager
def _logging_to(stream: io.StringIO) -> Iterator[None]:
    import logging

    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _require_printable(text: str) -> None:
    if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        raise AssertionError("control characters reach the terminal")


def look(path: Path, commands: Sequence[str] = COMMANDS) -> dict[str, dict]:
    """By command: what it showed and named, the traceback or sentence that it ended in, its time and memory."""
    results = {}
    for command in commands:
        begin_s, before_mb = time.monotonic(), _forget_peak_memory()
        result = {"shown": "", "named": [], "sentence": "", "traceback": ""}
        try:
            seen = _see(command, path)
            result |= {"shown": seen.shown.replace(str(path), "DIR"), "named": seen.named}
        except UserError as error:
            result["sentence"] = str(error)
        except Exception:
            result["traceback"] = traceback.format_exc()
        peak_mb = _peak_memory_mb()
        result |= {"seconds": time.monotonic() - begin_s, "peak_memory_mb": peak_mb}
        results[command] = result | {"added_memory_mb": peak_mb - before_mb}
    return results


def _forget_peak_memory() -> float:
    """So that a peak is that of one command; returns what the process has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_memory_mb()


def _peak_memory_mb() -> float:
    peak_kib = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak_kib[1]) / 1024


# Counting -------------------------------------------------------------------------------------------------------------


class Worker:
    """A process that looks; another one takes its place when it hangs."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn")
        self._process = None

    def look(self, path: Path, commands: Sequence[str] = COMMANDS) -> dict[str, dict] | None:
        """None if it hung, or died."""
        if self._process is None:
            self._connection, theirs = self._pool.Pipe()
            self._process = self._pool.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        self._connection.send((path, commands))
        try:
            if self._connection.poll(TIMEOUT_S):
                return self._connection.recv()
        except EOFError:
            pass
        self.close()
        return None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = None


def _serve(connection) -> None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        while True:
            connection.send(look(*connection.recv()))


def judge(before: dict[str, dict], after: dict[str, dict] | None, outside: Path) -> dict[str, list[str]]:
    """What went wrong: `{kind: [command and why]}` with the kinds 'traceback', 'hang', 'outside', 'silent'."""
    wrong = collections.defaultdict(list)
    if after is None:
        return {"hang": ["all: it hung, or died"]}
    if (outside / "secret").read_text() != SECRET or (outside / "made by the session").exists():
        wrong["outside"].append("a file outside of the session was changed or made")
    for command, result in after.items():
        if result["traceback"]:
            wrong["traceback"].append(f"{command}: {result['traceback']}")
        if SECRET in result["shown"]:
            wrong["outside"].append(f"{command} shows a file outside of the session")
    doctor = after["doctor"]
    doctor_names = bool(doctor["sentence"] or set(doctor["named"]) - set(before["doctor"]["named"]))
    for command, result in after.items():
        differs = result["shown"] != before[command]["shown"]
        names = result["sentence"] or set(result["named"]) - set(before[command]["named"])
        if command != "doctor" and differs and not (names or result["traceback"] or doctor_names):
            wrong["silent"].append(command)
    return dict(wrong)


def look_for_real(path: Path) -> list[str]:
    """Tracebacks and hangs of real commands."""
    wrong = []
    for command in ("status", "doctor", "report"):
        try:
            result = subprocess.run(
                [sys.executable, "-m", "daydreamer.cli.main", command, str(path)],
                capture_output=True,
                timeout=TIMEOUT_S,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            wrong.append(f"{command} does not end")
            continue
        if b"Traceback" in result.stderr or result.returncode not in (0, 1, 2):
            wrong.append(f"{command}: {result.stderr.decode(errors='replace')}")
    return wrong


def fuzz(
    base: Path,
    mutations: list[Mutation],
    worker: Worker,
    say: Callable[[str], None],
    real_every: int = REAL_EVERY,
    quick: bool = False,
    minutes: float = float("inf"),
) -> dict:
    """Applies each mutation to a fresh copy of `base`; counts by kind of file, with the findings in words.

    `quick` leaves out commands that do not open a file of this kind, and draws pictures of some only; after
    `minutes` no further one is begun.
    """
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    findings = []
    slowest_s, begin_s = 0.0, time.monotonic()
    peak_mb, most_added = 0.0, {"mb": 0.0, "command": "", "mutation": {}}
    with tempfile.TemporaryDirectory(prefix="daydreamer-fuzz-") as directory:
        place = Path(directory).resolve()
        pristine = place / "session"
        shutil.copytree(base, pristine)
        before = worker.look(pristine)
        assert before is not None and not any(each["traceback"] or each["sentence"] for each in before.values()), before
        shutil.rmtree(pristine)
        for number, mutation in enumerate(mutations, start=1):
            if time.monotonic() > begin_s + 60.0 * minutes:
                break
            outside = place / "outside"
            outside.mkdir()
            (outside / "secret").write_text(SECRET)
            shutil.copytree(base, pristine)
            mutation.apply(pristine, outside)
            commands = COMMANDS
            if quick and kind_of(mutation.name).split(" ")[0] in HARDLY_READ:
                commands = NOT_SHOWN
            elif quick and number % PICTURES_EVERY:
                commands = [command for command in COMMANDS if command != "pictures"]
            after = worker.look(pristine, commands)
            wrong = judge(before, after, outside)
            if real_every and number % real_every == 0 and (real := look_for_real(pristine)):
                wrong.setdefault("traceback", []).extend(real)
            if number % 50 == 0:
                say(f"{number} mutations, {time.monotonic() - begin_s:.0f} s")
            kind = kind_of(mutation.name)
            counts[kind]["mutations"] += 1
            for command, result in (after or {}).items():
                slowest_s = max(slowest_s, result["seconds"])
                peak_mb = max(peak_mb, result["peak_memory_mb"])
                if (added_mb := result["added_memory_mb"]) > most_added["mb"]:
                    most_added = {"mb": added_mb, "command": command, "mutation": dataclasses.asdict(mutation)}
            for what, texts in wrong.items():
                counts[kind][what] += 1
                findings.append({"mutation": dataclasses.asdict(mutation), "what": what, "texts": texts})
                say(f"{number}: {mutation} {what}: {texts}")
            shutil.rmtree(pristine)
            shutil.rmtree(outside)
    return {
        "by_kind": {kind: dict(count) for kind, count in sorted(counts.items())},
        "total": dict(sum(counts.values(), collections.Counter())),
        "slowest_command_s": slowest_s,
        "peak_memory_mb": peak_mb,
        "most_memory_added": most_added,
        "findings": findings,
    }


WALK, CAMERA = ("walk",), ("burger", "reach_from_above", "--set", "actor.picture_format=png")


def make_base(path: Path, what: Sequence[str] = WALK, steps: int = 420) -> None:
    """A session that has been trained, with what only a live one has added: every kind of file."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", *what, "--preset", "tiny", "--steps", str(steps)]
    subprocess.run([*command, "--train-ratio", "200", "--out", str(path)], check=True, stdout=subprocess.DEVNULL)
    add_live_files(path)
    seal_anew(path)


def add_live_files(path: Path) -> None:
    """A second life of the actor, and what `daydreamer walk` and `ros2 launch` write."""
    import msgspec

    from daydreamer.cli.launching import LaunchRecord
    from daydreamer.experience.log import list_logs
    from daydreamer.experience.tail import LogTail
    from daydreamer.session.directory import Session
    from daydreamer.session.events import EventLog
    from daydreamer.session.recording import begin_log
    from daydreamer.session.status import ActorStatus, StatusWriter, read_process_status
    from daydreamer.storage.atomic import write_atomically
    from daydreamer.storage.files import make_folder

    session = Session.open(path)
    life = max(list_logs(session.experience))
    steps = LogTail(list_logs(session.experience)[life], session.spec).read(200)
    with begin_log(session) as writer:
        for step in steps:
            writer.append(step)
    status = read_process_status(session, "actor")
    assert isinstance(status, ActorStatus), "whoever logged has left it"
    status.actor_life, status.last_logged_sequence = life + 1, steps[-1].sequence
    status.env_steps = None if status.env_steps is None else status.env_steps + len(steps)
    StatusWriter(session, "actor").write(status)
    for role in ("walk", "twin"):
        StatusWriter(session, role).write({"state": "stopped"})
    for kind in ("start", "stop"):
        EventLog(session.events).record(kind, "actor", actor_life=life + 1)
    make_folder(path / "log")
    write_atomically(path / "log" / "actor.log", b"Waiting for a message on joint_states\n" * 100)
    write_atomically(session.launch_record, msgspec.json.encode(LaunchRecord(robot="twin")))


def seal_anew(path: Path) -> None:
    """Has the newest checkpoint know of all files, as one that a live session writes at its end does."""
    import msgspec

    from daydreamer.experience.tail import ExperienceTail
    from daydreamer.session.directory import Session
    from daydreamer.session.seal import checkpoint_paths, read_seal
    from daydreamer.telemetry.accounts import take_ledger

    session = Session.open(path)
    tail = ExperienceTail(session.experience, session.spec)
    steps = len(tail.read())
    newest = checkpoint_paths(session.checkpoints)[-1]
    seal = read_seal(newest)
    cursors = {str(life): cursor for life, cursor in tail.cursors.items()}
    progress = msgspec.structs.replace(seal.progress, env_steps=steps, cursors=cursors, ledger=take_ledger(session))
    seal = msgspec.structs.replace(seal, progress=progress).closed()
    (newest / "progress/metadata").write_bytes(msgspec.json.encode(seal))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no further one is begun")
    parser.add_argument("--quick", action="store_true", help="leave out commands that do not open a file")
    parser.add_argument("--seed", type=int, default=0)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--session", type=Path, help="whose copies are damaged; default: a new one that walks")
    origin.add_argument("--camera", action="store_true", help="of a robot with a camera, whose pictures are PNG")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    worker = Worker()
    with tempfile.TemporaryDirectory(prefix="daydreamer-fuzz-") as directory, contextlib.closing(worker):
        base = options.session
        if base is None:
            base = Path(directory).resolve() / "base"
            make_base(base, CAMERA if options.camera else WALK)
        mutations = draw_mutations(base, options.mutations, options.seed)
        results = fuzz(
            base, mutations, worker, lambda line: print(line, flush=True), quick=options.quick, minutes=options.minutes
        )
    kinds = ("mutations", "traceback", "hang", "outside", "silent")
    print(f"{'file':28}" + "".join(f"{kind:>11}" for kind in kinds))
    for name, count in [*results["by_kind"].items(), ("all", results["total"])]:
        print(f"{name:28}" + "".join(f"{count.get(kind, 0):11}" for kind in kinds))
    print(f"slowest command {results['slowest_command_s']:.1f} s, peak memory {results['peak_memory_mb']:.0f} MB")
    most = results["most_memory_added"]
    print(f"at most {most['mb']:.0f} MB more while a command ran: {most['command']}, {most['mutation']}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
