"""A classifier of successes: what it learns of the twin's pictures, when it may pay, and what it is refused for."""

import hashlib
import json

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from daydreamer.cli.label import label
from daydreamer.errors import UserError
from daydreamer.labelling.training import read_labelled, split
from daydreamer.models.success import IN_A_ROW, Rate, flatten, read_classifier, write_classifier
from daydreamer.robots.registry import make_task
from daydreamer.robots.so101.classified import SeenByClassifier
from daydreamer.robots.so101.embodiment import ABOVE
from daydreamer.session.directory import Session
from daydreamer.session.labels import read_labels, write_labels
from daydreamer.session.new import configure, new_session, resumable_session

STEPS = 500
CHOSEN = {"robot": "so101", "task": "pick_place_fine", "minutes": 1.0, "seed": 0}


def train(*directories, out, steps=STEPS):
    options = {"camera": None, "episodes": 20, "train": True, "gradient_steps": steps, "seed": 0, "as_json": True}
    return label(directories, out=out, **options)


def named(file, **options):
    return configure(**CHOSEN | options, overrides=[f"success.classifier={file}"])


@pytest.fixture(scope="session")
def trained(labelled, tmp_path_factory):
    """The file of a classifier."""
    out = tmp_path_factory.mktemp("trained") / "placed.safetensors"
    assert train(labelled.path, out=out) == 0
    return out


def rewritten(trained, out, parameters=None, **changes):
    """A file of the same network that says something else of itself."""
    classifier = read_classifier(trained)
    write_classifier(
        out, parameters or classifier.parameters, msgspec.structs.replace(classifier.learned, **changes)
    )
    return out


def test_of_pictures_that_it_has_not_learned_from_it_knows_which_show_a_success(labelled, trained):
    tested = read_classifier(trained).learned.tested
    assert tested.correct.of >= 100 and tested.missed.of >= 20
    assert tested.correct.count > 0.9 * tested.correct.of
    assert tested.false_positives.count < 0.08 * tested.false_positives.of
    assert tested.missed.count < 0.25 * tested.missed.of
    learned_from, held_out = split(read_labelled([labelled.path]).pairs, seed=0)
    assert not set(learned_from.episode) & set(held_out.episode)
    assert len(set(held_out.episode)) == 8 and len(held_out) == tested.correct.of
