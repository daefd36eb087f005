from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import payload
from service.problems import Problem

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_sound_json_is_read_as_the_standard_library_reads_it(value: object, escaped: bool) -> None:
    assert payload.parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(json_values)
def test_what_is_dumped_parses_back(value: object) -> None:
    assert json.loads(payload.dump(value)) == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "line 1, column 1"),
        (b'{"lead": ', "line 1, column 10"),
        (b'{"a": 1}\n{"b": 2}', "line 2, column 1"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": 1,}', "isn't JSON"),
        (b"\xff\xfe{\x00}\x00", "isn't UTF-8 at byte 0"),
        ('{"a": 1}'.encode("utf-8-sig"), "line 1, column 1"),
        (b'{"a": "\xe9"}', "isn't UTF-8 at byte 7"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": Infinity}', "holds Infinity"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1e999}', "beyond double precision"),
        (b'{"a": -1e999}', "beyond double precision"),
        (b'{"a": ' + b"9" * 19 + b"}", "more than 18 digits"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "more than 18 digits"),
        (b'{"a": "\\ud83d"}', "surrogate"),
        (b"[" * 202 + b"]" * 202, "nested deeper than 201"),
        (b"[" * 200_000 + b"]" * 200_000, "nested deeper than 201"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 201"),
    ],
    ids=range(19),
)
def test_what_is_not_json_is_refused_with_its_place(body: bytes, says: str) -> None:
    with pytest.raises(Problem) as caught:
        payload.parse(body)
    assert caught.value.status == 400
    assert says in caught.value.detail


@pytest.mark.parametrize("n", range(195, 205))
@pytest.mark.parametrize(
    ("opened", "innermost", "closed"), [(b"[", b"", b"]"), (b"[", b"1", b"]"), (b'{"a":', b"1", b"}")]
)
def test_nesting_up_to_the_limit_is_read_and_no_deeper(n: int, opened: bytes, innermost: bytes, closed: bytes) -> None:
    body = opened * n + innermost + closed * n
    assert told(payload.parse, body) == told(payload._parse_closely, body)
    assert (told(payload.parse, body) == "The body is nested deeper than 201") == (n > 201)


def told(parse: Callable[[bytes], object], body: bytes) -> str:
    """What a parser makes of a body; numbers of another type, and -0.0, are another answer."""
    try:
        return repr(parse(body))
    except Problem as problem:
        return problem.detail


PIECES = (
    rb'{ } [ ] , : null true false "a" "" "\u00e9" "\ud83d" "\ude00" "\x" 0 -0 -0.0 00 01 1. .5 -.5 +1 tru nul '
    + b"' // "
    b'"\x01" "\xff" \xef\xbb\xbf 1e5 1E+05 1e-400 1e400 1e0400 -1e400 1e290 1.7976931348623159e308 5e-324 0.1 NaN -NaN '
    b"Infinity 123456789012345678 1234567890123456789 -123456789012345678 0.12345678901234567890123 9007199254740993 "
    b"9007199254740993.0 100000000000000000e291"
).split(b" ")
AROUND = [(b"", b""), (b"[", b"]"), (b'{"a":', b"}"), (b'{"a":1,"a":', b"}"), (b"[1,", b", 2]")]


@given(st.lists(st.sampled_from([*PIECES, b" ", b"\n", b"\t", b"\x0b", b"\xc2\xa0"]), max_size=12).map(b"".join))
def test_the_fast_way_reads_and_refuses_what_the_close_way_does(body: bytes) -> None:
    assert told(payload.parse, body) == told(payload._parse_closely, body)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("around", AROUND)
def test_every_single_value_is_read_alike(piece: bytes, around: tuple[bytes, bytes]) -> None:
    body = piece.join(around)
    assert told(payload.parse, body) == told(payload._parse_closely, body)


def test_an_escaped_pair_is_one_character() -> None:
    assert payload.parse(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_a_refusal_quotes_nothing_of_the_body() -> None:
    for body in (
        b'{"lead": {"email": secret}}',
        b'{"secret": NaN}',
        b'["secret", 1e999]',
        b'{"secret": "\xff"}',
    ):
        with pytest.raises(Problem) as caught:
            payload.parse(body)
        assert "secret" not in json.dumps(caught.value.as_json(""))


def test_nan_is_never_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        payload.dump({"value": float("nan")})


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/vnd.acme+json"],
)
def test_json_types_are_taken(content_type: str) -> None:
    assert payload.require_json(content_type) is None


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("", ""),
        ("text/plain", ""),
        ("application/x-www-form-urlencoded", ""),
        ("application/json; charset=latin-1", ""),
        ("application/jsonp", ""),
        ("application/vnd.bentoml+pickle", ""),
        ("application/json", "gzip"),
    ],
)
def test_other_types_are_refused(content_type: str, encoding: str) -> None:
    with pytest.raises(Problem) as caught:
        payload.require_json(content_type, encoding)
    assert caught.value.status == 415
