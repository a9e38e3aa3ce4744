"""lake.spark: the same views and tables where one machine is not enough: Spark, if it is installed.

Room: lake. May import: lake, pyarrow, pyspark (the extra `spark`; it needs Java 17).
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

# pyspark is an extra, and need not be there.
# pyright: reportMissingImports=false

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from careloom.lake.engine import outcome_of
from careloom.lake.lake import Lake
from careloom.lake.schema import spark_ddl
from careloom.lake.view.statement import Statement

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def absent() -> str:
    """Why Spark cannot be used here; "" if it can."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed: pip install -c constraints.txt -e '.[spark]'"
    return "" if shutil.which("java") else "There is no Java: Spark needs version 17"


def session(*, cores: int = 2, memory: str = "2g") -> SparkSession:
    """A local session; times are UTC, as everywhere in careloom."""
    from pyspark.sql import SparkSession as Builder

    builder: Any = Builder.builder
    options = {
        "spark.driver.memory": memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # Its own default, INT96, does not say that a time is an instant.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # A view with `repeat` is a query with a level for each level of the data.
        "spark.sql.analyzer.maxIterations": "1000",
        "spark.sql.optimizer.maxIterations": "1000",
        "spark.sql.shuffle.partitions": str(cores),
    }
    builder = builder.master(f"local[{cores}]").appName("careloom")
    for name, value in options.items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    found.sparkContext.setLogLevel("OFF")
    return found


def current(spark: SparkSession, root: Path, rtype: str) -> DataFrame:
    """What is current of one type in the lake at `root`, as last published; nothing is read before it is asked for.

    Spark is told the files and their schema, so it needs no jar of Delta. All rows: this is for who may read the
    files. Raises OutcomeError(not-found): no lake, no such table.

        current(session(), Path("lake"), "Patient").createOrReplaceTempView("Patient")
    """
    sources = Lake(root).sources(rtype)
    files = [str(sources.folder / part.name) for part in sources.parts]
    schema = spark_ddl(rtype)
    return newest(spark.read.schema(schema).parquet(*files) if files else spark.createDataFrame([], schema))


def newest(versions: DataFrame) -> DataFrame:
    """Of all rows of a table, those that are current: neither deleted nor set aside, and no next version follows."""
    from pyspark.sql import functions

    column = functions.col
    ended = versions.where("version_id > 1").select("id", (column("version_id") - 1).alias("version_id"))
    left = versions.where("seq_to is null and not is_deleted and not is_aside")
    return left.join(ended, ["id", "version_id"], "left_anti")


def open_tables(spark: SparkSession, tables: dict[str, pa.Table], folder: Path) -> None:
    """Make Arrow tables known to Spark under the names of their types, by way of Parquet files in a folder."""
    for kind, table in tables.items():
        path = folder / f"{kind}.parquet"
        pq.write_table(table, path)
        spark.read.parquet(str(path)).createOrReplaceTempView(kind)


def run(spark: SparkSession, statement: Statement, source: str = "") -> list[dict[str, Any]]:
    """The rows of a view, all at once. `source` is what stands behind FROM, by default the type's own table."""
    from pyspark.errors import PySparkException

    try:
        return [row.asDict() for row in spark.sql(statement.sql("spark", source)).collect()]
    except PySparkException as error:
        raise outcome_of(str(error), type(error).__name__) from None
    except Exception as error:
        # What raise_error says while rows are read comes as an error of the bridge to Java.
        if type(error).__module__.startswith("py4j"):
            raise outcome_of(str(error), type(error).__name__) from None
        raise
