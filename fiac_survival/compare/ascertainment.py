r"""Which events two sources have in common, on patients linked between them.

The events of each patient are paired one to one with the smallest total difference of dates
(:mod:`fiac_survival.compare.event_pairs`). A pair within the window is *matched*, a farther one *shifted*;
a private event alone is *missed* (by the public source), a public one *extra*.

Cohen's κ is of the yes or no of each patient, with the variance of Fleiss, Cohen and Everitt. Shares of
events have Wilson's interval at the size :math:`p(1-p)/\hat V` where :math:`\hat V` is the variance
clustered by patient: the number of events, if nobody has more than one.

Source: Cohen 1960; Fleiss, Cohen, Everitt 1969; Wilson 1927.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.event_pairs import pair_events
from fiac_survival.compare.paired import FEWEST, PairedAgreement, paired_agreement
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
CLASSES = ("matched", "shifted", "missed", "extra")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Ascertainment(Result):
    """Agreement of two sources, event by event.

    Attributes
    ----------
    table : DataFrame
        measure, estimate, lower, upper, n: kappa (of patients), sensitivity and predictive_value (a
        partner within the window), sensitivity_any_date and predictive_value_any_date.
    counts : DataFrame
        class, events: matched, shifted, missed, extra.
    events : DataFrame
        The person, private_date, public_date, class, days (public minus private): one row per event or
        pair.
    patients : DataFrame
        private, public, patients: the two-by-two table of patients with any event.
    days : DataFrame
        statistic, value: the distribution of date differences over all pairs.
    kappa, sensitivity, predictive_value : float
        As in the table. The private source is the reference.
    dates : PairedAgreement or None
        Of the paired dates, in days; None with fewer than three pairs.
    durations : PairedAgreement or None
        Of the durations, if asked for.
    n_linked, only_private, only_public : int
        Patients linked, and patients of one table alone, who are left out.
    """

    counts: pd.DataFrame
    events: pd.DataFrame
    patients: pd.DataFrame
    days: pd.DataFrame
    kappa: float
    sensitivity: float
    predictive_value: float
    dates: PairedAgreement | None
    durations: PairedAgreement | None
    n_linked: int
    only_private: int
    only_public: int


def ascertainment(
    private: Any,
    public: Any,
    *,
    on: str = "person_id",
    date: str = "date",
    window_days: float = 30,
    max_days: float | None = None,
    persons: Any = None,
    duration: str | None = None,
    level: float = 0.95,
) -> Ascertainment:
    """Compare the events of linked patients in two sources.

    Parameters
    ----------
    private, public : DataFrame
        One row per event; a patient without an event has one row with a missing date. The private
        source is the reference.
    on : str, default "person_id"
        Column of the person, the same in both.
    date : str, default "date"
        Column of the event's date, or of its day as a number.
    window_days : float, default 30
        Largest difference of a matched pair.
    max_days : float, optional
        Dates farther apart are two events, never a pair. Default: no limit.
    persons : array-like, optional
        The linked persons; rows of others are left out, and persons without rows have no event.
        Default: the persons of both tables.
    duration : str, optional
        Column of a duration of each patient, to be compared too.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Ascertainment
        Classes of events, kappa, sensitivity, predictive value, differences of dates.

    Raises
    ------
    DataError
        If a column is missing, the dates are of two kinds, or nobody is linked.

    References
    ----------
    Fleiss JL, Cohen J, Everitt BS. Large sample standard errors of kappa and weighted kappa. Psychol
    Bull 1969;72:323-327.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> a = pd.DataFrame({"person_id": [1, 2, 3, 4], "date": [100, 200, None, 50]})
    >>> b = pd.DataFrame({"person_id": [1, 2, 3, 4], "date": [103, 290, 400, None]})
    >>> found = fs.compare.ascertainment(a, b)
    >>> dict(zip(found.counts["class"], found.counts["events"]))
    {'matched': 1, 'shifted': 1, 'missed': 1, 'extra': 1}
    """
    z = normal_quantile(level)
    for name, value in (("window_days", window_days), ("max_days", max_days)):
        if value is not None and not value >= 0:
            raise DataError(
                f"{name} must not be negative", values={name: value}, remedy="give days, e.g. 30"
            )
    tables = [
        _table(private, "private", on, date, duration),
        _table(public, "public", on, date, duration),
    ]
    kinds = [pd.api.types.is_datetime64_any_dtype(t[date]) for t in tables]
    if kinds[0] != kinds[1] and all(t[date].notna().any() for t in tables):
        raise DataError(
            "both sources must have dates, or both days",
            values={"private": str(tables[0][date].dtype), "public": str(tables[1][date].dtype)},
            remedy="convert one of them",
        )
    known = [set(t[on]) for t in tables]
    linked = known[0] & known[1] if persons is None else set(_persons(persons))
    if not linked:
        raise DataError(
            "at least one person must be linked",
            values={"private": len(known[0]), "public": len(known[1])},
            remedy=f"check that {on} has the same values in both tables, or pass persons",
        )
    code = {person: i for i, person in enumerate(sorted(linked, key=str))}
    sides = [_sorted_events(t, code, on, date) for t in tables]
    events = pair_events(sides[0], sides[1], max_days, window_days)
    labels = list(code)
    n = len(labels)
    has = np.zeros((2, n), dtype=np.bool_)
    for side, (who, _) in enumerate(sides):
        has[side, who] = True
    cells = np.array(
        [
            [np.sum(has[0] & has[1]), np.sum(has[0] & ~has[1])],
            [np.sum(~has[0] & has[1]), np.sum(~has[0] & ~has[1])],
        ],
        dtype=np.float64,
    )
    kappa = cohen_kappa(cells, z)
    kind = events["class"].to_numpy()
    who = events["who"].to_numpy()
    rows = [("kappa", *kappa, n)]
    for suffix, hits in (("", kind == "matched"), ("_any_date", np.isin(kind, CLASSES[:2]))):
        for measure, alone in (("sensitivity", "missed"), ("predictive_value", "extra")):
            among = np.isin(kind, (*CLASSES[:2], alone))
            rows.append((measure + suffix, *_share(hits[among], who[among], z), int(among.sum())))
    table = pd.DataFrame(rows, columns=["measure", "estimate", "lower", "upper", "n"])
    values = table.set_index("measure")["estimate"]
    paired = events[events["days"].notna()]
    dates = None
    if len(paired) >= FEWEST:
        dates = paired_agreement(paired["a"], paired["b"], level=level)
    return Ascertainment(
        table=table,
        counts=pd.DataFrame(
            {"class": CLASSES, "events": [int(np.sum(kind == c)) for c in CLASSES]}
        ),
        events=_readable(events, labels, on, kinds),
        patients=pd.DataFrame(
            {
                "private": [True, True, False, False],
                "public": [True, False, True, False],
                "patients": cells.ravel().astype(np.int64),
            }
        ),
        days=_distribution(paired["days"].to_numpy(dtype=np.float64)),
        kappa=kappa[0],
        sensitivity=float(values["sensitivity"]),
        predictive_value=float(values["predictive_value"]),
        dates=dates,
        durations=None if duration is None else _durations(tables, code, on, duration, level),
        n_linked=n,
        only_private=len(known[0] - linked),
        only_public=len(known[1] - linked),
    )


def cohen_kappa(cells: Floats, z: float) -> tuple[float, float, float]:
    """Compute Cohen's kappa of a square table, with its interval.

    Parameters
    ----------
    cells : (k, k) float64
        Counts.
    z : float
        Normal quantile of the interval.

    Returns
    -------
    estimate, lower, upper : float
        NaN if both sources say the same of everybody.
    """
    n = cells.sum()
    p = cells / n
    row, column = p.sum(axis=1), p.sum(axis=0)
    chance = float(row @ column)
    if chance >= 1.0:
        return float("nan"), float("nan"), float("nan")
    agreed = float(np.trace(p))
    kappa = (agreed - chance) / (1.0 - chance)
    weight = (column[:, None] + row[None, :]) ** 2 * (1.0 - kappa) ** 2
    np.fill_diagonal(weight, (1.0 - (row + column) * (1.0 - kappa)) ** 2)
    variance = (np.sum(p * weight) - (kappa - chance * (1.0 - kappa)) ** 2) / (
        n * (1.0 - chance) ** 2
    )
    half = z * float(np.sqrt(max(variance, 0.0)))
    return kappa, max(kappa - half, -1.0), min(kappa + half, 1.0)


def _share(hit: NDArray[np.bool_], who: NDArray[np.int64], z: float) -> tuple[float, float, float]:
    """Compute a share with Wilson's interval at its effective size."""
    n = float(hit.size)
    if not hit.size:
        return float("nan"), float("nan"), float("nan")
    p = float(hit.mean())
    residual = np.bincount(who, weights=hit - p)
    variance = float(np.sum(residual**2)) / n**2
    if variance > 0.0 and 0.0 < p < 1.0:
        n = min(n, p * (1.0 - p) / variance)
    centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z * np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n)
    return p, max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _table(data: Any, name: str, on: str, date: str, duration: str | None) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        frame = data.reset_index(drop=True)
    else:
        frame = nw.from_native(data, eager_only=True).to_pandas()
    needed = [on, date] + ([] if duration is None else [duration])
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise DataError(
            f"the {name} source must have the columns {', '.join(needed)}",
            values={"missing": ", ".join(missing)},
            remedy="rename its columns, or say on=, date= and duration=",
        )
    frame = frame[needed].copy()
    bad = np.flatnonzero(frame[on].isna())
    if bad.size:
        raise DataError(
            f"{on} must not be missing in the {name} source",
            count=int(bad.size),
            row=int(bad[0]),
            remedy="drop rows without a person",
        )
    if not pd.api.types.is_datetime64_any_dtype(frame[date]):
        try:
            frame[date] = pd.to_numeric(frame[date])
        except (ValueError, TypeError):
            try:
                frame[date] = pd.to_datetime(frame[date])
            except (ValueError, TypeError) as cause:
                raise DataError(
                    f"{date} of the {name} source must be dates or days",
                    values={"type": str(frame[date].dtype)},
                    remedy="convert the column, e.g. with pandas.to_datetime",
                ) from cause
    return frame


