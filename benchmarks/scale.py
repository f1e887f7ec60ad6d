"""More rows than memory, more processes than one: `python -m benchmarks.scale`.

1. A Parquet file of 62 million rows of 8 float64 (4 GB) is made as pyarrow writes by default, and a full mixture of 16 fitted to it, from its
   path, in a process of its own: its peak resident memory, its steps, its time.
2. The sweep of that file against the sweep of the same rows in memory, in turns, two threads each; the file has just been read, so that the
   disk is not what is measured but decoding, which shares the cores with the sweep.
3. Rows per second of one sweep (d=8, K=16) over an array, Parquet, CSV, Dask with two workers of one thread, Spark with local[2].
4. What docs/scaling.md says of a sweep, against one and two Dask workers: time per row, time for no rows, bytes that travel.
5. Spark MLlib's GaussianMixture beside ours in the same session (`benchmarks.spark`).

`--rows N` for another size, `--folder PLACE` for a disk with room, `--only fit,sweep,table,model,spark` for some parts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import mixtura
from benchmarks import data, machine
from benchmarks.measuring import Turn, alternate, ratio, seconds_of, tell

D, K = 8, 16
ROWS = 62_000_000  # of 64 bytes: 4 GB
WRITTEN = 1_000_000  # rows written at a time
ROUNDS = 5
SMALLER = {"CSV": 2_000_000, "Dask, 2 workers": 8_000_000, "Spark, local[2]": 8_000_000}  # rows where the whole would take too long
PARTS = ("fit", "sweep", "table", "model", "spark")


def make(path: Path, rows: int) -> None:
    """Writes rows of a mixture of 16 to a Parquet file, a million at a time, with pyarrow's own settings."""
    import pyarrow
    from pyarrow import parquet

    names = [f"x{j}" for j in range(D)]
    with parquet.ParquetWriter(path, pyarrow.schema([(name, pyarrow.float64()) for name in names])) as writer:
        for number, first in enumerate(range(0, rows, WRITTEN)):
            X = shuffled(min(WRITTEN, rows - first), number)
            writer.write_table(pyarrow.table(dict(zip(names, np.ascontiguousarray(X.T), strict=True))))


def shuffled(rows: int, number: int) -> np.ndarray:
    """Rows of the same mixture for every number (data.rows draws another mixture for another seed)."""
    rng = np.random.default_rng([data.SEED, D, K])
    means, factors = 2 * rng.normal(size=(K, D)), np.eye(D) + rng.normal(size=(K, D, D)) / (2 * np.sqrt(D))
    own = np.random.default_rng([data.SEED, number])
    component, noise = own.integers(K, size=rows), own.normal(size=(rows, D))
    X = np.empty((rows, D))
    for k in range(K):
        mine = component == k
        X[mine] = means[k] + noise[mine] @ factors[k].T
    return X


