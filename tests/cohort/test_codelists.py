"""Codelists and phenotypes."""

from __future__ import annotations

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.cohort.codelists import FOLDER, load_codelists
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.phenotypes import FOLDER as PHENOTYPES
from fiac_survival.core.errors import DataError

LISTS = sorted(file.stem for file in FOLDER.glob("*.toml"))


@pytest.mark.parametrize("name", LISTS)
def test_shipped(name):
    codes = fs.cohort.Codelist.load(name)
    assert codes.name == name
    assert codes.source
    assert len(codes.table) == len(codes.codes)
    assert all(code.note for code in codes.codes if not code.verified)
    assert codes.sha256 == fs.cohort.Codelist.load(FOLDER / f"{name}.toml").sha256


def test_concepts_are_drugs_of_the_table():
    """And the ATC codes are those of the drug table."""
    drugs = {drug.name: drug.atc for drug in DrugTable.load("myeloma").drugs}
    codes = fs.cohort.Codelist.load("myeloma_drugs")
    assert {code.concept for code in codes.codes} <= set(drugs)
    for drug, atc in drugs.items():
        if atc:
            assert codes.concept(atc, system="ATC") == drug
    procedures = fs.cohort.Codelist.load("procedures")
    assert {code.concept for code in procedures.codes} == {"transplant", "apheresis"}


def test_fingerprint_follows_the_content(tmp_path):
    text = (FOLDER / "procedures.toml").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text("# a remark\n" + text, encoding="utf-8")
    shipped = fs.cohort.Codelist.load("procedures")
    assert fs.cohort.Codelist.load(own).sha256 == shipped.sha256
    own.write_text(text.replace("FEFF001", "FEFF003"), encoding="utf-8")
    assert fs.cohort.Codelist.load(own).sha256 != shipped.sha256


def test_unknown_codes():
    codes = fs.cohort.Codelist.load("myeloma_drugs")
    with pytest.raises(DataError, match="must be in the codelist.*code=9999999.*myeloma_drugs"):
        codes.concept("9999999")
    with pytest.raises(DataError, match="must be in the codelist"):
        codes.concept("L04AX04", system="UCD7")
    with pytest.raises(DataError, match="codelist must come with.*known: .*myeloma_drugs"):
        fs.cohort.Codelist.load("nothing")
    assert codes.codes_of("lenalidomide", system="CCAM") == []


def listed(tmp_path, rows, name="own"):
    path = tmp_path / f"{name}.toml"
    text = f'name = "{name}"\nversion = "1"\nsource = ["test"]\ncodes = [{", ".join(rows)}]\n'
    path.write_text(text, encoding="utf-8")
    return path


def test_broken_lists(tmp_path):
    good = '{ system = "UCD7", code = "9298113", concept = "a" }'
    for rows, match in (
        ([good, good], "a code must stand once: UCD7 9298113"),
        (['{ system = "UCD7", code = "929811", concept = "a" }'], "929811 is not a UCD7 code"),
        (['{ system = "ICD-10", code = "C90.0", concept = "a" }'], "C90.0 is not a ICD-10 code"),
        (['{ system = "NDC", code = "1", concept = "a" }'], "codes > 0 > system"),
        ([good.replace(" }", ", verified = false }")], "its note must say why"),
    ):
        with pytest.raises(DataError, match=match):
            fs.cohort.Codelist.load(listed(tmp_path, rows))
    other = listed(tmp_path, [good.replace('"a"', '"b"')], "other")
    with pytest.raises(DataError, match="must agree on a code.*9298113.*a, b"):
        load_codelists([listed(tmp_path, [good]), other])
    two = [good, '{ system = "OMOP drug", code = "9298113", concept = "b" }']
    codes = fs.cohort.Codelist.load(listed(tmp_path, two))
    with pytest.raises(DataError, match="one meaning.*a, b.*pass its system"):
        codes.concept("9298113")
    assert codes.concept("9298113", system="UCD7") == "a"


