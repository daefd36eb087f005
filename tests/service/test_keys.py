from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from leadscore.errors import LeadScoreError
from service import keys
from service.cli import key as verb
from service.keys import SCOPES, ApiKeys, Key, append

DIGEST = hashlib.sha256(b"one").hexdigest()
OTHER = hashlib.sha256(b"two").hexdigest()
FILE = f"""
[[key]]
name = "crm"
scopes = ["score", "write"]
sha256 = "{DIGEST}"

[[key]]
name = "prometheus"
scopes = ["admin"]
sha256 = "{OTHER}"
expires = 2027-01-01
"""


def in_file(folder: Path, text: str) -> ApiKeys | None:
    path = folder / "keys.toml"
    path.write_text(text)
    return ApiKeys.of({"LEADSCORE_API_KEYS_FILE": str(path)})


def run(*arguments: str) -> Any:
    return CliRunner().invoke(verb, list(arguments))


def test_a_minted_key_has_256_random_bits_and_is_found_by_its_secret_alone() -> None:
    (first, secret), (second, other) = Key.mint("a", ["score"]), Key.mint("b", ["write", "admin"])
    assert secret.startswith("ls_")
    assert len(secret) == len("ls_") + 43  # 32 bytes in base64, unpadded
    assert secret != other
    assert secret not in repr(first) + first.as_toml + first.as_variable
    known = ApiKeys([first, second], "here")
    assert (known.find(secret.encode()), known.find(other.encode())) == (first, second)
    for wrong in (b"", b"ls_", secret[:-1].encode(), secret.encode() + b" ", first.sha256.encode()):
        assert known.find(wrong) is None


@given(st.sets(st.sampled_from(SCOPES), min_size=1), st.none() | st.dates(dt.date(2000, 1, 1), dt.date(3000, 1, 1)))
def test_file_and_environment_give_back_what_was_minted(scopes: set[str], expires: dt.date | None) -> None:
    key, _ = Key.mint("crm-7.eu_1", scopes, expires)
    read = ApiKeys.of({"LEADSCORE_API_KEYS": key.as_variable})
    assert read is not None
    assert read._keys == (key,)
    assert keys._in_toml(key.as_toml, "here") == [key]


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    minted = [Key.mint(f"key-{place}", ["score"]) for place in range(5)]
    known = ApiKeys([key for key, _ in minted], "here")
    compared: list[int] = []

    def compare(a: str, b: str) -> bool:
        compared[-1] += 1
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for secret in (minted[0][1], minted[-1][1], "unknown"):
        compared.append(0)
        known.find(secret.encode())
    assert compared == [5, 5, 5]


def test_a_key_is_refused_from_the_day_on_that_it_expires() -> None:
    key, secret = Key.mint("crm", ["score"], dt.date(2027, 1, 1))
    days = iter([dt.date(2026, 12, 31), dt.date(2027, 1, 1), dt.date(2027, 1, 2)])
    known = ApiKeys([key], "here", today=lambda: next(days))
    assert [known.find(secret.encode()) for _ in range(3)] == [key, None, None]


def test_a_file_holds_several_keys(tmp_path: Path) -> None:
    known = in_file(tmp_path, FILE)
    assert known is not None
    crm = known.find(b"one")
    assert crm is not None
    assert (crm.name, crm.scopes, crm.expires) == ("crm", {"score", "write"}, None)


@pytest.mark.parametrize("separator", [",", "\n", ", ", " "])
def test_the_environment_holds_several_keys(separator: str) -> None:
    entries = [f"crm:score+write:{DIGEST}", f"prometheus:admin:{OTHER}:2999-01-01"]
    known = ApiKeys.of({"LEADSCORE_API_KEYS": separator.join(entries)})
    assert known is not None
    assert [found.name for found in (known.find(b"one"), known.find(b"two")) if found] == ["crm", "prometheus"]