def fit(path: str) -> None:
    """Fits the file and prints what it took as JSON: for a process of its own."""
    begun = time.perf_counter()
    model = mixtura.GaussianMixture(K, random_state=0).fit(path)
    seconds = time.perf_counter() - begun
    peak = next(int(line.split()[1]) / 1e3 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    facts = {"peak_mb": peak, "seconds": seconds, "steps": model.n_iter_, "converged": model.converged_, "log_likelihood": model.lower_bound_}
    print(json.dumps({**facts, "source": model.history_.source, "engine": model.history_.engine}))


def fitted(path: Path, rows: int) -> str:
    """The fit in a process of its own, in a line."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.scale", "--fit", str(path)], check=True, capture_output=True, text=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    return (
        f"fit of {rows:,} x {D}, K={K}, full ({path.stat().st_size / 1e9:.2f} GB, {facts['engine']}): peak resident memory {facts['peak_mb']:.0f} MB "
        f"(at most 600: {'PASS' if facts['peak_mb'] <= 600 else 'FAIL'}); {facts['seconds']:.0f} s, {facts['steps']} steps, "
        f"{'converged' if facts['converged'] else 'not converged'} at {facts['log_likelihood']:.6f} nats per row"
    )


def beginning(rows: np.ndarray) -> mixtura.Mixture:
    """What every sweep is taken at."""
    return mixtura.start(rows, K, random_state=0)


def swept(source: Any, start: mixtura.Mixture) -> Turn:
    """Seconds of a sweep; what a first pass has to find out is found out before."""
    mixtura.sweep(start, source)
    return seconds_of(lambda: mixtura.sweep(start, source))


def compared(path: Path) -> str:
    """The file's sweep beside that of its rows in memory."""
    stream = mixtura.open(path, in_memory=False)
    array = mixtura.open(path, in_memory=True)
    start = beginning(shuffled(50_000, 0))
    assert array.n_rows == stream.n_rows
    timings = alternate({"array": swept(array, start), "Parquet": swept(stream, start)}, {"array": ROUNDS, "Parquet": ROUNDS})
    share = 1 / (ratio(timings["Parquet"], timings["array"]) or np.nan)
    rates = ", ".join(f"{side} {stream.n_rows / (timing.median or np.nan) / 1e6:.1f}" for side, timing in timings.items())
    return (
        f"sweep of {stream.n_rows:,} x {D}, K={K}, {machine.cores()} threads, million rows per second: {rates}; "
        f"the file at {100 * share:.0f} % of the rate in memory (at least 70 %: {'PASS' if share >= 0.7 else 'FAIL'})"
    )


def table(folder: Path, path: Path) -> list[str]:
    """Rows per second wherever they lie."""
    start = beginning(shuffled(50_000, 0))
    lines = []

    def line(name: str, source: Any) -> None:
        turn = swept(source, start)
        seconds = statistics.median(turn() for _ in range(ROUNDS))
        lines.append(f"{name:16} {source.n_rows:>11,} rows  {source.n_rows / seconds / 1e6:7.2f} million rows per second  ({source.engine})")
        tell(lines[-1])

    few = np.concatenate([shuffled(WRITTEN, number) for number in range(8)])
    line("array", mixtura.open(few))
    line("Parquet", mixtura.open(path, in_memory=False))
    csv = folder / "rows.csv"
    np.savetxt(csv, few[: SMALLER["CSV"]], delimiter=",", header=",".join(f"x{j}" for j in range(D)), comments="", fmt="%.17g")
    line("CSV", mixtura.open(csv, in_memory=False))
    csv.unlink()
    _on_dask(few[: SMALLER["Dask, 2 workers"]], line)
    _on_spark(few[: SMALLER["Spark, local[2]"]], folder, line)
    return lines


def _on_dask(rows: np.ndarray, line: Any) -> None:
    import dask.array
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        line("Dask, 2 workers", mixtura.open(dask.array.from_array(rows, chunks=(len(rows) // 8, D))))


def _on_spark(rows: np.ndarray, folder: Path, line: Any) -> None:
    import pyarrow
    from pyarrow import parquet

    from benchmarks.spark import session

    path = folder / "spark.parquet"
    parquet.write_table(pyarrow.table({f"x{j}": rows[:, j] for j in range(D)}), path)
    with session() as spark:
        line("Spark, local[2]", mixtura.open(spark.read.parquet(str(path)).repartition(8)))
    path.unlink()


def modelled() -> list[str]:
    """Sweeps on one and on two workers, of many rows and of next to none, and what the model makes of the two threads of one process."""
    import pickle

    import dask.array
    from distributed import Client, LocalCluster

    from mixtura.sources import Swept

    rows = np.concatenate([shuffled(WRITTEN, number) for number in range(4)])
    start = beginning(shuffled(50_000, 0))
    threads = {jobs: swept(mixtura.open(rows, n_jobs=jobs), start) for jobs in (1, 2)}
    core = {jobs: statistics.median(turn() for _ in range(ROUNDS)) / len(rows) for jobs, turn in threads.items()}
    array = mixtura.open(rows)
    task = Swept(start.gaussians, array.frame(False), array.dtype, (start.family.moment, False))
    lines = [
        f"threads: {1e9 * core[1]:.1f} ns per row on one, {1e9 * core[2]:.1f} on two",
        f"travels: task {len(pickle.dumps(task)):,} bytes, table {len(pickle.dumps(task.plan.sweep(rows[:1000], None))):,} bytes",
    ]
    for workers in (1, 2):
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
            for few, partitions in ((False, 16), (True, 16), (True, 64)):
                cut = rows[: 100 * partitions] if few else rows
                turn = swept(mixtura.open(dask.array.from_array(cut, chunks=(len(cut) // partitions, D))), start)
                seconds = statistics.median(turn() for _ in range(3 * ROUNDS if few else ROUNDS))
                lines.append(
                    f"Dask, {workers} worker{'s' * (workers > 1)}, {partitions} partitions, {len(cut):,} rows: {1e3 * seconds:.0f} ms a sweep"
                )
                tell(lines[-1])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--fit", metavar="PATH", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        fit(asked.fit)
        return
    parts = asked.only.split(",")
    for said in machine.lines(machine.describe(), machine.versions()):
        print(said)
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        folder, path = Path(place), Path(place, "rows.parquet")
        if set(parts) & {"fit", "sweep", "table"}:
            tell(f"writing {asked.rows:,} rows to {path}")
            make(path, asked.rows)
        if "fit" in parts:
            print(fitted(path, asked.rows), flush=True)
        if "sweep" in parts:
            print(compared(path), flush=True)
        if "table" in parts:
            print("\n".join(table(folder, path)), flush=True)
    if "model" in parts:
        print("\n".join(modelled()), flush=True)
    if "spark" in parts:
        from benchmarks import spark

        print("\n".join(spark.compared()), flush=True)


if __name__ == "__main__":
    main()
