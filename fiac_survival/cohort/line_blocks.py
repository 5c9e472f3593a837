"""Records of treatment from an engine, in blocks of whole patients.

The engine sorts by patient. It does not sort a large table at once, which would go over the disk several
times, but some patients' records after the other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.arrow_rows import frame_of
from fiac_survival.cohort.dialects import fetch, stream
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.expressions import epoch_days
from fiac_survival.cohort.line_records import (
    Records,
    checked,
    horizon_of,
    require_columns,
    require_follow_up,
    require_present,
)
from fiac_survival.cohort.source_parts import Span, between
from fiac_survival.core.errors import DataError

ORDER = ("person", "fs_start", "fs_drug", "fs_end", "drug")
ROWS_TO_SORT = 20_000_000


def from_engine(
    exposures: Any, follow_up: Any, drugs: DrugTable, records_per_block: int
) -> Iterator[Records]:
    """Take records from an engine in blocks of whole patients.

    The engine sorts by patient, numbers drugs and turns dates into days; rows arrive as a stream.

    Parameters
    ----------
    exposures : ibis.Table
        person, date, drug; `end` if known.
    follow_up : ibis.Table or None
        person, follow_up_end; `death` if known.
    drugs : DrugTable
        Numbers of drugs.
    records_per_block : int
        Records to hold at a time; a block ends with a patient.

    Yields
    ------
    Records
        Some patients.

    Raises
    ------
    DataError
        If a column is missing or a value breaks a rule.
    """
    require_columns(list(exposures.columns), ["person", "date", "drug"], "exposures")
    if follow_up is not None:
        require_columns(list(follow_up.columns), ["person", "follow_up_end"], "follow_up")
    batches = _batches(exposures, follow_up, drugs, records_per_block)
    yield from _cut_into_blocks(batches, records_per_block)


def _batches(
    exposures: Any, follow_up: Any, drugs: DrugTable, records_per_block: int
) -> Iterator[Any]:
    """Sorted rows; of a large table those of some patients, then those of the next."""
    for span in _some_patients(exposures, follow_up, max(records_per_block, ROWS_TO_SORT)):
        of_them = None if follow_up is None else span.of(follow_up)
        part = with_days(span.of(exposures), of_them, drugs)
        yield from stream(part, order_by=ORDER, rows=records_per_block)


def _some_patients(exposures: Any, follow_up: Any, rows: int) -> list[Span]:
    """Ranges of patients who have about so many records; they are counted, not their records."""
    import ibis

    parts = -(-int(exposures.count().execute()) // rows)
    if parts < 2:
        return [Span("person")]
    known = exposures if follow_up is None else follow_up
    patients = known.select("person").distinct().filter(lambda t: t.person.notnull())
    numbered = patients.mutate(fs_number=ibis.row_number().over(order_by=patients.person))
    each = -(-int(patients.count().execute()) // parts)
    firsts = numbered.filter((numbered.fs_number % each == 0) & (numbered.fs_number > 0))
    cuts = fetch(firsts.select("person").order_by("person")).column("person").to_pylist()
    return between(cuts, "person")


def with_days(exposures: Any, follow_up: Any, drugs: DrugTable) -> Any:
    """Query that numbers drugs and turns dates into days.

    Parameters
    ----------
    exposures : ibis.Table
        person, date, drug; `end` if known.
    follow_up : ibis.Table or None
        person, follow_up_end; `death` if known.
    drugs : DrugTable
        Numbers of drugs.

    Returns
    -------
    ibis.Table
        person, fs_start, fs_end, fs_drug, drug; with follow-up also fs_horizon, fs_died.
    """
    import ibis

    known = [(key, number) for key, number in sorted(drugs.codes.items())]
    length = [(number, int(days)) for number, days in enumerate(drugs.days)]
    rows = exposures.mutate(
        fs_start=epoch_days(exposures.date),
        fs_drug=exposures.drug.cases(*known, else_=-1).cast("int64"),
    )
    covered = rows.fs_start + rows.fs_drug.cases(*length, else_=1) - 1
    if "end" in exposures.columns:
        covered = ibis.coalesce(epoch_days(rows["end"]), covered)
    rows = rows.mutate(fs_end=covered.cast("int64"))
    chosen = ["person", "fs_start", "fs_end", "fs_drug", "drug"]
    if follow_up is not None:
        final = epoch_days(follow_up.follow_up_end)
        death = ibis.null("int64")
        if "death" in follow_up.columns:
            death = epoch_days(follow_up.death)
        died = (death <= final).fill_null(False)
        known_to = follow_up.select(
            fs_person=follow_up.person,
            fs_horizon=died.ifelse(death, final).cast("int64"),
            fs_died=died,
        )
        rows = rows.left_join(known_to, rows.person == known_to.fs_person)
        chosen += ["fs_horizon", "fs_died"]
    return rows.select(chosen)


def _cut_into_blocks(batches: Any, records_per_block: int) -> Iterator[Records]:
    import pyarrow as pa

    held: list[Any] = []
    n_held = n_given = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        n_held += batch.num_rows
        if n_held < records_per_block:
            continue
        block = pa.concat_tables(held)
        begun = _begin_of_last(block.column("person"))
        if begun == 0:
            held = [block]
            continue
        yield _of_block(block.slice(0, begun), n_given)
        n_given += begun
        held, n_held = [block.slice(begun)], block.num_rows - begun
    if held:
        yield _of_block(pa.concat_tables(held), n_given)
    elif not n_given:
        raise DataError("exposures must have rows", values={"rows": 0})


def _begin_of_last(person: Any) -> int:
    """Row at which the last patient's records begin; they are sorted by patient."""
    import pyarrow.compute as pc

    last = person[-1]
    same = person.is_null() if not last.is_valid else pc.equal(person, last)
    return int(pc.index(same, True).as_py())


def _coded(values: Any) -> Any:
    """Values of an Arrow column as numbers of distinct ones: text is made once for each."""
    codes = values.combine_chunks().dictionary_encode()
    indices = codes.indices.fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(indices, codes.dictionary.to_pandas())


def _of_block(rows: Any, before: int) -> Records:
    text = ("person", "drug")
    coded = {name: _coded(rows.column(name)) for name in text}
    block = frame_of(rows.drop_columns(list(text)))
    require_present(coded["person"].isna(), "person")
    require_present(block["fs_start"].isna(), "date")
    end = block["fs_end"].to_numpy(dtype=np.int64)
    if "fs_horizon" in block:
        require_follow_up(block["fs_horizon"].isna(), before)
        horizon = block["fs_horizon"].to_numpy(dtype=np.int64)
        died = block["fs_died"].to_numpy(dtype=np.bool_)
    else:
        horizon, died = horizon_of(pd.Series(coded["person"].codes), None, end)
    return checked(
        Records(
            person=coded["person"],
            start=block["fs_start"].to_numpy(dtype=np.int64),
            end=end,
            drug=block["fs_drug"].to_numpy(dtype=np.int64),
            horizon=horizon,
            died=died,
            row=before + np.arange(len(block)),
            names=coded["drug"],
        )
    )
