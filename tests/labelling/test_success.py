"""A classifier of successes: what it learns of the twin's pictures, when it may pay, and what it is refused for."""

import json
import shutil

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.cli.label import label
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.doctor import examine
from daydreamer.errors import UserError
from daydreamer.labelling import training
from daydreamer.labelling.episodes import read_pictures
from daydreamer.labelling.training import read_labelled, split
from daydreamer.models.success import Rate, read_classifier, write_classifier
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.registry import make_task
from daydreamer.robots.so101.constants import READY_RAD
from daydreamer.session.directory import Session
from daydreamer.session.labels import labels_path, read_labels, write_labels
from daydreamer.session.new import configure, new_session, resumable_session

STEPS = 400
CHOSEN = {"robot": "so101", "task": "pick_place_fine", "minutes": 1.0, "seed": 0}


def train(*directories, out, steps=STEPS):
    options = {"camera": None, "episodes": 20, "train": True, "gradient_steps": steps, "seed": 0, "as_json": True}
    return label(directories, out=out, **options)


def paid_by(file, **options):
    return configure(**CHOSEN | options, overrides=[f"success.classifier={file}"])


@pytest.fixture(scope="session")
def trained(labelled, tmp_path_factory):
    """The file of a classifier."""
    out = tmp_path_factory.mktemp("trained") / "placed.safetensors"
    assert train(labelled.path, out=out) == 0
    return out


@pytest.fixture
def relabelled(labelled, tmp_path):
    """The session with other labels, of those that are chosen."""

    def make(chosen):
        session = Session.open(shutil.copytree(labelled.path, tmp_path / "relabelled"))
        labels = {step: success for step, success in read_labels(session, ABOVE).items() if chosen(step[1], success)}
        write_labels(session, ABOVE, labels)
        return session.path

    return make


def test_of_episodes_that_it_has_not_learned_from_it_knows_which_pictures_show_a_success(labelled, trained):
    tested = read_classifier(trained).learned.tested
    learned_from, held_out = split(read_labelled([labelled.path]).pairs, seed=0)
    assert not set(learned_from.episode) & set(held_out.episode)
    assert tested.correct.of == len(held_out) > 100 and len(set(held_out.episode)) == 8
    assert tested.correct.count > 0.9 * tested.correct.of
    assert tested.false_positives.count < 0.08 * tested.false_positives.of
    assert tested.missed.count < 0.25 * tested.missed.of


def test_what_deceives_it_where_nobody_has_looked_is_counted(relabelled):
    """As by an arm that hangs over a tray for five steps: on the robot that is paid."""
    labelled = read_labelled([relabelled(lambda step, success: step % 14 in (0, 5, 13))])
    pairs = labelled.pairs
    failed = pairs.of_episodes(np.setdiff1d(pairs.episode, pairs.episode[pairs.success]))
    deceiving = set()
    for session, episode in (labelled.episodes[number] for number in np.unique(failed.episode)):
        between = {episode.step(index) for index in range(6, 11)}
        deceiving |= {picture.tobytes() for picture in read_pictures(session, ABOVE, between).values()}
    tested = training.test(lambda first, now: now.tobytes() in deceiving, labelled, failed)
    episodes = len(np.unique(failed.episode))
    assert episodes > 10 and tested.false_positives == Rate(0, 3 * episodes)
    assert tested.paid_wrongly == Rate(episodes, episodes)


def test_it_pays_in_the_task_as_it_was_told_that_it_would(labelled, trained):
    task, learned = make_task(paid_by(trained)), read_classifier(trained).learned
    _, held_out = split(read_labelled([labelled.path]).pairs, seed=0)
    rightly = wrongly = 0
    for episode in np.unique(held_out.episode):
        pairs = held_out.of_episodes(episode)
        task.reset()
        for (_, picture), success in zip(pairs.pictures, pairs.success, strict=True):
            values = {JOINT_POSITION: READY_RAD, JOINT_VELOCITY: np.zeros(6), ABOVE: picture}
            state = task.observe(Measurement(0.0, values), READY_RAD)
            assert (state.ending, state.reward) in ((None, 0.0), ("success", 1.0))
            if state.ending:
                rightly, wrongly = rightly + success, wrongly + (not success)
                break
    assert wrongly == learned.tested.paid_wrongly.count and rightly >= 2
    assert rightly + wrongly == learned.tested.unpaid.of - learned.tested.unpaid.count


