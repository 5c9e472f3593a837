"""Lines of therapy of cohorts too large for memory, written as they are found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.line_rules import LineRules
from fiac_survival.cohort.lines import AfterEnd, Finder, RuleSet, Unknown
from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path
from fiac_survival.core.progress import Progress
from fiac_survival.core.results import Result


@dataclass(frozen=True, eq=False, kw_only=True)
class WrittenLines(Result):
    """Lines of therapy on disk.

    Attributes
    ----------
    table : DataFrame
        One row for each line number: line, n.
    path : Path
        The parquet file, a canonical table ``line_of_therapy``.
    rules : LineRules
        The rule set.
    n_ignored : int
        Records that were left out.
    """

    path: Path
    rules: LineRules
    n_ignored: int


def write_lines_of_therapy(
    exposures: Any,
    path: str | Path,
    rules: RuleSet | str | Path | LineRules = "imwg",
    *,
    follow_up: Any = None,
    drugs: str | Path | DrugTable = "myeloma",
    unknown: Unknown = "refuse",
    after_end: AfterEnd = "refuse",
    records_per_block: int = 5_000_000,
    bucket: str | None = None,
    progress: Progress | None = None,
) -> WrittenLines:
    r"""Find lines of therapy in an engine's records and write them as they are found.

    Memory holds one block of records and its lines, whatever the number of people.

    Parameters
    ----------
    exposures : DataFrame or ibis.Table
        As for :func:`lines_of_therapy`.
    path : str or Path
        The parquet file to write, whole or not at all.
    rules, follow_up, drugs, unknown, after_end
        As for :func:`lines_of_therapy`.
    records_per_block : int, default 5,000,000
        Records to hold at a time.
    bucket : str, optional
        Column of `exposures` and `follow_up` that spreads people over parts: one part is sorted at a time.
        A person must be in one part only.
    progress : Progress, optional
        Told after each part.

    Returns
    -------
    WrittenLines
        How many lines there are, and where.

    Raises
    ------
    DataError
        As :func:`lines_of_therapy`; or if the bucket is not a column of both tables.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> cohort, _ = fs.cohort.example_cohort()
    >>> path = Path(tempfile.mkdtemp()) / "line_of_therapy.parquet"
    >>> written = fs.cohort.write_lines_of_therapy(
    ...     cohort.exposure, path, "gap90", follow_up=cohort.person)
    >>> written.table.values.tolist()
    [[1, 4]]
    >>> cohort.engine.close()
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    finder = Finder(rules, drugs, unknown, after_end, records_per_block)
    progress = progress or Progress(quiet=True)
    counts: dict[int, int] = {}
    ignored = 0
    with atomic_path(Path(path)) as temporary:
        writer: Any = None
        try:
            for part, people in _parts(exposures, follow_up, bucket, progress):
                for lines, left_out in finder.blocks(part, people):
                    ignored += left_out
                    for number, n in lines["line"].value_counts().items():
                        counts[int(str(number))] = counts.get(int(str(number)), 0) + int(n)
                    rows = _arrow(pa, lines)
                    writer = writer or pq.ParquetWriter(temporary, rows.schema, compression="zstd")
                    writer.write_table(rows)
        finally:
            if writer is not None:
                writer.close()
    table = pd.DataFrame({"line": sorted(counts), "n": [counts[k] for k in sorted(counts)]})
    return WrittenLines(table=table, path=Path(path), rules=finder.rules, n_ignored=ignored)


def _parts(exposures: Any, follow_up: Any, bucket: str | None, progress: Progress) -> Any:
    """Pairs of exposures and follow-up, a bucket at a time."""
    if bucket is None:
        yield exposures, follow_up
        return
    missing = [
        name
        for name, table in (("exposures", exposures), ("follow_up", follow_up))
        if table is None or bucket not in table.columns
    ]
    if missing or not hasattr(exposures, "to_pyarrow_batches"):
        raise DataError(
            "the bucket must be a column of both tables of an engine",
            values={"bucket": bucket, "missing in": ", ".join(missing) or "a frame in memory"},
            remedy="write the tables in folders called bucket=0, bucket=1, ..., or leave bucket out",
        )
    values = sorted(exposures.select(bucket).distinct().execute()[bucket].tolist())
    for done, value in enumerate(values, start=1):
        yield (
            exposures.filter(exposures[bucket] == value),
            follow_up.filter(follow_up[bucket] == value),
        )
        progress.say(f"lines of therapy: {done} of {len(values)} parts")


def _arrow(pa: Any, lines: pd.DataFrame) -> Any:
    table = pa.Table.from_pandas(lines, preserve_index=False).replace_schema_metadata(None)
    dates = {"start", "end"}
    fields = [f.with_type(pa.date32()) if f.name in dates else f for f in table.schema]
    return table.cast(pa.schema(fields))
