"""The command line: what it prints, its exit codes, and no traceback without --debug."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fiac_survival as fs
from fiac_survival.cli import app
from tests.conftest import ROOT

RUNNER = CliRunner()


def fiac(*arguments: object, project: Path | None = None):
    before = [] if project is None else ["--project", str(project)]
    return RUNNER.invoke(app, [*before, *map(str, arguments)])


def shell(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "fiac_survival", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        check=False,
    )


def test_from_nothing_to_verified(tmp_path):
    """A new project in an empty folder, through the real program."""
    made = shell("init", "demo", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "next: fiac run demo" in made.stdout
    listed = shell("list", cwd=tmp_path)
    assert "demo  (draft, never run)" in listed.stdout
    ran = shell("run", "demo", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    report = Path(ran.stdout.removeprefix("report: ").strip())
    assert report.is_file()
    assert "drawing survival" in ran.stderr  # plain lines of progress where there is no terminal
    inner = tmp_path / "studies" / "demo"
    verified = shell("verify", "demo", "--rerun", cwd=inner)  # found from below
    assert verified.returncode == 0, verified.stderr
    assert "demo: IDENTICAL (7 IDENTICAL)" in verified.stdout


def test_json_and_quiet(project):
    fs.study.load("demo", project=project).run()
    found = json.loads(fiac("--json", "list", project=project).stdout)
    assert found[0]["study"] == "demo"
    assert found[0]["run"] is True
    verified = json.loads(fiac("--json", "verify", "demo", project=project).stdout)
    assert verified["studies"][0]["status"] == "IDENTICAL"
    assert len(verified["studies"][0]["artefacts"]) == 7
    quiet = fiac("--quiet", "run", "demo", project=project)
    assert quiet.exit_code == 0
    assert quiet.output == ""


def test_packets_from_sites_to_a_report(tmp_path):
    files = []
    for site in ("gbsg", "rotterdam"):
        files.append(tmp_path / f"{site}.packet")
        made = fiac("packet", "trial_vs_registry", "--site", site, "--out", files[-1], project=ROOT)
        assert made.exit_code == 0, made.output
        assert f"Site packet of {site}" in made.stdout
        assert made.stdout.rstrip().endswith(f"packet: {files[-1]}")
    again = fiac("packet", "trial_vs_registry", "--site", "gbsg", "--out", files[0], project=ROOT)
    assert again.exit_code == 10
    assert "must not replace a file" in again.output
    ran = fiac(
        "--json", "run", "trial_vs_registry", "--out", tmp_path / "out", "--packets", *files,
        project=ROOT,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert Path(json.loads(ran.stdout)["report"]).is_file()
    for wrong in (
        ["run", "trial_vs_registry", "--packets", *files],
        ["run", "trial_vs_registry", *files],
        ["run", "trial_vs_registry", "--out", tmp_path, "--data", tmp_path, "--packets", *files],
    ):
        assert fiac(*wrong, project=ROOT).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "../x"], 4, "ProtocolError: a study's name"),
        (["run", "nothing"], 4, "must exist"),
        (["run", "demo", "--engine", "oracle://"], 3, "DataError: the engine must be one"),
        (["verify"], 2, "name one study"),
        (["verify", "demo", "--all"], 2, "name one study"),
        (["verify", "demo"], 9, "NOT RUN"),
        (["figures", "demo"], 4, "must have been run"),
        (["init", "demo"], 4, "must not exist yet"),
        (["init", "../x"], 4, "lower-case"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_exit_codes(project, arguments, code, says):
    result = fiac(*arguments, project=project)
    assert result.exit_code == code
    assert says in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_exit_codes_of_studies(project):
    analysis = project / "studies/demo/analysis.py"
    text = analysis.read_text(encoding="utf-8")
    for error, code in (
        ("DataError", 3),
        ("ConvergenceError", 5),
        ("DisclosureError", 6),
        ("SupportError", 7),
        ("OutputError", 10),
    ):
        analysis.write_text(
            text.replace(
                "    protocol = study.protocol",
                f'    raise fs.errors.{error}("the rule", remedy="the remedy")',
            ),
            encoding="utf-8",
        )
        result = fiac("run", "demo", project=project)
        assert result.exit_code == code
        assert f"{error}: the rule; the remedy" in result.output


def test_a_difference_is_exit_code_8(project):
    layout = fs.study.load("demo", project=project).run()
    (layout.base / layout.report).write_text("changed", encoding="utf-8")
    result = fiac("verify", "demo", project=project)
    assert result.exit_code == 8
    assert "DIFFERENT  studies/demo/report.html" in result.output


def test_unexpected_errors(project):
    analysis = project / "studies/demo/analysis.py"
    text = analysis.read_text(encoding="utf-8")
    analysis.write_text(
        text.replace("    protocol = study.protocol", "    1 / 0"), encoding="utf-8"
    )
    plain = shell("--project", project, "run", "demo")
    assert plain.returncode == 1
    assert "unexpected ZeroDivisionError" in plain.stderr
    assert "Traceback" not in plain.stderr
    debug = shell("--project", project, "--debug", "run", "demo")
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


def test_protected_sources_hide_values(project):
    toml = project / "studies/demo/study.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace(
            'role = "private"', 'role = "private"\nprotected = true'
        ),
        encoding="utf-8",
    )
    analysis = project / "studies/demo/analysis.py"
    text = analysis.read_text(encoding="utf-8")
    analysis.write_text(
        text.replace('frame["hormon"], measure', 'frame["age"], measure'), encoding="utf-8"
    )
    log = project / "log.txt"
    hidden = fiac("--log-file", log, "run", "demo", project=project)
    assert hidden.exit_code == 3
    assert "treated must be 0 or 1" in hidden.output
    assert "treated=" not in hidden.output
    assert "treated=" not in log.read_text(encoding="utf-8")
    shown = fiac("--show-values", "run", "demo", project=project)
    assert "treated=" in shown.output


def test_figures(project):
    layout = fs.study.load("demo", project=project).run()
    path = layout.base / layout.figures / "survival.png"
    before = path.read_bytes()
    path.unlink()
    result = fiac("figures", project=project)
    assert result.exit_code == 0
    assert "3 files drawn" in result.output
    assert path.read_bytes() == before


def test_log_file(project):
    log = project / "deep.log"
    assert fiac("--log-file", log, "--quiet", "run", "demo", project=project).exit_code == 0
    assert "loading GBSG trial" in log.read_text(encoding="utf-8")
    result = fiac("--log-file", project / "no" / "log", "list", project=project)
    assert isinstance(result.exception, fs.errors.OutputError)


def test_doctor_names_what_is_missing(monkeypatch):
    from fiac_survival.study import doctor

    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    result = fiac("doctor")
    assert result.exit_code == 0
    assert "missing  Chromium" in result.output
    assert "apt install chromium" in result.output
    assert "DuckDB 1." in result.output


def test_doctor_examines_spark(monkeypatch, tmp_path):
    from fiac_survival.cohort import spark_session
    from fiac_survival.study import doctor

    monkeypatch.setattr(spark_session, "java_executable", lambda: None)
    monkeypatch.setattr(doctor, "version", lambda name: "3.5.1")
    monkeypatch.setattr(doctor, "GIGABYTE", 2**60)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    defaults = tmp_path / "spark-defaults.conf"
    defaults.write_text("spark.sql.session.timeZone Asia/Tokyo\n", encoding="utf-8")
    rows = {row["what"]: row for row in json.loads(fiac("--json", "doctor").stdout)}
    for what, detail, remedy in (
        ("pyspark", "3.5.1, needs 4.0", "pip install 'fiac_survival[spark]'"),
        ("Java 17", "optional (Spark)", "apt install openjdk-17-jre-headless"),
        ("memory for Spark", "needs 2 GB", "connect to a cluster"),
        ("settings of Spark", "timeZone=Asia/Tokyo", "spark.sql.session.timeZone UTC"),
    ):
        assert not rows[what]["found"]
        assert detail in rows[what]["detail"]
        assert remedy in rows[what]["remedy"]


def test_conformance(monkeypatch, tmp_path):
    result = fiac("doctor", "--conformance", "duckdb", "--folder", tmp_path)
    assert result.exit_code == 0, result.output
    assert "duckdb: 28 of 28 checks give the expected answer" in result.output
    from fiac_survival.cohort import dialects

    class Wrong(dialects.DuckDB):
        def fetch(self, table):
            return super().fetch(table).slice(0, 1)

    monkeypatch.setitem(dialects.DIALECTS, "duckdb", Wrong())
    result = fiac("doctor", "--conformance", "duckdb")
    assert result.exit_code == 8
    assert "DIFFERENT  epoch days: days since 1970, proleptic Gregorian" in result.output
    assert "  expected  [-1, -171664, 18321, None, -141432, 2932896]" in result.output
    assert "  got       [-1]" in result.output
    found = fiac("--json", "doctor", "--conformance", "duckdb")
    assert found.exit_code == 8
    data = json.loads(found.stdout)
    assert data["passed"] is False
    wrong = [row["check"] for row in data["checks"] if not row["passed"]]
    assert "epoch days" in wrong
    unreachable = fiac("doctor", "--conformance", "spark://127.0.0.1:1")
    assert unreachable.exit_code == 3
    # Where another test of this process has a Spark of its own, that is what is said.
    output = unreachable.output
    assert "must be reachable" in output or "one Spark context at a time" in output


def test_simulate(tmp_path):
    out = tmp_path / "simulated"
    few = ("simulate", "myeloma", "--people", 30, "--processes", 1, "--seed", 2)
    made = fiac(*few, "--out", out, "--buckets", 4)
    assert made.exit_code == 0, made.output
    assert f"simulated, not real: {out}" in made.output
    assert "truth/lines" in made.output
    assert json.loads((out / "simulation.json").read_text(encoding="utf-8"))["buckets"] == 4
    again = fiac(*few, "--out", out)
    assert again.exit_code == 10
    assert "the folder must not exist yet" in again.output
    other = tmp_path / "longer"
    longer = fiac("--json", *few, "--out", other, "--days-per-record", 224)
    data = json.loads(longer.stdout)
    assert data["rows"]["person"] == 30
    assert data["simulated"]
    assert data["rows"]["exposure"] < fs.simulate.myeloma_claims(30, seed=2).exposure.shape[0] / 4
    quiet = fiac("--quiet", "simulate", "lung", "--people", 5, "--out", tmp_path / "q")
    assert quiet.exit_code == 0
    assert quiet.output == ""
    assert (tmp_path / "q/forms/raw/demande_acces.parquet").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["breast", "--people", "5"], 3, "known: myeloma, lung"),
        (["myeloma", "--people", "0"], 3, "people must be at least 1"),
        (["myeloma", "--people", "5", "--shape", "square"], 3, "known: canonical"),
        (
            ["lung", "--people", "5", "--days-per-record", "56"],
            3,
            "option must be one that lung has",
        ),
        (["myeloma", "--people", "5", "--days-per-record", "30"], 3, "multiple of 28"),
        (["myeloma"], 2, "Missing option"),
    ],
)
def test_simulate_refuses(tmp_path, arguments, code, says):
    result = fiac("simulate", *arguments, "--out", tmp_path / "x", "--processes", 1)
    assert result.exit_code == code
    assert says in " ".join(result.output.split())
    assert not (tmp_path / "x").exists()


def test_version():
    assert fiac("version").output.strip() == fs.__version__
