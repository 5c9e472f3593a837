"""Files are whole or absent; released tables read back as they were written."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fiac_survival.core.errors import DataError, OutputError
from fiac_survival.core.files import atomic_path, read_text, write_text
from fiac_survival.core.released import parse_table, read_table, to_csv_text, write_table


def test_failed_writes_leave_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk(tmp_path, monkeypatch, code):
    path = tmp_path / "a.csv"
    write_table(path, pd.DataFrame({"a": [1]}))
    before = path.read_bytes()

    def full(*_args):
        raise OSError(code, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="output must be writable.*a.csv.*free disk space"):
        write_table(path, pd.DataFrame({"a": [2]}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="must be writable"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="exist and be readable.*No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(DataError, match="run the study first"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_text(tmp_path / "bytes")


def test_tables_read_back():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "x": rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200),
            "n": rng.integers(0, 10**9, 200),
            "ok": rng.random(200) < 0.5,
            "text": ["NA", "null", 'a "b", c', "é\u202f1"] * 50,
            "gap": np.where(rng.random(200) < 0.3, np.nan, 1.5),
        }
    )
    text = to_csv_text(table)
    again = parse_table(text)
    np.testing.assert_allclose(again["x"], table["x"], rtol=5e-10)
    pd.testing.assert_frame_equal(again.drop(columns="x"), table.drop(columns="x"))
    # What was read back is a fixed point: writing it again gives the same bytes.
    assert to_csv_text(again) == text
    assert "\r" not in text


def test_minus_zero_is_zero():
    assert to_csv_text(pd.DataFrame({"a": [-0.0]})) == "a\n0\n"
