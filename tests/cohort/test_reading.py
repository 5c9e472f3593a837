"""Canonical tables: read, checked, written."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fiac_survival as fs
from fiac_survival.cohort import canonical
from fiac_survival.core.errors import DataError
from tests.conftest import ROOT


def dates(*days):
    return pd.Series([None if d is None else pd.Timestamp(d).date() for d in days], dtype=object)


def good_tables():
    """Two persons with every column of every table."""
    return {
        "person": pd.DataFrame(
            {
                "person": [1, 2],
                "birth": dates("1950-03-01", "1961-07-01"),
                "sex": ["female", "male"],
                "diagnosis": dates("2018-01-10", None),
                "follow_up_start": dates("2010-01-01", "2010-01-01"),
                "follow_up_end": dates("2020-06-01", "2020-12-31"),
                "death": dates("2020-06-01", None),
                "department": ["75", None],
            }
        ),
        "exposure": pd.DataFrame(
            {
                "person": [1, 1, 2],
                "date": dates("2019-01-01", "2019-01-15", "2019-03-01"),
                "end": dates("2019-01-28", None, "2019-03-10"),
                "drug": ["lenalidomide", "bortezomib", "transplant"],
                "kind": ["drug", "drug", "procedure"],
                "atc": ["L04AX04", "L01XG01", None],
                "class": ["IMiD", "PI", None],
                "quantity": [1.5, None, 0.1],
            }
        ),
        "event": pd.DataFrame(
            {
                "person": [1, 2],
                "date": dates("2018-01-10", "2019-12-01"),
                "event": ["diagnosis", "relapse"],
                "code": ["C900", None],
                "value": [None, 3.25],
            }
        ),
        "line_of_therapy": pd.DataFrame(
            {
                "person": [1, 2],
                "line": [1, 1],
                "regimen": ["bortezomib+lenalidomide", "transplant"],
                "classes": ["IMiD+PI", "transplant"],
                "start": dates("2019-01-01", "2019-03-01"),
                "end": dates("2019-02-07", "2019-03-10"),
                "end_reason": ["planned stop", "censored"],
                "ttnt": [517, 671],
                "gap": [480, 662],
                "died": [True, False],
            }
        ),
        "linkage_key": pd.DataFrame(
            {
                "person": [1, 2],
                "birth_year": pd.array([1950, None], dtype="Int64"),
                "birth_month": pd.array([3, 12], dtype="Int64"),
                "sex": ["female", "unknown"],
                "department": ["75", None],
                "centre": [None, "A1"],
                "first_treatment": dates("2019-01-01", None),
                "death": dates("2020-06-01", None),
                "drug": ["lenalidomide", None],
            }
        ),
    }


def write(folder, tables, kind="parquet"):
    folder.mkdir(exist_ok=True)
    for name, frame in tables.items():
        if kind == "csv":
            text = frame.copy()
            for column in text:
                if text[column].dtype == bool:
                    text[column] = text[column].map({True: "true", False: "false"})
            text.to_csv(folder / f"{name}.csv", index=False)
        else:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


@pytest.fixture
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def collected(cohort):
    return {
        name: cohort.engine.collect(table, order_by=list(canonical.schemas().tables[name].order))
        for name, table in cohort.tables.items()
    }


def test_csv_and_parquet_give_the_same_cohort(engine, tmp_path):
    tables = good_tables()
    a = fs.cohort.read(write(tmp_path / "a", tables), engine=engine)
    b = fs.cohort.read(write(tmp_path / "b", tables, "csv"), engine=engine)
    assert list(a.tables) == list(b.tables) == list(canonical.schemas().tables)
    for name in a.tables:
        assert a.tables[name].schema().names == b.tables[name].schema().names
        kinds = [a.tables[name].schema()[c] for c in a.tables[name].columns]
        assert kinds == [b.tables[name].schema()[c] for c in b.tables[name].columns], name
    left, right = collected(a), collected(b)
    for name, frame in left.items():
        pd.testing.assert_frame_equal(frame, right[name])
        assert len(frame) == len(tables[name])


def test_written_and_read_again(engine, tmp_path):
    cohort = fs.cohort.read(write(tmp_path / "a", good_tables()), engine=engine)
    cohort.write(tmp_path / "b")
    again = fs.cohort.read(tmp_path / "b", engine=engine)
    left, right = collected(cohort), collected(again)
    for name in left:
        pd.testing.assert_frame_equal(left[name], right[name])
    again.write(tmp_path / "c")
    for file in (tmp_path / "b").iterdir():
        assert file.read_bytes() == (tmp_path / "c" / file.name).read_bytes()
    assert len(list((tmp_path / "b").iterdir())) == 5  # no temporary file is left


def test_optional_tables_and_further_columns(engine, tmp_path):
    tables = {k: v for k, v in good_tables().items() if k in {"person", "exposure", "event"}}
    tables["person"]["region"] = ["north", "south"]
    cohort = fs.cohort.read(write(tmp_path / "a", tables), engine=engine)
    assert "region" in cohort.person.columns
    with pytest.raises(DataError, match="must have the table line_of_therapy.*lines_of_therapy"):
        _ = cohort.line_of_therapy
    with pytest.raises(DataError, match="must have the table linkage_key"):
        _ = cohort.linkage_key
    found = fs.cohort.lines_of_therapy(cohort.exposure, "imwg", follow_up=cohort.person)
    larger = cohort.with_table("line_of_therapy", found.table)
    assert "line_of_therapy" not in cohort.tables
    assert int(larger.line_of_therapy.count().execute()) == 2
    larger.write(tmp_path / "b")
    again = fs.cohort.read(tmp_path / "b", engine=engine)
    assert collected(again)["line_of_therapy"]["regimen"].tolist() == [
        "bortezomib+lenalidomide",
        "transplant",
    ]
    with pytest.raises(DataError, match="canonical one.*table=visit.*known: person"):
        cohort.with_table("visit", found.table)
    with pytest.raises(DataError, match=r"line_of_therapy\.line must be at least 1"):
        cohort.with_table("line_of_therapy", found.table.assign(line=0))
    with pytest.raises(DataError, match=r"line_of_therapy\.ttnt must be of its type"):
        cohort.with_table("line_of_therapy", found.table.assign(ttnt="long"))


def test_two_cohorts_in_one_engine_stay_apart(engine, tmp_path):
    one, two = good_tables(), good_tables()
    two["person"]["sex"] = "unknown"
    a = fs.cohort.read(write(tmp_path / "a", one, "csv"), engine=engine)
    fs.cohort.read(write(tmp_path / "b", two, "csv"), engine=engine)
    assert collected(a)["person"]["sex"].tolist() == ["female", "male"]


def changed(table, **columns):
    tables = good_tables()
    tables[table] = tables[table].assign(**columns)
    return tables


VALUES = [
    (
        changed("person", sex=["female", "f"]),
        r"person\.sex must be one of its codes \(female.*1 row.*row 1, sex=f",
    ),
    (changed("person", sex=["female", None]), r"person\.sex must not be missing.*row 1"),
    (changed("exposure", drug=[None, "a", "b"]), r"exposure\.drug must not be missing.*row 0"),
    (
        changed("exposure", kind=["drug", "pill", "pill"]),
        r"exposure\.kind must be one of.*2 rows.*row 1, kind=pill",
    ),
    (changed("line_of_therapy", ttnt=[-1, 3]), r"ttnt must be at least 0.*row 0, ttnt=-1"),
    (
        changed("linkage_key", birth_month=[13, 1]),
        r"birth_month must be at most 12.*row 0, birth_month=13",
    ),
    (changed("person", person=[1, 1]), r"person must have one row for each person: 1 row"),
    (changed("line_of_therapy", person=[1, 1]), r"one row for each person and line: 1 row"),
    (changed("line_of_therapy", end_reason=["stopped", "death"]), r"end_reason must be one of"),
]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(("tables", "message"), VALUES, ids=[m[:40] for _, m in VALUES])
def test_values_that_break_the_schema(engine, tmp_path, tables, message, kind):
    folder = write(tmp_path / "a", tables, kind)
    with pytest.raises(DataError, match=message):
        fs.cohort.read(folder, engine=engine)
    fs.cohort.read(folder, engine=engine, check_rows=False)


@pytest.mark.parametrize("name", canonical.schemas().tables)
def test_missing_columns(engine, tmp_path, name):
    schema = canonical.schemas().tables[name]
    for column, about in schema.columns.items():
        table = engine.register(good_tables()[name].drop(columns=column), table="t")
        if about.required:
            with pytest.raises(DataError, match=rf"{name} must have its columns.*missing={column}"):
                canonical.check_columns(name, table)
    with pytest.raises(DataError, match=rf"{name} must have its columns"):
        fs.cohort.read(write(tmp_path / "a", changed(name)), engine=engine).with_table(
            name, pd.DataFrame({"person": [1]})
        )


def test_wrong_types_in_parquet(engine, tmp_path):
    for name, column, values, message in (
        (
            "exposure",
            "date",
            pd.to_datetime(["2019-01-01"] * 3),
            "must be of type date.*type=timestamp",
        ),
        ("exposure", "date", ["2019-01-01"] * 3, "must be of type date.*type=string"),
        ("exposure", "drug", [1, 2, 3], "must be of type text.*type=int64"),
        ("exposure", "quantity", ["a", "b", "c"], "must be of type number.*type=string"),
        ("line_of_therapy", "line", [1.0, 1.0], "must be of type integer.*type=float64"),
        ("line_of_therapy", "died", [0, 1], "must be of type boolean.*type=int64"),
        ("person", "person", [1.0, 2.0], "must be of type integer or text"),
    ):
        folder = write(tmp_path / "a", changed(name, **{column: values}))
        with pytest.raises(DataError, match=rf"{name}\.{column} {message}"):
            fs.cohort.read(folder, engine=engine)


def test_wrong_text_in_csv(engine, tmp_path):
    for name, column, values, message in (
        (
            "exposure",
            "date",
            ["2019-01-01", "01/02/2019", "2019-01-01"],
            "must be a date.*row 1, .*01/02/2019",
        ),
        ("exposure", "date", ["2019-01-01", "2019-02-30", "2019-01-01"], "must be a date.*row 1"),
        ("exposure", "quantity", ["1", "1,5", "2"], "must be number.*row 1, quantity=1,5"),
        ("line_of_therapy", "line", ["1", "one"], "must be integer.*row 1, line=one"),
        ("line_of_therapy", "line", ["1.5", "1"], "must be integer.*row 0, line=1.5"),
        ("line_of_therapy", "died", ["yes", "true"], "must be true or false.*row 0, died=yes"),
    ):
        folder = write(tmp_path / "a", changed(name, **{column: values}), "csv")
        with pytest.raises(DataError, match=rf"{name}\.{column} {message}"):
            fs.cohort.read(folder, engine=engine)


def test_damaged_and_missing_files(engine, tmp_path):
    with pytest.raises(DataError, match="folder must exist"):
        fs.cohort.read(tmp_path / "none", engine=engine)
    folder = write(tmp_path / "a", good_tables())
    whole = (folder / "event.parquet").read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-4], b"", b"not parquet"):
        (folder / "event.parquet").write_bytes(part)
        with pytest.raises(DataError, match="readable as a table.*event.parquet.*cut short"):
            fs.cohort.read(folder, engine=engine)
    (folder / "event.parquet").unlink()
    with pytest.raises(DataError, match="must have its tables.*missing=event.*write event.parquet"):
        fs.cohort.read(folder)
    write(folder, {"event": good_tables()["event"]}, "csv")
    fs.cohort.read(folder, engine=engine)
    (folder / "event.csv").write_bytes(b"person,date,event\n1,\xff,x\n")
    with pytest.raises(DataError, match="readable as a table.*UTF-8"):
        fs.cohort.read(folder, engine=engine)
    (folder / "event.csv").write_bytes(b"")
    with pytest.raises(DataError, match="readable as a table"):
        fs.cohort.read(folder, engine=engine)
    write(folder, good_tables(), "csv")
    with pytest.raises(DataError, match="stand in one place.*person.parquet, person.csv"):
        fs.cohort.read(folder, engine=engine)


def test_columns_without_any_value(engine, tmp_path):
    tables = good_tables()
    for frame in tables.values():
        for column in frame.columns[1:]:
            frame[column] = None
    cohort = fs.cohort.read(write(tmp_path / "a", tables), engine=engine, check_rows=False)
    usual = fs.cohort.read(write(tmp_path / "b", good_tables()), engine=engine)
    for name, table in cohort.tables.items():
        for column, about in canonical.schemas().tables[name].columns.items():
            assert canonical.is_of_type(table.schema()[column], about.type)
    with pytest.raises(DataError, match=r"person\.sex must not be missing: 2 rows"):
        fs.cohort.read(tmp_path / "a", engine=engine)
    assert list(usual.tables) == list(cohort.tables)


def test_persons_of_one_type(engine, tmp_path):
    tables = good_tables()
    tables["event"]["person"] = ["01", "02"]
    for kind in ("parquet", "csv"):
        folder = write(tmp_path / kind, tables, kind)
        with pytest.raises(
            DataError, match="person must be of one type.*person=int64, event=string"
        ):
            fs.cohort.read(folder, engine=engine)


def test_large_text_columns_are_written_as_text(engine, tmp_path):
    folder = write(tmp_path / "a", good_tables())
    table = pq.read_table(folder / "event.parquet")
    place = table.schema.get_field_index("event")
    table = table.set_column(place, "event", table["event"].cast(pa.large_string()))
    pq.write_table(table, folder / "event.parquet")
    fs.cohort.read(folder, engine=engine).write(tmp_path / "b")
    assert pq.read_schema(tmp_path / "b" / "event.parquet").field("event").type == pa.string()


def test_the_page_is_in_step():
    page = (ROOT / "docs" / "canonical.md").read_text(encoding="utf-8")
    assert page == canonical.markdown()


def test_every_column_is_described():
    for name, table in canonical.schemas().tables.items():
        assert table.title
        assert set(table.order) | set(table.unique) <= set(table.columns)
        for column, about in table.columns.items():
            assert about.description, (name, column)
            assert about.unit or about.type not in {"integer", "number"} or column == "line"
