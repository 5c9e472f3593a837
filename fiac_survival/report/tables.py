"""Tables for pages: great-tables with fixed identifiers, numbers as in the released file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

MINUS = "\u2212"


def number(value: float, digits: int | None) -> str:
    """Write a number for readers.

    Parameters
    ----------
    value : float
        The number; NaN is shown as an en dash.
    digits : int or None
        Decimals; None means four significant digits.

    Returns
    -------
    str
        With a true minus sign and thin spaces between thousands.

    Examples
    --------
    >>> number(0.123456, 3), number(1546.0, 0), number(float("nan"), 2)
    ('0.123', '1\u202f546', '\u2013')
    """
    if np.isnan(value):
        return "\u2013"
    if digits is None:
        text = f"{value:.4g}" if abs(value) < 1e6 else f"{value:.4e}"
        if "e" not in text and float(text).is_integer() and abs(value) >= 1000:
            text = f"{value:.0f}"
    else:
        text = f"{value:.{digits}f}"
    if text.startswith("-") and float(text) == 0.0:
        text = text[1:]
    whole, dot, rest = text.partition(".")
    if whole.lstrip("-").isdigit() and len(whole.lstrip("-")) > 3:
        whole = f"{int(whole):,}".replace(",", "\u202f")
    return (
        (whole + dot + rest).replace("-", MINUS, 1) if text.startswith("-") else whole + dot + rest
    )


def displayed(
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    digits: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Turn a released table into the text that is shown.

    Parameters
    ----------
    table : DataFrame
        As released.
    columns : mapping, optional
        Columns to show and their headings; all by default.
    digits : mapping, optional
        Decimals of numeric columns.

    Returns
    -------
    DataFrame
        Text only, under the original column names.

    Examples
    --------
    >>> displayed(pd.DataFrame({"p": [0.5], "ok": [True]}), digits={"p": 2}).iloc[0].tolist()
    ['0.50', 'yes']
    """
    digits = digits or {}
    out: dict[str, list[str]] = {}
    for name in columns or table.columns:
        column = table[name]
        if column.dtype.kind == "b":
            out[name] = ["yes" if v else "no" for v in column]
        elif column.dtype.kind in "iu":
            out[name] = [number(float(v), 0) for v in column]
        elif column.dtype.kind == "f":
            out[name] = [number(float(v), digits.get(name)) for v in column]
        else:
            out[name] = ["" if pd.isna(v) else str(v) for v in column]
    return pd.DataFrame(out)


def html_table(
    name: str,
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    digits: Mapping[str, int] | None = None,
    group_by: str | None = None,
) -> str:
    """Render a table as HTML.

    Parameters
    ----------
    name : str
        Becomes the identifier ``table-<name>``.
    table : DataFrame
        As released.
    columns, digits : mapping, optional
        As in :func:`displayed`.
    group_by : str, optional
        Column whose values head groups of rows.

    Returns
    -------
    str
        Escaped HTML without scripts.
    """
    from great_tables import GT

    text = displayed(table, columns=columns, digits=digits)
    headings = dict(columns) if columns else {name: name for name in text.columns}
    numeric = [c for c in text.columns if table[c].dtype.kind in "iuf"]
    if group_by is not None and group_by not in text.columns:
        text.insert(0, group_by, table[group_by].astype(str))
    shown = GT(text, groupname_col=group_by, id=f"table-{name}")
    shown = shown.cols_label(cases={c: headings[c] for c in text.columns if c in headings})
    words = [c for c in text.columns if c not in numeric and c != group_by]
    for align, chosen in (("right", numeric), ("left", words)):
        if chosen:
            shown = shown.cols_align(align, columns=chosen)
    shown = shown.tab_options(
        table_font_size="15px",
        table_width="auto",
        table_margin_left="0",
        column_labels_font_weight="600",
        row_group_font_weight="600",
        row_group_background_color="#f4f4f4",
        data_row_padding="5px",
        table_border_top_color="#333333",
        table_border_bottom_color="#333333",
        column_labels_border_bottom_color="#333333",
    )
    html: str = shown.as_raw_html()
    return html
