"""A classifier that says by a camera's pictures whether a task has been done: what pays where no rule of a robot can.

It compares two pictures, that with which the episode began and that of now. From the latter alone a cube that is to be
carried from tray to tray looks the same before it and after.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import safetensors.numpy
from jax import Array
from msgspec import Meta

from daydreamer.config import Body, ModelConfig, Name, SessionConfig
from daydreamer.errors import UserError
from daydreamer.models.codecs import ImageEncoder
from daydreamer.models.layers import INITIALIZER
from daydreamer.models.requirements import PATCH
from daydreamer.spec import Space
from daydreamer.storage.atomic import write_anywhere
from daydreamer.storage.identified import read_classifier_file
from daydreamer.storage.tensors import decode_metadata, decode_tensors
from daydreamer.texts import printable_line

FORMAT_VERSION = 1
LIKELY = 0.8
"""Probability from which on a picture counts as a success: to pay for nothing is worse than to pay a moment later."""

IN_A_ROW = 3
"""Pictures that must be likely ones before a success is paid: each may deceive."""

LEAST_PICTURES, LEAST_OF_A_KIND = 64, 16
"""That a classifier has learned from: in all, and of successes and of all else."""
MOST_FALSE, MOST_MISSED = 0.10, 0.50
"""Share of held-out pictures that it may get wrong, at the upper end of the interval: of those that show no success,
and of those that do; a success that is missed may be seen in the next picture."""
MOST_PAID_WRONGLY = 0.05
"""Share of held-out episodes."""

Number = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Side = Annotated[int, Meta(ge=PATCH, le=512, multiple_of=PATCH)]
Units = Annotated[int, Meta(ge=1, le=4096)]

_CURE = "label more episodes, successes and failures, and train again"


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often something was so.

    Attributes:
      count: how often.
      of: among how many; each counts as if it had nothing to do with the others.
    """

    count: Number
    of: Number

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of Wilson's interval of the share, with 95 %; of nothing, everything."""
        if not self.of:
            return 0.0, 1.0
        from scipy.stats import binomtest  # takes a second, which whoever only looks need not wait for

        interval = binomtest(self.count, self.of).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    @property
    def words(self) -> str:
        """As '3 of 96 (3.1 %, 95 % interval 1.1 to 8.8 %)'."""
        low, high = (100.0 * end for end in self.interval)
        share = f"{100.0 * self.count / self.of:.1f} %, " if self.of else ""
        return f"{self.count} of {self.of} ({share}95 % interval {low:.1f} to {high:.1f} %)"


