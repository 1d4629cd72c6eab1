"""The script that draws the moving picture of the README, with the real twin and a real renderer."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daydreamer.config import TwinConfig
from daydreamer.contract.frames import rotation_matrix
from daydreamer.robots.a1.twin import make_twin

DOCS = Path(__file__).parents[2] / "docs"
SIZE = ["--size", "64", "48"]


@pytest.fixture
def make_animation(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import make_animation

    return make_animation


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_scenes_move_side_by_side_for_ever(make_animation, record_session, tmp_path, suffix):
    recorder = record_session()
    recorder.log(seconds=4.0)
    out = tmp_path / f"learning{suffix}"
    scenes = ["--minutes", "0", "0.05", "--seconds", "0.2"]
    make_animation.main([str(recorder.session.path), *scenes, *SIZE, "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.n_frames == 4 and picture.info["loop"] == 0
        assert picture.size[0] == 2 * 64 and picture.size[1] >= 48
        frames = []
        for index in range(4):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB"), int)[-48:])
            assert picture.info["duration"] == 50
    for scene in (np.s_[:, :64], np.s_[:, 64:]):
        assert np.ptp(frames[0][scene]) > 50  # there is something to see
        assert np.abs(frames[0][scene] - frames[3][scene]).max() > 50  # and it moves


def test_a_scene_that_was_not_recorded_is_named(make_animation, record_session, tmp_path):
    recorder = record_session()
    recorder.log(seconds=2.0)
    with pytest.raises(SystemExit, match="from minute 6 on is not in the log: it has 40 steps"):
        make_animation.main([str(recorder.session.path), "--minutes", "6", "--out", str(tmp_path / "learning.gif")])


@pytest.mark.parametrize("standing", [True, False])
def test_the_robot_is_put_down_where_it_was(make_animation, standing):
    true, drawn = (make_twin(TwinConfig(), seed=1) for _ in range(2))
    true.reset("standing" if standing else "on_its_back")
    truth = true.truth()
    rotation = rotation_matrix(true.data.qpos[3:7])
    make_animation.put_down(drawn, truth.position_m[:2], rotation, true.data.qpos[7:])
    assert drawn.truth().position_m == pytest.approx(truth.position_m, abs=0.003)
    assert drawn.truth().up_z == pytest.approx(truth.up_z) and drawn.truth().yaw_rad == pytest.approx(truth.yaw_rad)


def test_attitude_follows_gyroscope_and_measured_up(make_animation):
    """A turn about an axis that leans, half a turn in all, known at 20 Hz only."""
    rate_rad_s, period_s = np.array([1.5, -0.8, 1.2]), 0.05
    true = rotation = make_animation.turn(np.array([0.3, 0.2, 0.1]))
    steps = round(np.pi / np.linalg.norm(rate_rad_s) / period_s)
    for _ in range(steps):
        true = true @ make_animation.turn(rate_rad_s * period_s)
        # The gyroscope is 2 % off; what is measured of up is right.
        rotation = make_animation.upright_as_measured(
            rotation @ make_animation.turn(1.02 * rate_rad_s * period_s), true[2]
        )
        assert rotation[2] == pytest.approx(true[2], abs=1e-9)
    assert rotation == pytest.approx(true, abs=0.06)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
