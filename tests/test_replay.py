import dataclasses

import jax
import numpy as np
import pytest

from daydreamer.config import LearnerConfig
from daydreamer.experience.step import Step
from daydreamer.replay import (
    APPEND_SIZES,
    Replay,
    affordable,
    inheritable,
    row_bytes,
    sample,
    shift_images,
    to_rows,
)
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a",), (), {"x": Space((2,))}, Space((1,), low=-1.0, high=1.0), ("r",))
CAPACITY = APPEND_SIZES[-1]


def make_steps(begin, end, life=1):
    return [
        Step(
            actor_life=life,
            sequence=n,
            monotonic_ns=0,
            wall_ns=0,
            observation={"x": np.array([n, -n], np.float32)},
            action_requested=np.array([n / 1e4], np.float32),
            action_sent=np.zeros(1, np.float32),
            reward=float(n),
            reward_terms={"r": float(n)},
            info={},
            is_first=n % 10 == 0,
            is_last=n % 10 == 9,
            is_terminal=False,
            policy_version=n % 3,
            intervention=n % 4 == 1,
            safety_flags=0,
            latency_s=0.0,
        )
        for n in range(begin, end)
    ]


def draw(replay, count, length, seed=0):
    return jax.jit(lambda state, key: sample(state, SPEC, count, length, key))(replay.state, jax.random.key(seed))


def test_sampled_sequences_are_what_was_appended():
    replay = Replay(SPEC, CAPACITY)
    for begin, end in ((0, 1), (1, 20), (20, 300), (300, 700)):
        replay.append(make_steps(begin, end))
    assert len(replay) == 700
    batch = draw(replay, 64, 12)
    n = np.asarray(batch.reward)
    assert n.shape == (64, 12)
    np.testing.assert_array_equal(np.diff(n, axis=1), 1)
    assert n.min() >= 0 and n.max() < 700
    np.testing.assert_array_equal(batch.observation["x"][..., 0], n)
    np.testing.assert_array_equal(batch.observation["x"][..., 1], -n)
    np.testing.assert_allclose(batch.action[..., 0], n / 1e4, rtol=1e-6)
    # Nothing is known of what led to a sequence's own beginning.
    np.testing.assert_array_equal(batch.is_first, (n % 10 == 0) | (np.arange(12) == 0))
    np.testing.assert_array_equal(batch.is_last, n % 10 == 9)
    np.testing.assert_array_equal(batch.by_policy, n % 3 > 0)
    np.testing.assert_array_equal(batch.shown, n % 4 == 1)


def test_every_start_is_drawn_and_none_beyond():
    replay = Replay(SPEC, CAPACITY)
    replay.append(make_steps(0, 10))
    starts = np.asarray(draw(replay, 500, 4).reward)[:, 0]
    assert set(starts) == set(range(7))


def test_a_share_comes_from_the_newest_steps():
    replay = Replay(SPEC, CAPACITY)
    replay.append(make_steps(0, 1000))

    def first_steps(**recent):
        drawn = jax.jit(lambda state, key: sample(state, SPEC, 1000, 5, key, **recent))
        return np.asarray(drawn(replay.state, jax.random.key(0)).reward[:, 0])

    newest = first_steps(recent_share=0.3, recent_steps=100)
    assert set(newest[:300]) <= set(range(896, 996)) and {896, 995} <= set(newest[:300])
    assert newest[300:].min() < 20 and newest[300:].max() < 996
    # A replay that does not yet hold so many gives what it has.
    assert first_steps(recent_share=1.0, recent_steps=5000).min() < 20


def test_the_oldest_go_first_and_no_sequence_crosses_the_seam():
    replay = Replay(SPEC, CAPACITY)
    replay.append(make_steps(0, CAPACITY + 1000))
    assert len(replay) == CAPACITY and replay.total == CAPACITY + 1000
    n = np.asarray(draw(replay, 2000, 8).reward)
    np.testing.assert_array_equal(np.diff(n, axis=1), 1)
    assert n.min() >= 1000
    stored = np.sort(np.asarray(replay.state.rows["sequence"]))
    np.testing.assert_array_equal(stored, np.arange(1000, CAPACITY + 1000))


def test_a_step_that_does_not_follow_begins_an_episode():
    replay = Replay(SPEC, CAPACITY)
    replay.append(make_steps(1, 5))
    replay.append(make_steps(7, 9))
    replay.append(make_steps(1, 4, life=2))
    replay.append(make_steps(4, 6, life=2))
    firsts = np.asarray(replay.state.rows["is_first"])[: len(replay)]
    np.testing.assert_array_equal(np.flatnonzero(firsts), [0, 4, 6])


def test_capacity_below_one_append_is_refused():
    with pytest.raises(ValueError, match="room for 10 steps"):
        Replay(SPEC, 10)


