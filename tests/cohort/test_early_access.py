"""Reading follow-up forms of an early-access programme."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.cohort.early_access_forms import read_dates
from fiac_survival.core.errors import DataError

FILES = {
    "demande_acces": [
        "Numéro patient;Année de naissance;Mois de naissance;Sexe;Département;FINESS;"
        "Date du diagnostic;Date de la demande",
        "P1;1954;7;F;75;750000001;12/01/2018;20/03/2018",
        "P2;1949;12;homme;2A;2A0000002;03/02/2018;21/03/2018",
        "P3;1960;;;;;;25/04/2018",
    ],
    "initiation": [
        "Numéro patient;Date de début de traitement",
        "P1;02/04/2018",
        "P2;2018-04-13",
    ],
    "suivi": [
        "Numéro patient;Date de la visite;Réponse;Date de progression;Statut vital;Date de décès",
        "P1;30/06/2018;RP;;Vivant;",
        "P1;30/09/2018;progression;28/09/2018;Vivant;",
        "P2;01/07/2018;Stable;;Décédé;15/07/2018",
    ],
    "arret": [
        "Numéro patient;Date d'arrêt;Motif d'arrêt;Date de progression;Date de décès",
        "P1;05/10/2018;Progression;28/09/2018;",
    ],
}


def written(folder, **changed):
    """The files, with lines replaced: file=(line, new text), or text added at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in FILES.items():
        own = list(lines)
        if name in changed:
            line, text = changed[name]
            own[line:] = [text, *own[line + 1 :]]
        (folder / f"{name}.csv").write_text("\n".join(own) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def test_canonical_tables(engine, tmp_path):
    cohort = fs.cohort.from_early_access(written(tmp_path), engine=engine)
    person = cohort.person.order_by("person").execute().astype(str)
    assert person.values.tolist() == [
        ["P1", "1954-07-01", "female", "2018-01-12", "2018-03-20", "2018-10-05", "NaT", "75"],
        ["P2", "1949-12-01", "male", "2018-02-03", "2018-03-21", "2018-07-15", "2018-07-15", "2A"],
        ["P3", "1960-01-01", "unknown", "NaT", "2018-04-25", "2018-04-25", "NaT", "None"],
    ]
    exposure = cohort.exposure.order_by("person").execute().astype(str)
    assert exposure.values.tolist() == [
        ["P1", "2018-04-02", "2018-10-05", "durvalumab", "drug", "L01FF03"],
        ["P2", "2018-04-13", "2018-07-15", "durvalumab", "drug", "L01FF03"],
    ]
    event = cohort.event.order_by(["person", "date", "event"]).execute().astype(str)
    assert event.values.tolist() == [
        ["P1", "2018-01-12", "diagnosis", "C34"],
        ["P1", "2018-06-30", "response", "partial response"],
        ["P1", "2018-09-28", "progression", "None"],
        ["P1", "2018-09-30", "response", "progression"],
        ["P1", "2018-10-05", "treatment stop", "progression"],
        ["P2", "2018-02-03", "diagnosis", "C34"],
        ["P2", "2018-07-01", "response", "stable disease"],
    ]
    keys = cohort.linkage_key.order_by("person").execute()
    assert keys["centre"].tolist()[:2] == ["750000001", "2A0000002"]
    assert keys["birth_month"].tolist()[:2] == [7, 12]
    assert pd.isna(keys["birth_month"].iloc[2])
    assert str(keys["first_treatment"].iloc[1].date()) == "2018-04-13"
    fs.cohort.quality(cohort).raise_if_blocked()


REFUSED = [
    ("demande_acces", 4, FILES["demande_acces"][2], "a patient must stand once"),
    ("demande_acces", 1, ";1954;7;F;75;1;12/01/2018;20/03/2018", "must have its patient"),
    ("demande_acces", 1, "P1;54a;7;F;75;1;12/01/2018;20/03/2018", "must be whole numbers"),
    ("demande_acces", 1, "P1;1954;7;X;75;1;12/01/2018;20/03/2018", "Sexe: values must be known"),
    ("demande_acces", 1, "P1;1954;7;F;75;1;01/14/2018;20/03/2018", "not mm/dd/yyyy.*01/14/2018"),
    ("demande_acces", 1, "P1;1954;7;F;75;1;12/01/2018;03/20/2018", "mix dd/mm and mm/dd"),
    ("demande_acces", 1, "P1;1954;7;F;75;1;31/02/2018;20/03/2018", "dates must exist.*31/02/2018"),
    ("demande_acces", 1, "P1;1954;7;F;75;1;12/01/18;20/03/2018", "dates must be dd/mm/yyyy or"),
    ("initiation", 1, "P9;02/04/2018", "patients must have an access request"),
    ("suivi", 1, "P1;30/06/2018;guéri;;Vivant;", "Réponse: values must be known.*guéri"),
    ("suivi", 3, "P2;01/07/2018;Stable;;Décédé;", "the dead must have a date of death"),
    ("suivi", 3, "P2;01/08/2018;Stable;;Décédé;15/07/2018", "after death"),
    ("arret", 1, "P1;01/04/2018;Progression;;", "must not stop before it starts"),
    ("arret", 0, "Numéro patient;Date;Motif", "must have its headers.*Date d'arrêt"),
]


@pytest.mark.parametrize(("file", "line", "text", "match"), REFUSED)
def test_bad_input(engine, tmp_path, file, line, text, match):
    folder = written(tmp_path, **{file: (line, text)})
    with pytest.raises(DataError, match=match) as caught:
        fs.cohort.from_early_access(folder, engine=engine)
    assert "P1" not in str(caught.value)
    assert "P9" not in str(caught.value)


def test_missing_files(engine, tmp_path):
    with pytest.raises(DataError, match="path must exist"):
        fs.cohort.from_early_access(tmp_path / "none", engine=engine)
    folder = written(tmp_path / "a")
    (folder / "arret.csv").unlink()
    with pytest.raises(DataError, match="stand in one file.*arret.*none"):
        fs.cohort.from_early_access(folder, engine=engine)
    (folder / "arret.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="readable as a table.*arret"):
        fs.cohort.from_early_access(folder, engine=engine)


def test_headers_and_values_of_a_programme(engine, tmp_path):
    from fiac_survival.cohort.early_access_forms import FOLDER

    text = (FOLDER / "early_access.toml").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    own.write_text(text.replace('"Numéro patient"', '"ID"'), encoding="utf-8")
    folder = written(tmp_path / "a")
    for file in folder.iterdir():
        content = file.read_text(encoding="utf-8").replace("Numéro patient", "ID")
        file.write_text(content, encoding="utf-8")
    cohort = fs.cohort.from_early_access(folder, engine=engine, forms=own)
    assert int(cohort.person.count().execute()) == 3
    shipped = fs.cohort.FormDefinitions.load()
    assert fs.cohort.FormDefinitions.load(own).sha256 != shipped.sha256


def test_excel(engine, tmp_path, monkeypatch):
    """Without openpyxl an error names the command; with it a workbook gives the same."""
    book = tmp_path / "forms.xlsx"
    book.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "openpyxl", None)
        with pytest.raises(DataError, match="need the package openpyxl.*pip install openpyxl"):
            fs.cohort.from_early_access(book, engine=engine)
    pytest.importorskip("openpyxl", reason="openpyxl is missing: pip install openpyxl")
    with pd.ExcelWriter(book) as writer:
        for name, lines in FILES.items():
            rows = [line.split(";") for line in lines]
            pd.DataFrame(rows[1:], columns=rows[0]).to_excel(writer, sheet_name=name, index=False)
    cohort = fs.cohort.from_early_access(book, engine=engine)
    assert int(cohort.person.count().execute()) == 3


def test_dates_that_cannot_be_told_apart():
    days = read_dates(pd.Series(["01/02/2018", None, "13/02/2018", "2018-03-04"]), "x")
    assert days.astype(str).tolist() == ["2018-02-01", "NaT", "2018-02-13", "2018-03-04"]
    with pytest.raises(DataError, match=r"x: dates must not mix dd/mm and mm/dd: 1 row.*row 1"):
        read_dates(pd.Series(["13/02/2018", "02/13/2018", "01/02/2018"]), "x")
