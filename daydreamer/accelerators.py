"""What this machine has to learn with beside its processor, and the settings that suit it. Does not import JAX."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DRIVER = Path("/proc/driver/nvidia/gpus")
_PLUGINS = ("jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13")

GPU_SETTINGS: Mapping[str, Any] = {
    "learner": {
        "batch_size": 64,
        "batch_length": 16,
        "imagination_starts": 1024,
        "imagination_horizon": 10,
        "train_ratio": 1024.0,
        "updates_per_dispatch": 5,
    }
}
"""For a preset without sizes of its own, because these belong together. What a GPU's step costs is launching its
kernels, hardly their size: short sequences, wide batches and many starts are free there, and five steps in one dispatch
do not suffer from what else the processor does (measured on an H200, see benchmarks/README.md). One gradient step and
10,240 imagined steps for each real one."""


def found_gpus(driver: Path = _DRIVER) -> int:
    """How many GPUs NVIDIA's driver has found in this machine."""
    try:
        return len(list(driver.iterdir()))
    except OSError:
        return 0


def usable_gpus(driver: Path = _DRIVER) -> int:
    """How many of them JAX can learn on: its CUDA plugin is installed, and nothing in the environment forbids it."""
    platforms = os.environ.get("JAX_PLATFORMS", "").lower().split(",")
    allowed = platforms == [""] or bool({"cuda", "gpu"} & set(platforms))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all") not in ("", "-1")
    return found_gpus(driver) if allowed and visible and any(map(_is_installed, _PLUGINS)) else 0


def settings(preset: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of a new session on this machine; empty without a GPU, or if the preset has one of them itself."""
    own = GPU_SETTINGS["learner"].keys() & preset.get("learner", {}).keys()
    return GPU_SETTINGS if not own and usable_gpus() else {}


def share_gpu_memory() -> None:
    """Has JAX take a GPU's memory as it is needed; call it before anything is computed.

    By itself JAX takes three quarters at once, which a camera's pictures, a browser or a second learner on the same GPU
    then go without. Whoever sets JAX's variable decides otherwise.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
