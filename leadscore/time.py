"""Instants, windows, horizon: the only place that knows the interval ends.

Every instant is a UTC int64 count of microseconds since 1970. Intervals are closed at their start, open at their end:

- a **window** is ``[t − w, t)``, ``all`` is ``(−∞, t)``;
- a row is **visible** at t if ``time < t`` and ``known < t``;
- a win counts for t if it falls in ``[t, t + h)``: a win exactly at t is the label's, never a feature's;
- a lead is **at risk** at t if ``created ≤ t`` and it was neither won nor lost before t;
- a snapshot is **mature** if ``observed_from ≤ t`` and ``t + h ≤ observed_until``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Instants = NDArray[np.int64]
Mask = NDArray[np.bool_]

MICROSECOND = 1
SECOND = 1_000_000
DAY = 86_400 * SECOND
NEVER = np.iinfo(np.int64).min
"""A missing instant."""
FOREVER = np.iinfo(np.int64).max
"""The length of the window ``all``, and an end that never comes."""

EARLIEST = -62_135_596_800 * SECOND  # 0001-01-01
LATEST = 253_402_300_799 * SECOND  # 9999-12-31T23:59:59

_LOCAL_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH = _LOCAL_EPOCH.replace(tzinfo=dt.UTC)
_UNITS = {"m": 60 * SECOND, "h": 3_600 * SECOND, "d": DAY, "w": 7 * DAY}
_DURATION = re.compile(r"(\d{1,6})([mhdw])")
_HAS_OFFSET = r"[T ]\d.*(?:[Zz]$|[+-])"  # whatever pandas may take for one, so that no local reading is aware
_EPOCH_DIGITS = {10: SECOND, 13: 1_000, 16: 1}
_SECONDS_IN_UTC = re.compile(r"(?:[1-9]...-..-..T..:..:..Z\n)*+")  # NumPy refuses what else is no digit, but for NUL
_LINE = np.dtype({"names": ["text"], "formats": ["S19"], "itemsize": 21})
_LOCAL_FORMATS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%Y%m%d", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_ISO_DAY = r"\d{4}-\d{2}(?:-\d{2}|$)"
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_ALL_FORMATS = tuple(date + clock for date in _LOCAL_FORMATS for clock in _CLOCKS)


def parse_duration(text: str) -> int:
    """Microseconds of a duration such as ``12h``, ``7d`` or ``2w`` (exact: ``1d`` is 24 h).

    Raises
    ------
    ValueError
        If the text is not a whole number above zero followed by m, h, d or w (``0d`` is zero and legal).
    """
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and m, h, d or w, as in '12h' or '30d'")
    return int(match[1]) * _UNITS[match[2]]


def parse_window(text: str) -> int:
    """Microseconds of a window: a duration above zero, or `FOREVER` for ``all``."""
    return FOREVER if text == "all" else parse_span(text)


def parse_span(text: str) -> int:
    """Microseconds of a duration above zero: a horizon, the step of a grid."""
    length = parse_duration(text)
    if length == 0:
        raise ValueError(f"{text!r} is empty; use at least '1m'")
    return length


def visible(time: Instants, known: Instants, cutoff: Instants | int) -> Mask:
    """Whether a row had happened and was known strictly before the cutoff."""
    return np.asarray((time < cutoff) & (known < cutoff))


def won_within_horizon(won_at: Instants, cutoff: Instants, *, horizon: int) -> Mask:
    """Whether the first win is in ``[t, t + h)``; `NEVER` is no win."""
    return np.asarray((won_at != NEVER) & (cutoff <= won_at) & (won_at < cutoff + horizon))


def at_risk(created: Instants, won_at: Instants, lost_at: Instants, cutoff: Instants) -> Mask:
    """Whether the lead exists at t and was neither won nor lost before t; without `created` it never is."""
    closed = ((won_at != NEVER) & (won_at < cutoff)) | ((lost_at != NEVER) & (lost_at < cutoff))
    return np.asarray((created != NEVER) & (created <= cutoff) & ~closed)


def mature(cutoff: Instants, *, horizon: int, observed_from: int, observed_until: int) -> Mask:
    """Whether the label at t is settled: ``observed_from ≤ t`` and ``t + h ≤ observed_until``."""
    return np.asarray((observed_from <= cutoff) & (cutoff <= observed_until - horizon))


def zone(name: str) -> dt.tzinfo:
    """Return the time zone of an IANA name; raises ValueError for an unknown one."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; use an IANA name such as 'UTC' or 'Europe/Berlin'") from error


