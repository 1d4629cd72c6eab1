"""Robots in packages of their own, installed beside daydreamer as their owners would, but for the internet."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


class Installed:
    """A folder in which packages are installed, for processes that shall find them.

    Attributes:
      folder: where they are.
    """

    def __init__(self, folder):
        self.folder = folder

    def install(self, package):
        """With pip, from a folder, which the build would otherwise leave its own files in."""
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        result = subprocess.run(
            [*pip, "--target", str(self.folder), str(package)], capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stderr

    @property
    def environment(self):
        return os.environ | {"PYTHONPATH": os.pathsep.join([str(self.folder), *filter(None, sys.path)])}

    def run(self, *command, **options):
        """`python -m ...`; its exit status, and all that it printed."""
        process = subprocess.run(
            [sys.executable, "-m", *command],
            **{"env": self.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options,
        )
        return process.returncode, process.stdout

    def daydreamer(self, *arguments, **options):
        return self.run("daydreamer.cli.main", *arguments, **options)


@pytest.fixture(scope="session")
def cart_package(tmp_path_factory):
    """The package of the cart, as somebody has downloaded it."""
    return shutil.copytree(EXAMPLES / "cart_robot", tmp_path_factory.mktemp("package") / "cart_robot")


@pytest.fixture(scope="session")
def installed(tmp_path_factory, cart_package):
    """With the cart."""
    there = Installed(tmp_path_factory.mktemp("installed"))
    there.install(cart_package)
    return there


@pytest.fixture(scope="session")
def cart_compiled(installed, tmp_path_factory):
    """A short training of the cart in lock-step, made by one worker for all: what it compiles is compiled from then on.

    Its session directory.
    """
    cache = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / "cart-session"
    with open(cache / "cart-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = tmp_path_factory.mktemp("cart") / "session"
            arguments = ("train", "cart", "reach_by_blob", "--preset", "tiny", "--steps", "300", "--train-ratio", "4")
            status, output = installed.daydreamer(*arguments, "--out", str(made), timeout=600)
            assert status == 0, output
            shutil.copytree(made, path)
    return path
