"""A session as a LeRobotDataset: every transition is there once, with its episode, its pictures and its figures.

That LeRobot's own library opens it is `benchmarks/lerobot_dataset.py`, which wants that library, and so PyTorch.
"""

import json

import numpy as np
import pytest

from daydreamer.cli.export import export
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.export import lerobot_dataset
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

parquet = pytest.importorskip("pyarrow.parquet")
pandas = pytest.importorskip("pandas")
av = pytest.importorskip("av")

SPEC = RobotSpec(
    "cart",
    "reach",
    5.0,
    8,
    (),
    (),
    {"x": Space((2,)), "eye": Space((16, 24, 3), "uint8"), "y": Space(())},
    Space((2,), low=-1.0, high=1.0),
    ("r",),
    setpoint_names=("linear", "angular"),
)


def picture(number):
    """One grey, which no codec changes much."""
    return np.full((16, 24, 3), 20 + 2 * (number % 100), np.uint8)


def write_life(session, life, count, ends=(), spec=SPEC, lost=()):
    """A life in which an episode ends, in success, at the steps `ends`, and else by time; without the steps `lost`."""
    position = 0
    with ExperienceWriter(session.experience, spec, life, 60.0) as writer:
        for n in range(count):
            last = n in ends or position == spec.episode_steps - 1
            observation = {"x": np.array([n, life], np.float32), "eye": picture(n), "y": np.array(0.5 * n, np.float32)}
            step = Step(
                actor_life=life,
                sequence=n,
                monotonic_ns=n,
                wall_ns=n,
                observation={key: observation[key] for key in spec.observation},
                action_requested=spec.action.zeros() + np.asarray(n % 3 if spec.action.is_discrete else n / 100),
                action_sent=np.array([n, np.nan], np.float32)[: len(spec.setpoint_names)] if spec.setpoint_names else n,
                reward=float(n),
                reward_terms={"r": 1.0},
                info={},
                is_first=position == 0,
                is_last=last,
                is_terminal=n in ends,
                policy_version=n // 10,
                intervention=n == 3,
                safety_flags=0,
                latency_s=0.0,
            )
            writer.append(step)
            position = 0 if last else position + 1


@pytest.fixture
def session(tmp_path):
    session = Session.create(tmp_path / "session", SessionConfig(), SPEC)
    write_life(session, 1, 20, ends=(12,))  # episodes of 8, 5 and 7 steps
    write_life(session, 2, 9)  # of 8 steps, and one that is no episode
    return session


LENGTHS = (7, 4, 6, 7)


def to_dataset(session, out):
    export(session.path, "lerobot", out, None, False)
    info = json.loads((out / "meta/info.json").read_text())
    rows = parquet.read_table(out / "data/chunk-000/file-000.parquet").to_pylist()
    return info, rows, parquet.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()


def test_every_transition_is_a_frame_of_its_episode(session, tmp_path, capsys):
    info, rows, episodes = to_dataset(session, tmp_path / "dataset")
    assert "4 episodes and 24 frames" in capsys.readouterr().out
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (4, 24, 5)
    assert (info["codebase_version"], info["robot_type"], info["splits"]) == ("v3.0", "cart", {"train": "0:4"})
    assert tuple(episode["length"] for episode in episodes) == LENGTHS
    for episode in episodes:
        own = rows[episode["dataset_from_index"] : episode["dataset_to_index"]]
        assert {row["episode_index"] for row in own} == {episode["episode_index"]}
        assert [row["frame_index"] for row in own] == list(range(episode["length"]))
        np.testing.assert_allclose([row["timestamp"] for row in own], np.arange(episode["length"]) / 5, rtol=1e-6)
        assert [row["next.done"] for row in own] == [False] * (episode["length"] - 1) + [own[-1]["next.done"]]
    assert [row["index"] for row in rows] == list(range(24))
    for row in rows:
        number = row["observation.state"][0]
        assert row["observation.state"] == [number, 1.0 + (row["episode_index"] == 3), 0.5 * number]
        np.testing.assert_allclose(row["action"], number / 100, rtol=1e-6)
        assert row["next.reward"] == number + 1, "received on arriving at what is observed next"
        assert row["setpoint_sent"][0] == number and np.isnan(row["setpoint_sent"][1])
        assert row["is_intervention"] == (number == 3) and row["policy_version"] == number // 10
    ends = [rows[episode["dataset_to_index"] - 1] for episode in episodes]
    # By time, in success, by the end of a life, by time.
    assert [row["next.done"] for row in ends] == [True, True, False, True]
    assert [row["next.truncated"] for row in ends] == [True, False, False, True]


def test_what_it_says_of_its_features_is_what_the_columns_are(session, tmp_path):
    info, rows, _ = to_dataset(session, tmp_path / "dataset")
    schema = parquet.read_schema(tmp_path / "dataset/data/chunk-000/file-000.parquet")
    told = {name: each for name, each in info["features"].items() if each["dtype"] != "video"}
    assert told.keys() == set(schema.names)
    for name, each in told.items():
        kind = schema.field(name).type
        length = getattr(kind, "list_size", None)
        assert each["shape"] == [1 if length is None else length]
        assert (
            each["dtype"]
            == {"float": "float32", "int64": "int64", "bool": "bool"}[str(kind if length is None else kind.value_type)]
        )
    assert info["features"]["observation.state"]["names"] == ["x_0", "x_1", "y_0"]
    assert info["features"]["setpoint_sent"]["names"] == ["linear", "angular"]
    tasks = pandas.read_parquet(tmp_path / "dataset/meta/tasks.parquet")
    assert tasks.iloc[0].name == "reach" and tasks.loc["reach"].task_index == 0


