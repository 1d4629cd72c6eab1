"""`daydreamer import`: datasets that daydreamer has exported, and those that LeRobot's tools record of an SO-101."""

import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from daydreamer.cli.export import export
from daydreamer.cli.import_dataset import import_dataset
from daydreamer.cli.main import app
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.export import lerobot_reader
from daydreamer.learner.demonstrations import read_demonstrations
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import CLOSED_RAD, COUNT_RAD, LIMITS, OPEN_RAD
from daydreamer.robots.so101.pick_place_fine import BEGIN_YAW_RAD, PickPlaceFine
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session, resumable_session
from daydreamer.session.status import read_status

av = pytest.importorskip("av")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

SPEC = PickPlaceFine(0).spec
OPTIONS = {"robot": None, "task": None, "cameras": [], "units": None, "calibration": None, "success": None}
OPTIONS |= {"body": "hardware", "overrides": [], "as_json": False}


def take(dataset, out, **options):
    import_dataset(dataset, out=out, **(OPTIONS | options))
    session = Session.open(out)
    return session, ExperienceTail(session.experience, session.spec).read(100_000)


# What daydreamer has exported.


def logged(life, number, count, ending, random):
    """A step of an episode that ends, as `ending` says, with its step `count` - 1."""
    last = number == count - 1
    return Step(
        actor_life=life,
        sequence=number,
        monotonic_ns=number,
        wall_ns=number,
        observation={
            key: np.full(space.shape, 40 + 3 * number, np.uint8)
            if space.is_image
            else random.normal(size=space.shape).astype(np.float32)
            for key, space in SPEC.observation.items()
        },
        action_requested=random.uniform(-1, 1, 5).astype(np.float32),
        action_sent=random.normal(size=6).astype(np.float32),
        reward=float(last and ending == "success"),
        reward_terms={"placed": float(last and ending == "success")},
        info=dict.fromkeys(SPEC.info, 0.0),
        is_first=number == 0,
        is_last=last and ending != "cut",
        is_terminal=last and ending == "success",
        policy_version=number // 5,
        intervention=number > 2,
        safety_flags=0,
        latency_s=0.0,
    )


