"""`daydreamer doctor` on sessions that were damaged in known ways."""

import hashlib
import json
import shutil

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.cli.doctor import doctor
from daydreamer.config import merge, resolve
from daydreamer.doctor import close_logs, examine
from daydreamer.errors import UserError
from daydreamer.experience.header import read_header
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.pictures import PictureStorage
from daydreamer.experience.step import Step
from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import Checkpointer
from daydreamer.learner.inheritance import read_inheritance
from daydreamer.policy.snapshot import SnapshotMetadata, snapshot_path, write_snapshot
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.seal import Progress
from daydreamer.session.status import StatusWriter
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
STEPS = 30


@pytest.fixture(scope="module")
def train_state():
    config = resolve(find_robot("a1").preset("walk", "tiny", "twin"))
    agent = Agent(SPEC, config.model, config.learner)
    shapes = jax.eval_shape(lambda: agent.initialize(0))
    return jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)


@pytest.fixture
def session(tmp_path, train_state):
    session = Session.create(tmp_path / "session", resolve(find_robot("a1").preset("walk", "tiny", "twin")), SPEC)
    for life in (1, 2):
        write_log(session, life)
    checkpointer = Checkpointer(session.checkpoints)
    for step in (5, 9):
        progress = Progress(spec_hash=SPEC.hash, env_steps=2 * STEPS, cursors={}, policy_version=1)
        checkpointer.save(train_state._replace(updates=np.int32(step)), progress)
    checkpointer.close()
    for version in (1, 2):
        metadata = SnapshotMetadata(version=version, gradient_step=1, env_steps=1, robot_spec=SPEC, model={})
        write_snapshot(session.policy, {"actor/w": np.ones(100, np.float32)}, metadata)
    for kind in ("start", "stop"):
        EventLog(session.events).record(kind, "actor")
    StatusWriter(session, "walk").write({"state": "stopped"})
    return session


def write_log(session, life):
    two = np.zeros(2, np.float32)
    with ExperienceWriter(session.experience, SPEC, life, 1.0) as writer:
        for n in range(STEPS):
            flags = (n == 0, False, False, 0, False, 0)
            writer.append(
                Step(life, n, n, n, {"x": np.ones(3, np.float32)}, two, two, 1.0, {"r": 1.0}, {}, *flags, 0.0)
            )


def content(session):
    files = sorted(path for path in session.path.rglob("*") if path.is_file())
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def look(session):
    """Findings; nothing may have changed."""
    before = content(session)
    findings = [(each.part, each.state, each.text, each.cure) for each in examine(session)]
    assert content(session) == before
    return findings


def damaged(findings):
    return [(part, text, cure) for part, state, text, cure in findings if state == "damaged"]


def test_a_sound_session_is_described(session):
    findings = look(session)
    assert not damaged(findings)
    texts = " ".join(text for _, _, text, _ in findings)
    for expected in (
        "actor-0001.mcap: 30 steps, sequence numbers without gap, closed",
        "actor-0002.mcap: 30 steps",
        "gradient step 5, 60 steps received",
        "gradient step 9",
        "2 policies, versions 1 to 2",
        "2 events",
    ):
        assert expected in texts, expected


def test_a_session_that_began_with_another_is_described(session, train_state, tmp_path):
    inheritance = read_inheritance(session.path)
    settings = merge(find_robot("a1").preset("walk", "tiny", "twin"), {"learner": {"inherited_share": 0.5}})
    parent, endow = inheritance.parent.parentage, inheritance.endow
    child = Session.create(tmp_path / "child", resolve(settings), SPEC, parent=parent, endow=endow)
    findings = look(child)
    assert not damaged(findings)
    texts = [text for part, _, text, _ in findings if part == "inherited"]
    assert len(texts) == 2 and str(session.path) in texts[0] and "60 steps" in texts[1]
    flip(child.inherited / "000001.safetensors", -1)
    shutil.rmtree(child.checkpoints / "0")
    texts = [text for part, text, _ in damaged(look(child)) if part == "inherited"]
    assert "Checkpoint 0" in texts[0] and "checksum" in texts[1] and "missing: steps 0" in texts[2]


def flip(path, position):
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 1
    path.write_bytes(damaged)


