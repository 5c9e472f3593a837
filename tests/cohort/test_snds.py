"""Reading tables of the SNDS: each filter, each choice, bad input."""

from __future__ import annotations

import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.simulate.snds_shape import NOISE
from fiac_survival.simulate.source_folders import snds_shape, write_tables
from tests.cohort.source_cases import COMMON, collected, from_snds

YEARS = (2016, 2017, 2018)
D = datetime.date


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def small():
    """Three persons with records of every kind in three years."""
    day = pd.to_datetime
    person = pd.DataFrame(
        {
            "person": [4, 6, 7],  # 4 has two pseudonyms, 6 is in the even half, 7 is alive
            "birth": day(["1950-03-01", "1948-11-01", "1960-07-01"]).astype("datetime64[s]"),
            "sex": ["female", "male", "female"],
            "diagnosis": day(["2016-02-03", "2016-05-10", "2017-01-20"]).astype("datetime64[s]"),
            "follow_up_end": day(["2018-03-01", "2018-10-05", "2018-11-30"]).astype(
                "datetime64[s]"
            ),
            "death": day(["2018-03-01", "2018-10-05", None]).astype("datetime64[s]"),
            "department": ["75", "2A", "01"],
        }
    )
    rows = [
        (4, "2016-02-20", "lenalidomide", "drug"),
        (4, "2016-02-20", "dexamethasone", "drug"),
        (4, "2016-02-21", "bortezomib", "drug"),
        (4, "2016-07-01", "apheresis", "procedure"),
        (4, "2016-08-01", "transplant", "procedure"),
        (6, "2016-06-01", "daratumumab", "drug"),
        (6, "2017-01-01", "teclistamab", "drug"),
        (7, "2017-02-01", "bortezomib", "drug"),
        (7, "2017-03-01", "melphalan", "drug"),
        (7, "2018-11-01", "lenalidomide", "drug"),
    ]
    exposure = pd.DataFrame(rows, columns=["person", "date", "drug", "kind"])
    exposure["date"] = day(exposure["date"]).astype("datetime64[s]")
    event = pd.DataFrame(
        [
            (4, "2016-02-03", "diagnosis", "C900"),
            (6, "2016-05-10", "diagnosis", "C900"),
            (7, "2017-01-20", "diagnosis", "C900"),
            (7, "2017-01-25", "diagnosis", "N189"),
        ],
        columns=["person", "date", "event", "code"],
    )
    event["date"] = day(event["date"]).astype("datetime64[s]")
    return person, exposure, event


def tables(noise=()):
    return fs.simulate.snds_tables(*small(), years=YEARS, noise=noise)


def written(folder, changed=None, noise=()):
    write_tables(tables(noise) | (changed or {}), folder, snds_shape(YEARS))
    return folder


def read(folder, engine, **options):
    return from_snds(folder, engine, **{"years": YEARS} | options)


def exposures(cohort):
    return collected(cohort, "exposure").drop(columns="kind")


def excluded(cohort, label):
    found = cohort.report[cohort.report["label"].str.contains(label, regex=False)]
    assert len(found), label
    return int(found["n_excluded"].sum())


@pytest.fixture(scope="module")
def clean(engine, tmp_path_factory):
    return read(written(tmp_path_factory.mktemp("clean")), engine)