def test_the_pictures_are_in_a_video_each_at_its_time(session, tmp_path):
    info, rows, episodes = to_dataset(session, tmp_path / "dataset")
    key = "observation.images.eye"
    assert info["features"][key]["shape"] == [16, 24, 3]
    path = tmp_path / "dataset" / info["video_path"].format(video_key=key, chunk_index=0, file_index=0)
    with av.open(str(path)) as container:
        frames = {round(5 * float(frame.time)): frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    assert len(frames) == 24
    for row in rows:
        episode = episodes[row["episode_index"]]
        place = episode[f"videos/{key}/chunk_index"], episode[f"videos/{key}/file_index"]
        time_s = episode[f"videos/{key}/from_timestamp"] + row["timestamp"]
        assert place == (0, 0) and time_s < episode[f"videos/{key}/to_timestamp"]
        expected = picture(int(row["observation.state"][0]))
        assert np.abs(frames[round(5 * time_s)].astype(int) - expected).max() < 6


def test_its_figures_are_those_of_the_frames(session, tmp_path):
    _, rows, episodes = to_dataset(session, tmp_path / "dataset")
    stats = json.loads((tmp_path / "dataset/meta/stats.json").read_text())
    for name in ("observation.state", "action", "next.reward", "next.done"):
        values = np.array([row[name] for row in rows], float).reshape(len(rows), -1)
        for kind, expected in (("min", values.min(0)), ("max", values.max(0)), ("mean", values.mean(0))):
            np.testing.assert_allclose(stats[name][kind], expected, rtol=1e-6, err_msg=f"{kind} of {name}")
        np.testing.assert_allclose(stats[name]["std"], values.std(0), rtol=1e-6)
        assert stats[name]["count"] == [24] and {"q01", "q50", "q99"} <= stats[name].keys()
        own = values[: LENGTHS[0]]
        np.testing.assert_allclose(episodes[0][f"stats/{name}/mean"], own.mean(0), rtol=1e-6)
        np.testing.assert_allclose(episodes[0][f"stats/{name}/q50"], np.median(own, 0), rtol=1e-6)
    colours = stats["observation.images.eye"]
    assert np.shape(colours["mean"]) == (3, 1, 1) and 20 / 255 <= colours["min"][0][0][0] < colours["max"][0][0][0] <= 1
    assert np.isfinite(stats["setpoint_sent"]["mean"]).all(), "what is no number does not count"


def test_what_is_no_number_has_no_part_in_a_figure():
    figures = lerobot_dataset._statistics(np.array([[1.0, np.nan], [np.inf, np.nan], [2.0, -np.inf]]))
    assert (figures["max"].tolist(), figures["mean"].tolist(), figures["std"].tolist()) == ([2, 0], [1.5, 0], [0.5, 0])


def test_an_episode_in_which_nothing_was_a_number_has_no_part_in_what_all_come_to():
    aggregate = lerobot_dataset._Aggregate()
    for values in (np.full((4, 2), np.nan), np.array([[2.0, np.nan]] * 4)):
        aggregate.add(lerobot_dataset._statistics(values), np.isfinite(values).sum(0))
    totals = aggregate.totals()
    assert [totals[name] for name in ("min", "max", "mean", "std")] == [[2, 0], [2, 0], [2, 0], [0, 0]]


def test_files_that_are_full_are_followed_by_others(session, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_dataset, "DATA_MB", 0)
    monkeypatch.setattr(lerobot_dataset, "VIDEO_MB", 0)
    monkeypatch.setattr(lerobot_dataset, "FILES_PER_CHUNK", 3)
    _, _, episodes = to_dataset(session, tmp_path / "dataset")
    places = [(episode["data/chunk_index"], episode["data/file_index"]) for episode in episodes]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0)]
    last = parquet.read_table(tmp_path / "dataset/data/chunk-001/file-000.parquet").to_pylist()
    assert [row["episode_index"] for row in last] == [3] * 7
    assert [episode["videos/observation.images.eye/from_timestamp"] for episode in episodes] == [0.0] * 4
    assert (tmp_path / "dataset/videos/observation.images.eye/chunk-001/file-000.mp4").stat().st_size > 0


def test_an_episode_without_end_is_cut_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_dataset, "LONGEST_FRAMES", 10)
    endless = RobotSpec("cart", "reach", 5.0, 1000, (), (), {"x": Space((2,))}, Space((), "int32", classes=3), ("r",))
    session = Session.create(tmp_path / "session", SessionConfig(), endless)
    write_life(session, 1, 36, spec=endless)
    info, rows, episodes = to_dataset(session, tmp_path / "dataset")
    assert [row["observation.state"][0] for row in rows] == list(range(35))
    assert [episode["length"] for episode in episodes] == [10, 10, 10, 5]
    assert not any(row["next.done"] for row in rows) and [row["action"] for row in rows[:4]] == [0, 1, 2, 0]
    assert info["video_path"] is None and info["features"]["action"]["dtype"] == "int64"


def test_what_cannot_be_is_refused_and_nothing_is_left(session, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="is there already"):
        export(session.path, "lerobot", tmp_path / "there", None, False)
    empty = Session.create(tmp_path / "empty", SessionConfig(), SPEC)
    with pytest.raises(UserError, match="not one step that follows another"):
        export(empty.path, "lerobot", tmp_path / "dataset", None, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "session", "there"]