class Tested(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a classifier makes of pictures of episodes that it has not learned from.

    Attributes:
      correct: of all of them.
      false_positives: of those that show no success.
      missed: of those that do.
      paid_wrongly: of these episodes, those that would have been paid while they had not succeeded, see `InARow`.
      unpaid: of those that succeed, those that would not have been paid.
    """

    correct: Rate
    false_positives: Rate
    missed: Rate
    paid_wrongly: Rate
    unpaid: Rate


class Subject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What pictures are of.

    Attributes:
      robot, task, body, camera: that they were taken with.
      shape: of each, height, width, channels.
    """

    robot: Name
    task: Name
    body: Body
    camera: Name
    shape: tuple[Side, Side, Annotated[int, Meta(ge=1, le=4)]]

    @property
    def words(self) -> str:
        """As 'so101 pick_place_fine (twin), camera 'above' with 64x64x3'."""
        size = "x".join(map(str, self.shape))
        return f"{self.robot} {self.task} ({self.body}), camera '{self.camera}' with {size}"


class Learned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a classifier says of itself, in the header of its file.

    Attributes:
      subject: what the pictures are of.
      patch_units, image_units: see `ModelConfig`.
      successes, failures: pictures that it has learned from.
      tested: what it makes of others.
    """

    subject: Subject
    patch_units: Units
    image_units: Units
    successes: Number
    failures: Number
    tested: Tested

    @property
    def shortage(self) -> str:
        """Why it cannot have learned enough, a clause with its cure; empty if it can."""
        pictures = self.successes + self.failures
        if not (self.successes and self.failures):
            kind = "successes" if self.successes else "failures"
            return f"it has learned from {kind} alone, and knows no difference; {_CURE}"
        if pictures < LEAST_PICTURES or min(self.successes, self.failures) < LEAST_OF_A_KIND:
            return (
                f"it has learned from {pictures} pictures, {self.successes} of successes, where {LEAST_PICTURES}, and "
                f"{LEAST_OF_A_KIND} of either kind, are needed; {_CURE}"
            )
        return ""

    @property
    def objection(self) -> str:
        """Why it may not pay, a clause with its cure; empty if it may."""
        if self.shortage:
            return self.shortage
        tested = self.tested
        for what, rate, most in (
            ("pays for no success", tested.false_positives, MOST_FALSE),
            ("misses a success", tested.missed, MOST_MISSED),
        ):
            if rate.interval[1] > most:
                return f"it {what} in {rate.words} held-out pictures, and must certainly in at most {most:.0%}; {_CURE}"
        wrongly = tested.paid_wrongly
        if wrongly.count > MOST_PAID_WRONGLY * wrongly.of:
            return f"it would have paid wrongly in {wrongly.count} of {wrongly.of} held-out episodes; {_CURE}"
        return ""


class InARow:
    """Whether a success is likely for as many pictures in a row as it takes to be paid."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, likely: bool) -> bool:
        """Whether it is, with one more picture."""
        self._count = self._count + 1 if likely else 0
        return self._count >= IN_A_ROW


class SuccessNetwork(nn.Module):
    """Pairs of pictures `[..., 2, height, width, channels]`, of the beginning and of now, to logits `[...]`."""

    shape: tuple[int, int, int]
    config: ModelConfig

    @nn.compact
    def __call__(self, pair: Array) -> Array:
        height, width, channels = self.shape
        image = jnp.moveaxis(pair, -4, -2).reshape(*pair.shape[:-4], height, width, 2 * channels)
        x = ImageEncoder(Space((height, width, 2 * channels), "uint8"), self.config)(image)
        return nn.Dense(1, kernel_init=INITIALIZER)(x)[..., 0]


def make_network(learned: Learned) -> SuccessNetwork:
    """The network of a classifier that says this of itself."""
    return _network(learned.subject.shape, learned.patch_units, learned.image_units)


@functools.lru_cache(maxsize=4)
def _network(shape: tuple[int, int, int], patch_units: int, image_units: int) -> SuccessNetwork:
    return SuccessNetwork(shape, ModelConfig(patch_units=patch_units, image_units=image_units))


@functools.lru_cache(maxsize=4)
def _probability(network: SuccessNetwork) -> Callable[[Any, np.ndarray], Array]:
    """Compiled once for all classifiers of equal networks."""
    return jax.jit(lambda parameters, pair: jax.nn.sigmoid(network.apply(parameters, pair)))


class SuccessClassifier:
    """Says how likely it is that a task has been done.

    Attributes:
      parameters: of its network.
      learned: what it says of itself.
    """

    def __init__(self, parameters: Any, learned: Learned):
        """Compiles it: a control loop does not wait for that later."""
        self.parameters, self.learned = parameters, learned
        self._probability = _probability(make_network(learned))
        blank = np.zeros(learned.subject.shape, np.uint8)
        self.probability(blank, blank)

    def probability(self, first: np.ndarray, now: np.ndarray) -> float:
        """That what was to be done is done in a picture, in an episode that began with picture `first`."""
        return float(self._probability(self.parameters, np.stack((first, now))))

    def is_likely(self, first: np.ndarray, now: np.ndarray) -> bool:
        """Whether it is likely enough to count."""
        return self.probability(first, now) >= LIKELY


def write_classifier(path: Path, parameters: Any, learned: Learned) -> None:
    """Writes a file, complete or not at all.

    Raises:
      OSError: it cannot be written.
    """
    tensors = {name: np.asarray(each, order="C") for name, each in flatten(parameters).items()}
    header = {name: json.dumps(value) for name, value in msgspec.to_builtins(learned).items()}
    header["format_version"] = json.dumps(FORMAT_VERSION)
    write_anywhere(path, safetensors.numpy.save(tensors, metadata=header))


def flatten(parameters: Any) -> dict[str, Any]:
    """Parameters by one name each."""
    return flax.traverse_util.flatten_dict(parameters, sep="/")


def read_classifier(path: Path, sha256: str = "") -> SuccessClassifier:
    """The classifier in a file, which may be a stranger's.

    Args:
      sha256: of the content that is wanted; '' for any.

    Raises:
      UserError: see `read_classifier_file`, or it is no classifier that this program can use.
    """
    content = read_classifier_file(path, sha256)
    try:
        tensors, header = decode_tensors(content)
        values = decode_metadata(header)
        if (version := values.pop("format_version", None)) != FORMAT_VERSION:
            raise ValueError(f"its format version is {printable_line(repr(version))}, not {FORMAT_VERSION}")
        learned = msgspec.convert(values, Learned)
        _require_parameters(tensors, learned)
    except (ValueError, msgspec.ValidationError) as error:
        raise UserError(
            f"{path} is no classifier of successes ({printable_line(str(error), 200)}); train one with 'daydreamer "
            "label --train'."
        ) from error
    return SuccessClassifier(jax.device_put(flax.traverse_util.unflatten_dict(tensors, sep="/")), learned)


def _require_parameters(tensors: Mapping[str, np.ndarray], learned: Learned) -> None:
    """Raises ValueError unless they are those of the network that the header states, and numbers."""
    blank = jax.ShapeDtypeStruct((2, *learned.subject.shape), jnp.uint8)
    shapes = jax.eval_shape(make_network(learned).init, jax.random.key(0), blank)
    expected = {name: (each.shape, "float32") for name, each in flatten(shapes).items()}
    found = {name: (each.shape, str(each.dtype)) for name, each in tensors.items()}
    if found != expected:
        wrong = min(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise ValueError(f"its '{printable_line(wrong)}' is {found.get(wrong)}, not {expected.get(wrong)}")
    for name, each in tensors.items():
        if not np.isfinite(each).all():
            raise ValueError(f"its '{name}' is not finite")


def classifier_of(config: SessionConfig, camera: str, shape: tuple[int, int, int]) -> SuccessClassifier:
    """The classifier that a session names, once it may pay there.

    Args:
      camera, shape: what it will see.

    Raises:
      UserError: it cannot be used, see `read_classifier`; is of something else; or may not pay, and why.
    """
    path = Path(config.success.classifier)
    classifier = read_classifier(path, config.success.sha256)
    learned = classifier.learned
    wanted = Subject(robot=config.robot, task=config.task, body=config.body, camera=camera, shape=shape)
    if learned.subject != wanted:
        raise UserError(
            f"The classifier {path} is of {learned.subject.words}, and this session of {wanted.words}; label pictures "
            "of such sessions, and train one of them."
        )
    if learned.objection:
        raise UserError(f"The classifier {path} may not pay: {learned.objection}.")
    return classifier
