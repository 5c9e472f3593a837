"""Small checks of an engine: what cohort code asks of it, each with its known answer."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort import expressions as fx
from fiac_survival.cohort.dialects import fetch, fetch_frame, fetch_whole, stream
from fiac_survival.cohort.engine import Engine
from fiac_survival.core.errors import DataError

LARGE = 2**62


@dataclass(frozen=True)
class Check:
    """A check of an engine.

    Attributes
    ----------
    name, what : str
        Short name; what must hold.
    run : callable
        From the engine, a table of :func:`rows` there, and a folder to write to, to an answer.
    expected : object
        The answer; ``...`` where the embedded engine gives it.
    """

    name: str
    what: str
    run: Callable[[Engine, Any, Path], Any]
    expected: Any = ...


def rows() -> pd.DataFrame:
    """Rows with what engines disagree on.

    Returns
    -------
    DataFrame
        id, g, o, v, z, big, d, t, f, b.
    """
    day = datetime.date
    return pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 6],
            "g": [1, 1, 1, 2, 2, 2],
            "o": pd.array([3, 1, 2, 2, 1, None], dtype="Int64"),
            "v": ["c", "a", "b", None, "x", "y"],
            "z": [2, 2, 0, 3, -5, 0],
            "big": pd.array([-7, 7, LARGE + 1, -1, None, 4], dtype="Int64"),
            "d": [
                day(1969, 12, 31),
                day(1500, 1, 1),
                day(2020, 2, 29),
                None,
                day(1582, 10, 10),
                day(9999, 12, 31),
            ],
            "t": ["Ä", "Zé", "a\n", "😀x", "", "C90.0"],
            "f": [0.1, None, 2.5, -0.0, 0.0, 1e300],
            "b": pd.array([True, None, False, True, None, False], dtype="boolean"),
        }
    )


def _listed(table: Any, value: Any) -> list[Any]:
    """Values of an expression by id."""
    found = fetch(table.select(fs_id=table.id, fs_value=value).order_by("fs_id"))
    return list(found.column("fs_value").to_pylist())


def _refused(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except DataError:
        return "refused"
    return "not refused"


def _types(engine: Engine, t: Any, folder: Path) -> Any:
    frame = engine.collect(t, order_by=["id"])
    return [f"{name} {kind}" for name, kind in frame.dtypes.items()]


def _round_trip(engine: Engine, t: Any, folder: Path) -> Any:
    return fetch(t.select("id", "big", "d", "t", "b").order_by("id")).to_pylist()


def _order(engine: Engine, t: Any, folder: Path) -> Any:
    texts = fetch_frame(t.select("t"), order_by=["t"])["t"].tolist()
    return [texts, fetch(t.select("o", "id").order_by(["o", "id"])).column("id").to_pylist()]


def _ties(engine: Engine, t: Any, folder: Path) -> Any:
    return engine.collect(t.select("z", "id", "v"), order_by=["z"])["id"].tolist()


def _quotients(engine: Engine, t: Any, folder: Path) -> Any:
    small = t.filter(t.id != 3)
    return [_listed(small, fx.floor_divide(small.big, small.z)), _listed(t, fx.ratio(t.id, t.z))]


def _sums(engine: Engine, t: Any, folder: Path) -> Any:
    none = t.filter(t.id > 9)
    return [
        fetch_whole(fx.whole_sum(t.o)),
        fetch_whole(fx.whole_sum(none.o)),
        fetch_whole(fx.whole_sum(t.b)),
        _refused(lambda: fetch_whole(fx.whole_sum(t.big * 2))),
        _refused(lambda: fx.whole_sum(t.f)),
    ]


def _missing(engine: Engine, t: Any, folder: Path) -> Any:
    import ibis

    nan = (t.id == 1).ifelse(ibis.literal(float("nan")), t.f)
    return [_listed(t, fx.is_missing(nan)), _listed(t, fx.is_missing(t.v))]


def _numbers(engine: Engine, t: Any, folder: Path) -> Any:
    return _listed(t, fx.numbered([t.z, t.id], group_by=[t.g]))


def _first(engine: Engine, t: Any, folder: Path) -> Any:
    return fetch_frame(fx.first_in_order(t, by=["g"], order_by=["o"]), order_by=["g"])["v"].tolist()


def _collected(engine: Engine, t: Any, folder: Path) -> Any:
    lists = fx.collected_in_order(t, by=["g"], value="v", order_by=["o"])
    return fetch_frame(lists, order_by=["g"])["v"].tolist()


def _medians(engine: Engine, t: Any, folder: Path) -> Any:
    found = t.group_by("g").agg(m=fx.median(t.o), k=fx.median(t.id))
    return fetch(found.order_by("g")).to_pylist()


def _texts(engine: Engine, t: Any, folder: Path) -> Any:
    return [
        _listed(t, fx.text_length(t.t)),
        _listed(t, fx.text_slice(t.t, 1, 3)),
        _refused(lambda: fx.text_slice(t.t, -1, 2)),
    ]


def _patterns(engine: Engine, t: Any, folder: Path) -> Any:
    found = [_listed(t, fx.matches(t.t, p)) for p in ("^a$", r"^[A-Z]\d\d\.", "^.x", "a.")]
    bad = (r"\w", "(?i)a", "a++", "é", "[a&&b]", r"\bx", "a{,2}", "[[:alpha:]]")
    return [*found, [_refused(lambda p=p: fx.pattern_of(p)) for p in bad]]  # type: ignore[misc]


def _groups(engine: Engine, t: Any, folder: Path) -> Any:
    counts = t.group_by("b").agg(n=t.count(), k=t.v.nunique())
    return fetch(counts.order_by("b")).to_pylist()


def _joined(engine: Engine, t: Any, folder: Path) -> Any:
    other = t.select(fs_o=t.o, fs_id=t.id)
    both = t.left_join(other, t.o == other.fs_o)
    return fetch(both.select("id", "fs_id").order_by(["id", "fs_id"])).to_pylist()


def _logic(engine: Engine, t: Any, folder: Path) -> Any:
    late = t.d > datetime.date(1900, 1, 1)
    return [
        _listed(t, t.b & late),
        _listed(t, (t.b | late).fill_null(False)),
        _listed(t, t.v.isin(["a", "x"])),
        _listed(t, t.v.cases(("a", 1), ("b", 2), else_=-1).cast("int64")),
    ]


def _streamed(engine: Engine, t: Any, folder: Path) -> Any:
    whole = list(stream(t.select("o", "id", "t"), order_by=["o", "id"], rows=2))
    return [line for part in whole for line in part.to_pylist()]


def _parts(engine: Engine, t: Any, folder: Path) -> Any:
    frame = pd.DataFrame({"x": [1, 2]})
    place = folder / "parts"
    names = ("a=1/b=7 é%2F", "a=02/b=8", "a=__HIVE_DEFAULT_PARTITION__/b=9")
    for i, name in enumerate(names):
        (place / name).mkdir(parents=True)
        frame.assign(y=i).to_parquet(place / name / "part-0.parquet", index=False)
    (place / "_SUCCESS").write_bytes(b"")
    numbered = folder / "numbered"
    for i in range(2):
        (numbered / f"bucket={i}").mkdir(parents=True)
        frame.to_parquet(numbered / f"bucket={i}" / "x.parquet", index=False)
    return [
        engine.read(place, table="fs_parts").order_by(["y", "x"]).pipe(fetch).to_pylist(),
        engine.read(numbered, table="fs_buckets").order_by(["bucket", "x"]).pipe(fetch).to_pylist(),
    ]


def _damaged(engine: Engine, t: Any, folder: Path) -> Any:
    place = folder / "damaged"
    place.mkdir()
    for i in range(2):
        pd.DataFrame({"x": range(1000)}).to_parquet(place / f"{i}.parquet", index=False)
    whole = (place / "1.parquet").read_bytes()
    (place / "1.parquet").write_bytes(whole[: len(whole) // 2])
    cut = _refused(lambda: engine.read(place, table="fs_damaged"))
    half = len(whole) // 4
    (place / "1.parquet").write_bytes(whole[:half] + b"\x00" * half + whole[2 * half :])
    within = _refused(lambda: fetch(engine.read(place, table="fs_damaged")))
    (place / "1.parquet").unlink()
    pd.DataFrame({"x": ["a"]}).to_parquet(place / "1.parquet", index=False)
    return [cut, within, _refused(lambda: engine.read(place, table="fs_damaged"))]


def _csv(engine: Engine, t: Any, folder: Path) -> Any:
    text = "n,r,s,d,b\n1,0.5,01a,2020-02-29,true\n,,,,\n9007199254740993,1e300,é,1500-01-01,false\n"
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    return fetch(engine.read(folder / "rows.csv", table="fs_csv").order_by("n")).to_pylist()


YES, NO = True, False

CHECKS: tuple[Check, ...] = (
    Check("dtypes", "columns come back with these dtypes", _types, [
        "id int64", "g int64", "o float64", "v object", "z int64", "big Int64", "d datetime64[s]",
        "t object", "f float64", "b object"]),
    Check("values", "large numbers, old dates and text travel unchanged", _round_trip),
    Check("order", "text by code point, missing values last", _order, [
        ["", "C90.0", "Zé", "a\n", "Ä", "😀x"], [2, 5, 3, 4, 1, 6]]),
    Check("ties", "rows that tie are ordered by the other columns", _ties, [5, 3, 6, 1, 2, 4]),
    Check("epoch days", "days since 1970, proleptic Gregorian",
          lambda e, t, f: _listed(t, fx.epoch_days(t.d)),
          [-1, -171664, 18321, None, -141432, 2932896]),
    Check("dates of days", "and back",
          lambda e, t, f: _listed(t, fx.date_of(fx.epoch_days(t.d)) == t.d),
          [YES, YES, YES, None, YES, YES]),
    Check("sums", "of whole numbers, 0 for none, refused beyond 64 bits", _sums, [
        9, 0, 2, "refused", "refused"]),
    Check("quotients", "rounded down; missing for a divisor of 0", _quotients, [
        [-4, 3, -1, None, None], [0.5, 1.0, None, 4 / 3, -1.0, None]]),
    Check("missing", "not-a-number is missing", _missing, [
        [YES, YES, NO, NO, NO, NO], [NO, NO, NO, YES, NO, NO]]),
    Check("row numbers", "from 0 within a group", _numbers, [1, 2, 0, 2, 0, 1]),
    Check("first", "row of a group in an order", _first, ["a", "x"]),
    Check("collected", "texts of a group in an order", _collected, ["a+b+c", "x+y"]),
    Check("medians", "of whole numbers, missing ones left out", _medians, [
        {"g": 1, "m": 2.0, "k": 2.0}, {"g": 2, "m": 1.5, "k": 5.0}]),
    Check("text", "length and parts in code points", _texts, [
        [1, 2, 2, 2, 0, 5], ["", "é", "\n", "x", "", "90."], "refused"]),
    Check("patterns", "$ is the end, . any character but a line feed", _patterns, [
        [NO] * 6, [NO] * 5 + [YES], [NO, NO, NO, YES, NO, NO], [NO] * 6, ["refused"] * 8]),
    Check("groups", "missing values are a group, and not counted as distinct", _groups, [
        {"b": False, "n": 2, "k": 2}, {"b": True, "n": 2, "k": 1}, {"b": None, "n": 2, "k": 2}]),
    Check("joins", "missing values match nothing", _joined, [
        {"id": a, "fs_id": b} for a, b in (
            (1, 1), (2, 2), (2, 5), (3, 3), (3, 4), (4, 3), (4, 4), (5, 2), (5, 5), (6, None))]),
    Check("logic", "three values, comparison with dates, codes", _logic, [
        [YES, NO, NO, None, NO, NO], [YES, NO, YES, YES, NO, YES],
        [NO, YES, NO, None, YES, NO], [-1, 1, 2, -1, -1, -1]]),
    Check("blocks", "rows in order, block by block", _streamed, [
        {"o": o, "id": i, "t": x} for o, i, x in (
            (1, 2, "Zé"), (1, 5, ""), (2, 3, "a\n"), (2, 4, "😀x"), (3, 1, "Ä"), (None, 6, "C90.0"))]),
    Check("parquet folders", "keys of folders are columns", _parts, [
        [{"x": x, "y": y, "a": a, "b": b} for y, a, b in (
            (0, "1", "7 é/"), (1, "02", "8"), (2, None, "9")) for x in (1, 2)],
        [{"x": x, "bucket": k} for k in (0, 1) for x in (1, 2)]]),
    Check("damaged parquet", "a part cut short, damaged within, or of another schema", _damaged, [
        "refused", "refused", "refused"]),
    Check("csv", "types are those of the embedded engine", _csv),
)  # fmt: skip
