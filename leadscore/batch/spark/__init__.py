"""Lists that are scored on a Spark cluster: the same reading, features, scores and bytes as on one machine.

What a cluster needs: Spark 4, this version of leadscore (and the same LightGBM) on every worker, and the project's
files under the same path on all of them, a mounted bucket or a shared disk. A query is read by one task, on a worker
where its environment variable is set. The scorer travels as the bytes of its folder. The list comes back to the
driver, part by part, through the folder of the run beside it.

Imported on ``--engine spark`` alone; pyspark is in the extra ``spark``.
"""

from leadscore.batch.spark.run import score_on_spark

__all__ = ["score_on_spark"]