def _persons(persons: Any) -> list[Any]:
    return list(pd.unique(pd.Series(list(persons)).dropna()))


def _sorted_events(
    table: pd.DataFrame, code: dict[Any, int], on: str, date: str
) -> tuple[NDArray[np.int64], Floats]:
    """Persons and days of the events of linked persons, in order of both."""
    kept = table[table[date].notna() & table[on].isin(code.keys())]
    who = kept[on].map(code).to_numpy(dtype=np.int64)
    if pd.api.types.is_datetime64_any_dtype(kept[date]):
        plain = kept[date].dt.tz_localize(None) if kept[date].dt.tz else kept[date]
        day = plain.to_numpy(dtype="datetime64[D]").astype(np.int64).astype(np.float64)
    else:
        day = kept[date].to_numpy(dtype=np.float64)
    order = np.lexsort((day, who))
    return who[order], day[order]


def _readable(events: pd.DataFrame, labels: list[Any], on: str, kinds: list[bool]) -> pd.DataFrame:
    def dates(days: pd.Series, are_dates: bool) -> pd.Series:
        return pd.to_datetime(days, unit="D") if are_dates else days

    return pd.DataFrame(
        {
            on: [labels[i] for i in events["who"]],
            "private_date": dates(events["a"], kinds[0]),
            "public_date": dates(events["b"], kinds[1]),
            "class": events["class"],
            "days": events["days"],
        }
    )


