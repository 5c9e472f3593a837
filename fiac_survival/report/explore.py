"""A page to explore a policy: choose a patient's profile and what was given, see what comes next.

One file, no request to anywhere: numbers, style and script are inside. The numbers are those of two tidy
tables; the page only puts together which classes the chosen regimens have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from fiac_survival.report.checks import checked, texts
from fiac_survival.report.page import _environment


def explore_page(
    values: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    title: str,
    profiles: Sequence[str],
    learnt: Mapping[str, str],
    learnt_label: str,
    regimen_classes: Mapping[str, Sequence[str]],
    first_lines: Mapping[str, Sequence[str]],
    horizon: float,
    simulated: bool,
) -> str:
    """Render the page.

    Parameters
    ----------
    values : DataFrame
        group, line, exposed (classes joined by " + "), regimen, value, difference, lower, upper,
        probability, patients: one row a regimen that may be given in a state, the best first.
    curves : DataFrame
        group, line, exposed, month, survival: under the policy, from the start of the line.
    title : str
        Heading.
    profiles : sequence of str
        Groups in which line 1 starts.
    learnt : mapping of str to str
        For a profile, its group after what is learnt when line 1 ends.
    learnt_label : str
        What is learnt, in words.
    regimen_classes : mapping
        Classes of each regimen.
    first_lines : mapping
        Regimens that may have been given, by line ("1", "2", ...) and profile: "1|profile".
    horizon : float
        Months.
    simulated : bool
        Whether to say so.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    DataError
        If a column is missing.
    """
    numbers = ["value", "difference", "lower", "upper", "probability", "patients"]
    table = checked(
        values, ["group", "line", "exposed", "regimen", *numbers], numbers=["line", *numbers]
    )
    survival = checked(
        curves,
        ["group", "line", "exposed", "month", "survival"],
        numbers=["line", "month", "survival"],
    )
    states: dict[str, dict[str, list[list[object]]]] = {}
    for row, exposed in zip(table.to_dict("records"), texts(table["exposed"]), strict=True):
        state = states.setdefault(
            _key(row["group"], row["line"], exposed), {"regimens": [], "curve": []}
        )
        state["regimens"].append([row["regimen"], *(round(float(row[n]), 4) for n in numbers)])
    for row, exposed in zip(survival.to_dict("records"), texts(survival["exposed"]), strict=True):
        curve = states[_key(row["group"], row["line"], exposed)]["curve"]
        curve.append([float(row["month"]), round(float(row["survival"]), 4)])
    content = {
        "states": states,
        "learnt": dict(learnt),
        "classes": {name: list(found) for name, found in regimen_classes.items()},
        "given": {key: list(found) for key, found in first_lines.items()},
        "horizon": horizon,
    }
    # "<" cannot end the script element.
    data = json.dumps(content, sort_keys=True, ensure_ascii=True).replace("<", "\\u003c")
    return (
        _environment()
        .get_template("explore.html.j2")
        .render(
            title=title,
            profiles=list(profiles),
            learnt_label=learnt_label,
            horizon=horizon,
            simulated=simulated,
            data=Markup(data),
        )
    )


def _key(group: str, line: float, exposed: str) -> str:
    classes = sorted(filter(None, (name.strip() for name in exposed.split(" + "))))
    return f"{group}|{int(line)}|{' + '.join(classes)}"
