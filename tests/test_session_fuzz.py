"""Some tens of mutations of a session's files, each looked at by every command; benchmarks/session_fuzz.py has more."""

import contextlib
import itertools
import json
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorstore as ts

from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import Checkpointer, read_checkpoint
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.seal import CorruptCheckpoint, Progress, checkpoint_paths
from daydreamer.telemetry.accounts import take_ledger
from daydreamer.telemetry.dreams import DreamWriter

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import session_fuzz
from session_fuzz import CHANGES, REPLACEMENTS, Mutation, add_live_files, judge, kind_of

SHOWN = ("status", "doctor", "report", "watch", "narrator", "replay", "lock")
EXAMINED = ("status", "doctor", "lock")


@pytest.fixture
def base(record_session, make_dream):
    """A session with every kind of file, as far as it can be had without training."""
    recorder = record_session("base", preset="tiny", robot="a1")
    recorder.log(10.0)
    recorder.write_metrics(0.5)
    recorder.write_status(actor={"actor_life": 1, "last_logged_sequence": 199})
    session, spec = recorder.session, recorder.spec
    for kind in ("start", "stop"):
        recorder.events.record(kind, "actor")
    recorder.events.record("milestone", "actor", name="upright", robot_seconds=12.0)
    truth = {key: np.zeros((30, *space.shape), np.float32) for key, space in spec.observation.items()}
    for number in range(3):
        dream = make_dream(truth | {"reward": np.zeros(30, np.float32)}, 20, first_sequence=100 * number)
        DreamWriter(session.dreams).write(dream)
    for version in (1, 2):
        metadata = SnapshotMetadata(version=version, gradient_step=1, env_steps=1, robot_spec=spec, model={})
        write_snapshot(session.policy, {"actor/w": np.ones(100, np.float32)}, metadata)
    agent = Agent(spec, session.config.model, session.config.learner)
    state = jax.tree.map(
        lambda leaf: np.random.default_rng(0).normal(size=leaf.shape).astype(leaf.dtype),
        jax.eval_shape(lambda: agent.initialize(0)),
    )
    add_live_files(session.path)
    cursors = {"1": (9000, 200), "2": (9000, 200)}
    with contextlib.closing(Checkpointer(session.checkpoints)) as checkpointer:
        progress = Progress(
            spec_hash=spec.hash, env_steps=400, cursors=cursors, policy_version=2, ledger=take_ledger(session)
        )
        checkpointer.save(state._replace(updates=np.int32(7)), progress)
    return session.path


FILES = {
    "session.yaml": SHOWN,
    "launch.json": EXAMINED,
    "events.jsonl": SHOWN,
    "experience/actor-0001.mcap": SHOWN,
    "metrics/learner": SHOWN,
    "dreams/000002.safetensors": SHOWN,
    "status/actor.json": SHOWN,
    "policy/000002.safetensors": EXAMINED,
    "policy/latest": EXAMINED,
    "checkpoints/7/progress/metadata": EXAMINED,
    "checkpoints/7/state/manifest.ocdbt": EXAMINED,
}


def test_whatever_becomes_of_a_file_every_command_answers_and_nothing_is_silent(base, tmp_path):
    """Each file in turn suffers the next change, and nothing of what happens is lost on the operator."""
    kinds = {kind_of(str(path.relative_to(base))) for path in base.rglob("*") if path.is_file()}
    assert {"experience", "metrics", "dreams", "events.jsonl", "session.yaml", "launch.json", "log"} <= kinds
    place = tmp_path / "damaged"
    shutil.copytree(base, place)  # a report names its folder
    before = session_fuzz.look(place, SHOWN)
    shutil.rmtree(place)
    assert not [each for each in before.values() if each["traceback"] or each["sentence"]], before
    whats = itertools.cycle([*CHANGES, *REPLACEMENTS])
    failures = []
    for number, (name, what) in enumerate(zip([*FILES] * 2, whats, strict=False)):
        path = base / name
        file = path if path.is_file() else next(path.iterdir())
        shutil.copytree(base, place)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text(session_fuzz.SECRET)
        mutation = Mutation(str(file.relative_to(base)), what, number)
        mutation.apply(place, outside)
        after = session_fuzz.look(place, FILES[name])
        if wrong := judge(before, after, outside):
            failures.append((mutation, wrong))
        shutil.rmtree(place)
        shutil.rmtree(outside)
    assert not failures, failures


def test_a_checkpoint_that_claims_more_than_it_has_is_refused(base):
    """Orbax would allocate whatever an array claims."""
    session = Session.open(base)
    (path,) = checkpoint_paths(session.checkpoints)
    agent = Agent(session.spec, session.config.model, session.config.learner)
    template = jax.eval_shape(lambda: agent.initialize(0))
    read_checkpoint(path, template, session.spec.hash)
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{path / 'state'}/"}).result()
    key = next(key for key in store.list().result() if key.endswith(b"kernel/.zarray"))
    original = store.read(key).result().value
    for change in ({"chunks": [1 << 20, 1 << 20]}, {"shape": [1 << 30, 1 << 30], "chunks": [1, 1]}, {"dtype": "<V99"}):
        store.write(key, json.dumps(json.loads(original) | change).encode()).result()
        with pytest.raises(CorruptCheckpoint, match="cannot be read"):
            read_checkpoint(path, template, session.spec.hash)
    store.write(key, original).result()
    read_checkpoint(path, template, session.spec.hash)
