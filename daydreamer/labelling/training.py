"""Trains a classifier of successes on what operators have said of pictures, and tests it on episodes held out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
import optax
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.errors import UserError
from daydreamer.labelling.episodes import Episode, read_episodes, read_pictures
from daydreamer.learner.sources import open_sources
from daydreamer.models.success import InARow, Learned, Rate, Subject, SuccessClassifier, Tested, make_network
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.labels import read_labels

HELD_OUT = 0.25
"""Share of the episodes by which it is judged, and from which nothing is learned."""
LEAST_EPISODES = 4
"""The fewest that succeed, and the fewest that do not: in the latter it is that a reward is deceived."""
BATCH, LEARNING_RATE, WEIGHT_DECAY = 16, 1e-3, 1e-2
SHIFT, BRIGHTNESS = 2, 0.15
"""By how many pixels, and what share of its brightness, a pair of pictures is changed at random."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pictures of which somebody has said whether they show a success.

    Attributes:
      pictures: `[pairs, 2, height, width, channels]`, the first one of the episode and the one that is meant.
      success: `[pairs]`.
      episode: `[pairs]`, which they are of, as an index into `Labelled.episodes`.
      step: `[pairs]`, which of the episode's, from 0 on.
    """

    pictures: np.ndarray
    success: np.ndarray
    episode: np.ndarray
    step: np.ndarray

    def __len__(self) -> int:
        return len(self.success)

    def of_episodes(self, episodes: np.ndarray) -> Pairs:
        """Those of some episodes."""
        chosen = np.isin(self.episode, episodes)
        return Pairs(self.pictures[chosen], self.success[chosen], self.episode[chosen], self.step[chosen])


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What was said of the pictures of some sessions of a robot.

    Attributes:
      sessions: of one robot, task and body.
      camera: whose pictures they are.
      pairs: of all of them.
      episodes: of which somebody has said something, each with its session.
    """

    sessions: Sequence[Session]
    camera: str
    pairs: Pairs
    episodes: Sequence[tuple[Session, Episode]]


def read_labelled(directories: Sequence[Path], camera: str | None = None) -> Labelled:
    """What was said of the pictures of sessions.

    Args:
      camera: None for the one by which a classifier may say that the task has been done.

    Raises:
      UserError: one cannot be used, they are of several robots, tasks or bodies, or nothing was said of any.
    """
    sessions = open_sources(directories, "labels")
    first = sessions[0]
    camera = find_camera(first, camera)
    of_what = subject(first, camera)
    for each in sessions[1:]:
        if (other := subject(each, find_camera(each, camera))) != of_what:
            raise UserError(f"{first.path} is of {of_what.words}, and {each.path} of {other.words}; train on one kind.")
    pictures: list[np.ndarray] = []
    rows: list[tuple[bool, int, int]] = []
    episodes: list[tuple[Session, Episode]] = []
    for session in sessions:
        labels = read_labels(session, camera)
        begun = read_episodes(session) if labels else []
        said = [(one, [index for index in range(one.steps) if one.step(index) in labels]) for one in begun]
        said = [(one, indices) for one, indices in said if indices]
        taken = read_pictures(session, camera, {one.step(index) for one, indices in said for index in (0, *indices)})
        for one, indices in said:
            pictures += [np.stack((taken[one.step(0)], taken[one.step(index)])) for index in indices]
            rows += [(labels[one.step(index)], len(episodes), index) for index in indices]
            episodes.append((session, one))
    if not pictures:
        names = ", ".join(str(session.path) for session in sessions)
        raise UserError(f"Nobody has said of a picture in {names} what it shows; say so: daydreamer label {names}.")
    pairs = Pairs(np.stack(pictures), *(np.array(column) for column in zip(*rows, strict=True)))
    return Labelled(sessions, camera, pairs, episodes)


def find_camera(session: Session, camera: str | None) -> str:
    """The camera that is meant.

    Raises:
      UserError: there is none; lists those there are.
    """
    cameras = [key for key, space in session.spec.observation.items() if space.is_image]
    if camera is None:
        camera = find_robot(session.config.robot, session.record.robot_package).task(session.config.task).success_camera
        camera = camera or next(iter(cameras), None)
    if camera not in cameras:
        if not cameras:
            raise UserError(f"The robot of {session.path} observes no pictures; label a session of one with a camera.")
        raise UserError(f"{session.path} has no camera '{camera}'; it has {', '.join(cameras)}.")
    return camera


def subject(session: Session, camera: str) -> Subject:
    """What a camera's pictures are of."""
    config, (height, width, channels) = session.config, session.spec.observation[camera].shape
    return Subject(
        robot=config.robot, task=config.task, body=config.body, camera=camera, shape=(height, width, channels)
    )


