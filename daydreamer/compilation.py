"""Keeps compiled programs on disk, so that a restarted process is ready within seconds."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import jax


def keep_compilations() -> None:
    """Switches JAX's persistent compilation cache on; JAX_COMPILATION_CACHE_DIR says where, if set."""
    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # JAX adds its settings as it runs
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # a user without a home, as in a container: each start compiles anew
            logging.info("Compiled programs are not kept: there is no home directory, and no XDG_CACHE_HOME.")
            return
        jax.config.update("jax_compilation_cache_dir", str(cache / "daydreamer" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