EPISODES = {1: (9, "success"), 2: (6, "time"), 3: (4, "cut")}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A session with three episodes, each of a life of its own, and the dataset that is exported of it."""
    folder, random = tmp_path_factory.mktemp("exported"), np.random.default_rng(0)
    config = configure(robot="so101", task="pick_place_fine", minutes=1.0, seed=0)
    session = new_session(folder / "session", config, teacher="scripted")
    for life, (count, ending) in EPISODES.items():
        with ExperienceWriter(session.experience, SPEC, life, 60.0) as writer:
            for number in range(count):
                writer.append(logged(life, number, count, ending, random))
    export(session.path, "lerobot", folder / "dataset", None, False)
    return session, folder / "dataset"


def test_what_was_exported_comes_back_as_it_was_logged(exported, tmp_path, capsys):
    session, dataset = exported
    _, steps = take(dataset, tmp_path / "shown", body="twin")
    expected = ExperienceTail(session.experience, SPEC).read(100)
    assert len(steps) == len(expected) == sum(count for count, _ in EPISODES.values())
    for number, (step, was) in enumerate(zip(steps, expected, strict=True)):
        assert (step.actor_life, step.sequence) == (1, number)
        told = ("reward", "reward_terms", "is_first", "is_last", "is_terminal")
        assert [getattr(step, name) for name in told] == [getattr(was, name) for name in told]
        ends = number + 1 == len(expected) or expected[number + 1].is_first
        kept = expected[number - 1] if ends else was  # the export has no observation of the last step
        assert (step.policy_version, step.intervention) == (kept.policy_version, kept.intervention)
        np.testing.assert_array_equal(step.action_sent, kept.action_sent)
        if not ends:
            np.testing.assert_array_equal(step.action_requested, was.action_requested)
        for key, values in step.observation.items():
            if key == ABOVE:
                assert np.abs(values.astype(int) - kept.observation[key]).max() < 6
            else:
                np.testing.assert_array_equal(values, kept.observation[key])
    assert "3 episodes: return 0.33 on average" in capsys.readouterr().out


def test_a_session_that_was_imported_is_looked_at_and_learned_from_as_one_that_was_shown(exported, tmp_path):
    session, steps = take(exported[1], tmp_path / "shown")
    shown = sum(step.intervention for step in steps)
    assert read_demonstrations([session.path]).demonstrated[0].steps == shown == (9 - 3) + (6 - 3)
    status = read_status(session)
    assert (status["state"], status["env_steps"], status["episodes"]) == ("stopped", 19, 2)
    assert status["intervention_steps"] == shown and not status["problems"]
    verdict = judge_session(read_history(session))
    assert verdict.learned[0] == "Nobody learned: whoever recorded the dataset showed the task."
    assert not any("nan" in sentence for sentence in verdict.learned)
    assert [event["kind"] for event in read_events(session.events)][-1] == "imported"
    with pytest.raises(UserError, match="whoever recorded the dataset has shown a task; nobody learns"):
        resumable_session(session.path)


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"task": "pick_place"},
            "10 frames a second, and so101 pick_place 2 steps; import it with the robot, the task",
        ),
        ({"overrides": ["twin.extra_cameras=[wrist]"]}, "no observation.images.wrist, which so101 pick_place_fine has"),
        ({"robot": "burger", "task": "reach"}, "frames a second, and burger reach"),
        ({"units": "degrees"}, "was exported by daydreamer and says all of itself; leave out"),
    ],
)
def test_an_export_of_something_else_is_refused_and_nothing_is_left(exported, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        take(exported[1], tmp_path / "shown", **options)
    assert not (tmp_path / "shown").exists()


# What LeRobot's tools record.

NAMES = [f"{joint}.pos" for joint in SPEC.joint_names]
HELD_RAD = CLOSED_RAD + 0.4 * (OPEN_RAD - CLOSED_RAD)
KEY = "observation.images.top"
DATA, LIST, VIDEO = "data/*/*.parquet", "meta/episodes/*/*.parquet", "videos/*/*/*.mp4"


def carried_over():
    """An episode at the task's own rate: what the arm is told `[steps + 1, 6]`, where it is, and the actions.

    It goes down in the left tray, closes on a cube, and carries it to the right one, where it lets go.
    """
    still, grip = np.zeros(5), np.eye(5)[4]
    up, right = 0.9 * np.eye(5)[2], -0.9 * np.eye(5)[1]
    motions = [(still, 2), (-up, 4), (-0.9 * grip, 6), (up, 4), (right, 18), (0.9 * grip, 4), (still, 8)]
    actions = np.concatenate([np.tile(action, (count, 1)) for action, count in motions])
    task = PickPlaceFine(0)
    task.holds = True  # or it does not cross the ridge
    told = [np.array((*kinematics.downwards(np.array((0.19, 0.06, 0.055)), BEGIN_YAW_RAD), OPEN_RAD))]
    for action in actions:
        told.append(task.setpoint(action, measured(told[-1]), told[-1]))
    told = np.array(told)
    where = told.copy()
    where[6:, 5] = np.maximum(where[6:, 5], HELD_RAD)
    return told, where, actions


def measured(joints_rad):
    return Measurement(0.0, {JOINT_POSITION: joints_rad, JOINT_VELOCITY: np.zeros(6)})


def seen(time_s):
    """What the camera sees, twice as large as the task wants it, and wider: the cube in the left tray, and then in the
    right one.
    """
    picture = np.full((128, 160, 3), 90, np.uint8)
    column = 16 + 2 * (50 if time_s < 3.0 else 10)
    picture[60:68, column : column + 8] = (200, 10, 10)
    return picture


def as_frames(values, fps):
    """At the frames of a recording, of values at the task's rate."""
    times = np.arange(0.0, len(values) - 1, SPEC.control_rate_hz / fps)
    return np.column_stack([np.interp(times, np.arange(len(values)), column) for column in values.T])


