"""Which placeholders a phrase may hold, by op; what is written in a project file is checked against it."""

from __future__ import annotations

from string import Formatter

from leadscore.errors import nearest

FORMS = ("text", "none", "zero", "one", "negative", "usual", "usual_zero", "usual_none")
"""A phrase has a text; the others where it reads otherwise."""
_VALUE = ("n", "n_after")
_EVENTS = ("what", "what_one")
_COLUMN = ("column", "columns")
_WINDOW = ("when",)

_OF_EVENTS = {
    **dict.fromkeys(("count", "active_days"), (*_EVENTS, *_WINDOW)),
    **dict.fromkeys(("sum", "mean", "min", "max", "std", "nunique", "entropy"), (*_EVENTS, *_COLUMN, *_WINDOW)),
    **dict.fromkeys(("since_last", "since_first", "gap_mean", "gap_std", "gap_now"), _EVENTS),
    **dict.fromkeys(("decay", "reply", "waiting"), _EVENTS),
    **dict.fromkeys(("last", "previous", "first", "mode"), (*_EVENTS, *_COLUMN)),
    "trend": (*_EVENTS, *_WINDOW, "before"),
}  # fmt: skip
_OF_LEADS = ("profile.age", "profile.missing", "calendar.weekday", "calendar.hour", "calendar.days_to_month_end")
_OF_ROLES = ("win_rate", "n_won", "n_resolved", "open_leads")

PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    **_OF_EVENTS,
    "value": _COLUMN,
    "origin.value": _COLUMN,
    **dict.fromkeys(_OF_LEADS, ()),
    **{f"account.{op}": _COLUMN for op in _OF_ROLES},
    **{f"{role}.{op}": (*_COLUMN, "same") for role in ("origin", "owner") for op in _OF_ROLES},
}
"""By the key of a phrase, what every form of it may name beside the value."""

OPS = tuple(_OF_EVENTS)
"""Ops that are taken of events."""


def legal(key: str, form: str) -> tuple[str, ...]:
    """Return the placeholders that a form of a phrase may hold: the value is not there where it is nothing."""
    of_value = () if form in ("none", "negative", "usual_none") else _VALUE
    counted = ("what_n",) if key in OPS and form == "text" else ()
    return (*of_value, *counted, *PLACEHOLDERS[key])


def mistake(key: str, form: str, text: str) -> str | None:
    """Return what is wrong with the text of a form, None if nothing is."""
    known = legal(key, form)
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None]
    except ValueError as error:
        return f"is no text with placeholders in braces ({error}); a brace of its own is written twice"
    for name, spec, conversion in fields:
        if name not in known or spec or conversion:
            listed = ", ".join(f"{{{word}}}" for word in known)
            shown = f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
            return f"has an unknown placeholder {shown}.{nearest(name, known)} Legal here: {listed or 'none'}"
    if not text.strip() and not form.startswith("usual"):
        return "is empty; a reason must say something"
    return None
