"""Simulations on disk: the same bytes however made, the people of memory, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, OutputError
from fiac_survival.core.files import sha256
from fiac_survival.core.progress import Progress
from fiac_survival.simulate import chunks, shapes, writing


def prints(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): sha256(f) for f in folder.rglob("*") if f.is_file()}


def halves(person, exposure, event, *, chunk):
    """A shape: two tables of another form."""
    assert exposure.empty or isinstance(exposure["drug"].iloc[0], str)
    assert exposure["drug"].dtype == object
    return {"a/who": person[["person", "death"]], "what": exposure.assign(chunk=chunk)}


def fickle(person, exposure, event, *, chunk):
    """A shape whose columns differ between chunks."""
    return {"who": person[["person"]].assign(number=1.5 if chunk else 1)}


def breaks(person, exposure, event, *, chunk):
    """A shape that fails in the second chunk."""
    if chunk == 1:
        raise DataError("the shape must not break")
    return {"who": person}


@pytest.fixture
def small(monkeypatch):
    """Chunks of 10,000 people, in this process."""
    for module in (chunks, writing, fs.simulate.claims):
        monkeypatch.setattr(module, "CHUNK", 10_000)


OPTIONS = {"days_per_record": 364}


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    """Three chunks of the true size, by one process and by two."""
    found = [
        fs.simulate.write(
            "myeloma", tmp_path / str(n), people=100_100, seed=3, processes=n, options=OPTIONS
        )
        for n in (1, 2)
    ]
    first, second = (prints(one.folder) for one in found)
    assert first == second
    assert len(first) == 4 * 3 + 2
    assert "exposure.parquet/bucket=2/part-00002.parquet" in first
    other = fs.simulate.write("myeloma", tmp_path / "o", people=100, seed=4, options=OPTIONS)
    assert sha256(other.folder / "person.parquet/bucket=0/part-00000.parquet") not in set(
        first.values()
    )


def test_the_people_are_those_in_memory(tmp_path, small):
    found = fs.simulate.write(
        "myeloma", tmp_path / "m", people=20_500, seed=3, buckets=2, options={"confounding": 0.5}
    )
    claims = fs.simulate.myeloma_claims(20_500, seed=3, confounding=0.5)
    assert found.table.set_index("table")["rows"].to_dict() == {
        "event": len(claims.event),
        "exposure": len(claims.exposure),
        "person": 20_500,
        "truth/lines": len(claims.truth.lines),
    }
    cohort = fs.cohort.read(found.folder)
    try:
        for name, order in (
            ("person", ["person"]),
            ("exposure", ["person", "date", "drug"]),
            ("event", ["person", "date", "code"]),
        ):
            rows = cohort.engine.collect(cohort.tables[name], order_by=order)
            assert set(rows["bucket"]) == {0, 1}
            assert rows.groupby("person")["bucket"].nunique().max() == 1
            expected = getattr(claims, name)
            for column in expected:
                if rows[column].dtype != expected[column].dtype:
                    rows[column] = rows[column].astype(expected[column].dtype)
            pd.testing.assert_frame_equal(rows[list(expected)], expected)
    finally:
        cohort.engine.close()
    lines = pd.read_parquet(found.folder / "truth/lines.parquet").sort_values(["person", "line"])
    pd.testing.assert_frame_equal(
        lines.drop(columns="bucket").reset_index(drop=True), claims.truth.lines
    )


def test_the_first_people_of_a_larger_simulation_are_those_of_a_smaller_one():
    few, many = (fs.simulate.myeloma_claims(n, seed=3) for n in (300, 10_500))
    for name in ("person", "exposure", "event"):
        a, b = getattr(few, name), getattr(many, name)
        pd.testing.assert_frame_equal(a, b[b["person"] < 300].reset_index(drop=True))


@pytest.mark.parametrize("rules", ["imwg", "gap60", "gap90", "gap180"])
def test_longer_records_give_the_same_lines(rules):
    """But for what is left over from an old drug, which may outlast the window."""
    tables = []
    for days in (28, 224):
        claims = fs.simulate.myeloma_claims(600, seed=5, days_per_record=days)
        found = fs.cohort.lines_of_therapy(
            claims.exposure, rules, follow_up=claims.person, unknown="ignore"
        )
        tables.append(found.table[["person", "line", "regimen", "start"]])
    both = tables[0].merge(tables[1], how="outer", indicator=True)
    differ = both.loc[both["_merge"] != "both", "person"].nunique()
    assert differ <= 0.01 * 600


def test_longer_records_cover_the_same_days():
    short = fs.simulate.myeloma_claims(300, seed=3).exposure
    long = fs.simulate.myeloma_claims(300, seed=3, days_per_record=224).exposure
    assert len(long) < len(short) / 4
    drugs = short[short["kind"] == "drug"]

    def days(rows, last):
        spans = pd.DataFrame({"n": (last - rows["date"]).dt.days + 1, "who": rows["person"]})
        return spans.groupby([spans["who"], rows["drug"]])["n"].sum()

    several = long[(long["kind"] == "drug")]
    whole = days(several, several["end"])
    # The last record of the short ones may be cut by the end of follow-up, as may the long ones'.
    parts = days(drugs, drugs["date"] + pd.Timedelta(days=27))
    parts = parts.drop("melphalan", level=1, errors="ignore")
    assert ((whole.reindex(parts.index) - parts) >= 0).all()
    seen = short.groupby("person")["date"].max() < pd.Timestamp("2020-01-01")
    done = parts[parts.index.get_level_values(0).isin(seen.index[seen])]
    assert (whole.reindex(done.index) == done).all()


def test_metadata_and_label(tmp_path):
    found = fs.simulate.write(
        "myeloma", tmp_path / "m", people=50, seed=3, buckets=5, options=OPTIONS
    )
    content = json.loads((found.folder / "simulation.json").read_text(encoding="utf-8"))
    assert content == {
        "simulated": True,
        "simulation": "myeloma",
        "people": 50,
        "seed": 3,
        "shape": "canonical",
        "buckets": 5,
        "people_per_chunk": 50_000,
        "options": OPTIONS,
        "fiac_survival": fs.__version__,
        "rows": found.table.set_index("table")["rows"].to_dict(),
    }
    assert found.simulated
    assert "Simulated" in (found.folder / "SIMULATED.txt").read_text(encoding="utf-8")


def test_other_shapes(tmp_path, small, monkeypatch):
    found = fs.simulate.write(
        "myeloma", tmp_path / "a", people=10_100, seed=3, shape=halves, options=OPTIONS
    )
    assert found.table["table"].tolist() == ["a/who", "truth/lines", "what"]
    assert set(pd.read_parquet(tmp_path / "a/what.parquet")["chunk"]) == {0, 1}
    monkeypatch.setitem(shapes.SHAPES, "halves", f"{__name__}:halves")
    named = fs.simulate.write(
        "myeloma", tmp_path / "b", people=10_100, seed=3, shape="halves", options=OPTIONS
    )
    assert prints(found.folder) | {"simulation.json": ""} == (
        prints(named.folder) | {"simulation.json": ""}
    )


def test_whole_or_not_at_all(tmp_path, small):
    for shape, says in ((fickle, "same columns for every chunk"), (breaks, "must not break")):
        with pytest.raises(DataError, match=says):
            fs.simulate.write("myeloma", tmp_path / "m", people=10_100, seed=3, shape=shape)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "m").mkdir()
    with pytest.raises(OutputError, match="must not exist yet"):
        fs.simulate.write("myeloma", tmp_path / "m", people=10, seed=3)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="must be writable"):
        fs.simulate.write("myeloma", tmp_path / "file" / "m", people=10, seed=3)


def test_progress_is_told(tmp_path, small, capsys):
    fs.simulate.write(
        "myeloma", tmp_path / "m", people=20_100, seed=3, progress=Progress(), options=OPTIONS
    )
    told = capsys.readouterr().err
    assert "simulating 20,100 people: myeloma" in told
    assert "10,000 of 20,100 people" in told


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "breast"}, "simulation must be a known one.*known: myeloma"),
        ({"shape": "x"}, "shape must be a known one.*known: canonical"),
        ({"people": 0}, "people must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"buckets": 0}, "buckets must be at least 1"),
        ({"processes": 0}, "processes must be at least 1"),
        ({"options": {"colour": 1}}, "option must be one that myeloma has.*days_per_record"),
        ({"options": {"days_per_record": 30}}, "multiple of 28"),
        ({"options": {"days_per_record": 392}}, "multiple of 28"),
    ],
)
def test_bad_input(tmp_path, change, says):
    arguments = {"name": "myeloma", "people": 10, "seed": 1} | change
    with pytest.raises(DataError, match=says):
        fs.simulate.write(arguments.pop("name"), tmp_path / "m", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_no_parts_is_no_table(tmp_path):
    found = fs.simulate.write("myeloma", tmp_path / "m", people=10, seed=1)
    for part in (found.folder / "event.parquet").rglob("*.parquet"):
        part.unlink()
    with pytest.raises(DataError, match="must have parquet files"):
        fs.cohort.read(found.folder)