def in_degrees(joints_rad):
    values = joints_rad / (4095 / 360 * COUNT_RAD)
    values[:, 5] = (joints_rad[:, 5] - LIMITS.lower_rad[5]) / (LIMITS.upper_rad[5] - LIMITS.lower_rad[5]) * 100
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A dataset of two such episodes at 30 frames a second, as LeRobot 0.4 lays it out."""
    folder, fps, episodes = tmp_path_factory.mktemp("recorded") / "cubes", 30, 2
    told, where, _ = carried_over()
    state = in_degrees(as_frames(where, fps))
    # At a frame the arm is told what it follows until the next one.
    action = in_degrees(as_frames(told, fps)[np.minimum(np.arange(len(state)) + 1, len(state) - 1)])
    count = len(state)
    rows = {
        "observation.state": [*state] * episodes,
        "action": [*action] * episodes,
        "timestamp": np.tile(np.arange(count, dtype=np.float32) / fps, episodes),
        "frame_index": np.tile(np.arange(count), episodes),
        "episode_index": np.repeat(np.arange(episodes), count),
        "index": np.arange(episodes * count),
        "task_index": np.zeros(episodes * count, int),
    }
    write_table(folder / "data/chunk-000/file-000.parquet", rows)
    write_table(
        folder / "meta/episodes/chunk-000/file-000.parquet",
        {
            "episode_index": [0, 1],
            "tasks": [["Put the cube into the other tray"]] * episodes,
            "length": [count] * episodes,
            "data/chunk_index": [0, 0],
            "data/file_index": [0, 0],
            f"videos/{KEY}/chunk_index": [0, 0],
            f"videos/{KEY}/file_index": [0, 0],
            f"videos/{KEY}/from_timestamp": [0.0, count / fps],
            f"videos/{KEY}/to_timestamp": [count / fps, 2 * count / fps],
        },
    )
    vector = {"dtype": "float32", "shape": [6], "names": NAMES}
    info = {
        "codebase_version": "v3.0",
        "robot_type": "so101_follower",
        "total_episodes": episodes,
        "total_frames": episodes * count,
        "fps": fps,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            "action": vector,
            "observation.state": vector,
            KEY: {"dtype": "video", "shape": [128, 160, 3], "names": ["height", "width", "channels"]},
            **{name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index")},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        },
    }
    (folder / "meta/info.json").write_text(json.dumps(info))
    film(folder / f"videos/{KEY}/chunk-000/file-000.mp4", fps, [seen(frame / fps) for frame in range(count)] * episodes)
    return folder


def film(path, fps, pictures):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18", "g": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_table(path, columns):
    path.parent.mkdir(parents=True)
    parquet.write_table(pyarrow.table(columns), path)


CAMERA = {"cameras": ["above=top"]}
FINE = {"robot": "so101", "task": "pick_place_fine"} | CAMERA


def test_what_lerobot_recorded_is_what_the_task_would_have_done(recorded, tmp_path, capsys):
    session, steps = take(recorded, tmp_path / "shown", **FINE)
    told, where, actions = carried_over()
    episode = steps[: len(steps) // 2]
    assert all(step.intervention for step in steps) and session.config.body == "hardware"
    assert [step.is_first for step in episode] == [True] + [False] * (len(episode) - 1)
    # It lets go over the right tray, and half a second later the camera sees the cube there.
    assert len(episode) < len(actions) and episode[-1].is_terminal and episode[-1].reward == 1.0
    assert sum(step.reward for step in steps) == 2.0 and not any(step.is_last for step in episode[:-1])
    for number, step in enumerate(episode):
        np.testing.assert_allclose(step.action_requested, actions[number], atol=0.02)
        np.testing.assert_allclose(step.action_sent, told[number + 1], atol=1e-3)
        expected = 2 * (where[number] - LIMITS.lower_rad) / (LIMITS.upper_rad - LIMITS.lower_rad) - 1
        np.testing.assert_allclose(step.observation["joints"], expected, atol=1e-3)
        column = 50 if number < 30 else 10
        assert np.all(step.observation[ABOVE][31:33, column + 1 : column + 3, 0] > 150)
    held = [step.observation["side"][4] == 0 for step in episode]
    assert any(held) and not held[0] and not held[-1]
    out = capsys.readouterr().out
    assert "2 episodes: return 1.00 on average" in out and "slowed down" not in out
    assert "daydreamer learn so101 pick_place_fine --demonstrations" in out
    assert read_demonstrations([session.path]).demonstrated[0].steps == len(steps)


def test_a_recording_that_is_faster_than_the_task_is_slowed_down(recorded, tmp_path, capsys):
    dataset = changed(recorded, tmp_path, fps=60)
    rewritten(DATA, timestamp=lambda rows: [time_s / 2 for time_s in rows])(dataset)
    rewritten(LIST, **{f"videos/{KEY}/from_timestamp": lambda rows: [0.0, 0.0]})(dataset)
    film(next(dataset.glob(VIDEO)), 60, [seen(0.0)] * 200)
    _, steps = take(dataset, tmp_path / "shown", success="last", **FINE)
    told, _, actions = carried_over()
    first = steps[: len(steps) // 2]
    # What moves takes as long as before, what waits half of it.
    waiting = np.count_nonzero(np.all(actions == 0.0, axis=1))
    moving = 0.9 * (len(actions) - waiting)
    assert len(first) == pytest.approx(moving + waiting / 2, abs=2)
    np.testing.assert_allclose(first[-1].action_sent, told[-1], atol=2e-2)
    sizes = np.array([np.abs(step.action_requested).max() for step in first])
    assert sizes.max() <= 1.0 and np.count_nonzero(sizes > 0.95) > 20
    assert first[-1].is_terminal and first[-1].reward_terms == {"placed": 1.0}
    assert "It was slowed down to" in capsys.readouterr().out


def changed(recorded, tmp_path, **settings):
    """A copy of a dataset with other settings; None takes one out."""
    dataset = shutil.copytree(recorded, tmp_path / "changed")
    info = json.loads((dataset / "meta/info.json").read_text()) | settings
    info = {name: value for name, value in info.items() if value is not None}
    (dataset / "meta/info.json").write_text(json.dumps(info))
    return dataset


def renamed(info_feature, names):
    def change(dataset):
        path = dataset / "meta/info.json"
        info = json.loads(path.read_text())
        info["features"][info_feature]["names"] = names
        path.write_text(json.dumps(info))

    return change


def doubled(dataset):
    """The same name for a second column."""
    (path,) = dataset.glob(DATA)
    rows = parquet.read_table(path)
    parquet.write_table(rows.append_column("timestamp", rows.column("timestamp")), path)


def cut(pattern, size):
    def change(dataset):
        (path,) = dataset.glob(pattern)
        os.truncate(path, size)

    return change


def linked(dataset):
    (video,) = dataset.glob("videos/*/*/*.mp4")
    video.rename(dataset.parent / "elsewhere.mp4")
    video.symlink_to(dataset.parent / "elsewhere.mp4")


def rewritten(pattern, **columns):
    def change(dataset):
        (path,) = dataset.glob(pattern)
        rows = parquet.read_table(path).to_pydict()
        parquet.write_table(pyarrow.table(rows | {name: make(rows[name]) for name, make in columns.items()}), path)

    return change


@pytest.mark.parametrize(
    "settings, change, options, words",
    [
        ({"codebase_version": "v2.1"}, None, {}, "version v2.1, and 3 is read; convert it with LeRobot's convert_"),
        ({"fps": None}, None, {}, "does not say how many frames it has a second"),
        ({"fps": 5}, None, {}, "5 frames a second, fewer than pick_place_fine has steps .10.; record it faster"),
        ({"fps": 25}, None, {}, "its frames are not 25 a second, as the dataset says"),
        ({"robot_type": "koch_follower"}, None, {}, "is of a 'koch_follower', and not of a so101"),
        ({"total_episodes": 0}, None, {}, "it has no episode; record one"),
        ({"data_path": "../../{chunk_index}"}, None, {}, "lie elsewhere than LeRobot puts them .data_path"),
        ({"features": []}, None, {}, "meta/info.json cannot be read .Expected `object`.*take a copy"),
        ({}, None, {"robot": None}, "is of a 'so101_follower'; say which it is by --robot"),
        ({}, None, {"task": "pick_place"}, "cannot be taken for 'so101' 'pick_place', but for so101 pick_place_fine"),
        (
            {},
            None,
            {"cameras": []},
            "no observation.images.above for the camera 'above'.*say.*above=observation.images.top",
        ),
        ({}, None, {"cameras": ["above"]}, "--camera above says nothing; name one as"),
        ({}, None, {"cameras": ["below=top"]}, "has no camera 'below'; it has above"),
        ({}, None, {"units": "gradians"}, "--units 'gradians' is unknown; choose degrees or normalised"),
        ({}, renamed("action", ["more"] * 3 + NAMES), {}, "its action has 9 names for 6 numbers; take a copy"),
        ({}, doubled, {}, "data/chunk-000/file-000.parquet cannot be read .it has 2 columns timestamp"),
        (
            {},
            rewritten(LIST, length=lambda rows: [math.inf] * 2),
            {},
            "no list of its episodes .cannot convert float inf",
        ),
        ({}, rewritten(LIST, episode_index=lambda rows: [0, 0]), {}, "episode 0 comes after 0"),
        (
            {"features": {"action": {"dtype": "float32", "shape": [-6], "names": NAMES}}},
            None,
            {},
            "meta/info.json cannot be read .Expected `int` >= 1",
        ),
        ({}, renamed("action", ["main_shoulder_pan"] * 6), {}, "its action has no shoulder_pan.pos, but main_shoulder"),
        ({}, cut("meta/info.json", 20), {}, "meta/info.json cannot be read.*take a copy that is whole"),
        ({}, cut(LIST, 100), {}, "episodes/chunk-000/file-000.parquet is no list of its episodes"),
        ({}, cut(DATA, 100), {}, "episode 0 is left out, as data/chunk-000/file-000.parquet cannot be read"),
        ({}, cut(VIDEO, 500), {}, "episode 0 is left out, as its pictures in .* cannot be decoded"),
        ({}, linked, {}, "file-000.mp4 cannot be decoded .* a link, which is not followed"),
        (
            {},
            rewritten(LIST, length=lambda rows: [1 << 40] * 2),
            {},
            "has 1099511627776 frames, and 1 to 36000 are read",
        ),
        ({}, rewritten(DATA, action=lambda rows: [[0.0]] * len(rows)), {}, "a row has 1 numbers where 6 were said"),
        ({}, rewritten(LIST, **{f"videos/{KEY}/from_timestamp": lambda rows: [900.0] * 2}), {}, "there is none at 900"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence_and_leaves_nothing(
    recorded, tmp_path, settings, change, options, words
):
    dataset = changed(recorded, tmp_path, **settings)
    if change is not None:
        change(dataset)
    with pytest.raises(UserError, match=words):
        take(dataset, tmp_path / "shown", **(FINE | options))
    assert not list((tmp_path / "shown").glob("*"))


@pytest.mark.parametrize(
    "bound, pattern, columns, words",
    [
        (
            None,
            DATA,
            {"action": lambda rows: [[0.0] * 1_000_000, *rows[1:]]},
            r"of action have 1\d* numbers where each",
        ),
        (None, LIST, {"length": lambda rows: [[rows[0]] * 900_000, rows[:1]]}, "900001 numbers where each has 1"),
        (None, DATA, {"timestamp": lambda rows: ["0" * 100_000] * len(rows)}, "timestamp is of type string"),
        ("MOST_EPISODES", LIST, {}, "it has 2 rows, and 1 are read"),
        ("TABLE_BYTES", DATA, {}, "bytes of numbers, and 1 are read"),
    ],
)
def test_what_few_bytes_stand_for_is_not_read_beyond_a_bound(
    recorded, tmp_path, monkeypatch, bound, pattern, columns, words
):
    dataset = changed(recorded, tmp_path)
    rewritten(pattern, **columns)(dataset)
    if bound is not None:
        monkeypatch.setattr(lerobot_reader, bound, 1)
    assert sum(path.stat().st_size for path in dataset.rglob("*.parquet")) < 200_000
    with pytest.raises(UserError, match=words):
        take(dataset, tmp_path / "shown", **FINE)


def test_what_cannot_be_known_before_it_is_read_gets_so_much_memory_and_no_more(recorded, tmp_path):
    dataset = changed(recorded, tmp_path)
    rewritten(LIST, tasks=lambda rows: [["x" * 1_000_000] * 100, []])(dataset)
    script = (  # in a process whose allocators have nothing in reserve yet
        "import pathlib, sys\n"
        "from daydreamer.export import lerobot_reader\n"
        "lerobot_reader.READ_BYTES = 1 << 26\n"
        "dataset = lerobot_reader.RecordedDataset(pathlib.Path(sys.argv[1]))\n"
        "assert len(dataset.read_episodes()) == 2\n"
        "dataset.read_task()\n"
    )
    result = subprocess.run([sys.executable, "-c", script, dataset], capture_output=True, text=True, check=False)
    assert "is no list of its episodes (reading it takes more than 64 MiB of memory)" in result.stderr


def test_an_episode_that_cannot_be_used_is_left_out_and_told(recorded, tmp_path, capsys):
    def spoil(rows):
        rows[3][2] = float("nan")
        return rows

    dataset = changed(recorded, tmp_path)
    rewritten(DATA, **{"observation.state": spoil})(dataset)
    _, steps = take(dataset, tmp_path / "shown", **FINE)
    assert [step.is_first for step in steps].count(True) == 1
    told = capsys.readouterr().out
    assert "Episode 0 is left out, as in 1 of its frames observation.state has numbers that are not finite." in told


def test_an_episode_that_is_left_out_is_told_with_the_names_that_it_has(recorded, tmp_path, capsys):
    dataset = changed(recorded, tmp_path)
    rewritten(LIST, **{f"videos/{KEY}/from_timestamp": lambda rows: [900.0, rows[1]]})(dataset)
    (path,), info = dataset.glob(LIST), dataset / "meta/info.json"
    rows = parquet.read_table(path)
    parquet.write_table(
        rows.rename_columns([name.replace("images.top", "images.Top") for name in rows.column_names]), path
    )
    info.write_text(info.read_text().replace("images.top", "images.Top"))
    (dataset / "videos" / KEY).rename(dataset / "videos/observation.images.Top")
    take(dataset, tmp_path / "shown", **FINE | {"cameras": ["above=Top"]})
    told = capsys.readouterr().out
    assert "Episode 0 is left out, as its pictures in videos/observation.images.Top/chunk-000/file-000.mp4" in told


def test_recordings_in_which_nothing_succeeds_by_the_rule_ask_who_knows_better(recorded, tmp_path):
    dataset = changed(recorded, tmp_path)
    film(next(dataset.glob(VIDEO)), 30, [seen(0.0)] * 300)
    with pytest.raises(UserError, match="own rule nothing in 2 episodes is paid; .* say --success last"):
        take(dataset, tmp_path / "shown", **FINE)
    _, steps = take(dataset, tmp_path / "shown", success="last", **FINE)
    assert sum(step.reward for step in steps) == 2.0 and steps[-1].is_terminal


def test_the_command_takes_what_its_help_says(recorded, tmp_path):
    runner = CliRunner()
    arguments = ["--robot", "so101", "--task", "pick_place_fine", "--camera", f"above={KEY}", "--json"]
    result = runner.invoke(app, ["import", str(recorded), *arguments, "--out", str(tmp_path / "shown")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["returns"] == [1.0, 1.0]
