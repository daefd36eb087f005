"""What webhooks.toml may say."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from leadscore.errors import LeadScoreError
from service.hooks import Hook, read_hooks, read_rules
from service.store.outbox import Rule

SECRET = "s" * 32
ENVIRONMENT = {"CRM_SECRET": SECRET, "SHORT": "s" * 23, "ODD": "whsec_???", "BASE64": "whsec_" + "c2Vj" * 8}
GOOD = {"url": '"https://crm.example/leads"', "secret": '"env:CRM_SECRET"', "grades": '["A"]'}


def write(folder: Path, **changes: str | None) -> Path:
    lines = [f"{key} = {value}" for key, value in (GOOD | changes).items() if value is not None]
    path = folder / "webhooks.toml"
    path.write_text("[webhooks.crm]\n" + "\n".join(lines), encoding="utf-8")
    return path


def read(path: Path) -> Hook:
    [hook] = read_hooks(path, ENVIRONMENT)
    return hook


def test_a_webhook_is_read_as_written(tmp_path: Path) -> None:
    hook = read(write(tmp_path, moved_by="15"))
    assert (hook.name, str(hook.url), hook.secret) == ("crm", "https://crm.example/leads", SECRET.encode())
    assert hook.rule == Rule("crm", ("A",), 15)
    assert not hook.allow_private
    assert read_rules(write(tmp_path, secret='"env:NOT_HERE"')) == [Rule("crm", ("A",), None)]
    assert "example" not in repr(hook)
    assert SECRET not in repr(hook)


def test_a_secret_of_standard_webhooks_is_its_base64(tmp_path: Path) -> None:
    assert read(write(tmp_path, secret='"env:BASE64"')).secret == base64.b64decode("c2Vj" * 8)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grade": '["A"]'}, r"unknown key 'grade' in \[webhooks.crm\]. Did you mean 'grades'\?"),
        ({"url": None}, r"\[webhooks.crm\] needs url"),
        ({"secret": None}, r"\[webhooks.crm\] needs secret"),
        ({"secret": f'"{SECRET}"'}, "must name a variable"),
        ({"secret": '"env:NOWHERE"'}, "the variable NOWHERE is not set. Make a secret with: python"),
        ({"secret": '"env:SHORT"'}, "SHORT has fewer than 24 bytes"),
        ({"secret": '"env:ODD"'}, "in ODD is not Base64"),
        ({"grades": None}, r'says nothing to tell. Add grades = \["A"\]'),
        ({"grades": '["E"]'}, "grades names 'E'; grades are A, B, C, D"),
        ({"grades": '["A", "B", "C", "D"]'}, "none is entered or left"),
        ({"moved_by": "0"}, "moved_by must be a whole number above 0"),
        ({"moved_by": "101"}, "more than a score can move"),
        ({"allow_private": '"yes"'}, "allow_private must be true or false"),
        ({"url": '"http://crm.example/leads"'}, "is not encrypted. Use https"),
        ({"url": '"ftp://crm.example/leads"'}, "must be one of https"),
        ({"url": '"https:///leads"'}, "must be one of https"),
        ({"url": '"crm.example"'}, "must be one of https"),
        ({"url": '"https://crm.example:port/"'}, "is no URL"),
        ({"url": '"https://user:t0ken@crm.example/"'}, "holds a user, a password or a fragment"),
        ({"url": '"https://t0ken@crm.example/"'}, "holds a user, a password or a fragment"),
        ({"url": '"https://crm.example/#here"'}, "holds a user, a password or a fragment"),
        ({"url": '"https://10.0.0.1/"'}, "an address that webhooks are not sent to"),
        ({"url": '"https://[::ffff:127.0.0.1]/"'}, "an address that webhooks are not sent to"),
        ({"url": '"https://169.254.169.254/"', "allow_private": "true"}, "an address that webhooks are not sent to"),
    ],
)
def test_what_is_wrong_says_what_to_do(tmp_path: Path, changes: dict[str, str | None], told: str) -> None:
    with pytest.raises(LeadScoreError, match=told) as raised:
        read(write(tmp_path, **changes))
    assert str(raised.value).startswith("webhooks.toml: ")
    assert SECRET not in str(raised.value)
    assert "t0ken" not in str(raised.value)


def test_a_private_network_is_opened_by_the_operator(tmp_path: Path) -> None:
    assert read(write(tmp_path, url='"http://10.0.0.1:8080/"', allow_private="true")).allow_private


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no webhook. Add one"),
        ("webhooks = [", "is not TOML"),
        ("hooks = 1", "unknown key 'hooks' in the top level. Did you mean 'webhooks'"),
        ('[webhooks."a b"]', "a webhook's name is"),
        ('[webhooks]\ncrm = "t0ken"', "webhooks.crm must be a table"),
        ('[webhooks.crm]\nsecret = ["t0ken"]', "its url and secret texts in quotes"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "webhooks.toml"
    path.write_text(text)
    with pytest.raises(LeadScoreError, match=told) as raised:
        read_hooks(path)
    assert "t0ken" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadScoreError, match=r"can't read the webhooks in .* Mend --webhooks"):
        read_hooks(tmp_path / "nowhere.toml")