def _distribution(days: Floats) -> pd.DataFrame:
    rows: list[tuple[str, float]] = [("pairs", float(days.size))]
    if days.size:
        shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
        rows += [(f"quantile {s:g}", float(np.quantile(days, s))) for s in shares]
        rows += [("mean", float(days.mean())), ("mean absolute", float(np.abs(days).mean()))]
        rows += [
            (f"share within {w} days", float(np.mean(np.abs(days) <= w))) for w in (0, 7, 30, 90)
        ]
    return pd.DataFrame(rows, columns=["statistic", "value"])


def _durations(
    tables: list[pd.DataFrame], code: dict[Any, int], on: str, duration: str, level: float
) -> PairedAgreement:
    sides = []
    for table, name in zip(tables, ("private", "public"), strict=True):
        kept = table[table[on].isin(code.keys()) & table[duration].notna()]
        values = kept.groupby(on)[duration]
        differing = values.max() > values.min()
        if differing.any():
            raise DataError(
                "a patient must have one duration",
                count=int(differing.sum()),
                values={"source": name, "column": duration},
                remedy="give the same value in each of the patient's rows",
            )
        sides.append(values.first().reindex(list(code)))
    return paired_agreement(sides[0].to_numpy(), sides[1].to_numpy(), level=level)