# --- phenotypes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def found(engine, phenotype, events, drugs=()):
    event = pd.DataFrame(events, columns=["person", "date", "event", "code", "position", "value"])
    exposure = pd.DataFrame(list(drugs), columns=["person", "date", "drug"])
    for frame in (event, exposure):
        frame["date"] = pd.to_datetime(frame["date"]).dt.date
    tables = []
    for name, frame in (("event", event), ("exposure", exposure)):
        kinds = {"person": "int64", "date": "date", "value": "float64"}
        schema = {column: kinds.get(column, "string") for column in frame}
        import ibis

        memory = ibis.memtable(frame, schema=schema)
        tables.append(engine.backend.create_table(f"{name}_{id(frame)}", memory))
    result = phenotype.evaluate(*tables).order_by("person").execute()
    result["date"] = result["date"].astype(str)
    return [tuple(row) for row in result.itertuples(index=False)]


def test_myeloma(engine):
    events = [
        (1, "2016-03-01", "diagnosis", "C900", "main", None),
        (1, "2016-01-01", "long-term illness", "C900", None, None),
        (2, "2016-03-01", "treatment stay", "C9000", "related", 1.0),
        (3, "2016-03-01", "diagnosis", "C900", "associated", None),  # once is not enough
        (4, "2016-03-01", "diagnosis", "C900", "associated", None),
        (4, "2017-03-01", "diagnosis", "C900", "associated", None),
        (5, "2016-03-01", "diagnosis", "C900", "associated", None),
        (5, "2019-03-01", "diagnosis", "C900", "associated", None),  # too far apart
        (6, "2016-03-01", "diagnosis", "C901", "main", None),
        (7, "2016-03-01", "death", "C900", None, None),
        (8, "2016-03-01", "diagnosis", "C900", None, None),  # a source without positions
        (9, "2016-03-01", "diagnosis", "C900", "associated", None),
        (9, "2016-03-01", "treatment stay", "C900", "associated", None),  # the same day
        (10, "2016-03-01", "diagnosis", "C900", "main", None),
        (10, "2016-03-01", "long-term illness", "C900", None, None),  # a tie
    ]
    phenotype = fs.cohort.Phenotype.load("myeloma")
    assert found(engine, phenotype, events) == [
        (1, "2016-01-01", "long-term illness"),
        (2, "2016-03-01", "hospital stay"),
        (4, "2017-03-01", "two associated diagnoses"),
        (8, "2016-03-01", "hospital stay"),
        (10, "2016-03-01", "hospital stay"),
    ]


def test_durvalumab_after_chemotherapy(engine):
    def sessions(person, *days, value=1.0):
        return [(person, day, "treatment stay", "Z511", "main", value) for day in days]

    lung = [(p, "2017-06-01", "diagnosis", "C341", "main", None) for p in range(1, 8) if p != 3]
    events = [
        *lung,
        *sessions(1, "2018-01-10", "2018-02-10"),
        *sessions(2, "2018-02-10"),  # one is not enough
        *sessions(3, "2018-01-10", "2018-02-10"),  # no lung cancer
        *sessions(4, "2017-08-30", "2018-02-10"),  # 183 days before: counts
        *sessions(5, "2017-08-29", "2018-02-10"),  # 184 days before: does not
        *sessions(6, "2018-02-10", "2018-03-01"),  # the day itself does not
        *sessions(7, "2018-02-10", value=2.0),  # one stay of two sessions
    ]
    drugs = [(p, "2018-03-01", "durvalumab") for p in range(1, 8)]
    drugs += [(1, "2018-04-01", "durvalumab"), (8, "2018-03-01", "cisplatin")]
    phenotype = fs.cohort.Phenotype.load("lung_durvalumab")
    rule = "durvalumab after chemotherapy"
    assert found(engine, phenotype, events, drugs) == [(p, "2018-03-01", rule) for p in (1, 4, 7)]


def test_phenotypes_that_come_with_the_package(tmp_path):
    for file in PHENOTYPES.glob("*.toml"):
        phenotype = fs.cohort.Phenotype.load(file.stem)
        assert phenotype.name == file.stem
        assert all(rule.source for rule in phenotype.rules)
    text = (PHENOTYPES / "myeloma.toml").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(text + 'count = "sessions"\n', encoding="utf-8")
    with pytest.raises(DataError, match="sessions are counted before an index only"):
        fs.cohort.Phenotype.load(own)
    text = (PHENOTYPES / "lung_durvalumab.toml").read_text(encoding="utf-8")
    own.write_text(text.replace('index = ["durvalumab"]', ""), encoding="utf-8")
    with pytest.raises(DataError, match="several conditions need an index"):
        fs.cohort.Phenotype.load(own)
    with pytest.raises(DataError, match="phenotype must come with the package"):
        fs.cohort.Phenotype.load("flu")