def split(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """Those to learn from, and those of episodes that are held out, in the same share with and without a success.

    Raises:
      UserError: there are too few episodes, or all pictures are of one kind.
    """
    if pairs.success.all() or not pairs.success.any():
        kind, other = ("a success", "none") if pairs.success.all() else ("no success", "one")
        raise UserError(
            f"All {len(pairs)} labelled pictures show {kind}; label some that show {other}, or nothing can be learned."
        )
    episodes = np.unique(pairs.episode)
    succeeded = np.array([pairs.success[pairs.episode == each].any() for each in episodes])
    random, held_out = np.random.default_rng(seed), []
    for kind in (episodes[succeeded], episodes[~succeeded]):
        held_out.append(random.permutation(kind)[: round(HELD_OUT * len(kind))])
    if min(succeeded.sum(), (~succeeded).sum()) < LEAST_EPISODES:
        raise UserError(
            f"{len(pairs)} pictures of {len(episodes)} episodes, {succeeded.sum()} of which succeed, teach nothing to "
            f"rely on; label at least {LEAST_EPISODES} that succeed and {LEAST_EPISODES} that do not."
        )
    tested = np.concatenate(held_out)
    return pairs.of_episodes(np.setdiff1d(episodes, tested)), pairs.of_episodes(tested)


def train(
    labelled: Labelled, gradient_steps: int, seed: int, on_step: Callable[[int], object] = lambda done: None
) -> SuccessClassifier:
    """A classifier, tested on episodes that are held out; whether it may pay is `Learned.objection`.

    Raises:
      UserError: see `split`; or it cannot learn enough from so few pictures.
    """
    learned_from, held_out = split(labelled.pairs, seed)
    nothing = Rate(0, 0)
    learned = Learned(
        subject=subject(labelled.sessions[0], labelled.camera),
        patch_units=ModelConfig().patch_units,
        image_units=ModelConfig().image_units,
        successes=int(learned_from.success.sum()),
        failures=int((~learned_from.success).sum()),
        tested=Tested(correct=nothing, false_positives=nothing, missed=nothing, paid_wrongly=nothing, unpaid=nothing),
    )
    if learned.shortage:
        raise UserError(f"Nothing was trained: {learned.shortage}.")
    parameters = fit(learned, learned_from, gradient_steps, seed, on_step)
    classifier = SuccessClassifier(parameters, learned)
    tested = msgspec.structs.replace(learned, tested=test(classifier.is_likely, labelled, held_out))
    return SuccessClassifier(parameters, tested)


def fit(
    learned: Learned, pairs: Pairs, gradient_steps: int, seed: int, on_step: Callable[[int], object] = lambda done: None
) -> Any:
    """Parameters of the network after so many gradient steps; successes count as much as all else together."""
    network = make_network(learned)
    optimizer = optax.adamw(optax.cosine_decay_schedule(LEARNING_RATE, gradient_steps), weight_decay=WEIGHT_DECAY)

    def loss(parameters: Any, pictures: Array, success: Array, weight: Array) -> Array:
        logits = network.apply(parameters, pictures)
        return (weight * optax.sigmoid_binary_cross_entropy(logits, success)).mean()

    @jax.jit
    def step(parameters: Any, state: optax.OptState, *batch: Array) -> tuple[Any, optax.OptState]:
        changes, state = optimizer.update(jax.grad(loss)(parameters, *batch), state, parameters)
        return optax.apply_updates(parameters, changes), state

    success, share = pairs.success.astype(np.float32), pairs.success.mean()
    weight = np.where(pairs.success, 0.5 / share, 0.5 / (1.0 - share)).astype(np.float32)
    random = np.random.default_rng(seed)
    parameters = network.init(jax.random.key(seed), pairs.pictures[:1])
    state = optimizer.init(parameters)
    for done in range(gradient_steps):
        chosen = random.integers(len(pairs), size=BATCH)
        parameters, state = step(
            parameters, state, _varied(pairs.pictures[chosen], random), success[chosen], weight[chosen]
        )
        on_step(done + 1)
    return parameters


def _varied(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As another camera, a bit beside and in other light, would have taken each pair.

    On the host, in bytes: as a part of the gradient step it would take as long as all the rest.
    """
    height, width = pictures.shape[2:4]
    padded = np.pad(pictures, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    light = random.uniform(1.0 - BRIGHTNESS, 1.0 + BRIGHTNESS, (len(pictures), 1))
    exposed = np.minimum(np.arange(256) * light, 255.0).astype(np.uint8)
    return np.stack(
        [
            table[pair[:, top : top + height, left : left + width]]
            for table, pair, (top, left) in zip(
                exposed, padded, random.integers(2 * SHIFT + 1, size=(len(pictures), 2)), strict=True
            )
        ]
    )


def test(is_likely: Callable[[np.ndarray, np.ndarray], bool], labelled: Labelled, pairs: Pairs) -> Tested:
    """What a classifier makes of pictures: of those that somebody has looked at, and of all in their episodes.

    A robot is paid by all of them, one after the other, so that in between it may be deceived as well. What is true of
    a picture that nobody has looked at is what is true of the nearest one that somebody has.

    Args:
      is_likely: of the first picture of the episode and another one.
    """
    likely = np.array([is_likely(*pair) for pair in pairs.pictures])
    paid_wrongly = unpaid = succeed = 0
    episodes = np.unique(pairs.episode)
    for number in episodes:
        looked_at = pairs.of_episodes(number)
        paid = _first_paid(is_likely, labelled, labelled.episodes[number])
        nearest = None if paid is None else looked_at.success[np.argmin(np.abs(looked_at.step - paid))]
        paid_wrongly += nearest is not None and not nearest
        succeeded = bool(looked_at.success.any())
        unpaid += succeeded and paid is None
        succeed += succeeded
    return Tested(
        correct=Rate(int((likely == pairs.success).sum()), len(pairs)),
        false_positives=Rate(int((likely & ~pairs.success).sum()), int((~pairs.success).sum())),
        missed=Rate(int((~likely & pairs.success).sum()), int(pairs.success.sum())),
        paid_wrongly=Rate(int(paid_wrongly), len(episodes)),
        unpaid=Rate(int(unpaid), int(succeed)),
    )


def _first_paid(
    is_likely: Callable[[np.ndarray, np.ndarray], bool], labelled: Labelled, source: tuple[Session, Episode]
) -> int | None:
    """The step of an episode at which it would be paid; None if at none."""
    session, episode = source
    taken, in_a_row = read_pictures(session, labelled.camera, set(episode.names)), InARow()
    beginning = taken[episode.step(0)]
    steps = (index for index, name in enumerate(episode.names) if in_a_row.add(is_likely(beginning, taken[name])))
    return next(steps, None)
