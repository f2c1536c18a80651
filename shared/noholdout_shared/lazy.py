"""Columns of tables that stay where they are, whatever they are called.

A name such as ``task.completed`` is taken for column ``completed`` of a table ``task`` by the
engines that narwhals hands it to, so those columns are asked for in the engine's own way.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from noholdout_shared.sources import quoted


def spark_name(name: str) -> str:
    """A column's name as Spark takes it."""
    return "`" + name.replace("`", "``") + "`"


def nameable(table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any] | None:
    """The table without the columns that narwhals can't name; ``None`` when none is left."""
    native: Any = table.to_native()
    if table.implementation.is_duckdb():
        plain = [name for name in native.columns if not set(name) & set('."')]
    elif table.implementation.is_spark_like():
        plain = [name for name in native.columns if not set(name) & set(".`")]
    else:
        return table
    if len(plain) == len(native.columns):
        return table
    if not plain:
        return None
    if table.implementation.is_duckdb():
        return nw.from_native(native.project(", ".join(map(quoted, plain))))
    return nw.from_native(native.select(*map(spark_name, plain)))


def fetched(table: nw.LazyFrame[Any], wanted: list[str]) -> nw.DataFrame[Any]:
    """The wanted columns of all rows, in memory."""
    native: Any = table.to_native()
    if table.implementation.is_duckdb():
        frame = native.project(", ".join(map(quoted, wanted))).df()
        return nw.from_native(frame, eager_only=True)
    if not table.implementation.is_spark_like():
        return table.select(wanted).collect()
    places = [f"c{i}" for i in range(len(wanted))]
    plain = native.select(*map(spark_name, wanted)).toDF(*places)
    return nw.from_native(plain).collect().rename(dict(zip(places, wanted, strict=True)))