def test_what_repair_cuts_off_a_log_and_its_pictures_is_told_apart(tmp_path):
    """Of a log that has its end nothing is cut off."""
    spec = msgspec.structs.replace(SPEC, observation={"x": Space((8, 8, 3), "uint8")})
    session = Session.create(tmp_path / "seeing", resolve(find_robot("a1").preset("walk", "tiny", "twin")), spec)
    two, flags = np.zeros(2, np.float32), (True, False, False, 0, False, 0)
    with ExperienceWriter(session.experience, spec, 1, 1.0, pictures=PictureStorage("png")) as writer:
        step = Step(1, 0, 0, 0, {"x": np.ones((8, 8, 3), np.uint8)}, two, two, 1.0, {"r": 1.0}, {}, *flags, 0.0)
        writer.append(step)
        unclosed = {path: path.read_bytes() for path in session.experience.iterdir()}
    closed = {path: path.read_bytes() for path in unclosed}
    log, pictures = sorted(unclosed)
    for torn, said in (
        ({pictures: 20}, "; 20 bytes of a torn picture were cut off"),
        ({log: 10}, "; 10 bytes of a torn step were cut off"),
        ({log: 10, pictures: 20}, "; 10 bytes of a torn step were cut off; 20 bytes of a torn picture were cut off"),
        ({log: 0, pictures: 0}, ""),
    ):
        for path, size in torn.items():
            record = unclosed[log][read_header(log).size :] if path == log else bytes(20)
            path.write_bytes(unclosed[path] + record[:size])
        assert [each.text for each in close_logs(session)] == [f"actor-0001.mcap has been closed{said}."]
        assert {path: path.read_bytes() for path in unclosed} == closed
    assert list(close_logs(session)) == []


def test_everything_that_is_damaged_is_named_with_what_to_do(session):
    log = session.experience / "actor-0001.mcap"
    flip(log, log.stat().st_size // 2)
    flip(session.checkpoints / "9" / "progress" / "metadata", 30)
    flip(snapshot_path(session.policy, 2), -1)
    torn = session.experience / "actor-0002.mcap"
    torn.write_bytes(torn.read_bytes()[: -torn.stat().st_size // 3])
    with open(session.events, "ab") as file:
        file.write(b"{torn\n")
    findings = look(session)
    found = damaged(findings)
    assert [part for part, _, _ in found].count("experience") == 2  # the damage, and the gap that it leaves
    assert any(text.startswith("9: the checksum") for part, text, _ in found if part == "checkpoints")
    assert any("uses the one before it" in cure for part, _, cure in found if part == "checkpoints")
    assert any("000002.safetensors is damaged" in text for part, text, _ in found if part == "policy")
    notes = [text for _, state, text, _ in findings if state == "note"]
    assert any("bytes of a step that was being written" in text for text in notes)
    assert any("line 3 cannot be read" in text for text in notes)


def test_a_log_that_has_been_emptied_is_told(session):
    (session.experience / "actor-0002.mcap").write_bytes(b"")
    texts = [text for part, state, text, _ in look(session) if (part, state) == ("experience", "note")]
    assert any("actor-0002.mcap is empty" in text for text in texts)


def test_another_configuration_and_a_log_that_lost_its_end_are_told(session):
    for life in (1, 2):
        (session.experience / f"actor-{life:04d}.mcap").unlink()
    write_log(session, 2)
    text = (session.path / "session.yaml").read_text()
    assert text.count("units: 32") == 1
    (session.path / "session.yaml").write_text(text.replace("units: 32", "units: 16"))
    findings = look(Session.open(session.path))
    assert damaged(findings)
    assert all("does not fit this session's networks" in text for part, text, _ in damaged(findings))
    assert any("no log of actor life 1" in text for _, _, text, _ in findings)


def test_a_log_shorter_than_what_was_learned_from_it_is_told(session):
    (session.experience / "actor-0002.mcap").unlink()
    (finding,) = damaged(look(session))
    assert "30 steps that the logs no longer hold" in finding[1]


def test_the_command_prints_what_was_found_and_its_exit_status_says_whether_anything_is_damaged(session, capsys):
    assert doctor(session.path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == 0
    flip(snapshot_path(session.policy, 1), -1)
    assert doctor(session.path, as_json=False) == 1
    output = capsys.readouterr().out
    assert "damaged policy: " in output and "000001.safetensors is damaged" in output and "1 damaged." in output
    with pytest.raises(UserError, match="is not a session"):
        doctor(session.policy, as_json=False)
