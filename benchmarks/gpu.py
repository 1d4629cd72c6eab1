"""What a GPU makes of the learner: gradient steps and imagined steps by size, dispatch and compiler setting.

    python benchmarks/gpu.py [--seconds 2] [--only NAME ...] [--parallel 1] [--json FILE]

Every row is a process of its own, because XLA reads its flags once. Compiling takes a minute or more and a core; with
`--parallel` several compile at a time. They are timed one after the other, holding a lock; but launching kernels takes
time of the processor, so that beside many that still compile the figures are too low. Random experience of the A1 fills
the replay. The last column is what matters beside a robot: imagined steps for each real one, at 20 of them a second.

"waits" is a learner that waits for each gradient step before it dispatches the next. "64x16, 1024 x 10, scan 5", which
makes five gradient steps in one dispatch, is what a session on a GPU does by itself. "graph" lets XLA record whole
loops as CUDA graphs, so that the host does not launch each of their kernels; "of unrolled", with each step of a loop
recorded. "unroll 8" compiles eight steps of every loop in a row; to see what that would bring, this benchmark patches
`jax.lax.scan`. The program runs on the CPU too, where only the comparison of rows means anything.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import fcntl
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

WINDOWS = 5
_LOOPS = (
    "--xla_gpu_enable_command_buffer=FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,CONDITIONAL,WHILE "
    "--xla_gpu_graph_min_graph_size=1"
)
GRAPH_FLAGS = {"": "", "loops": _LOOPS, "unrolled": f"{_LOOPS} --xla_gpu_command_buffer_unroll_loops=true"}
TIMEOUT_S = 540.0
CONTROL_RATE_HZ = 20.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to run the learner.

    Attributes:
      name: of the row.
      workload: of `daydreamer bench`.
      sizes: batch size, batch length, imagination starts and horizon; None takes those of the workload.
      updates_per_dispatch: gradient steps in one program.
      graph: what becomes CUDA graphs beside XLA's default: nothing, loops, or loops step by step.
      unroll: steps of a loop compiled in a row.
      precision: of matrix products, see `jax.default_matmul_precision`.
    """

    name: str
    workload: str = "default"
    sizes: tuple[int, int, int, int] | None = None
    updates_per_dispatch: int = 1
    graph: str = ""
    unroll: int = 1
    precision: str | None = None


LARGE = (64, 16, 1024, 10)
ROWS = (
    Row("default"),
    Row("default, scan 5", updates_per_dispatch=5),
    Row("default, graph", graph="loops"),
    Row("default, scan 5, graph", updates_per_dispatch=5, graph="loops"),
    Row("default, graph of unrolled", graph="unrolled"),
    Row("default, unroll 8", unroll=8),
    Row("default, unroll 8, graph", unroll=8, graph="loops"),
    Row("64x16, 1024 x 10", sizes=LARGE),
    Row("64x16, 1024 x 10, graph", sizes=LARGE, graph="loops"),
    Row("64x16, 1024 x 10, graph of unrolled", sizes=LARGE, graph="unrolled"),
    Row("64x16, 1024 x 10, scan 5", sizes=LARGE, updates_per_dispatch=5),
    Row("64x16, 1024 x 10, scan 5, graph", sizes=LARGE, updates_per_dispatch=5, graph="loops"),
    Row("64x16, 1024 x 10, unroll 8, graph", sizes=LARGE, unroll=8, graph="loops"),
    Row("64x16, 1024 x 10, float32", sizes=LARGE, precision="float32"),
    Row("256x16, 4096 x 15, graph", sizes=(256, 16, 4096, 15), graph="loops"),
    Row("reference", workload="reference"),
    Row("reference, graph", workload="reference", graph="loops"),
    Row("image", workload="image"),
    Row("image, scan 5", workload="image", updates_per_dispatch=5),
)


def measure(row: Row, seconds: float, lock: str) -> dict[str, Any]:
    """Compiles, waits for its turn, and times; runs in a process of its own."""
    import jax
    import msgspec

    if row.unroll > 1:
        scan = jax.lax.scan
        jax.lax.scan = functools.partial(scan, unroll=row.unroll)
    if row.precision:
        jax.config.update("jax_default_matmul_precision", row.precision)

    from daydreamer.cli.bench import LearnerRun
    from daydreamer.cli.bench_workloads import find_workload

    workload = find_workload(row.workload)
    if row.sizes:
        names = ("batch_size", "batch_length", "imagination_starts", "imagination_horizon")
        sizes = dict(zip(names, row.sizes, strict=True))
        workload = dataclasses.replace(workload, learner=msgspec.structs.replace(workload.learner, **sizes))
    run = LearnerRun(workload, row.updates_per_dispatch)
    with open(lock, "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        windows = {
            how: [run.gradient_steps_per_s(seconds / WINDOWS, in_flight) for _ in range(WINDOWS)]
            for how, in_flight in (("waits", 1), ("two in flight", 2))
        }
    rates = {how: statistics.median(each) for how, each in windows.items()}
    best = rates["two in flight"]
    memory = jax.devices()[0].memory_stats() or {}
    return {
        "name": row.name,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "compile_s": run.compile_s,
        "gradient_steps_per_s": rates,
        "windows": windows,
        "imagined_per_update": run.agent.imagined_per_update,
        "imagined_per_real_step": best * run.agent.imagined_per_update / CONTROL_RATE_HZ,
        "train_ratio": best * run.agent.replayed_per_update / CONTROL_RATE_HZ,
        "peak_memory_bytes": memory.get("peak_bytes_in_use"),
        "loss": [float(x) for x in run.metrics["loss/total"].reshape(-1)],
    }


def in_process(row: Row, seconds: float, lock: str) -> dict[str, Any]:
    """`measure` in a process that has the flags of the row; a failure is a row too."""
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if row.graph:
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {GRAPH_FLAGS[row.graph]}"
    command = [sys.executable, __file__, "--row", row.name, "--seconds", str(seconds), "--lock", lock]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return {"name": row.name, "error": f"not done after {TIMEOUT_S:.0f} s"}
    if done.returncode:
        return {"name": row.name, "error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def as_text(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{result['name']:36} {result['error'][:150]}"
    rates = result["gradient_steps_per_s"]
    return (
        f"{result['name']:36} compile {result['compile_s']:5.1f} s  waits {rates['waits']:7.2f}/s  "
        f"two in flight {rates['two in flight']:7.2f}/s  train ratio {result['train_ratio']:7.0f}  "
        f"imagined per real step {result['imagined_per_real_step']:8.0f}  "
        f"{(result['peak_memory_bytes'] or 0) / 1e6:6.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="to time each row, twice")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[row.name for row in ROWS])
    parser.add_argument("--parallel", type=int, default=1, help="rows that compile at once")
    parser.add_argument("--json", help="where the figures go")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--lock", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = {row.name: row for row in ROWS}
    if arguments.row:
        print(json.dumps(measure(rows[arguments.row], arguments.seconds, arguments.lock)))
        return
    results = []
    with tempfile.NamedTemporaryFile() as lock, concurrent.futures.ThreadPoolExecutor(arguments.parallel) as pool:
        chosen = [rows[name] for name in arguments.only or rows]
        for result in pool.map(lambda row: in_process(row, arguments.seconds, lock.name), chosen):
            print(as_text(result), flush=True)
            results.append(result)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