@pytest.mark.parametrize("environment", [{}, {"LEADSCORE_API_KEYS": "", "LEADSCORE_API_KEYS_FILE": ""}])
def test_nothing_set_is_no_keys(environment: dict[str, str]) -> None:
    assert ApiKeys.of(environment) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key. Add one with: leadscore key"),
        ("key = 3", r"holds more than \[\[key\]\] tables"),
        ("key = [1]", r"holds more than \[\[key\]\] tables"),
        (FILE + "\n[more]\n", r"holds more than \[\[key\]\] tables"),
        ("[[key]", "is not TOML"),
        (FILE.replace("prometheus", "crm"), "there are two keys named crm. Rename or remove one"),
        (FILE.replace(OTHER, DIGEST), "prometheus has the secret of crm. Mint it one of its own"),
        (FILE.replace('"admin"', '"root"'), r"key 2 \(prometheus\) has a scope .* score, write, admin"),
        (FILE.replace('["admin"]', "[]"), r"key 2 \(prometheus\) has a scope .* score, write, admin"),
        (FILE.replace('["admin"]', '"admin"'), r"key 2 \(prometheus\) has a scope .* score, write, admin"),
        (FILE.replace('["admin"]', "[[1]]"), r"key 2 \(prometheus\) has a scope .* score, write, admin"),
        (FILE.replace(OTHER, OTHER[1:]), r"key 2 \(prometheus\) needs the SHA-256 .* Mint it with: leadscore key"),
        (FILE.replace(OTHER, OTHER.upper()), r"key 2 \(prometheus\) needs the SHA-256"),
        (FILE.replace(OTHER, "ls_secret"), r"key 2 \(prometheus\) needs the SHA-256"),
        (FILE.replace(f'"{OTHER}"', "3"), r"key 2 \(prometheus\) needs the SHA-256"),
        (FILE.replace("expires =", "expire ="), r"key 2 \(prometheus\) has 1 fields too many"),
        (FILE.replace("2027-01-01", '"soon"'), r"key 2 \(prometheus\) needs a day without time"),
        (FILE.replace("2027-01-01", "2027-01-01T09:00:00Z"), r"key 2 \(prometheus\) needs a day without time"),
        (FILE.replace('"crm"', '"a b"'), "key 1 needs a name of 1 to 64"),
        (FILE.replace('"crm"', '"a\\nb"'), "key 1 needs a name of 1 to 64"),
        (FILE.replace('"crm"', f'"{"a" * 65}"'), "key 1 needs a name of 1 to 64"),
        (FILE.replace('name = "crm"', ""), "key 1 needs a name of 1 to 64"),
    ],
)
def test_a_wrong_file_names_itself_the_key_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LeadScoreError, match=message) as caught:
        in_file(tmp_path, text)
    assert str(tmp_path / "keys.toml") in str(caught.value)
    assert not {DIGEST, OTHER, OTHER[1:], "ls_secret"} & set(str(caught.value).split())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("crm", "key 1 is not name:scope"),
        (f"crm:score:{DIGEST}:2027-01-01:more", "key 1 is not name:scope"),
        (f"crm:score:{DIGEST},x:score", "key 2 is not name:scope"),
        (f"crm:score,write:{DIGEST}", "key 1 is not name:scope"),
        (f"crm:score:{DIGEST}:2027-02-30", "key 1 expires on no day that there is"),
        (f":score:{DIGEST}", "key 1 needs a name"),
        (f"crm::{DIGEST}", r"key 1 \(crm\) has a scope that there isn't"),
        (",", "holds no key"),
    ],
)
def test_a_wrong_variable_names_itself_the_key_and_the_remedy(entries: str, message: str) -> None:
    with pytest.raises(LeadScoreError, match=f"LEADSCORE_API_KEYS.*{message}") as caught:
        ApiKeys.of({"LEADSCORE_API_KEYS": entries})
    assert DIGEST not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LeadScoreError, match=r"absent\.toml: No such file"):
        ApiKeys.of({"LEADSCORE_API_KEYS_FILE": str(tmp_path / "absent.toml")})
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(LeadScoreError, match="binary is not UTF-8"):
        ApiKeys.of({"LEADSCORE_API_KEYS_FILE": str(tmp_path / "binary")})


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(LeadScoreError, match="Unset one of them"):
        ApiKeys.of({"LEADSCORE_API_KEYS_FILE": "keys.toml", "LEADSCORE_API_KEYS": "crm"})


def test_the_verb_shows_a_secret_once_and_files_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    secrets = []
    for name, *options in (("crm", "--scope", "score", "--scope", "write"), ("old", "--scope", "admin")):
        done = run(name, *options, "--file", str(file), "--expires", "2999-01-01")
        assert done.exit_code == 0, done.output
        secrets.append(done.stdout.strip())
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [file]
    text = file.read_text()
    assert not [secret for secret in secrets if secret in text]
    known = ApiKeys.of({"LEADSCORE_API_KEYS_FILE": str(file)})
    assert known is not None
    found = [known.find(secret.encode()) for secret in secrets]
    assert [(key.name, sorted(key.scopes), str(key.expires)) for key in found if key] == [
        ("crm", ["score", "write"], "2999-01-01"),
        ("old", ["admin"], "2999-01-01"),
    ]


def test_what_was_in_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("# of the sales team" + FILE)
    assert run("new", "--scope", "score", "--file", str(file)).exit_code == 0
    assert file.read_text().startswith("# of the sales team" + FILE)
    assert [table["name"] for table in tomllib.loads(file.read_text())["key"]] == ["crm", "prometheus", "new"]


@pytest.mark.parametrize("text", [FILE, "[[key]", 'key = [{name = "a"}]'])
def test_a_file_that_cannot_take_the_key_stays_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    done = run("crm", "--scope", "score", "--file", str(file))
    assert done.exit_code == 1
    assert str(file) in done.stderr
    assert (done.stdout, file.read_text(), [*tmp_path.iterdir()]) == ("", text, [file])


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(FILE)

    def fails(self: Path, target: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        append(Key.mint("new", ["score"])[0], file)
    assert (file.read_text(), [*tmp_path.iterdir()]) == (FILE, [file])


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    done = run("crm", "--scope", "score", "--file", str(tmp_path / "absent" / "keys.toml"))
    assert done.exit_code == 1
    assert "does not exist; create it first" in done.stderr


def test_without_a_file_the_entry_is_printed() -> None:
    done = run("crm", "--scope", "write", "--scope", "score")
    secret, _, entry = done.stdout.partition("\n")
    [key] = keys._in_toml(entry, "here")
    assert ApiKeys([key], "here").find(secret.encode()) == key
    assert f"LEADSCORE_API_KEYS={key.as_variable}" in done.stderr


def test_the_verb_speaks_to_machines(tmp_path: Path) -> None:
    import json

    given = json.loads(run("crm", "--scope", "score", "--json").stdout)
    known = ApiKeys.of({"LEADSCORE_API_KEYS": given["entry"]})
    assert known is not None
    assert known.find(given["secret"].encode())
    assert given["file"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("crm",),
        ("crm", "--scope", "root"),
        ("crm", "--scope", "score", "--expires", "soon"),
        ("crm", "--scope", "score", "--expires", "2020-01-01"),
    ],
)
def test_wrong_usage_mints_nothing(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