def test_row_bytes():
    assert row_bytes(SPEC) == 2 * 4 + 4 + 4 + 5 * 1 + 2 * 4


def test_pictures_take_no_more_memory_than_they_may():
    assert affordable(SPEC, LearnerConfig(replay_capacity=5000)) == 5000
    assert affordable(SPEC, LearnerConfig(replay_bytes=10 * row_bytes(SPEC) + 1)) == 10
    camera = RobotSpec("toy", "toy", 20.0, 10, (), (), {"camera": Space((64, 64, 3), "uint8")}, Space((2,)), ("r",))
    assert affordable(camera, LearnerConfig()) * 64 * 64 * 3 < LearnerConfig().replay_bytes
    assert affordable(camera, LearnerConfig()) > 80_000


def test_all_pictures_of_a_sequence_are_moved_alike():
    pictures = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 6, 2), np.uint8)
    shifted = np.asarray(jax.jit(shift_images, static_argnums=1)(pictures, 2, jax.random.key(0)))
    padded = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    found = set()
    for sequence in range(50):
        corners = [
            (row, column)
            for row, column in np.ndindex(5, 5)
            if np.array_equal(shifted[sequence], padded[sequence, :, row : row + 8, column : column + 6])
        ]
        assert len(corners) == 1
        found.add(corners[0])
    assert len(found) > 15  # of the 25 that there are


def test_mirror_images_are_whole_sequences_and_about_half_of_them():
    spaces = {"x": Space((3,)), "camera": Space((64, 64, 1), "uint8")}
    spec = RobotSpec(
        "toy", "toy", 20.0, 10, ("a", "b"), (), spaces, Space((2,), low=-1.0, high=1.0), ("r",),
        mirror={"x": (1, -2, 3), "action": (-2, 1)},
    )  # fmt: skip
    image = np.arange(64 * 64).reshape(64, 64, 1).astype(np.uint8)
    replay = Replay(spec, CAPACITY)
    replay.append(
        [
            dataclasses.replace(
                step,
                observation={"x": np.array([1, 2, 3], np.float32), "camera": image},
                action_requested=np.array([0.1, 0.2], np.float32),
            )
            for step in make_steps(0, 40)
        ]
    )
    batch = jax.jit(lambda state, key: sample(state, spec, 200, 5, key, mirrored=True))(replay.state, jax.random.key(0))
    x, action, camera = (np.asarray(v) for v in (batch.observation["x"], batch.action, batch.observation["camera"]))
    flipped = x[:, 0, 1] < 0
    assert 60 < flipped.sum() < 140
    for rows, vector, command, picture in (
        (flipped, [1, -2, 3], [-0.2, 0.1], image[:, ::-1]),
        (~flipped, [1, 2, 3], [0.1, 0.2], image),
    ):
        np.testing.assert_array_equal(x[rows], np.broadcast_to(np.float32(vector), x[rows].shape))
        np.testing.assert_array_equal(action[rows], np.broadcast_to(np.float32(command), action[rows].shape))
        np.testing.assert_array_equal(camera[rows], np.broadcast_to(picture, camera[rows].shape))


def test_the_last_sequences_of_a_batch_are_inherited_by_a_share_that_can_change():
    rows = to_rows(make_steps(5000, 5100), SPEC)
    replay = Replay(SPEC, CAPACITY, inherited=rows)
    replay.append(make_steps(0, 300))
    plain = Replay(SPEC, CAPACITY)
    plain.append(make_steps(0, 300))

    def first_steps(replay):
        return np.asarray(draw(replay, 40, 5).reward[:, 0])

    own = first_steps(plain)
    np.testing.assert_array_equal(first_steps(replay), own)
    for share, count in ((0.5, 20), (0.7, 28), (0.26, 10), (1.0, 40), (0.0, 0)):
        replay.draw_inherited(share)
        drawn = first_steps(replay)
        np.testing.assert_array_equal(drawn[: 40 - count], own[: 40 - count])
        assert set(drawn[40 - count :]) <= set(range(5000, 5096))
    replay.draw_inherited(1.0)
    starts = np.concatenate([np.asarray(draw(replay, 500, 5, seed).reward[:, 0]) for seed in range(4)])
    assert set(starts) == set(range(5000, 5096))
    batch = draw(replay, 40, 5)
    np.testing.assert_array_equal(batch.observation["x"][..., 0], batch.reward)
    replay.append(make_steps(300, 310))
    assert len(replay) == 310 and replay.state.inherited.share == 1.0


def test_inherited_experience_leaves_the_ring_half_of_the_memory():
    assert inheritable(SPEC, LearnerConfig(replay_capacity=20_000)) == 10_000
    assert inheritable(SPEC, LearnerConfig(replay_capacity=6000)) == 6000 - CAPACITY
    assert inheritable(SPEC, LearnerConfig(replay_capacity=CAPACITY)) == 0
