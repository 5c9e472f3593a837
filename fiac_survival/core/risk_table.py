r"""The risk table: the sufficient statistic of the nonparametric estimators.

One row per (group, stratum, entry, time, status) that occurs, with the number of rows :math:`n`, the
sum of weights :math:`\sum w` and of squared weights :math:`\sum w^2`. Where every entry is 0 that is
(group, time, status). Kaplan-Meier and Aalen-Johansen curves, the log-rank family, restricted means
and their robust variances are functions of this table alone, so the same estimator serves rows in
memory, a ``GROUP BY`` in a database, and several sites that may not share rows (add their tables).

It takes the **joint** (entry, time, status): its margins do not determine a robust variance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path
from fiac_survival.core.outcome import Outcome
from fiac_survival.kernels.counting import CHUNKS, count_cells, weigh_cells

SCHEMA_VERSION = 1
ALL = "all"
KEYS = ["group", "stratum", "entry", "time", "status"]
DENSE_CELLS = 4_000_000


def require_positive_weights(weights: Any, n: int) -> NDArray[np.float64]:
    """Check case weights.

    Parameters
    ----------
    weights : array-like of float, shape (n,)
        Case weights.
    n : int
        Number of rows.

    Returns
    -------
    (n,) float64
        Finite and positive.

    Raises
    ------
    DataError
        If a weight is missing, zero or negative.
    """
    values = columns.require_finite(columns.numeric(weights, "weights", n=n), "weights")
    bad = np.flatnonzero(values <= 0)
    if bad.size:
        raise DataError(
            "weights must be positive",
            count=int(bad.size),
            row=int(bad[0]),
            values={"weight": values[bad[0]]},
            remedy="leave rows of weight zero out",
        )
    return values


@dataclass(frozen=True, eq=False)
class RiskTable:
    """Counts and weight sums by group, stratum, entry, time and status.

    Make one with :meth:`from_outcome` (rows in memory), :meth:`from_table` (an aggregate that a
    database made) or :meth:`from_parquet`; add two to merge sites.

    Attributes
    ----------
    table : DataFrame
        Columns group, stratum, entry, time, status, n, weight, weight_sq, sorted by the first five.
    weighted : bool
        False if weights were never given: variances are then Greenwood's.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[5, 8, 8], event=[1, 0, 1])
    >>> rt = fs.survival.RiskTable.from_outcome(y)
    >>> rt.table[["time", "status", "n"]].values.tolist()
    [[5.0, 1.0, 1.0], [8.0, 0.0, 1.0], [8.0, 1.0, 1.0]]
    >>> (rt + rt).table["n"].sum()
    np.int64(6)
    """

    table: pd.DataFrame
    weighted: bool = field(default=False)

    # --- making one ----------------------------------------------------------------------------

    @classmethod
    def from_outcome(
        cls, y: Outcome, *, group: Any = None, weights: Any = None, strata: Any = None
    ) -> RiskTable:
        """Reduce rows to a risk table.

        Parameters
        ----------
        y : Outcome
            The rows.
        group, strata : array-like, shape (n,), optional
            Labels; one group and one stratum called "all" if left out.
        weights : array-like of float, shape (n,), optional
            Positive case weights.

        Returns
        -------
        RiskTable
            The sufficient statistic.

        Raises
        ------
        DataError
            If a label is missing or a weight is not positive.
        """
        n = len(y)
        w = None if weights is None else require_positive_weights(weights, n)
        codes = np.empty(0, dtype=np.int64)
        groups: list[Any] = [ALL]
        if group is not None:
            codes, groups = columns.labels(group, "group", n=n)
        if strata is None and y.entry is None and y.whole_times:
            cells = len(groups) * (int(y.max_time) + 1) * (y.n_causes + 1)
            if cells <= min(DENSE_CELLS, max(10_000, 4 * n)):
                return cls._from_cells(y, codes, groups, w)
        frame = pd.DataFrame(
            {
                "group": codes if codes.size else np.zeros(n, dtype=np.int64),
                "stratum": 0,
                "entry": y.entry_or_zero(),
                "time": y.time,
                "status": y.event,
                "n": np.ones(n, dtype=np.int64),
                "weight": 1.0 if w is None else w,
                "weight_sq": 1.0 if w is None else w * w,
            }
        )
        stratum_labels: list[Any] = [ALL]
        if strata is not None:
            frame["stratum"], stratum_labels = columns.labels(strata, "strata", n=n)
        frame = _aggregate(frame)
        frame["group"] = _relabel(frame["group"], groups)
        frame["stratum"] = _relabel(frame["stratum"], stratum_labels)
        return cls(frame, weighted=w is not None)

    @classmethod
    def _from_cells(
        cls,
        y: Outcome,
        codes: NDArray[np.int64],
        groups: list[Any],
        w: NDArray[np.float64] | None,
    ) -> RiskTable:
        n_time, n_status = int(y.max_time) + 1, y.n_causes + 1
        size = len(groups) * n_time * n_status
        if w is None:
            parts = np.zeros((CHUNKS, size), dtype=np.int64)
            count_cells(y.time, y.event, codes, n_time, n_status, parts)
            counts = parts.sum(axis=0)
            sums = squares = counts.astype(np.float64)
        else:
            counts = np.zeros(size, dtype=np.int64)
            sums, squares = np.zeros(size), np.zeros(size)
            weigh_cells(y.time, y.event, codes, w, n_time, n_status, counts, sums, squares)
        used = np.flatnonzero(counts)
        group_code, rest = np.divmod(used, n_time * n_status)
        time, status = np.divmod(rest, n_status)
        frame = pd.DataFrame(
            {
                "group": _relabel(pd.Series(group_code), groups),
                "stratum": ALL,
                "entry": 0.0,
                "time": time.astype(np.float64),
                "status": status,
                "n": counts[used],
                "weight": sums[used],
                "weight_sq": squares[used],
            }
        )
        return cls(frame, weighted=w is not None)

    @classmethod
    def from_table(cls, table: Any) -> RiskTable:
        """Take a risk table that was aggregated elsewhere, e.g. by ``GROUP BY`` in a database.

        Parameters
        ----------
        table : DataFrame (pandas, polars or pyarrow)
            Columns time, status and n; optionally group, stratum, entry, and weight with weight_sq.
            Rows with equal keys are added.

        Returns
        -------
        RiskTable
            Sorted, with all columns.

        Raises
        ------
        DataError
            If a column is missing, or a count or a time breaks a rule.

        Examples
        --------
        >>> import pandas as pd
        >>> RiskTable.from_table(pd.DataFrame({"time": [3, 4], "status": [1, 0], "n": [2, 5]}))
        RiskTable(7 rows in 2 cells, 1 group, not weighted)
        """
        import narwhals.stable.v2 as nw

        native = nw.from_native(table, eager_only=True)
        given = set(native.columns)
        missing = sorted({"time", "status", "n"} - given)
        if missing or (("weight" in given) != ("weight_sq" in given)):
            raise DataError(
                "a risk table has columns time, status and n, and weight only with weight_sq",
                values={"missing": missing or ["weight or weight_sq"]},
                remedy="aggregate by group, stratum, entry, time and status",
            )
        weighted = "weight" in given
        size = native.shape[0]
        data: dict[str, Any] = {}
        for name in ("group", "stratum"):
            if name in given:
                codes, levels = columns.labels(native[name].to_native(), name)
                data[name] = _relabel(pd.Series(codes), levels)
            else:
                data[name] = np.full(size, ALL, dtype=object)
        y = Outcome(
            native["time"].to_native(),
            native["status"].to_native(),
            entry=native["entry"].to_native() if "entry" in given else None,
        )
        counts = columns.require_finite(columns.numeric(native["n"].to_native(), "n"), "n")
        bad = np.flatnonzero((counts < 1) | (counts != np.floor(counts)))
        if bad.size:
            raise DataError(
                "n must be a whole number of rows, at least 1",
                count=int(bad.size),
                row=int(bad[0]),
                values={"n": counts[bad[0]]},
                remedy="leave empty cells out",
            )
        data |= {"entry": y.entry_or_zero(), "time": y.time, "status": y.event}
        data["n"] = counts.astype(np.int64)
        if weighted:
            data["weight"] = require_positive_weights(native["weight"].to_native(), size)
            data["weight_sq"] = require_positive_weights(native["weight_sq"].to_native(), size)
        else:
            data["weight"] = data["weight_sq"] = counts
        return cls(_aggregate(pd.DataFrame(data)), weighted=weighted)

    # --- merging -------------------------------------------------------------------------------

    def __add__(self, other: RiskTable) -> RiskTable:
        """Merge the tables of two sites or two periods.

        Parameters
        ----------
        other : RiskTable
            With the same kind of weights.

        Returns
        -------
        RiskTable
            What pooling the rows would have given.
        """
        if not isinstance(other, RiskTable):
            return NotImplemented
        if self.weighted != other.weighted:
            raise DataError(
                "two risk tables must both be weighted, or neither",
                values={"left": self.weighted, "right": other.weighted},
                remedy="give the unweighted site weights of 1",
            )
        both = pd.concat([self.table, other.table], ignore_index=True)
        return RiskTable(_aggregate(both), weighted=self.weighted)

    # --- reading and writing -------------------------------------------------------------------

    def to_parquet(self, path: str | Path) -> None:
        """Write the table, whole or not at all.

        Parameters
        ----------
        path : str or Path
            Where.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrow = pa.Table.from_pandas(self.table, preserve_index=False)
        note = {"schema_version": SCHEMA_VERSION, "weighted": self.weighted}
        arrow = arrow.replace_schema_metadata({b"fiac_risk_table": json.dumps(note).encode()})
        with atomic_path(Path(path)) as temporary:
            pq.write_table(arrow, temporary)

    @classmethod
    def from_parquet(cls, path: str | Path) -> RiskTable:
        """Read a table that :meth:`to_parquet` wrote.

        Parameters
        ----------
        path : str or Path
            Which file.

        Returns
        -------
        RiskTable
            The same table.

        Raises
        ------
        DataError
            If the file is missing, half-written, of a later version, or not a risk table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            arrow = pq.read_table(Path(path), partitioning=None)
        except FileNotFoundError:
            raise DataError(
                "the file must exist", values={"path": path}, remedy="check the path"
            ) from None
        except (pa.ArrowInvalid, OSError) as cause:
            raise DataError(
                "the file must be a whole parquet file",
                values={"path": path, "reason": str(cause)},
                remedy="write it again: it is damaged or was cut short",
            ) from cause
        note = (arrow.schema.metadata or {}).get(b"fiac_risk_table")
        if note is None:
            raise DataError(
                "the file must be a risk table",
                values={"path": path},
                remedy="make it with RiskTable.to_parquet, or read it and use from_table",
            )
        meta = json.loads(note)
        if meta["schema_version"] > SCHEMA_VERSION:
            raise DataError(
                "the file must not be newer than this package",
                values={"schema_version": meta["schema_version"], "known": SCHEMA_VERSION},
                remedy="upgrade fiac_survival",
            )
        checked = cls.from_table(arrow.to_pandas())
        return cls(checked.table, weighted=bool(meta["weighted"]))

    # --- looking at it -------------------------------------------------------------------------

    @property
    def groups(self) -> list[Any]:
        """Labels of the groups, in order."""
        return list(dict.fromkeys(self.table["group"]))

    def __repr__(self) -> str:
        groups = len(self.groups)
        return (
            f"RiskTable({int(self.table['n'].sum())} rows in {len(self.table)} cells, "
            f"{groups} group{'s' if groups > 1 else ''}, "
            f"{'weighted' if self.weighted else 'not weighted'})"
        )

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, max_rows=20, border=0, escape=True))


def _relabel(codes: pd.Series, levels: list[Any]) -> NDArray[Any]:
    values = np.empty(len(levels), dtype=object)
    values[:] = levels
    out = pd.Series(values[codes.to_numpy()]).infer_objects()
    return out.to_numpy()


def _aggregate(frame: pd.DataFrame) -> pd.DataFrame:
    """Add rows with equal keys; sort by key; a fixed order of columns."""
    grouped = frame.groupby(KEYS, sort=True, as_index=False, dropna=False)
    out = grouped[["n", "weight", "weight_sq"]].sum()
    out["status"] = out["status"].astype(np.int64)
    return out[[*KEYS, "n", "weight", "weight_sq"]]