def localize(naive: pd.DatetimeIndex, timezone: str) -> tuple[Instants, int]:
    """UTC instants of local clock readings, and how many were ambiguous.

    An ambiguous reading (autumn) is the later instant; an impossible one (spring), and one that is past the year 9999
    in UTC, becomes `NEVER`.
    """
    if timezone == "UTC":
        return _microseconds(naive), 0
    last = _last_reading(timezone)
    if len(naive) and naive.max() > last:  # pandas would refuse them all
        naive = pd.DatetimeIndex(naive.where(naive <= last))
    later = naive.tz_localize(timezone, ambiguous=np.zeros(len(naive), dtype=bool), nonexistent="NaT")
    unsure = naive.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    return _microseconds(later.tz_convert("UTC")), int(np.sum(unsure.isna()) - np.sum(later.isna()))


def _last_reading(timezone: str) -> pd.Timestamp:
    """Return the last local reading that is still in the year 9999 in UTC."""
    offset = zone(timezone).utcoffset(dt.datetime.max)
    assert offset is not None
    return pd.Timestamp(dt.datetime.max + min(offset, dt.timedelta(0)))


def parse_instants(
    values: pd.Series, timezone: str, time_format: str | None = None, *, recognise: bool = True
) -> tuple[Instants, int]:
    """UTC instants of a column of any type, and how many local readings were ambiguous.

    Recognised: timestamps and dates of a typed source; ISO 8601 with or without offset, date alone (midnight);
    epoch seconds, milliseconds or microseconds; day-first and month-first dates where only one of them reads the
    whole column. What has no offset is local to `timezone`. Null, unreadable and impossible values are `NEVER`.
    Without `recognise`, where the values are not the whole column, such dates are unreadable.

    Raises
    ------
    ValueError
        If a column of dates such as ``03/04/2026`` reads both day-first and month-first and no `time_format` is set.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return _microseconds(pd.DatetimeIndex(values.dt.tz_convert("UTC"))), 0
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return localize(pd.DatetimeIndex(values), timezone)
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return _epochs(values), 0
    text = values.astype("str").str.strip()
    text = text.where(text != "")
    if time_format is not None:
        return _readings(text, time_format, timezone)
    return _recognised(text, timezone, recognise=recognise)


def _recognised(text: pd.Series, timezone: str, *, recognise: bool) -> tuple[Instants, int]:
    """Try ISO 8601, then epochs, then the local formats; what reads most of the column wins."""
    instants, ambiguous = _iso(text, timezone)
    filled = text.notna().to_numpy()
    left = filled & (instants == NEVER)
    if not left.any():
        return instants, ambiguous
    rest = text[left]
    digits = rest.str.fullmatch("[0-9]{10}|[0-9]{13}|[0-9]{16}").to_numpy(dtype=bool)
    if digits.any():
        instants[np.flatnonzero(left)[digits]] = _epochs(pd.to_numeric(rest[digits]))
        left = filled & (instants == NEVER)
        rest = text[left]
    # the odd unreadable value among readable ones is the row's fault
    if not recognise or left.sum() * 2 <= filled.sum():
        return instants, ambiguous
    time_format = _recognise_format(rest)
    if time_format is None:
        return instants, ambiguous
    instants[left], more = _readings(rest, time_format, timezone)
    return instants, ambiguous + more


def format_instant(instant: int) -> str:
    """ISO 8601 in UTC, with microseconds only where there are any: ``2026-05-01T09:00:00Z``."""
    moment = _LOCAL_EPOCH + dt.timedelta(microseconds=int(instant))
    return moment.isoformat() + "Z"


def parse_instant(value: Any, timezone: str, time_format: str | None = None) -> int:
    """One instant from text, a datetime, a date or epoch seconds; raises ValueError if it can't be read.

    Text in the declared `time_format` is read so; any other as if none were declared.
    """
    if isinstance(value, str):
        declared = None if time_format is None else _declared(value.strip(), timezone, time_format)
        return _of_text(value.strip(), timezone) if declared is None else declared
    if type(value) in (int, float):
        return _of_epoch(value)
    if isinstance(value, bool | list | tuple | dict):
        raise ValueError("not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'")
    return _of_moment(value, timezone) if isinstance(value, dt.datetime) else _as_column(value, timezone)


def _of_text(text: str, timezone: str) -> int:
    """One instant of text, as a column of this text alone reads it, but without building one."""
    if text.isascii() and text.isdigit() and len(text) in _EPOCH_DIGITS:
        if text.startswith("0"):
            raise ValueError("not a time")
        return round(float(text) * _EPOCH_DIGITS[len(text)])
    if not text.isdecimal():  # fromisoformat takes 1788051261504 for a day in 1788
        try:
            return _of_moment(dt.datetime.fromisoformat(text), timezone)
        except ValueError:
            if re.match(_ISO_DAY, text):
                return _as_column_of(_iso, text, timezone)
    readings = {name: moment for name in _formats_like(text) if (moment := _strptime(text, name)) is not None}
    if not readings:
        raise ValueError("not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'")
    if len(set(readings.values())) > 1:
        raise ValueError(f"reads both as {' and as '.join(map(repr, readings))}; write ISO 8601")
    return _of_moment(next(iter(readings.values())), timezone)


def _of_epoch(number: float) -> int:
    """One instant of an epoch number; what `_epochs` does to a column."""
    with contextlib.suppress(OverflowError):
        amount = float(number)
        for digits, unit in _EPOCH_DIGITS.items():
            if 10 ** (digits - 1) <= amount < 10**digits:
                return round(amount * unit)
    raise ValueError("not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'")


def _formats_like(text: str) -> list[str]:
    """Return the local formats with the punctuation of a text; no other can read it."""
    marks = [text.count(mark) for mark in "/-.,:"]
    return [name for name in _ALL_FORMATS if [name.count(mark) for mark in "/-.,:"] == marks]


def parse_instants_with_offset(texts: Sequence[str]) -> Instants:
    """Instants of ISO 8601 texts that all have an offset: what `parse_instant` makes of each, but several times faster.

    Raises ValueError or TypeError if there is anything else among them, or one lies outside the years 1 to 9999.
    """
    lines = "\n".join(texts) + "\n"
    if _SECONDS_IN_UTC.fullmatch(lines) and "\0" not in lines and len(lines) == _LINE.itemsize * len(texts):
        return np.frombuffer(lines.encode("ascii"), _LINE)["text"].astype("M8[us]").view(np.int64)
    instants = [_microseconds_of(moment - _EPOCH) for moment in map(dt.datetime.fromisoformat, texts)]
    if not EARLIEST <= min(instants) <= max(instants) <= LATEST:
        raise ValueError("outside the years 1 to 9999")
    return np.array(instants, dtype=np.int64)


def _of_moment(moment: dt.datetime, timezone: str) -> int:
    """One instant of a datetime; what `localize` does to a column."""
    return _of_local(moment, timezone) if moment.tzinfo is None else _microseconds_of(moment - _EPOCH)


def _of_local(naive: dt.datetime, timezone: str) -> int:
    """One instant of a local clock reading: the later of two, and an error where clocks skip it."""
    local = zone(timezone)
    before, after = local.utcoffset(naive.replace(fold=0)), local.utcoffset(naive.replace(fold=1))
    assert before is not None
    assert after is not None
    if before < after:
        raise ValueError("not a time: clocks skip it; write ISO 8601, as in '2026-05-01T09:00:00Z'")
    instant = _microseconds_of(naive - _LOCAL_EPOCH - after)
    return instant if EARLIEST <= instant < LATEST + SECOND else _as_column(naive, timezone)


def _microseconds_of(span: dt.timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


def _declared(text: str, timezone: str, time_format: str) -> int | None:
    """Read text in a declared format; None if it isn't in it."""
    moment = _strptime(text, time_format)
    if moment is not None:
        return _of_moment(moment, timezone)
    instants, _ = parse_instants(pd.Series([text]), timezone, time_format)
    return None if instants[0] == NEVER else int(instants[0])


