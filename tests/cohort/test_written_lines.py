"""Lines of therapy written as they are found: the same as in memory, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import fiac_survival as fs


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("lines") / "people"
    fs.simulate.write("myeloma", folder, people=300, seed=4, buckets=3)
    found = fs.cohort.read(folder)
    yield found
    found.engine.close()


@pytest.mark.parametrize("rules", ["imwg", "gap90"])
def test_it_is_what_is_found_in_memory(cohort, tmp_path: Path, rules: str) -> None:
    memory = fs.cohort.lines_of_therapy(cohort.exposure, rules, follow_up=cohort.person).table
    for bucket, block in ((None, 5_000_000), ("bucket", 5_000_000), (None, 400)):
        path = tmp_path / f"{bucket}-{block}.parquet"
        written = fs.cohort.write_lines_of_therapy(
            cohort.exposure, path, rules, follow_up=cohort.person, bucket=bucket,
            records_per_block=block,
        )  # fmt: skip
        again = pd.read_parquet(path).sort_values(["person", "line"]).reset_index(drop=True)
        for name in ("start", "end"):
            again[name] = pd.to_datetime(again[name]).astype("datetime64[s]")
        pd.testing.assert_frame_equal(again, memory)
        assert written.table["n"].sum() == len(memory)
        assert written.rules.sha256 == fs.cohort.LineRules.load(rules).sha256


def test_a_damaged_record_leaves_no_file(cohort, tmp_path: Path) -> None:
    path = tmp_path / "line_of_therapy.parquet"
    late = cohort.person.mutate(follow_up_end=cohort.person.diagnosis).drop("death")
    with pytest.raises(fs.errors.DataError):
        fs.cohort.write_lines_of_therapy(
            cohort.exposure, path, "gap90", follow_up=late, records_per_block=400
        )
    assert not list(tmp_path.iterdir())


def test_a_bucket_must_be_there(cohort, tmp_path: Path) -> None:
    with pytest.raises(fs.errors.DataError, match="bucket=shard"):
        fs.cohort.write_lines_of_therapy(
            cohort.exposure, tmp_path / "x.parquet", follow_up=cohort.person, bucket="shard"
        )
