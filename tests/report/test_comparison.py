"""Sessions side by side."""

import json
import math

import msgspec
import numpy as np
import pytest
from PIL import Image

from daydreamer.cli.compare import compare
from daydreamer.errors import UserError
from daydreamer.report.comparison import read_sessions, table
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.session.directory import Session
from daydreamer.session.new import configure
from daydreamer.spec import RobotSpec, Space


@pytest.fixture
def sessions(record_session):
    """Three of 30 s, of which the second never stands."""
    recorders = [record_session(name) for name in ("a", "b", "c")]
    for recorder, reward, standing_s in zip(recorders, (9.0, 5.0, 10.0), (600.0, None, 1200.0), strict=True):
        recorder.log(30.0, lambda step, reward=reward: step.info.update(published_reward=reward))
        milestones_s = {"upright": 60.0} | ({} if standing_s is None else {"standing": standing_s})
        recorder.write_status(actor={"milestones_s": milestones_s})
    return [recorder.session.path for recorder in recorders]


def test_milestones_side_by_side(sessions):
    heading, *rows, last = table(read_sessions(sessions))
    assert heading[2:5] == ["upright (min)", "standing (min)", "walking (min)"]
    assert [row[0] for row in rows] == ["a", "b", "c"]
    assert [row[3] for row in rows] == ["10.0", "-", "20.0"]
    assert last[2:6] == ["1.0 [1.0, 1.0]", "20.0 [10.0, not within]", "not within", "9.00 [5.00, 10.00]"]


def test_the_picture_has_every_curve_and_the_band(sessions, tmp_path, capsys):
    out = tmp_path / "side by side.png"
    compare(sessions, out, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["picture"] == str(out) and told["milestones_minutes"]["standing"]["median"] == 20.0
    assert told["sessions"][1]["milestones_minutes"]["standing"] is None
    pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert np.any(np.abs(pixels - colour).max(axis=-1) < 60)


def test_sessions_of_the_same_name_are_told_apart(record_session):
    recorders = [record_session(f"{day}/walk") for day in ("monday", "tuesday")]
    for recorder in recorders:
        recorder.log(10.0)
    compared = read_sessions([recorder.session.path for recorder in recorders])
    assert [one.name for one in compared] == ["monday/walk", "tuesday/walk"]


def test_what_cannot_be_compared_is_refused(sessions, record_session, tmp_path):
    spec = RobotSpec(
        robot="test_car",
        task="drive",
        control_rate_hz=20.0,
        episode_steps=100,
        joint_names=(),
        foot_names=(),
        observation={"vector": Space((1,))},
        action=Space((1,)),
        reward_terms=(),
    )
    car = Session.create(tmp_path / "car", configure(robot="a1", minutes=1.0, seed=0), spec)
    out = tmp_path / "out.png"
    for directories, target, words in (
        ([sessions[0], car.path], out, "robot 'a1' and .*car has 'test_car'"),
        (sessions[:1], out, "two or more"),
        ([sessions[0], sessions[0]], out, "named twice"),
        ([sessions[0], record_session("empty").session.path], out, "too few for a curve"),
        (sessions, tmp_path / "out.pdf", r"ends in \.png"),
        (sessions, tmp_path / "nowhere" / "out.png", "cannot be written"),
    ):
        with pytest.raises(UserError, match=words):
            compare(directories, target, as_json=False)
    assert not out.exists()


def test_names_that_look_like_formulas_and_steps_without_a_number_are_no_matter(record_session, tmp_path, capsys):
    def lose_one(step):
        if step.sequence == 500:
            step.info["published_reward"] = step.reward = float("nan")

    directories = []
    for name in ("a$_$b", "c$\\x$d"):
        recorder = record_session(name)
        recorder.log(30.0, lose_one)
        recorder.write_status()
        directories.append(recorder.session.path)
    compare(directories, tmp_path / "out.png", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert all(math.isfinite(each["final_reward"]) for each in told["sessions"])


def test_what_was_imported_is_judged_by_the_reward_that_it_has(record_session):
    recorder = record_session()

    def as_imported(step):
        step.info = dict.fromkeys(step.info, float("nan"))

    recorder.log(30.0, as_imported)
    recorder.session.record = msgspec.structs.replace(recorder.session.record, teacher="imported")
    history = read_history(recorder.session)
    assert np.isfinite(history.reward).all() and not history.has_compared_reward and not history.is_live
    assert not [sentence for sentence in judge_session(history).learned if "nan" in sentence]
