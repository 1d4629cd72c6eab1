"""A policy that has hardly learned anything, of a session in the format of an earlier version."""

import shutil
import tarfile
from pathlib import Path

import pytest

from daydreamer.session.directory import Session

FORMAT = Path(__file__).parents[1] / "session" / "formats" / "2.tar.xz"


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    place = tmp_path_factory.mktemp("learned") / "monday"
    with tarfile.open(FORMAT) as archive:
        archive.extractall(place, filter="data")
    return Session.open(place)


@pytest.fixture(scope="session")
def learned_again(learned, tmp_path_factory):
    """Another session with the same policy."""
    return Session.open(shutil.copytree(learned.path, tmp_path_factory.mktemp("again") / "tuesday"))
