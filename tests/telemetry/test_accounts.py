"""What is gone although another file knows of it is damage, and named wherever a session is looked at."""

import itertools
import shutil
import threading

import msgspec
import numpy as np
import pytest

from daydreamer.doctor import examine
from daydreamer.experience.log import ExperienceWriter, log_path
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.report.history import read_history
from daydreamer.session.directory import Session
from daydreamer.session.seal import Progress, Seal
from daydreamer.session.status import ProcessStatus, StatusWriter, WalkStatus, forget_status
from daydreamer.storage.files import make_folder
from daydreamer.telemetry.accounts import find_losses, read_claims, take_ledger
from daydreamer.telemetry.dreams import DreamWriter
from daydreamer.telemetry.session_telemetry import TelemetryReader

STEPS = 400


@pytest.fixture
def recorder(record_session, make_dream):
    """A session with some of everything, whose checkpoint's record says how much there was; there are no arrays."""
    recorder = record_session(preset="tiny")
    recorder.log(STEPS / 2 * recorder.spec.control_period_s)
    recorder.log(STEPS / 2 * recorder.spec.control_period_s)
    recorder.write_metrics(2.0)
    recorder.write_status(actor={"actor_life": 2, "last_logged_sequence": STEPS // 2 - 1})
    session = recorder.session
    for kind in ("start", "stop"):
        recorder.events.record(kind, "actor")
    truth = {key: np.zeros((30, *space.shape), np.float32) for key, space in recorder.spec.observation.items()}
    for _ in range(3):
        DreamWriter(session.dreams).write(make_dream(truth | {"reward": np.zeros(30, np.float32)}, 20))
    metadata = SnapshotMetadata(version=5, gradient_step=1, env_steps=1, robot_spec=recorder.spec, model={})
    write_snapshot(session.policy, {"actor/w": np.ones(3, np.float32)}, metadata)
    write_seal(session, progress(session))
    return recorder


def write_seal(session, values):
    seal = Seal(progress=values, layout="", content="").closed()
    folder = session.checkpoints / "1" / "progress"
    for each in (folder.parent, folder):
        make_folder(each)
    (folder / "metadata").write_bytes(msgspec.json.encode(seal))


def progress(session, **fields):
    cursors = {"1": (9000, STEPS // 2), "2": (9000, STEPS // 2)}
    values = {"env_steps": STEPS, "cursors": cursors, "policy_version": 5, "ledger": take_ledger(session)}
    return Progress(spec_hash=session.spec.hash, **(values | fields))


def problems(session):
    """By whom what is named."""
    return {
        "status": list(TelemetryReader(session).read().problems),
        "report": read_history(session).problems,
        "doctor": [each.text for each in examine(session) if each.state == "damaged" and "arrays" not in each.text],
    }


def test_a_sound_session_has_lost_nothing(recorder):
    assert find_losses(recorder.session, read_claims(recorder.session), {1: STEPS // 2 - 1, 2: STEPS // 2 - 1}) == []
    named = problems(recorder.session)
    assert named["status"] == named["report"] == []


def test_a_session_that_goes_on_has_lost_nothing_whenever_it_is_looked_at(recorder):
    stop, logged = threading.Event(), threading.Event()

    def go_on():
        """Ever more steps, each told as soon as it is logged."""
        with ExperienceWriter(recorder.session.experience, recorder.spec, 3, fsync_period_s=60) as writer:
            for sequence in itertools.count():
                writer.append(recorder.step(3, sequence, np.random.default_rng(0)))
                recorder.write_status(actor={"actor_life": 3, "last_logged_sequence": sequence})
                logged.set()
                if stop.is_set():
                    break

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        assert logged.wait(60.0)
        looks = [TelemetryReader(recorder.session).read().problems for _ in range(20)]
        doubts = [each.text for each in examine(recorder.session) if each.part == "files"]
    finally:
        stop.set()
        thread.join()
    assert not any(looks) and not doubts


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


LOSSES = {
    "a log without its end": (lambda session: cut(log_path(session.experience, 1)), "Actor life 1 logged 200 steps"),
    "an emptied log": (lambda session: emptied(log_path(session.experience, 2)), "Actor life 2 logged 200 steps"),
    "a log that is gone": (lambda session: log_path(session.experience, 2).unlink(), "Actor life 2 logged 200 steps"),
    "emptied events": (lambda session: emptied(session.events), "events.jsonl has lost its end"),
    "events that are gone": (lambda session: session.events.unlink(), "events.jsonl has lost its end"),
    "metrics without their end": (
        lambda session: cut(next((session.metrics / "actor").iterdir())),
        "has lost its end",
    ),
    "metrics that are gone": (lambda session: shutil.rmtree(session.metrics / "learner"), "has lost its end"),
    "predictions that are gone": (lambda session: shutil.rmtree(session.dreams), "Predictions up to 3 were recorded"),
    "policies that are gone": (lambda session: shutil.rmtree(session.policy), "Policies up to 5 were published"),
    "a status that is gone": (lambda session: (session.status / "actor.json").unlink(), "actor.json is gone"),
    "a changed setting": (
        lambda session: (session.path / "session.yaml").write_text(
            (session.path / "session.yaml")
            .read_text()
            .replace("critic_learning_rate: 0.0", "critic_learning_rate: 0.4")
        ),
        "session.yaml has been changed since actor life 2 was recorded",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_named_by_every_command(recorder, loss):
    lose, expected = LOSSES[loss]
    lose(recorder.session)
    for command, named in problems(Session.open(recorder.session.path)).items():
        assert any(expected in problem for problem in named), (command, named)


def test_a_checkpoint_of_an_earlier_version_has_no_ledger(recorder):
    write_seal(recorder.session, progress(recorder.session, ledger=None))
    content = (recorder.session.checkpoints / "1" / "progress" / "metadata").read_text()
    assert "ledger" not in content
    assert find_losses(recorder.session, read_claims(recorder.session), {1: 199, 2: 199}) == []
    assert find_losses(recorder.session, read_claims(recorder.session), {1: 199, 2: 7}) != []


def test_a_command_that_took_over_from_another_has_lost_nothing(recorder):
    StatusWriter(recorder.session, "keeper").write(ProcessStatus(state="stopped"))
    write_seal(recorder.session, progress(recorder.session))
    StatusWriter(recorder.session, "walk").write(WalkStatus(state="running"))
    forget_status(recorder.session, "keeper")
    assert find_losses(recorder.session, read_claims(recorder.session), {1: 199, 2: 199}) == []
    forget_status(recorder.session, "walk")
    (lost,) = find_losses(recorder.session, read_claims(recorder.session), {1: 199, 2: 199})
    assert "keeper.json is gone" in lost


def test_events_that_have_rolled_have_lost_nothing(recorder):
    ledger = take_ledger(recorder.session)
    much = msgspec.structs.replace(ledger, events_bytes=1 << 40)
    write_seal(recorder.session, progress(recorder.session, ledger=much))
    (recorder.session.path / "events.1.jsonl").write_bytes(b"\n" * (5 << 20))
    assert find_losses(recorder.session, read_claims(recorder.session), {1: 199, 2: 199}) == []
