r"""Control of curves and risk tables: releases delayed until enough has happened.

Let :math:`E_s(t)` be the cumulated events of cause :math:`s`, :math:`C(t)` the cumulated censorings and
:math:`r(t)=N-\sum_s E_s(t)-C(t)` the patients still observed after t. A curve is released at moments
:math:`t_1<t_2<\dots`, each the first at which, since the last,

.. math:: E_s(t_j)-E_s(t_{j-1}) \ge k \text{ for every } s,\qquad C(t_j)-C(t_{j-1}) \ge k,

and at which :math:`r(t_j)` is large enough to be released: the longest follow-up, which is one person's,
is never among them. Every count of 1 to :math:`k-1` at one time then stands in a sum of at least
:math:`k` that nothing divides further. Where all groups together are released too, the moments are common
to all, each the first at which every group has enough. :math:`E,C,r` leave midpoint-rounded, estimates at
:math:`t_j` rounded; there is no mark of single censorings.

A coarsened risk table has the events and censorings of a stretch at its end, and whoever is observed
longer than the last moment as censored there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DisclosureError
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure.count_tables import Controlled
from fiac_survival.disclosure.courses import Course, courses_of, measures
from fiac_survival.disclosure.inputs import CurveTable, require_plain
from fiac_survival.disclosure.outputs import Cell, LinearOutputs, Released, Sum
from fiac_survival.disclosure.profiles import Profile
from fiac_survival.disclosure.rounding import round_estimates


def statements(
    courses: Mapping[str, Course],
    profile: Profile,
    *,
    population: str,
    key: str,
    total: str | None,
) -> LinearOutputs:
    """State what released curves say about the counts behind them.

    Parameters
    ----------
    courses : mapping of str to Course
        By group.
    profile : Profile
        The rules.
    population, key : str
        Which patients, and the name of the grouping.
    total : str or None
        Label of all groups together.

    Returns
    -------
    LinearOutputs
        Numbers of patients, cumulated events and censorings, numbers at risk.
    """
    released: list[Released] = []
    sums: list[Sum] = []
    truth: dict[Cell, int] = {}

    def tell(cell: Cell, count: int) -> None:
        truth[cell] = count
        known = profile.curve_interval(count)
        if known is not None:
            released.append(Released(cell, *known))

    for label, course in courses.items():
        place = () if label == total or not key else ((key, label),)
        names = measures(course.count.shape[1] - 1)
        whole = Cell(population, "n", place)
        if profile.curve_interval(course.total) is not None:
            tell(whole, course.total)
        truth[whole] = course.total
        ends = [*course.release.tolist(), course.time.size - 1]
        upto: list[list[Cell]] = [[] for _ in ends]
        for s, name in enumerate(names):
            everything = Cell(population, name, place)
            truth[everything] = int(course.count[:, s].sum())
            before, start = None, 0
            for j, end in enumerate(ends):
                last = j == len(ends) - 1
                now = everything if last else _at(population, name, place, "#until", course, end)
                inside = [
                    (_at(population, name, place, "#time", course, k), int(course.count[k, s]))
                    for k in range(start, end + 1)
                    if course.count[k, s]
                ]
                truth |= dict(inside)
                parts = tuple(c for c, _ in inside)
                sums.append(Sum(now, parts if before is None else (before, *parts)))
                if not last:
                    tell(now, int(course.count[: end + 1, s].sum()))
                    upto[j].append(now)
                before, start = now, end + 1
        sums.append(Sum(whole, tuple(Cell(population, name, place) for name in names)))
        for j, end in enumerate(course.release.tolist()):
            left = _at(population, "n", place, "#after", course, end)
            tell(left, course.total - int(course.count[: end + 1].sum()))
            sums.append(Sum(whole, (left, *upto[j])))
    groups = [g for g in courses if g != total]
    if total is not None and total in courses and groups:
        sums += _overall(courses[total], groups, population, key)
    return LinearOutputs(tuple(released), tuple(sums), truth)


def _at(
    population: str, name: str, place: tuple[tuple[str, str], ...], what: str, c: Course, k: int
) -> Cell:
    return Cell(population, name, (*place, (what, f"{c.time[k]:.10g}")))


def _overall(everyone: Course, groups: list[str], population: str, key: str) -> Iterator[Sum]:
    """Say that what happened in all groups together up to a release happened in the groups."""
    places = [((key, g),) for g in groups]
    yield Sum(Cell(population, "n"), tuple(Cell(population, "n", p) for p in places))
    for name in measures(everyone.count.shape[1] - 1):
        yield Sum(Cell(population, name), tuple(Cell(population, name, p) for p in places))
        for end in everyone.release.tolist():
            parts = (_at(population, name, p, "#until", everyone, end) for p in places)
            yield Sum(_at(population, name, (), "#until", everyone, end), tuple(parts))


def control_curve(curve: CurveTable, profile: Profile) -> Controlled:
    """Control curves.

    Parameters
    ----------
    curve : CurveTable
        Estimates and the counts behind them.
    profile : Profile
        The rules.

    Returns
    -------
    Controlled
        One row a group and moment: time 0, the releases, and the ticks up to the last release.
    """
    courses = courses_of(
        curve.risk,
        profile,
        total=curve.total,
        times=curve.times,
        allow_no_censoring=curve.allow_no_censoring,
    )
    table, group = curve.table, curve.group
    labels = (
        [next(iter(courses))] if group is None else list(dict.fromkeys(table[group].astype(str)))
    )
    parts: list[pd.DataFrame] = []
    actions: list[tuple[str, str, int]] = []
    for label in labels:
        course = courses[label]
        rows = table if group is None else table[table[group].astype(str) == label]
        if profile.curve_interval(course.total) is None:
            actions.append((label, "withheld: fewer patients than the threshold", 1))
            continue
        parts.append(_curve_rows(curve, rows, course, profile))
        actions.append((label, "delayed: moments of release", int(course.release.size)))
        actions.append((label, f"counts rounded (midpoint, base {profile.curve_base})", 1))
    if not parts:
        raise DisclosureError(
            "a curve must have as many patients as the threshold",
            remedy="join groups or leave the curve out",
        )
    shown = {label: courses[label] for label in labels}
    if curve.total in shown:
        shown = courses
    outputs = statements(
        shown, profile, population=curve.population, key=group or "", total=curve.total
    )
    return Controlled(pd.concat(parts, ignore_index=True), outputs, actions)


def _curve_rows(
    curve: CurveTable, rows: pd.DataFrame, course: Course, profile: Profile
) -> pd.DataFrame:
    rows = rows.sort_values("time", kind="stable")
    moments = np.concatenate([[0.0], course.time[course.release]])
    ticks = [t for t in curve.ticks if 0 < t <= moments[-1]]
    grid = np.unique(np.concatenate([moments, ticks]))
    at = np.searchsorted(moments, grid, side="right") - 1  # the last release
    names = measures(course.count.shape[1] - 1)
    cumulated = np.vstack([np.zeros(len(names), dtype=np.int64), course.cumulated])
    left = course.total - cumulated.sum(axis=1)
    descriptive = [
        c
        for c in rows.columns
        if c == curve.group or not pd.api.types.is_numeric_dtype(rows[c].dtype)
    ]
    out = pd.DataFrame({c: [rows[c].iloc[0]] * grid.size for c in descriptive})
    out["time"] = grid
    position = np.searchsorted(rows["time"].to_numpy(dtype=np.float64), moments, side="right") - 1
    decimals = profile.survival_decimals
    for name in curve.estimates:
        start = curve.start.get(name, 0.0 if name == "std_error" else 1.0)
        values = rows[name].to_numpy(dtype=np.float64)
        found = np.where(position < 0, start, values[np.maximum(position, 0)])
        found[0] = start
        out[name] = round_estimates(pd.Series(found), profile, decimals=decimals)[at].to_numpy()
    out["n_risk"] = [int(profile.curve_released(int(n))) for n in left[at]]
    for s in (*range(1, len(names)), 0):
        out[names[s]] = [int(profile.curve_released(int(n))) for n in cumulated[at, s]]
    return out


def control_risk_table(
    risk: RiskTable, profile: Profile, *, population: str = "all", key: str = "group"
) -> tuple[RiskTable, Controlled]:
    """Coarsen a risk table in time.

    Parameters
    ----------
    risk : RiskTable
        Not weighted, entry at 0, one stratum.
    profile : Profile
        The rules.
    population, key : str
        Which patients, and the name of the grouping.

    Returns
    -------
    table : RiskTable
        Groups that cannot be released are left out.
    controlled : Controlled
        Its table, statements and what was done.
    """
    require_plain(risk)
    if risk.weighted and profile.protects:
        raise DisclosureError(
            "sums of weights of few patients must not leave",
            remedy="control the weighted curve with CurveTable",
        )
    if not profile.protects:
        return risk, Controlled(risk.table, LinearOutputs(()), [])
    rows: list[dict[str, Any]] = []
    actions: list[tuple[str, str, int]] = []
    released: list[Released] = []
    courses = courses_of(risk, profile)
    grouping = key if len(courses) > 1 else ""
    # The table is exact, so the statements are those of a release without rounding.
    behind = statements(courses, profile, population=population, key=grouping, total=None)
    labels = {str(g): g for g in risk.groups}
    for label, course in courses.items():
        if not course.release.size:
            actions.append((label, "withheld: too few events or censorings", 1))
            continue
        place = ((grouping, label),) if grouping else ()
        steps = np.diff(course.cumulated, axis=0, prepend=0)
        steps[-1, 0] += course.total - course.cumulated[-1].sum()
        names = measures(course.count.shape[1] - 1)
        for j, end in enumerate(course.release.tolist()):
            for s in range(steps.shape[1]):
                if steps[j, s]:
                    rows.append(
                        {
                            "group": labels[label],
                            "time": course.time[end],
                            "status": s,
                            "n": steps[j, s],
                        }
                    )
                cell = _at(population, names[s], place, "#until", course, end)
                count = behind.truth[cell]
                released.append(Released(cell, count, count))
        whole = Cell(population, "n", place)
        released.append(Released(whole, course.total, course.total))
        actions.append((label, "delayed: moments of release", int(course.release.size)))
    if not rows:
        raise DisclosureError(
            "a risk table must have as many events and censorings as the threshold",
            remedy="join groups",
        )
    table = RiskTable.from_table(pd.DataFrame(rows))
    outputs = LinearOutputs(tuple(released), behind.sums, behind.truth)
    return table, Controlled(table.table, outputs, actions)
