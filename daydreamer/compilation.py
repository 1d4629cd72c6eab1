"""How programs are compiled: once, and kept on disk; or quickly, for those that run a few times only."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
from collections.abc import Iterator
from pathlib import Path


def keep_compilations() -> None:
    """Switches JAX's persistent compilation cache on; JAX_COMPILATION_CACHE_DIR says where, if set."""
    import jax  # takes a second, which whoever wants flags alone need not wait for

    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # JAX adds its settings as it runs
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # a user without a home, as in a container: each start compiles anew
            logging.info("Compiled programs are not kept: there is no home directory, and no XDG_CACHE_HOME.")
            return
        jax.config.update("jax_compilation_cache_dir", str(cache / "daydreamer" / "jax"))
    # The small ones, too: an actor or a learner has dozens of them, and none is as quick to compile as to read.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def quick_flags() -> list[str]:
    """Flags of XLA for programs that run a few times only: compiled in a quarter of the time, and slower to run."""
    flags = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
    # XLA ends the process at a flag that it does not know, and later versions do not know this one.
    jaxlib = tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2]))
    return [*flags, "--xla_cpu_use_fusion_emitters=false"] if jaxlib < (0, 11) else flags


@contextlib.contextmanager
def quick_compilation() -> Iterator[None]:
    """Sets `quick_flags` inside the block, unless XLA_FLAGS is set; XLA looks when it compiles its first program."""
    if "XLA_FLAGS" in os.environ:
        yield
        return
    os.environ["XLA_FLAGS"] = " ".join(quick_flags())
    try:
        yield
    finally:
        del os.environ["XLA_FLAGS"]
