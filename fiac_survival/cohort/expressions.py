r"""Expressions that mean the same on every engine.

Engines differ where one would not look: a cast of 2.5 to a whole number gives 2 on one and rounds on
the other, ``$`` matches before a last line break on one only, a not-a-number counts as missing on one
only, an ordered collect is refused by one, and a list of structs sorts its missing values first or last.
What cohort code needs of these goes through the functions below; :func:`conformance` checks each of them
on an engine against known answers.

Days are whole days since 1970-01-01 in the proleptic Gregorian calendar. Missing values come last in any
order. Text is compared by code point and measured in code points. Sums are of whole numbers: a parallel
sum of floating-point numbers differs from run to run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fiac_survival.core.errors import DataError

EXACT = 2**53


def epoch_days(dates: Any) -> Any:
    """Days since 1970-01-01.

    Parameters
    ----------
    dates : ibis date column
        Dates.

    Returns
    -------
    ibis int64 column
        Whole days; missing where the date is.
    """
    return dates.epoch_days().cast("int64")


def date_of(days: Any) -> Any:
    """Dates from days since 1970-01-01.

    Parameters
    ----------
    days : ibis integer column
        Whole days.

    Returns
    -------
    ibis date column
        Dates; missing where the number is.
    """
    import ibis

    return ibis.date("1970-01-01") + days.cast("int32").as_interval("D")


def whole_sum(numbers: Any) -> Any:
    """Sum of whole numbers, 0 for none.

    Parameters
    ----------
    numbers : ibis integer or boolean column
        Missing values count 0.

    Returns
    -------
    ibis int64 scalar
        The sum; an engine refuses one beyond 64 bits.

    Raises
    ------
    DataError
        If the numbers are not whole.
    """
    kind = numbers.type()
    if not (kind.is_integer() or kind.is_boolean()):
        raise DataError(
            "sums in an engine must be of whole numbers",
            values={"type": kind},
            remedy="count, or scale to whole units; parallel sums of fractions are not repeatable",
        )
    return numbers.cast("int64").sum().fill_null(0).cast("int64")


def floor_divide(dividend: Any, divisor: Any) -> Any:
    """Quotient of whole numbers, rounded down.

    Parameters
    ----------
    dividend, divisor : ibis integer column
        Below 2**53 in size, where it is exact.

    Returns
    -------
    ibis int64 column
        Missing where the divisor is 0.
    """
    return ratio(dividend, divisor).floor().cast("int64")


def ratio(dividend: Any, divisor: Any) -> Any:
    """Quotient as a floating-point number.

    Parameters
    ----------
    dividend, divisor : ibis integer column
        Below 2**53 in size.

    Returns
    -------
    ibis float64 column
        Missing where the divisor is 0.
    """
    import ibis

    bottom = divisor if hasattr(divisor, "nullif") else ibis.literal(divisor)
    return dividend.cast("float64") / bottom.nullif(0).cast("float64")


def is_missing(values: Any) -> Any:
    """Whether a value is missing; not-a-number is.

    Parameters
    ----------
    values : ibis column
        Of any type.

    Returns
    -------
    ibis boolean column
        Never missing itself.
    """
    if values.type().is_floating():
        return values.isnull() | values.isnan().fill_null(False)
    return values.isnull()


def numbered(order_by: Sequence[Any], *, group_by: Sequence[Any] = ()) -> Any:
    """Count rows from 0 in an order.

    Parameters
    ----------
    order_by : sequence of ibis columns
        What orders them; rows that tie must be alike, or the numbers depend on the engine.
    group_by : sequence of ibis columns
        Within what.

    Returns
    -------
    ibis int64 column
        The numbers.
    """
    import ibis

    keys = list(order_by)
    if group_by:
        return ibis.row_number().over(group_by=list(group_by), order_by=keys).cast("int64")
    return ibis.row_number().over(order_by=keys).cast("int64")


def first_in_order(table: Any, *, by: Sequence[str], order_by: Sequence[str]) -> Any:
    """Take the first row of each group.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    by : sequence of str
        Columns of the group.
    order_by : sequence of str
        What orders rows; the other columns break ties, so that the answer is one.

    Returns
    -------
    ibis.Table
        One row a group, all columns.
    """
    keys = full_order(table, order_by)
    place = numbered([table[c] for c in keys], group_by=[table[c] for c in by])
    ranked = table.mutate(fs_place=place)
    return ranked.filter(ranked.fs_place == 0).drop("fs_place")


def collected_in_order(
    table: Any, *, by: Sequence[str], value: str, order_by: Sequence[str], separator: str = "+"
) -> Any:
    """Join the texts of each group in an order.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    by : sequence of str
        Columns of the group.
    value : str
        Text column; missing values are left out.
    order_by : sequence of str
        What orders the texts; their own order breaks ties.
    separator : str, default "+"
        What stands between two.

    Returns
    -------
    ibis.Table
        Columns `by` and `value`.
    """
    import ibis

    rows = table.filter(table[value].notnull())
    place = numbered([rows[c] for c in [*order_by, value]], group_by=[rows[c] for c in by])
    rows = rows.select(*by, fs_pair=ibis.struct({"place": place, "text": rows[value]}))
    lists = rows.group_by(list(by)).agg(fs_list=rows.fs_pair.collect())
    texts = lists.fs_list.sort().map(lambda pair: pair["text"]).join(separator)
    return lists.select(*by, **{value: texts})


def median(numbers: Any) -> Any:
    """Median of whole numbers.

    Parameters
    ----------
    numbers : ibis integer column
        Below 2**52 in size; missing values are left out.

    Returns
    -------
    ibis float64 scalar
        The middle one, or the mean of the two in the middle.
    """
    return numbers.median().cast("float64")


def text_length(text: Any) -> Any:
    """Length of a text in code points.

    Parameters
    ----------
    text : ibis string column
        Texts.

    Returns
    -------
    ibis int64 column
        Lengths.
    """
    return text.length().cast("int64")


def text_slice(text: Any, start: int, length: int) -> Any:
    """Part of a text, in code points.

    Parameters
    ----------
    text : ibis string column
        Texts.
    start : int
        From 0.
    length : int
        How many; fewer where the text ends.

    Returns
    -------
    ibis string column
        Parts.

    Raises
    ------
    DataError
        If a number is negative: engines disagree on what that means.
    """
    if start < 0 or length < 0:
        raise DataError(
            "start and length must not be negative", values={"start": start, "length": length}
        )
    return text.substr(start, length)


# What both families of regular expressions read alike; "$", "." and "\\d" are rewritten.
_ESCAPES = frozenset(r".-+*?()[]{}|^$/\\")
_UNSAFE = re.compile(r"\(\?|&&|--|~~|\|\||[*+?}]\+|\[\^?\]|\{(?!\d{1,3}(,\d{0,3})?\})")


def pattern_of(pattern: str) -> str:
    r"""Check a regular expression and write it so that every engine reads it alike.

    Parameters
    ----------
    pattern : str
        ASCII letters, digits and signs; ``. [] [^] () | * + ? {m,n} ^ $``, ``\d`` and escaped signs.

    Returns
    -------
    str
        With ``$`` as the very end of the text and ``.`` as any character but a line feed.

    Raises
    ------
    DataError
        If it has something that engines read differently.

    Examples
    --------
    >>> print(pattern_of("^C90.$"))
    ^C90[^\n]\z
    """

    def refuse(what: str) -> DataError:
        return DataError(
            "a pattern must be one that every engine reads alike",
            values={"pattern": pattern, "found": what},
            remedy=r"use . [] () | * + ? {m,n} ^ $ \d and escaped signs; write sets out",
        )

    if not pattern.isascii() or not pattern.isprintable():
        raise refuse("a character that is not printable ASCII")
    if found := _UNSAFE.search(re.sub(r"\\.", "x", pattern)):
        raise refuse(found.group())
    out, inside = [], False
    for sign in re.findall(r"\\?.", pattern):
        if sign == r"\d":
            out.append("0-9" if inside else "[0-9]")
        elif sign[0] == "\\":
            if sign[1] not in _ESCAPES:
                raise refuse(sign)
            out.append(sign)
        elif inside:
            if sign == "[":
                raise refuse("[ within a set")
            inside = sign != "]"
            out.append(sign)
        else:
            inside = sign == "["
            out.append({"$": r"\z", ".": r"[^\n]"}.get(sign, sign))
    try:
        re.compile(pattern)
    except re.error as cause:
        raise refuse(str(cause)) from cause
    return "".join(out)


def matches(text: Any, pattern: str) -> Any:
    """Whether a text holds a match of a regular expression.

    Parameters
    ----------
    text : ibis string column
        Texts.
    pattern : str
        As :func:`pattern_of` allows; ``^`` and ``$`` tie it to the ends.

    Returns
    -------
    ibis boolean column
        Missing where the text is.

    Raises
    ------
    DataError
        If engines read the pattern differently.
    """
    return text.re_search(pattern_of(pattern))


def full_order(table: Any, order_by: Sequence[str]) -> list[str]:
    """Complete an order with the other columns, so that rows that tie are alike.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    order_by : sequence of str
        What comes first.

    Returns
    -------
    list of str
        Columns; lists and structs, which have no order, left out.
    """
    types = table.schema()
    others = (c for c in table.columns if c not in order_by and not types[c].is_nested())
    return [*order_by, *others]