def test_a_session_says_which_content_pays_and_does_not_go_on_with_another_one(trained, tmp_path):
    file = tmp_path / "placed.safetensors"
    shutil.copy(trained, file)
    session = new_session(tmp_path / "session", paid_by(file))
    config = Session.open(session.path).config
    assert config.success.classifier == str(file) and len(config.success.sha256) == 64
    assert resumable_session(session.path).config == config
    file.write_bytes(file.read_bytes() + b" ")
    for refused in (lambda: resumable_session(session.path), lambda: make_task(config)):
        with pytest.raises(UserError, match="another one than the session began with; put that one back, or begin a"):
            refused()
    file.unlink()
    with pytest.raises(UserError, match="cannot be read .No such file.*put it there, or choose another"):
        resumable_session(session.path)
    with pytest.raises(UserError, match="'a1' 'walk' is paid by its own rule alone; .* so101 pick_place_fine"):
        paid_by(trained, robot="a1", task="walk")
    with pytest.raises(UserError, match=r"is of so101 pick_place_fine \(twin\), .* this session of .*\(hardware\)"):
        make_task(paid_by(trained, body="hardware"))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"successes": 3, "failures": 5}, "learned from 8 pictures, 3 of successes, where 64, and 16 .* label more"),
        ({"failures": 0}, "learned from successes alone, and knows no difference; label more"),
        (
            {"false_positives": Rate(20, 104)},
            r"pays for no success in 20 of 104 \(19.2 %, .* 12.8 to 27.8 %\) held-out",
        ),
        ({"missed": Rate(14, 28)}, "misses a success in 14 of 28 .* at most 50%; label more"),
        ({"missed": Rate(0, 0)}, "misses a success in 0 of 0"),
        ({"paid_wrongly": Rate(1, 8)}, "would have paid wrongly in 1 of 8 held-out episodes; label more"),
    ],
)
def test_what_knows_too_little_or_is_wrong_too_often_does_not_pay(trained, tmp_path, changes, words):
    classifier, out = read_classifier(trained), tmp_path / "other.safetensors"
    learned = classifier.learned
    tested = {name: rate for name, rate in changes.items() if isinstance(rate, Rate)}
    stated = {name: number for name, number in changes.items() if name not in tested}
    learned = msgspec.structs.replace(learned, tested=msgspec.structs.replace(learned.tested, **tested), **stated)
    write_classifier(out, classifier.parameters, learned)
    with pytest.raises(UserError, match=f"may not pay: it .*{words}"):
        make_task(paid_by(out))


@pytest.mark.parametrize("what", ["empty", "cut", "without a tensor", "not finite", "of other sizes", "of no format"])
def test_a_file_that_is_no_classifier_is_refused(trained, tmp_path, what):
    classifier, out = read_classifier(trained), tmp_path / "other.safetensors"
    parameters, learned = jax.tree.map(np.array, classifier.parameters), classifier.learned
    if what == "without a tensor":
        parameters["params"].pop("Dense_0")
    elif what == "not finite":
        parameters["params"]["Dense_0"]["bias"][0] = np.nan
    elif what == "of other sizes":
        learned = msgspec.structs.replace(learned, image_units=learned.image_units + 1)
    write_classifier(out, parameters, learned)
    content = out.read_bytes()
    changed = {
        "empty": b"",
        "cut": content[:-1],
        "of no format": content.replace(b"format_version", b"format_revision"),
    }
    out.write_bytes(changed.get(what, content))
    with pytest.raises(UserError, match="is no classifier of successes .*; train one with 'daydreamer label --train'"):
        read_classifier(out)


@pytest.mark.parametrize(
    "chosen, words",
    [
        (lambda number, success: False, "Nobody has said of a picture in .* what it shows; say so: daydreamer label"),
        (
            lambda number, success: number % 14 in range(2, 14, 4) and number < 28,
            "6 pictures of 2 episodes, 1 of which",
        ),
        (lambda number, success: not success, "All 336 labelled pictures show no success; label some that show one"),
        (lambda number, success: success, "All 112 labelled pictures show a success; label some that show none"),
        (lambda number, success: number % 14 in (0, 13), "Nothing was trained: it has learned from 48 pictures, 12 of"),
    ],
    ids=["none", "of two episodes", "no success", "nothing else", "few"],
)
def test_too_few_labels_or_those_of_one_kind_are_not_learned_from(relabelled, tmp_path, chosen, words):
    with pytest.raises(UserError, match=words):
        train(relabelled(chosen), out=tmp_path / "placed.safetensors")
    assert not (tmp_path / "placed.safetensors").exists()


def test_what_was_not_learned_well_enough_is_told_and_not_written(labelled, tmp_path, capsys):
    assert train(labelled.path, out=tmp_path / "placed.safetensors", steps=1) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["file"] is None and "held-out pictures" in told["objection"] and told["tested"]["correct"]["of"] > 100
    assert not (tmp_path / "placed.safetensors").exists()


def test_labels_that_are_damaged_or_of_no_camera_are_named_with_the_cure(relabelled, tmp_path):
    directory = relabelled(lambda number, success: True)
    assert [each.text for each in examine(Session.open(directory)) if each.part == "labels"] == [
        "448 pictures of 'above' are labelled, 112 of them as successes."
    ]
    with pytest.raises(UserError, match="has no camera 'front'; it has above"):
        read_labelled([directory], "front")
    with pytest.raises(UserError, match="--train needs a file to write"):
        train(directory, out=None)
    path = labels_path(Session.open(directory), ABOVE)
    path.write_bytes(path.read_bytes().replace(b"true", b"false", 1))
    with pytest.raises(UserError, match="is damaged .its checksum.*restore it from a copy, or remove it and label"):
        read_labelled([directory])
    assert [each.state for each in examine(Session.open(directory)) if each.part == "labels"] == ["damaged"]


def test_sessions_of_different_kinds_are_not_learned_from_together(labelled, tmp_path):
    other = new_session(tmp_path / "other", configure(**CHOSEN, body="hardware"))
    with pytest.raises(UserError, match=r"fine \(twin\), .* and .*other of .* \(hardware\), .*; train on one kind"):
        read_labelled([labelled.path, other.path])
