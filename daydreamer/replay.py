"""Replay buffer that lives on the device: a ring of steps, appended and sampled by pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.config import LearnerConfig
from daydreamer.contract.task import Hindsight
from daydreamer.experience.step import Step
from daydreamer.models.requirements import LARGEST_APPEND
from daydreamer.models.transforms import along
from daydreamer.models.world_model import Batch, to_action_vector
from daydreamer.spec import RobotSpec

APPEND_SIZES = (16, 256, LARGEST_APPEND)  # rows per device call; few sizes, few compilations

HINDSIGHT = 0x41D
"""Keeps the choice of sequences that are replayed with hindsight apart from all other randomness."""

_FLAGS = ("is_first", "is_last", "is_terminal", "by_policy", "shown")
"""Fields of a `Batch` that are true or false, in its order."""


class InheritedExperience(NamedTuple):
    """Steps of another session, which stay as they are.

    Attributes:
      rows: by field, `[steps, ...]`, in the order in which they happened.
      share: `[]`, of a batch that is drawn from them now.
    """

    rows: dict[str, Array]
    share: Array


class ReplayState(NamedTuple):
    """Contents of the ring.

    Attributes:
      rows: by field, `[capacity, ...]`.
      head: next index to write.
      size: rows that hold a step.
      inherited: what is drawn from beside the ring; None in most sessions.
    """

    rows: dict[str, Array]
    head: Array
    size: Array
    inherited: InheritedExperience | None = None


def row_layout(spec: RobotSpec) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of every stored field."""
    layout = {f"observation/{key}": (space.shape, space.dtype) for key, space in spec.observation.items()}
    layout["action"] = (spec.action.shape, "int32" if spec.action.is_discrete else "float32")
    layout["reward"] = ((), "float32")
    for flag in _FLAGS:
        layout[flag] = ((), "bool")
    layout["actor_life"] = ((), "int32")
    layout["sequence"] = ((), "int32")
    return layout


