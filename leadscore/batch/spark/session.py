"""A Spark session for one run: quiet, on the loopback where it is local; and what went wrong in it, in our words."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from leadscore.errors import ClusterError, MissingExtraError
from leadscore.model.booster import Progress

_QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_PER_BATCH, _FEW = "spark.sql.execution.arrow.maxRecordsPerBatch", "16"
"""A record is a whole stretch of a part."""
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
_BETWEEN_LOOKS = 0.3  # seconds


@contextmanager
def session(master: str | None) -> Iterator[Any]:
    """Open a session, or go on with one that is there; end it if it was opened here.

    Parameters
    ----------
    master : address of a cluster; None takes ``SPARK_MASTER``, then what spark-defaults.conf says, then ``local[*]``

    Raises
    ------
    MissingExtraError
        If pyspark isn't installed.
    ClusterError
        If Spark doesn't start, or a job of it fails in the block.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtraError("The Spark engine", "spark") from None
    from py4j.protocol import Py4JError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas 3, which nothing here goes through
        before = SparkSession.getActiveSession()
        spark = per_batch = None
        try:
            with _spoken_aside():
                spark = before or _opened(SparkSession.builder, master or os.environ.get("SPARK_MASTER"))
            per_batch = spark.conf.get(_PER_BATCH)
            spark.conf.set(_PER_BATCH, _FEW)
            yield spark
        except (PySparkException, Py4JError) as error:
            raise ClusterError(
                f"Spark {'failed' if spark else 'did not start'}: {_reason(error)}. It needs Java 17 or later, a "
                "master that answers, and leadscore on every worker"
            ) from error
        finally:
            if before is not None and per_batch is not None:
                before.conf.set(_PER_BATCH, per_batch)
            elif spark is not None and before is None:
                spark.stop()


@contextmanager
def _spoken_aside() -> Iterator[None]:
    """Let what Java says on standard error from now on go into a file; show it if Spark doesn't start."""
    shown = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(shown, aside.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def _opened(builder: Any, master: str | None) -> Any:
    from pyspark import SparkConf, SparkContext

    SparkContext._ensure_initialized()  # only Java knows spark-defaults.conf
    master = master or SparkConf().get("spark.master", "local[*]")
    options = dict(_QUIET)
    if str(master).startswith("local"):
        options |= _LOOPBACK
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = builder.master(master)
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _reason(error: Exception) -> str:
    """One line of what Spark says; of an error in a task only its kind, for its words may quote a row."""
    text = str(error)
    raised = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception)): (.*)$", text, re.MULTILINE)
    if "Traceback" in text and raised:
        kind, words = raised[-1]
        return f"a task met {kind}{f' ({words})' if kind == 'ModuleNotFoundError' else ''}"
    lines = [line.lstrip(": ") for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("An error occurred while calling")]
    return (lines[0] if lines else type(error).__name__).rstrip(". ")


def collect(spark: Any, frame: Any, progress: Progress, total: int) -> list[Any]:
    """Run a job for its rows; say how many of its tasks are done, and cancel it if the run is stopped."""
    from pyspark import inheritable_thread_target

    tracker, context = spark.sparkContext.statusTracker(), spark.sparkContext
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(inheritable_thread_target(spark)(frame.collect))
        try:
            while not wait([job], timeout=_BETWEEN_LOOKS).done:
                stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
                done = max((stage.numCompletedTasks for stage in stages if stage is not None), default=0)
                progress(min(done, total), total)
        except BaseException:
            context.cancelAllJobs()
            raise
    progress(total, total)
    return list(job.result())
