"""Every rule of time on its edge, and one microsecond to either side."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadscore import time
from leadscore.time import DAY, FOREVER, NEVER, format_instant, parse_instant, parse_instants

T = parse_instant("2025-05-01T00:00:00Z", "UTC")
H = 30 * DAY


def instants(*values):
    return np.array(values, dtype=np.int64)


def read(*texts, timezone="UTC", time_format=None):
    found, n_ambiguous = parse_instants(pd.Series(list(texts), dtype=object), timezone, time_format)
    return [None if at == NEVER else format_instant(at) for at in found], n_ambiguous


@pytest.mark.parametrize(
    ("time_off", "known_off", "expected"),
    [(-1, -1, True), (0, -1, False), (-1, 0, False), (0, 0, False), (1, -5, False), (-5, 1, False), (-5, -1, True)],
)
def test_visible_is_strictly_before_the_cutoff_in_both(time_off, known_off, expected):
    assert time.visible(instants(T + time_off), instants(T + known_off), T).tolist() == [expected]


@pytest.mark.parametrize(("offset", "expected"), [(-1, False), (0, True), (1, True), (H - 1, True), (H, False)])
def test_a_win_counts_from_the_cutoff_until_before_the_horizon_ends(offset, expected):
    assert time.won_within_horizon(instants(T + offset), instants(T), horizon=H).tolist() == [expected]


def test_no_win_never_counts():
    assert time.won_within_horizon(instants(NEVER), instants(T), horizon=H).tolist() == [False]


def test_a_row_at_the_cutoff_is_on_exactly_one_side():
    for offset in (-1, 0, 1):
        at = instants(T + offset)
        assert bool(time.visible(at, at, T)[0]) != bool(time.won_within_horizon(at, instants(T), horizon=H)[0])


@pytest.mark.parametrize(
    ("created", "won", "lost", "expected"),
    [
        (T, NEVER, NEVER, True),
        (T - 1, NEVER, NEVER, True),
        (T + 1, NEVER, NEVER, False),
        (NEVER, NEVER, NEVER, False),
        (T - 9, T - 1, NEVER, False),
        (T - 9, T, NEVER, True),
        (T - 9, NEVER, T - 1, False),
        (T - 9, NEVER, T, True),
        (T - 9, T + 5, T - 1, False),
    ],
)
def test_risk_set(created, won, lost, expected):
    found = time.at_risk(instants(created), instants(won), instants(lost), instants(T))
    assert found.tolist() == [expected]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(T, T + H, True), (T + 1, T + H, False), (T - 1, T + H, True), (T, T + H - 1, False), (T, T + H + 1, True)],
)
def test_maturity(since, until, expected):
    found = time.mature(instants(T), horizon=H, observed_from=since, observed_until=until)
    assert found.tolist() == [expected]


@pytest.mark.parametrize(
    ("text", "length"), [("1m", 60_000_000), ("12h", DAY // 2), ("1d", DAY), ("2w", 14 * DAY), ("0d", 0)]
)
def test_durations_are_exact(text, length):
    assert time.parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "1.5d", "-1d", "7 d", "7y", "1d2h", None, 7, "all", "1234567d"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration; write a whole number and m, h, d or w"):
        time.parse_duration(text)


def test_windows_and_spans():
    assert time.parse_window("all") == FOREVER
    assert time.parse_window("7d") == time.parse_span("7d") == 7 * DAY
    for parse in (time.parse_window, time.parse_span):
        with pytest.raises(ValueError, match="'0d' is empty; use at least '1m'"):
            parse("0d")
    with pytest.raises(ValueError, match="'all' is not a duration"):
        time.parse_span("all")


def test_spring_skips_an_hour_and_rejects_it():
    found, n_ambiguous = read(
        "2025-03-30 01:59:59.999999", "2025-03-30 02:00:00", "2025-03-30 02:59:59", "2025-03-30 03:00:00",
        timezone="Europe/Berlin",
    )  # fmt: skip
    assert found == ["2025-03-30T00:59:59.999999Z", None, None, "2025-03-30T01:00:00Z"]
    assert n_ambiguous == 0


def test_autumn_repeats_an_hour_and_takes_the_later():
    found, n_ambiguous = read(
        "2025-10-26 01:59:59", "2025-10-26 02:00:00", "2025-10-26 02:59:59", "2025-10-26 03:00:00",
        timezone="Europe/Berlin",
    )  # fmt: skip
    assert found == [
        *("2025-10-25T23:59:59Z", "2025-10-26T01:00:00Z"),
        *("2025-10-26T01:59:59Z", "2025-10-26T02:00:00Z"),
    ]
    assert n_ambiguous == 2


def test_an_offset_settles_the_repeated_hour():
    found, n_ambiguous = read("2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00", timezone="Europe/Berlin")
    assert found == ["2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"]
    assert n_ambiguous == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("2026-05", "2026-05-01T00:00:00Z"),
        ("2026-05-01 09:30", "2026-05-01T09:30:00Z"),
        ("2026-05-01T09:30:15.123456Z", "2026-05-01T09:30:15.123456Z"),
        ("2026-05-01T09:30:15.123456789Z", "2026-05-01T09:30:15.123456Z"),
        ("2026-05-01T09:30:15+05:45", "2026-05-01T03:45:15Z"),
        ("2026-05-01 09:30:15-0800", "2026-05-01T17:30:15Z"),
        ("1777628415", "2026-05-01T09:40:15Z"),
        ("1777628415123", "2026-05-01T09:40:15.123000Z"),
        ("1777628415123456", "2026-05-01T09:40:15.123456Z"),
        ("25/04/2026", "2026-04-25T00:00:00Z"),
        ("04/25/2026 3:07 PM", "2026-04-25T15:07:00Z"),
        ("25.04.2026 15:07", "2026-04-25T15:07:00Z"),
        ("2026/04/25", "2026-04-25T00:00:00Z"),
        ("20260425", "2026-04-25T00:00:00Z"),
        ("25 Apr 2026", "2026-04-25T00:00:00Z"),
        ("Apr 25, 2026", "2026-04-25T00:00:00Z"),
        ("  2026-05-01  ", "2026-05-01T00:00:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_formats_recognised(text, expected):
    assert read(text) == ([expected], 0)


@pytest.mark.parametrize("text", ["", None, "soon", "2026-13-01", "2026-02-30", "12345", "25/25/2026", "true", "0"])
def test_what_is_no_time_is_never(text):
    assert read(text) == ([None], 0)


@pytest.mark.parametrize("text", ["03/04/2026", "03-04-2026", "03/04/2026 10:00"])
def test_dates_that_read_both_ways_are_an_error_that_says_what_to_write(text):
    with pytest.raises(ValueError, match=r'its dates read both as .* say which with time_format = "%d'):
        read(text, text)


def test_one_date_that_reads_one_way_settles_the_column():
    assert read("03/04/2026", "25/04/2026", "01/02/2026")[0][0] == "2026-04-03T00:00:00Z"
    assert read("03/04/2026", "04/25/2026", "01/02/2026")[0][0] == "2026-03-04T00:00:00Z"


def test_dates_that_are_the_same_either_way_are_no_error():
    assert read("03/03/2026") == (["2026-03-03T00:00:00Z"], 0)


def test_odd_offsets_beside_local_times_are_read_or_never():
    texts = [f"2025-01-05T00:00:00{tail}" for tail in ("+1", " +01", " Z", "+01:0", "+", "-", "+02:00:1", "")]
    found, _ = read(*texts, "2025-01-05T00:00:0-02", "2025-01-05 10-30", timezone="Europe/Berlin")
    assert found[0] == found[1] == found[3] == found[7] == "2025-01-04T23:00:00Z"
    assert found[2] == "2025-01-05T00:00:00Z"
    assert found[4] is found[5] is None


def test_a_declared_format_is_taken_at_its_word():
    assert read("03/04/2026", "2026-04-03", time_format="%d/%m/%Y") == (["2026-04-03T00:00:00Z", None], 0)
    assert read("03/04/2026 10:00 +0200", time_format="%m/%d/%Y %H:%M %z") == (["2026-03-04T08:00:00Z"], 0)


def test_one_bad_value_does_not_change_how_the_others_read():
    found, _ = read(*["2026-05-01"] * 9, "03/04/2026")
    assert found == [*["2026-05-01T00:00:00Z"] * 9, None]


@pytest.mark.parametrize("timezone", ["America/Los_Angeles", "America/St_Johns", "Etc/GMT+12"])
def test_the_end_of_the_calendar_is_not_the_end_of_a_column(timezone):
    """Exports write 9999-12-31 23:59:59 for "never"; west of Greenwich that is in the year 10000."""
    found, _ = read("9999-12-31 23:59:59", "2026-05-01 09:00", "9999-12-31T23:59:59.5", timezone=timezone)
    assert found == [None, format_instant(parse_instant("2026-05-01 09:00", timezone)), None]
    with pytest.raises(ValueError, match="not a time"):
        parse_instant("9999-12-31 23:59:59", timezone)
    assert parse_instant("9999-12-31 11:00", timezone) == read_one("9999-12-31 11:00", timezone)


def read_one(text: str, timezone: str) -> int:
    return int(parse_instants(pd.Series([text]), timezone)[0][0])


@pytest.mark.parametrize(
    "value", [True, [], {}, ["2026-05-01"], (), None, -1, 10**400, float("inf"), 9_999_999_999_999_999]
)
def test_what_is_no_time(value):
    with pytest.raises(ValueError, match="not a time"):
        parse_instant(value, "Europe/Berlin")


@pytest.mark.parametrize("number", [1_777_628_415, 1_777_628_415.25, 1_777_628_415_123, 1_777_628_415_123_456, 1e9])
def test_an_epoch_is_the_same_instant_alone_as_in_a_column(number):
    assert [parse_instant(number, "UTC")] == parse_instants(pd.Series([number]), "UTC")[0].tolist()


@given(
    st.datetimes(), st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"])
)
def test_a_local_reading_is_the_same_instant_alone_as_in_a_column(reading, timezone):
    column = read_one(reading.isoformat(), timezone)
    try:
        assert parse_instant(reading.isoformat(), timezone) == column
    except ValueError:
        assert column == NEVER


def test_typed_columns():
    aware = pd.Series(pd.to_datetime(["2026-05-01T02:00:00+02:00", None]))
    assert parse_instants(aware, "America/New_York")[0].tolist() == [parse_instant("2026-05-01", "UTC"), NEVER]
    naive = pd.Series(pd.to_datetime(["2026-05-01", None]))
    assert parse_instants(naive, "America/New_York")[0][0] == parse_instant("2026-05-01T04:00:00Z", "UTC")
    epochs = pd.Series([1_777_628_415.5, np.nan, 12.0, -5.0])
    assert parse_instants(epochs, "UTC")[0].tolist() == [1_777_628_415_500_000, NEVER, NEVER, NEVER]


@pytest.mark.parametrize("value", [dt.datetime(2026, 5, 1, 9), dt.datetime(2026, 5, 1, 11, tzinfo=dt.UTC)])
def test_datetimes(value):
    expected = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    assert parse_instant(value, "UTC") == int(expected.timestamp() * 1_000_000)


def test_one_local_instant_follows_the_rules_of_a_column():
    assert format_instant(parse_instant("2025-10-26 02:30", "Europe/Berlin")) == "2025-10-26T01:30:00Z"
    assert format_instant(parse_instant(dt.datetime(2025, 10, 26, 2, 30), "Europe/Berlin")) == "2025-10-26T01:30:00Z"
    assert format_instant(parse_instant(dt.date(2025, 7, 1), "Europe/Berlin")) == "2025-06-30T22:00:00Z"
    for text in ("2025-03-30 02:30", "yesterday"):
        with pytest.raises(ValueError, match="not a time"):
            parse_instant(text, "Europe/Berlin")


@pytest.mark.parametrize("text", ["1788051261504", " 1799072411823 ", "1788051261", "1788051261504000", "20260501"])
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin"])
def test_digits_are_the_same_instant_alone_as_in_a_column(text, timezone):
    """Python's own parser takes many an epoch in milliseconds for a day in the 18th century."""
    assert [parse_instant(text, timezone)] == parse_instants(pd.Series([text]), timezone)[0].tolist()


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Europe/Dublin"])
@pytest.mark.parametrize("moment", ["2026-03-29 02:30", "2026-10-25 02:30", "1880-02-13 01:05:09.25"])
def test_one_value_reads_as_a_column_of_it_in_every_local_format(moment, timezone):
    """One value doesn't take the way of a column: that would cost 30 ms an event."""

    def read_by(parse, *how):
        try:
            return parse(*how)
        except ValueError:
            return NEVER

    for name in random.Random(moment + timezone).sample(time._ALL_FORMATS, 6):
        written = dt.datetime.fromisoformat(moment).strftime(name)
        for text in (written, written.replace("0", "", 1).upper(), written + " x"):
            alone = read_by(parse_instant, text, timezone)
            column = read_by(lambda text: parse_instants(pd.Series([text]), timezone)[0][0], text)
            assert alone == column, text
            declared = parse_instants(pd.Series([text]), timezone, name)[0][0]
            if declared != NEVER:
                assert parse_instant(text, timezone, name) == declared, text


