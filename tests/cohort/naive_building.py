"""The analysis table as one would make it by hand: one person at a time, with plain dates and lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from fiac_survival.core.population import Records, Variable
from fiac_survival.core.protocol import Protocol

DATE = {"exposure": "date", "event": "date", "line_of_therapy": "start"}


def _date(value: Any) -> dt.date | None:
    return None if pd.isna(value) else pd.Timestamp(value).date()


def _selected(
    frames: dict[str, pd.DataFrame], person: Any, records: Records
) -> list[tuple[dt.date, Any]]:
    out = []
    for row in frames[records.table].to_dict("records"):
        if row["person"] != person:
            continue
        starts = {"atc": records.atc, "code": records.codes}
        among = {"drug": records.drugs, "event": records.events}
        if any(v is not None and row[c] not in v for c, v in among.items()):
            continue
        if any(
            v is not None and not any(str(row[c] or "").startswith(s) for s in v)
            for c, v in starts.items()
        ):
            continue
        out.append((_date(row[DATE[records.table]]), row.get("value")))
    return out


def _variable(
    frames: dict[str, pd.DataFrame], person: Any, zero: dt.date, variable: Variable
) -> Any:
    first, last = variable.records.window
    found = [
        ((d - zero).days, v)
        for d, v in _selected(frames, person, variable.records)
        if first <= (d - zero).days <= last
    ]
    if variable.value == "any":
        return bool(found)
    if variable.value == "days":
        return len({d for d, _ in found})
    if variable.value == "last_value":
        found = [(d, v) for d, v in found if not pd.isna(v)]
        return max((v for d, v in found if d == max(e for e, _ in found)), default=None)
    days = [d for d, _ in found]
    pick = min if variable.value == "first_day" else max
    return pick(days) if days else None


def build(frames: dict[str, pd.DataFrame], protocol: Protocol) -> dict[Any, dict[str, Any]]:
    """Analysis rows by person, or {"excluded_at": label} of those left out."""
    out: dict[Any, dict[str, Any]] = {}
    for person in frames["person"].to_dict("records"):
        out[person["person"]] = _person(frames, protocol, person)
    return out


def _person(
    frames: dict[str, pd.DataFrame], protocol: Protocol, person: dict[str, Any]
) -> dict[str, Any]:
    who, about = person["person"], protocol.time_zero
    found = [d for d, _ in _selected(frames, who, about.records)]
    if not found:
        return {"excluded_at": f"Time zero: {about.definition}"}
    zero = min(found)
    if about.between and not about.between[0] <= zero <= about.between[1]:
        return {"excluded_at": f"Time zero from {about.between[0]} to {about.between[1]}"}
    row: dict[str, Any] = {
        "time_zero": zero,
        "age": (zero - _date(person["birth"])).days * 4 // 1461,
    }
    for variable in protocol.variables:
        row[variable.name] = _variable(frames, who, zero, variable)
    for criterion in protocol.eligibility:
        value = row.get(criterion.column, person.get(criterion.column))
        holds = {
            ">=": lambda a, b: a >= b,
            "==": lambda a, b: a == b,
            "<": lambda a, b: a < b,
        }[criterion.operator]
        if value is None or pd.isna(value) or not holds(value, criterion.value):
            return {"excluded_at": criterion.label}
    end, death = _end(frames, protocol, person)
    first: tuple[dt.date, int] | None = None
    for event in protocol.outcome.events:
        if event.column is not None:
            day = death if event.column == "death" else _date(person[event.column])
            if day is not None and day <= zero:
                return {"excluded_at": "Free of the outcome on day 0"}
        else:
            low, high = event.records.window or [1, 10**6]
            days = [
                d
                for d, _ in _selected(frames, who, event.records)
                if low <= (d - zero).days <= high
            ]
            day = min(days) if days else None
        if day is not None and (end is None or day <= end) and (first is None or day < first[0]):
            first = (day, event.code)
    last = first[0] if first else end
    if last is None or (last - zero).days <= 0:
        return {"excluded_at": "Observed after day 0"}
    row |= {"time": (last - zero).days, "event": first[1] if first else 0}
    for strategy in protocol.strategies:
        if strategy.grace_days is not None:
            days = [(d - zero).days for d, _ in _selected(frames, who, strategy.records)]
            days = [d for d in days if 0 <= d <= strategy.grace_days]
            row[f"start_{strategy.name}"] = min(days) if days else None
    if all(s.grace_days is None for s in protocol.strategies):
        names = []
        for strategy in protocol.strategies:
            if strategy.records is not None:
                low, high = strategy.records.window
                if any(
                    low <= (d - zero).days <= high
                    for d, _ in _selected(frames, who, strategy.records)
                ):
                    names.append(strategy.name)
        rest = [s.name for s in protocol.strategies if s.none_of_the_others]
        names = names or rest
        if not names:
            return {"excluded_at": "Follows one of the strategies"}
        row["strategy"] = names[0]
    return row


def _end(
    frames: dict[str, pd.DataFrame], protocol: Protocol, person: dict[str, Any]
) -> tuple[dt.date | None, dt.date | None]:
    rule, cutoff = protocol.follow_up.ends, protocol.follow_up.cutoff
    death = _date(person["death"])
    if rule == "follow_up_end":
        end = _date(person["follow_up_end"])
        end = min(end, cutoff) if cutoff else end
        counts = death is not None and death <= end
    elif rule == "cutoff":
        end = cutoff
        counts = death is not None and death <= end
    else:
        seen = [
            _date(r["date"])
            for name in ("exposure", "event")
            for r in frames[name].to_dict("records")
            if r["person"] == person["person"]
        ]
        seen = [d for d in seen if cutoff is None or d <= cutoff]
        end = max(seen) if seen else None
        counts = death is not None and (cutoff is None or death <= cutoff)
    return (death, death) if counts else (end, None)