def _strptime(text: str, time_format: str) -> dt.datetime | None:
    """Read text as `pandas.to_datetime` does, a hundred times faster; None if it isn't in this format."""
    try:
        return dt.datetime.strptime(re.sub(r"(\.\d{6})\d{1,3}$", r"\1", text), time_format)
    except ValueError:
        return None


def _as_column(value: Any, timezone: str) -> int:
    return _as_column_of(parse_instants, value, timezone)


def _as_column_of(parse: Callable[[pd.Series, str], tuple[Instants, int]], value: Any, timezone: str) -> int:
    try:
        instants, _ = parse(pd.Series([value]), timezone)
    except (TypeError, OverflowError, pd.errors.OutOfBoundsDatetime) as error:
        raise ValueError("not a time") from error
    if instants[0] == NEVER:
        raise ValueError("not a time; write ISO 8601, as in '2026-05-01T09:00:00Z'")
    return int(instants[0])


def local_days_and_microseconds(instants: Instants, timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Local calendar day (days since 1970-01-01) and microseconds since local midnight of UTC instants.

    Exact from 1900 to 2100; beyond, the clocks are taken to stay as they were at that end.
    """
    changes, offsets = clock_changes(timezone)
    local = instants + offsets[np.searchsorted(changes, instants, side="right") - 1]
    days = np.floor_divide(local, DAY)
    return days, local - days * DAY


@functools.lru_cache(maxsize=64)
def clock_changes(timezone: str) -> tuple[Instants, NDArray[np.int64]]:
    """When a zone's clocks changed (first `NEVER`, ascending), and by how much they were ahead of UTC from then on.

    Both int64 (n_changes,), microseconds. Found by looking at every day from 1900 to 2100, then closer.
    """
    local = zone(timezone)

    def ahead(second: int) -> int:
        moment = dt.datetime.fromtimestamp(second, dt.UTC).astimezone(local)
        return (moment.utcoffset() or dt.timedelta()) // dt.timedelta(seconds=1)

    day = DAY // SECOND
    days = range(-25_567 * day, 47_482 * day, day)
    changes, offsets = [NEVER], [ahead(days[0])]
    if timezone == "UTC":
        days = range(0)
    for before in days:
        if ahead(before + day) != offsets[-1]:
            low, high = before, before + day
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if ahead(middle) == offsets[-1] else (low, middle)
            changes.append(high * SECOND)
            offsets.append(ahead(before + day))
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64) * SECOND


def _microseconds(index: pd.DatetimeIndex) -> Instants:
    """int64 microseconds, finer parts floored; NaT and years outside 1–9999 are `NEVER`."""
    naive = index.tz_localize(None) if index.tz is not None else index
    if naive.unit == "ns":
        naive = naive.floor("us")
    instants = naive.as_unit("us").asi8.copy()
    instants[(instants < EARLIEST) | (instants > LATEST)] = NEVER
    return instants


def _epochs(numbers: pd.Series) -> Instants:
    """Instants of epoch numbers; the unit follows from their size, anything else is `NEVER`."""
    amount = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    instants = np.full(len(amount), NEVER, dtype=np.int64)
    for digits, unit in _EPOCH_DIGITS.items():
        fits = (amount >= 10 ** (digits - 1)) & (amount < 10**digits)
        instants[fits] = np.rint(amount[fits] * unit).astype(np.int64)
    return instants


def _iso(text: pd.Series, timezone: str) -> tuple[Instants, int]:
    with_offset = text.str.contains(_HAS_OFFSET, regex=True, na=False).to_numpy(dtype=bool)
    plausible = text.str.match(_ISO_DAY, na=False).to_numpy(dtype=bool)
    instants = np.full(len(text), NEVER, dtype=np.int64)
    aware = with_offset & plausible
    if aware.any():
        parsed = pd.to_datetime(text[aware], format="ISO8601", utc=True, errors="coerce")
        instants[aware] = _microseconds(pd.DatetimeIndex(parsed))
    local = plausible & ~with_offset
    if not local.any():
        return instants, 0
    parsed = pd.to_datetime(text[local], format="ISO8601", errors="coerce")
    instants[local], ambiguous = localize(pd.DatetimeIndex(parsed), timezone)
    return instants, ambiguous


def _readings(text: pd.Series, time_format: str, timezone: str) -> tuple[Instants, int]:
    utc = "%z" in time_format
    parsed = pd.to_datetime(text, format=time_format, errors="coerce", utc=utc)
    index = pd.DatetimeIndex(parsed)
    return (_microseconds(index), 0) if utc else localize(index, timezone)


def _recognise_format(text: pd.Series) -> str | None:
    """Return the one local format that reads the column best, or None; two that read it equally are an error."""
    sample = text.iloc[:: max(1, len(text) // 5_000)]
    shares: dict[str, float] = {}
    for name in _ALL_FORMATS:
        read = pd.to_datetime(sample, format=name, errors="coerce")
        shares[name] = float(read.notna().mean())
    best = max(shares.values())
    if best < 0.5:
        return None
    winners = [name for name, share in shares.items() if share == best]
    if len(winners) > 1 and len({_instants_key(text, name) for name in winners}) > 1:
        raise ValueError(
            f'its dates read both as {winners[0]!r} and as {winners[1]!r}; say which with time_format = "{winners[0]}"'
        )
    return winners[0]


def _instants_key(text: pd.Series, time_format: str) -> bytes:
    read = pd.DatetimeIndex(pd.to_datetime(text, format=time_format, errors="coerce"))
    return read.asi8.tobytes()