def row_bytes(spec: RobotSpec) -> int:
    """Device memory of one step."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in row_layout(spec).values())


def affordable(spec: RobotSpec, config: LearnerConfig) -> int:
    """Steps that the replay holds: as many as it may, or as go into the memory that it may take."""
    return min(config.replay_capacity, config.replay_bytes // row_bytes(spec))


def inheritable(spec: RobotSpec, config: LearnerConfig, alone: bool = False) -> int:
    """Steps of other sessions that go into the same memory, of which the ring needs some, too.

    That is half of it at most, unless they are `alone`, in a session that has no steps of its own.
    """
    steps = affordable(spec, config)
    others = steps if alone else steps // 2
    return max(0, min(others, steps - APPEND_SIZES[-1]))


def to_rows(steps: Sequence[Step], spec: RobotSpec) -> dict[str, np.ndarray]:
    """Logged steps as one array per field, `[steps, ...]`."""
    columns: dict[str, list[Any]] = {
        f"observation/{key}": [step.observation[key] for step in steps] for key in spec.observation
    }
    columns["action"] = [step.action_requested for step in steps]
    for name in ("reward", "is_first", "is_last", "is_terminal", "actor_life", "sequence"):
        columns[name] = [getattr(step, name) for step in steps]
    columns["by_policy"] = [step.policy_version > 0 for step in steps]
    columns["shown"] = [step.intervention for step in steps]
    layout = row_layout(spec)
    return {
        name: np.asarray(values, layout[name][1]).reshape(len(steps), *layout[name][0])
        for name, values in columns.items()
    }


class Continuity:
    """Marks steps that do not follow from the one before them.

    They come of another actor life or after a gap in the log, and are marked as the first of an episode, so that
    nothing is learned from a transition that never was.
    """

    def __init__(self) -> None:
        self._expected = (-1, -1)

    def mark(self, rows: dict[str, np.ndarray]) -> None:
        """Changes `is_first` of the rows that follow those of the last call; there must be one at least."""
        identity = np.stack([rows["actor_life"], rows["sequence"]], -1)
        expected = np.empty_like(identity)
        expected[0] = self._expected
        expected[1:] = identity[:-1] + (0, 1)
        rows["is_first"] |= (identity != expected).any(-1)
        self._expected = (identity[-1, 0], identity[-1, 1] + 1)


@partial(jax.jit, donate_argnums=0)
def append_rows(state: ReplayState, rows: dict[str, Array], count: Array) -> ReplayState:
    """The ring with the first `count` of `rows` `[size, ...]` written to it; the rest only fills them up."""
    capacity = state.rows["reward"].shape[0]
    offsets = jnp.arange(rows["reward"].shape[0])
    index = jnp.where(offsets < count, (state.head + offsets) % capacity, capacity)  # padding falls off the end
    written = {name: state.rows[name].at[index].set(values, mode="drop") for name, values in rows.items()}
    return ReplayState(written, (state.head + count) % capacity, jnp.minimum(state.size + count, capacity))


class Replay:
    """Owner of a `ReplayState`."""

    def __init__(
        self,
        spec: RobotSpec,
        capacity: int,
        sharding: jax.sharding.Sharding | None = None,
        inherited: Mapping[str, np.ndarray] | None = None,
    ):
        """An empty ring.

        Args:
          sharding: of all its arrays; None for JAX's first device.
          inherited: steps of another session as `to_rows` makes them, at least as many as a sequence has.

        Raises:
          ValueError: the capacity is smaller than the largest append.
        """
        if capacity < APPEND_SIZES[-1]:
            raise ValueError(
                f"the replay has room for {capacity} steps, and needs it for {APPEND_SIZES[-1]}; raise "
                "learner.replay_bytes and learner.replay_capacity"
            )
        self.spec = spec
        self.capacity = capacity
        self.total = 0
        self._continuity = Continuity()
        self._sharding = sharding
        self.state = ReplayState(
            {
                name: jnp.zeros((capacity, *shape), dtype, device=sharding)
                for name, (shape, dtype) in row_layout(spec).items()
            },
            jnp.zeros((), jnp.int32, device=sharding),
            jnp.zeros((), jnp.int32, device=sharding),
            None
            if inherited is None
            else InheritedExperience(jax.device_put(dict(inherited), sharding), self._on_device(0.0)),
        )

    def _on_device(self, value: float) -> Array:
        return jax.device_put(np.float32(value), self._sharding)

    def draw_inherited(self, share: float) -> None:
        """From now on this share of a batch is of the other session; the replay must have been given its steps."""
        inherited = self.state.inherited
        assert inherited is not None, "there is nothing to draw from"
        self.state = self.state._replace(inherited=inherited._replace(share=self._on_device(share)))

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def append(self, steps: Sequence[Step]) -> None:
        """Writes steps in order; beyond the capacity the oldest are overwritten. For gaps see `Continuity`."""
        for begin in range(0, len(steps), APPEND_SIZES[-1]):
            self._append_chunk(steps[begin : begin + APPEND_SIZES[-1]])

    def _append_chunk(self, steps: Sequence[Step]) -> None:
        rows = to_rows(steps, self.spec)
        self._continuity.mark(rows)
        self._write(rows)
        self.total += len(steps)

    def _write(self, rows: dict[str, np.ndarray]) -> None:
        count = len(rows["reward"])
        size = next(size for size in APPEND_SIZES if size >= count)
        padded = {name: np.pad(v, [(0, size - count)] + [(0, 0)] * (v.ndim - 1)) for name, v in rows.items()}
        ring = append_rows(self.state._replace(inherited=None), padded, np.int32(count))
        self.state = ring._replace(inherited=self.state.inherited)


def sample(
    state: ReplayState,
    spec: RobotSpec,
    batch_size: int,
    batch_length: int,
    key: Array,
    *,
    recent_share: float = 0.0,
    recent_steps: int = 1,
    mirrored: bool = False,
    image_shift: int = 0,
    hindsight: Hindsight | None = None,
    hindsight_share: float = 0.0,
) -> Batch:
    """Sequences of consecutive steps, drawn uniformly over their starts.

    This share of the batch, rounded, is drawn from the newest `recent_steps` starts alone. What has just gone wrong is
    a small part of all that has ever happened, and would otherwise be learned from too seldom to do better soon.

    If `mirrored`, half of the sequences are the mirror image of what happened, by `RobotSpec.mirror`: a symmetric
    robot learns from twice the experience, and what it learns on one side it can do on the other.

    Of a replay that has inherited another session's experience, its share of the sequences, rounded, is drawn from that
    in place of the last ones, so that what has just gone wrong gives way last.

    Images are moved by up to `image_shift` pixels, see `shift_images`.

    With `hindsight` this share of the sequences, drawn one by one, is what it makes of them.

    A sequence may run over an episode boundary or into another actor life; `is_first` marks where, and its own
    beginning, before which nothing is known of what led there. The ring must hold at least `batch_length` steps.
    """
    capacity = state.rows["reward"].shape[0]
    offset_key, mirror_key = jax.random.split(key)
    starts = state.size - batch_length + 1
    is_recent = jnp.arange(batch_size) < round(recent_share * batch_size)
    oldest = jnp.where(is_recent, jnp.maximum(starts - recent_steps, 0), 0)
    offset = jax.random.randint(offset_key, (batch_size,), oldest, starts)
    index = (state.head - state.size + offset[:, None] + jnp.arange(batch_length)) % capacity
    rows = {name: values[index] for name, values in state.rows.items()}
    if state.inherited is not None:
        rows = _with_inherited(rows, state.inherited, jax.random.fold_in(offset_key, 1))
    rows["is_first"] = rows["is_first"].at[:, 0].set(True)
    flags = (rows[name].astype(jnp.float32) for name in _FLAGS)
    if mirrored:
        flip = jax.random.bernoulli(mirror_key, 0.5, (batch_size, 1))
        rows |= {
            name: jnp.where(along(flip, values), mirror(name, values, spec), values)
            for name, values in rows.items()
            if name == "action" or name.startswith("observation/")
        }
    observation = {key: rows[f"observation/{key}"] for key in spec.observation}
    if image_shift:
        images = {key: values for key, values in observation.items() if spec.observation[key].is_image}
        observation |= {
            key: shift_images(values, image_shift, jax.random.fold_in(mirror_key, number))
            for number, (key, values) in enumerate(images.items(), 1)
        }
    reward = rows["reward"]
    if hindsight is not None:
        chosen = jax.random.bernoulli(jax.random.fold_in(key, HINDSIGHT), hindsight_share, (batch_size, 1))
        observation, reward = _with_hindsight(observation, reward, hindsight, chosen)
    return Batch(observation, to_action_vector(rows["action"], spec.action), reward, *flags)


def _with_hindsight(
    observation: dict[str, Array], reward: Array, hindsight: Hindsight, chosen: Array
) -> tuple[dict[str, Array], Array]:
    """Some of the sequences `[batch, time, ...]` with other wishes; `chosen` are `[batch, 1]`."""
    wished, paid = hindsight(observation)
    changed = {
        key: jnp.where(along(chosen, values), values, observation[key])
        for key, values in wished.items()
        if values is not observation[key]
    }
    return observation | changed, jnp.where(chosen, paid, reward)


def _with_inherited(rows: dict[str, Array], inherited: InheritedExperience, key: Array) -> dict[str, Array]:
    """The sequences `[batch, time, ...]`, the last of which are another session's."""
    batch_size, length = rows["reward"].shape
    starts = inherited.rows["reward"].shape[0] - length + 1
    index = jax.random.randint(key, (batch_size, 1), 0, starts) + jnp.arange(length)
    own = batch_size - jnp.round(inherited.share * batch_size)
    theirs = jnp.arange(batch_size) >= own
    return {
        name: jnp.where(along(theirs, values), inherited.rows[name][index], values) for name, values in rows.items()
    }


def mirror(field: str, values: Array, spec: RobotSpec) -> Array:
    """The mirror image of a field of `row_layout`, an observation or the action, `[..., *shape]`."""
    key = field.removeprefix("observation/")
    if key in spec.observation and spec.observation[key].is_image:
        return values[..., ::-1, :]
    return spec.mirror_image(key, values)


def shift_images(images: Array, most: int, key: Array) -> Array:
    """Images `[batch, time, height, width, channels]`, each sequence moved by up to `most` pixels both ways.

    What moves in from outside repeats the edge. From few images a model so learns what a thing is wherever it is seen
    (DrQ, Yarats et al. 2021). All of a sequence are moved alike, so that nothing seems to move that did not.
    """
    batch_size, time, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    corners = jax.random.randint(key, (batch_size, 2), 0, 2 * most + 1)

    def cut(sequence: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(sequence, (0, *corner, 0), (time, height, width, channels))

    return jax.vmap(cut)(padded, corners)