def test_what_is_kept(clean):
    person, exposure, event = small()
    expected = exposure.sort_values(["person", "date", "drug"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(collected(clean, "exposure"), expected[COMMON["exposure"]])
    pd.testing.assert_frame_equal(collected(clean, "person"), person[COMMON["person"]])
    pd.testing.assert_frame_equal(collected(clean, "event"), event[COMMON["event"]])
    details = clean.exposure.execute().set_index("drug")
    assert details.loc["teclistamab", "early_access"]
    assert not details.loc["daratumumab", "early_access"]
    assert details.loc["transplant", "kind"] == "procedure"
    assert details.loc["daratumumab", "quantity"] == 1.5
    assert details.loc["daratumumab", "atc"] == "L01FC01"
    assert details.loc["daratumumab", "class"] == "anti-CD38"
    kept = clean.report[clean.report["table"] != "COHORT"]
    assert kept["n_excluded"].sum() == 0


def test_linkage_key(clean):
    keys = clean.linkage_key.execute().sort_values("person").reset_index(drop=True)
    assert keys["birth_year"].tolist() == [1950, 1948, 1960]
    assert keys["birth_month"].tolist() == [3, 11, 7]
    assert keys["centre"].tolist() == ["75000004", "310000006", "310000007"]
    assert keys["first_treatment"].dt.strftime("%Y-%m-%d").tolist() == [
        "2016-02-20",
        "2016-06-01",
        "2017-02-01",
    ]


LABELS = {
    "information lines": "for information only",
    "supplements": "Supplements",
    "fictitious persons": "Fictitious persons",
    "duplicate lines": "Identical rows",
    "taken back": "Taken back",
    "failed checks": "Failed check",
    "ungrouped stays": "GHM 90",
    "duplicate hospitals": "counted twice",
}


STEP = 3960  # persons so far apart are written alike


def shifted(frames, case):
    return [frame.assign(person=frame["person"] + STEP * case) for frame in frames]


def stacked(parts):
    return {name: pd.concat([p[name] for p in parts], ignore_index=True) for name in parts[0]}


def of_case(frame, case):
    own = frame[frame["person"] // STEP == case]
    return own.assign(person=own["person"] - STEP * case).reset_index(drop=True)


def test_each_noise_alone_is_removed(engine, tmp_path):
    """60 patients for each kind, who have it alone: the same exposures as without it."""
    from tests.cohort.source_cases import claims

    simulated = claims(60)
    frames = (simulated.person, simulated.exposure, simulated.event)
    plain = fs.simulate.snds_tables(*frames, noise=())
    parts = []
    for case, noise in enumerate(NOISE):
        parts.append(fs.simulate.snds_tables(*shifted(frames, case), noise=(noise,)))
        assert sum(map(len, parts[-1].values())) > sum(map(len, plain.values()))
    write_tables(stacked(parts), tmp_path, snds_shape(range(2014, 2024)))
    cohort = from_snds(tmp_path, engine)
    for label in LABELS.values():
        assert excluded(cohort, label) > 0
    expected = simulated.exposure.sort_values(["person", "date", "drug"]).reset_index(drop=True)
    found = collected(cohort, "exposure")
    for case, noise in enumerate(NOISE):
        pd.testing.assert_frame_equal(of_case(found, case), expected, obj=noise)


FILTERED = [
    ("ER_PRS_F", "DPN_QLF", 71, "for information"),
    ("ER_PRS_F", "DPN_QLF", 72, "for information"),
    ("ER_PRS_F", "CPL_MAJ_TOP", 2, "Supplements"),
    ("ER_PRS_F", "BEN_CDI_NIR", "01", "Fictitious"),
    ("ER_PRS_F", "BEN_NIR_PSA", "SIM90000000000000", "not among the beneficiaries"),
    ("ER_PRS_F", "EXE_SOI_DTD", None, "No date of care"),
    ("ER_PRS_F", "EXE_SOI_DTD", D(2015, 12, 31), "Outside the years"),
    ("ER_PRS_F", "EXE_SOI_DTD", D(2019, 1, 1), "Outside the years"),
    ("ER_UCD_F", "UCD_UCD_COD", "12345", "Code of another form"),
    ("ER_UCD_F", "UCD_DLV_NBR", -1, "Taken back"),
]


def spoil(frame, place, column, value):
    assert place.sum() == 1
    frame[column] = frame[column].astype(object)
    frame.loc[place, column] = value


def test_lines_that_must_go(engine, tmp_path, clean):
    """The line of lenalidomide of person 4, spoilt in one way in each case: the rest stays."""
    parts = []
    for case, (table, column, value, _) in enumerate(FILTERED):
        part = fs.simulate.snds_tables(*shifted(small(), case), years=YEARS, noise=())
        row = part["ER_UCD_F"].iloc[0]
        frame = part[table]
        place = frame["DCT_ORD_NUM"] == row["DCT_ORD_NUM"]
        place &= frame["PRS_ORD_NUM"] == row["PRS_ORD_NUM"]
        spoil(frame, place, column, value)
        parts.append(part)
    write_tables(stacked(parts), tmp_path, snds_shape(YEARS))
    cohort = read(tmp_path, engine)
    labels = [label for *_, label in FILTERED]
    assert {label: excluded(cohort, label) for label in labels} == {
        label: labels.count(label) for label in labels
    }
    before, found = exposures(clean), exposures(cohort)
    gone = (before["person"] == 4) & (before["drug"] == "lenalidomide")
    assert gone.sum() == 1
    for case, what in enumerate(FILTERED):
        expected = before[~gone].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_case(found, case), expected, obj=str(what))


KEPT = [
    ("ER_PRS_F", "DPN_QLF", 0),
    ("ER_PRS_F", "CPL_MAJ_TOP", 1),
    ("ER_PRS_F", "BEN_CDI_NIR", "03"),
    ("ER_PRS_F", "BEN_CDI_NIR", "04"),
]


def test_lines_that_stay(engine, tmp_path, clean):
    frame = tables()["ER_PRS_F"].copy()
    for i, (_, column, value) in enumerate(KEPT):
        frame.loc[i, column] = value
    cohort = read(written(tmp_path, {"ER_PRS_F": frame}), engine)
    pd.testing.assert_frame_equal(exposures(cohort), exposures(clean))


STAYS = [
    *[("C", column, "1", "Failed check") for column in (
        "NIR_RET", "NAI_RET", "SEX_RET", "SEJ_RET", "FHO_RET", "PMS_RET",
        "DAT_RET", "COH_NAI_RET", "COH_SEX_RET",
    )],
    ("C", "NIR_RET", None, "Failed check"),
    ("B", "GRG_GHM", "90Z00Z", "GHM 90"),
    ("C", "NIR_ANO_17", "xxxxxxxxxxxxxxxxx", "Unusable pseudonym"),
    ("C", "NIR_ANO_17", "SIM90000000000000", "not among the beneficiaries"),
    ("C", "EXE_SOI_DTD", None, "No date of admission"),
    ("hospital", "ETA_NUM", "750100042", "counted twice"),
]  # fmt: skip


def test_stays_that_must_go(engine, tmp_path, clean):
    """The stay of person 7 with bortezomib in 2017, spoilt in one way in each case."""
    parts = []
    for case, (table, column, value, _) in enumerate(STAYS):
        part = fs.simulate.snds_tables(*shifted(small(), case), years=YEARS, noise=())
        given = part["T_MCO17MED"]
        bortezomib = given[given["UCD_UCD_COD"] == "0000009260010"]
        assert len(bortezomib) == 1
        for name in ["B", "C", "UM", "MED"] if table == "hospital" else [table]:
            frame = part[f"T_MCO17{name}"]
            spoil(frame, frame["RSA_NUM"] == bortezomib["RSA_NUM"].iloc[0], column, value)
        parts.append(part)
    write_tables(stacked(parts), tmp_path, snds_shape(YEARS))
    cohort = read(tmp_path, engine)
    labels = [label for *_, label in STAYS]
    assert {label: excluded(cohort, label) for label in labels} == {
        label: labels.count(label) for label in labels
    }
    before, found = exposures(clean), exposures(cohort)
    gone = (before["person"] == 7) & (before["drug"] == "bortezomib")
    assert gone.sum() == 1
    for case, what in enumerate(STAYS):
        expected = before[~gone].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_case(found, case), expected, obj=str(what))


def test_hospitals_counted_twice_only_until_2017(engine, tmp_path, clean):
    changed = {}
    for name in ("B", "C", "UM", "D", "A", "MED", "MEDATU"):
        frame = tables()[f"T_MCO18{name}"].copy()
        frame["ETA_NUM"] = "750100042"
        changed[f"T_MCO18{name}"] = frame
    cohort = read(written(tmp_path, changed), engine)
    assert excluded(cohort, "counted twice") == 0
    pd.testing.assert_frame_equal(exposures(cohort), exposures(clean))


def test_taken_back_in_part(engine, tmp_path, clean):
    """Two boxes, one taken back: one stays; a line is only netted with its own code and day."""
    ucd, prs = tables()["ER_UCD_F"], tables()["ER_PRS_F"]
    first = ucd.iloc[[0]].copy()
    back = first.assign(PRS_ORD_NUM=900, UCD_DLV_NBR=-1)
    line = prs[(prs["DCT_ORD_NUM"] == 4) & (prs["PRS_ORD_NUM"] == first["PRS_ORD_NUM"].iloc[0])]
    ucd = pd.concat([ucd, back], ignore_index=True)
    ucd.loc[0, "UCD_DLV_NBR"] = 2
    prs = pd.concat([prs, line.assign(PRS_ORD_NUM=900)], ignore_index=True)
    cohort = read(written(tmp_path, {"ER_UCD_F": ucd, "ER_PRS_F": prs}), engine)
    pd.testing.assert_frame_equal(exposures(cohort), exposures(clean))
    row = cohort.exposure.filter(cohort.exposure.drug == "lenalidomide").execute()
    assert row.set_index("person")["quantity"].loc[f"{4:017d}"] == 1.0


def test_codes_of_thirteen_and_seven_digits(engine, tmp_path, clean):
    ucd = tables()["ER_UCD_F"].copy()
    ucd.loc[0, "UCD_UCD_COD"] = "9298113"
    ucd.loc[1, "UCD_UCD_COD"] = "3400890017381"
    cohort = read(written(tmp_path, {"ER_UCD_F": ucd}), engine)
    pd.testing.assert_frame_equal(exposures(cohort), exposures(clean))


def test_transplant_by_group_of_stays(engine, tmp_path, clean):
    """Without the act, the group (GHM) says it, on the day of admission; with it, once."""
    all_tables = tables()
    acts, stays = all_tables["T_MCO16A"], all_tables["T_MCO16B"].copy()
    act = acts[acts["CDC_ACT"] == "FELF010"]
    stays.loc[stays["RSA_NUM"].isin(act["RSA_NUM"]), "GRG_GHM"] = "27Z03Z"
    both = read(written(tmp_path / "a", {"T_MCO16B": stays}), engine)
    pd.testing.assert_frame_equal(exposures(both), exposures(clean))
    rest = acts[acts["CDC_ACT"] != "FELF010"]
    group = read(written(tmp_path / "b", {"T_MCO16B": stays, "T_MCO16A": rest}), engine)
    found = exposures(group)
    assert found["drug"].tolist() == exposures(clean)["drug"].tolist()
    day = found[found["drug"] == "transplant"]["date"].iloc[0]
    assert pd.Timestamp("2016-07-30") <= day <= pd.Timestamp("2016-08-01")


def test_twins_share_a_pseudonym(engine, tmp_path):
    """Stays of a pseudonym with two persons cannot be told apart; lines can."""
    ben = tables()["IR_BEN_R"]
    twin = ben[ben["BEN_IDT_ANO"] == f"{7:017d}"].assign(BEN_RNG_GEM=2, BEN_IDT_ANO="twin")
    changed = {"IR_BEN_R": pd.concat([ben, twin], ignore_index=True)}
    cohort = read(written(tmp_path, changed), engine, phenotype=None)
    assert excluded(cohort, "twins") == 3
    found = cohort.exposure.execute()
    assert set(found[found["person"] == f"{7:017d}"]["drug"]) == {"melphalan", "lenalidomide"}


def test_follow_up(engine, tmp_path):
    folder = written(tmp_path)
    by_data = read(folder, engine, follow_up="data end").person.execute().set_index("person")
    assert str(by_data.loc[f"{7:017d}", "follow_up_end"].date()) == "2018-12-31"
    assert str(by_data.loc[f"{4:017d}", "follow_up_end"].date()) == "2018-03-01"
    earlier = read(folder, engine, follow_up="data end", extracted="2018-06-30", lag_days=60)
    person = earlier.person.execute().set_index("person")
    assert str(person.loc[f"{6:017d}", "follow_up_end"].date()) == "2018-05-01"
    assert pd.isna(person.loc[f"{6:017d}", "death"])  # he died later: not known then
    assert str(person.loc[f"{4:017d}", "death"].date()) == "2018-03-01"
    assert earlier.exposure.date.max().execute() <= pd.Timestamp("2018-05-01")
    assert person["follow_up_start"].astype(str).unique().tolist() == ["2016-01-01"]


def test_where_deaths_come_from(engine, tmp_path):
    """Person 6 died in hospital; her certificate and her row say two other days."""
    all_tables = tables()
    ben, kci = all_tables["IR_BEN_R"].copy(), all_tables["KI_CCI_R"].copy()
    ben.loc[ben["BEN_IDT_ANO"] == f"{6:017d}", "BEN_DCD_DTE"] = D(2018, 10, 7)
    kci.loc[kci["BEN_IDT_ANO"] == f"{6:017d}", "BEN_DCD_DTE"] = D(2018, 10, 6)
    folder = written(tmp_path, {"IR_BEN_R": ben, "KI_CCI_R": kci})
    for sources, day in (
        (("beneficiary", "cause of death", "hospital"), "2018-10-07"),
        (("cause of death", "beneficiary"), "2018-10-06"),
        (("hospital", "beneficiary"), "2018-10-05"),
    ):
        person = read(folder, engine, deaths=sources).person.execute().set_index("person")
        assert str(person.loc[f"{6:017d}", "death"].date()) == day
        assert pd.isna(person.loc[f"{7:017d}", "death"])
    lacking = read(folder, engine, without=["KI_CCI_R"])
    assert "KI_CCI_R" not in set(lacking.report["table"])


def test_csv_and_parts(engine, tmp_path, clean):
    """CSV with commas or semicolons, and parquet in parts, give the same cohort."""
    for i, (name, frame) in enumerate(tables().items()):
        place = tmp_path / "csv"
        place.mkdir(exist_ok=True)
        frame.to_csv(place / f"{name}.csv", index=False, sep=";" if i % 2 else ",")
        parts = tmp_path / "parts" / name.lower()
        parts.mkdir(parents=True)
        definition = snds_shape(YEARS)[name]
        from fiac_survival.simulate.source_folders import arrow_table

        half = len(frame) // 2
        for number, part in enumerate((frame[:half], frame[half:])):
            pq.write_table(
                arrow_table(part.reset_index(drop=True), definition), parts / f"{number}.parquet"
            )
    for folder in ("csv", "parts"):
        cohort = read(tmp_path / folder, engine)
        for name in COMMON:
            pd.testing.assert_frame_equal(collected(cohort, name), collected(clean, name))


def refused(folder, engine, match, **options):
    with pytest.raises(DataError, match=match):
        read(folder, engine, **options)


def test_bad_input(engine, tmp_path):
    folder = written(tmp_path / "a")
    (folder / "T_MCO17MED.parquet").rename(folder / "away")
    refused(folder, engine, "tables of every year.*missing=T_MCO17MED.*year=2017")
    refused(
        folder, engine, "tables of every year.*missing=T_MCO19B.*year=2019", years=range(2016, 2020)
    )
    (folder / "away").rename(folder / "T_MCO17MED.parquet")
    whole = (folder / "ER_UCD_F.parquet").read_bytes()
    (folder / "ER_UCD_F.parquet").write_bytes(whole[: len(whole) // 2])
    refused(folder, engine, "readable as a table.*ER_UCD_F")
    (folder / "ER_UCD_F.parquet").unlink()
    refused(folder, engine, "must have its tables.*missing=ER_UCD_F")
    (folder / "ER_UCD_F.parquet").write_bytes(whole)
    (folder / "ER_UCD_F.csv").write_text("a,b\n", encoding="utf-8")
    refused(folder, engine, "one file or folder.*ER_UCD_F")
    (folder / "ER_UCD_F.csv").unlink()
    read(folder, engine)
    refused(tmp_path / "none", engine, "folder must exist")
    refused(folder, engine, "without a gap", years=(2016, 2018))
    refused(folder, engine, "must not end before they begin", extracted="2015-01-01")
    refused(folder, engine, "extracted must be a date", extracted="31/12/2018")
    refused(folder, engine, "lag_days must not be negative", lag_days=-1)
    refused(folder, engine, "can be done without", without=["ER_PRS_F"])
    refused(folder, engine, "deaths must name a source", deaths=())
    with pytest.raises(DataError, match="follow_up"):
        read(folder, engine, follow_up="whenever")


def test_missing_columns_and_types(engine, tmp_path):
    for name, column in (("ER_PHA_F", "FLX_TRT_DTD"), ("T_MCO16C", "NIR_ANO_17")):
        folder = written(tmp_path / name)
        table = pq.read_table(folder / f"{name}.parquet").drop_columns([column])
        pq.write_table(table, folder / f"{name}.parquet")
        refused(folder, engine, f"{name} must have its columns.*missing={column}")
    for name, column, kind, match in (
        ("ER_PRS_F", "EXE_SOI_DTD", pa.string(), "must be of type date.*string"),
        ("ER_PRS_F", "BEN_CDI_NIR", pa.int64(), "must be of type text.*leading zeros"),
        ("ER_PRS_F", "DPN_QLF", pa.float64(), "must be of type text or integer"),
        ("T_MCO16MED", "ADM_NBR", pa.string(), "must be of type number"),
    ):
        folder = written(tmp_path / f"{name}{column}")
        table = pq.read_table(folder / f"{name}.parquet")
        place = table.schema.get_field_index(column)
        table = table.set_column(place, column, table[column].cast(kind))
        pq.write_table(table, folder / f"{name}.parquet")
        refused(folder, engine, rf"{name}\.{column} {match}")
    folder = written(tmp_path / "digits")
    table = pq.read_table(folder / "IR_BEN_R.parquet")
    place = table.schema.get_field_index("BEN_NAI_MOI")
    months = pa.array(["03"] * (len(table) - 1) + ["may"])
    pq.write_table(table.set_column(place, "BEN_NAI_MOI", months), folder / "IR_BEN_R.parquet")
    refused(folder, engine, r"IR_BEN_R\.BEN_NAI_MOI must be whole numbers: 1 row")


def test_unknown_codes_and_reversed_dates(engine, tmp_path):
    ben = tables()["IR_BEN_R"].copy()
    ben.loc[0, "BEN_SEX_COD"] = 7
    refused(written(tmp_path / "a", {"IR_BEN_R": ben}), engine, "BEN_SEX_COD must be one of.*1 row")
    stays = tables()["T_MCO17C"].copy()
    stays.loc[0, "EXE_SOI_DTF"] = D(2016, 1, 1)
    folder = written(tmp_path / "b", {"T_MCO17C": stays})
    refused(folder, engine, "must not end before it begins.*1 row.*reversed_dates")
    cohort = read(folder, engine, reversed_dates="drop")
    assert excluded(cohort, "Ends before it begins") == 1
    ben = tables()["IR_BEN_R"].copy()
    ben.loc[1, "BEN_NIR_PSA"] = ben.loc[0, "BEN_NIR_PSA"]
    refused(written(tmp_path / "c", {"IR_BEN_R": ben}), engine, "belong to one BEN_IDT_ANO")
    csv = written(tmp_path / "d")
    (csv / "KI_CCI_R.parquet").unlink()
    (csv / "KI_CCI_R.csv").write_text(
        "BEN_IDT_ANO,BEN_DCD_DTE,DCD_CIM_COD\n1,31/02/2018,C900\n", encoding="utf-8"
    )
    refused(csv, engine, "readable as a table.*KI_CCI_R.*31/02/2018")


def test_simulated_input_that_cannot_be_written():
    person, exposure, event = small()
    with pytest.raises(DataError, match="years that are written.*widen years"):
        fs.simulate.snds_tables(person, exposure, event, years=(2017, 2018))
    with pytest.raises(DataError, match="whole numbers from 0"):
        fs.simulate.snds_tables(person.assign(person=["a", "b", "c"]), exposure, event)
    with pytest.raises(DataError, match="noise"):
        fs.simulate.snds_tables(person, exposure, event, noise=("snow",))
    with pytest.raises(DataError, match="must have a code.*drug=snake oil"):
        fs.simulate.snds_tables(person, exposure.assign(drug="snake oil"), event)


def test_parts_give_what_everything_at_once_gives(tmp_path):
    claims = fs.simulate.myeloma_claims(60, seed=3)
    fs.simulate.write_snds(claims, tmp_path)
    found = []
    for rows_per_part in (None, 400):
        cohort = fs.cohort.from_snds(
            tmp_path, years=YEARS, extracted="2023-08-31", rows_per_part=rows_per_part
        )
        tables = {
            name: cohort.engine.collect(table, order_by=["person"])
            for name, table in cohort.tables.items()
        }
        found.append((tables, cohort.report))
        cohort.engine.close()
    (whole, report), (parts, report_of_parts) = found
    assert len(whole["exposure"]) > 400
    pd.testing.assert_frame_equal(report, report_of_parts)
    for name, table in whole.items():
        pd.testing.assert_frame_equal(table, parts[name])


def test_a_part_must_have_a_row(tmp_path):
    with pytest.raises(DataError, match="rows_per_part must be at least 1, or None"):
        fs.cohort.from_snds(tmp_path, years=YEARS, extracted="2023-08-31", rows_per_part=0)


def test_a_certificate_of_nobody_known_is_no_event(tmp_path):
    fs.simulate.write_snds(fs.simulate.myeloma_claims(20, seed=3), tmp_path)
    path = next(tmp_path.rglob("KI_CCI_R*.parquet"))
    rows = pq.read_table(path).to_pandas()
    stranger = rows.iloc[:1].assign(BEN_IDT_ANO="99999999999999999")
    pq.write_table(pa.Table.from_pandas(pd.concat([rows, stranger]), preserve_index=False), path)
    cohort = fs.cohort.from_snds(
        tmp_path, years=range(2014, 2024), extracted="2024-08-31", phenotype=None
    )
    deaths = cohort.event.filter(cohort.event.event == "death")
    assert int(deaths.count().execute()) > 0
    assert int(cohort.event.anti_join(cohort.person, "person").count().execute()) == 0
    cohort.engine.close()
