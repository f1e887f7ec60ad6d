"""A sweep on Spark beside an iteration of MLlib's GaussianMixture, in one session on the same rows: `python -m benchmarks.spark`.

MLlib's fit is timed at two numbers of iterations, and what the second takes longer is divided by their difference, so that its start counts
for nothing; its rows are a cached column of vectors. Ours is the median of some sweeps once the rows are packed; what packing takes is told.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import mixtura
from benchmarks import data
from benchmarks.measuring import timed

CASES = ((1_000_000, 4, 16), (200_000, 16, 64))  # N rows, d columns, K components
TIMES = 8.0  # faster than MLlib: what is asked
PARTITIONS, SWEEPS = 8, 9
ITERATIONS = (2, 5)  # of MLlib


@contextmanager
def session() -> Iterator[Any]:
    """A session on two cores of this machine, with a driver on the loopback address."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def compare(spark: Any, N: int, d: int, K: int) -> str:
    """A line of the table."""
    import pyarrow

    X = data.rows(N, d, K)
    names = [f"x{j}" for j in range(d)]
    numbers = spark.createDataFrame(pyarrow.table({name: np.ascontiguousarray(X[:, j]) for j, name in enumerate(names)}))
    numbers = numbers.repartition(PARTITIONS).cache()
    numbers.count()
    theirs = mllib(numbers, names, K)
    source = mixtura.open(numbers)
    packing, _ = timed(lambda: source.n_rows)
    start = mixtura.start(X[:20_000], K, random_state=0)
    mixtura.sweep(start, source)
    ours = statistics.median(timed(lambda: mixtura.sweep(start, source))[0] for _ in range(SWEEPS))
    numbers.unpersist()
    scale = 1e9 / (N * K)
    return (
        f"{N:>9,} x {d:>2}, K={K}, full, ns per row x component x iteration: mixtura {ours * scale:.1f} (packed once in {packing:.1f} s), "
        f"MLlib {theirs * scale:.1f}; {theirs / ours:.1f} times faster (at least {TIMES:g}: {'PASS' if theirs >= TIMES * ours else 'FAIL'})"
    )


def mllib(numbers: Any, names: list[str], K: int) -> float:
    """Seconds of an iteration."""
    from pyspark.ml.clustering import GaussianMixture
    from pyspark.ml.feature import VectorAssembler

    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(numbers).select("features").cache()
    vectors.count()

    def run(max_iter: int) -> tuple[float, int]:
        seconds, model = timed(lambda: GaussianMixture(k=K, maxIter=max_iter, tol=0.0, seed=0).fit(vectors))
        return seconds, model.summary.numIter

    run(1)
    (few, n_few), (many, n_many) = (min(run(count) for _ in range(2)) for count in ITERATIONS)
    vectors.unpersist()
    if n_many <= n_few:
        raise RuntimeError("MLlib stopped before it could be timed")
    return (many - few) / (n_many - n_few)


def compared() -> list[str]:
    """All cases."""
    with session() as spark:
        return [compare(spark, *case) for case in CASES]


def main() -> None:
    print("\n".join(compared()), flush=True)


if __name__ == "__main__":
    main()