@given(st.integers(time.EARLIEST, time.LATEST))
def test_format_and_parse_are_inverse(instant):
    text = format_instant(instant)
    assert parse_instant(text, "UTC") == instant
    assert parse_instant(text, "Europe/Berlin") == instant


@given(st.lists(st.integers(parse_instant("1900-01-01", "UTC"), parse_instant("2200-01-01", "UTC")), min_size=1))
def test_a_column_reads_what_one_value_reads(values):
    texts = [format_instant(value) for value in values]
    assert parse_instants(pd.Series(texts), "Asia/Kathmandu")[0].tolist() == values


def test_local_calendar_across_the_change_of_clocks():
    at = instants(*(parse_instant(text, "UTC") for text in ("2025-03-30T00:59:59.999999Z", "2025-03-30T01:00:00Z")))
    days, micros = time.local_days_and_microseconds(at, "Europe/Berlin")
    assert days.tolist() == [(dt.date(2025, 3, 30) - dt.date(1970, 1, 1)).days] * 2
    assert micros.tolist() == [2 * 3_600_000_000 - 1, 3 * 3_600_000_000]


def test_unknown_zones_are_refused():
    with pytest.raises(ValueError, match="'Mars/Olympus' is not a time zone; use an IANA name"):
        time.zone("Mars/Olympus")
