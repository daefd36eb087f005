"""Webhooks against receivers that are slow, down or elsewhere: nothing is lost, nothing goes where it must not."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time as clock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from leadscore.project import Project
from service import cli, webhooks
from service.hooks import Hook
from service.remembering import Memory
from service.store import Rule, Store, open_store
from service.store.outbox import DEAD, Settled
from service.webhooks import ATTEMPTS, asked_to_wait, sign, wait_seconds
from tests.builders import project
from tests.service.conftest import DIALECTS
from tests.service.running import wait_for
from tests.service.telling import SECOND, SECRET, START, Sending, keep, receiving, said

HOUR = 3_600 * SECOND


@pytest.fixture(params=DIALECTS)
def either_store(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> Iterator[Store]:
    opened = open_store(new_url(request.param), project(), [Rule("crm", ("A",))])
    yield opened
    opened.close()


def test_a_message_arrives_signed(either_store: Store) -> None:
    keep(either_store, said("x", 95, "A"))
    with receiving(200) as receiver:
        sending = Sending(either_store, receiver.url)
        assert sending.step()
        assert not sending.step()
    [(headers, body, path)] = receiver.requests
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == str(START // SECOND)
    assert (headers["content-type"], headers["user-agent"]) == ("application/json", "leadscore")
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert path == "/leads?token=t0ken"
    told = json.loads(body)
    assert told["id"] == headers["webhook-id"]
    assert (told["type"], told["lead_id"], told["before"], told["after"]["grade"]) == ("lead.grade", "x", None, "A")
    assert sending.counts() == (0, 1, 0)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification's libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_fails_is_tried_again_with_the_same_key_until_it_arrives(either_store: Store) -> None:
    keep(either_store, said("x", 95, "A"), said("y", 91, "A"))
    with receiving(500, 503, 200) as receiver:
        sending = Sending(either_store, receiver.url)
        assert sending.step()
        assert not sending.step()  # not yet
        assert sending.step(after=2 * SECOND)
    assert sorted(receiver.ids[:2]) == sorted(receiver.ids[2:])
    assert len(set(receiver.ids)) == 2
    assert sending.counts() == (0, 2, 0)
    assert sorted(sending.statuses()) == ["200", "200", "500", "503"]
    assert sending.metric("leadscore_webhooks_total", outcome="failed") == 2
    assert sending.metric("leadscore_webhooks_total", outcome="done") == 2
    assert sending.metric("leadscore_webhook_seconds_count") == 4


def test_a_receiver_that_is_down_gets_all_when_it_is_back(telling_store: Store) -> None:
    names = [f"lead {n}" for n in range(20)]
    keep(telling_store, *(said(name, 95, "A") for name in names))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        sending = Sending(telling_store, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        while sending.step():
            pass
        assert sending.counts() == (20, 0, 0)
        assert set(sending.statuses()) == {"ConnectError"}
    with receiving(200) as receiver:
        back = Sending(telling_store, receiver.url)
        back.now[0] += 2 * SECOND
        while back.step():
            pass
    assert sorted(json.loads(body)["lead_id"] for _, body, _ in receiver.requests) == sorted(names)
    assert back.counts() == (0, 20, 0)


def test_after_a_day_it_is_dead_until_it_is_let_try_again(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving(*[500] * ATTEMPTS, 200) as receiver:
        sending, waited = Sending(telling_store, receiver.url), 0
        sending.courier._counted_at = float("inf")
        while sending.counts()[0]:
            if not sending.step():
                sending.now[0] += SECOND // 2 if waited < 10 else HOUR // 4
                waited += 1
        assert 16 * HOUR < sending.now[0] - START < 32 * HOUR
        assert len(receiver.requests) == ATTEMPTS
        assert sending.counts() == (0, 0, 1)
        assert not sending.step(after=48 * HOUR)
        sending.courier._counted_at = float("-inf")
        sending.step()
        assert (sending.metric("leadscore_webhooks_dead"), sending.metric("leadscore_webhooks_pending")) == (1, 0)
        assert telling_store.outbox.retry("crm") == 1
        assert sending.step()
    assert len(set(receiver.ids)) == 1
    assert sending.counts() == (0, 1, 0)


def test_waits_grow_and_are_the_same_for_the_same_message() -> None:
    waits = [wait_seconds("msg_1", attempts) for attempts in range(1, ATTEMPTS)]
    assert waits == sorted(waits[:8]) + waits[8:]
    assert 0.8 <= waits[0] <= 1.2
    assert max(waits) <= 1.2 * 6 * 3_600
    assert 16 * 3_600 < sum(waits) < 32 * 3_600
    assert waits[0] != wait_seconds("msg_2", 1)
    assert waits == [wait_seconds("msg_1", attempts) for attempts in range(1, ATTEMPTS)]
    assert wait_seconds("msg_1", 1, 100) == 100
    assert wait_seconds("msg_1", 5, 1) > 200
    assert wait_seconds("msg_1", 1, 1e9) == 6 * 3_600


def test_a_receiver_may_ask_to_wait() -> None:
    later = dt.datetime.fromtimestamp(START / SECOND + 90, dt.UTC)
    assert asked_to_wait(email.utils.format_datetime(later, usegmt=True), START) == 90
    told = {
        "30": 30,
        " 7 ": 7,
        "-5": 0,
        "soon": 0,
        "": 0,
        "9" * 400: 999_999_999,
        "1.5": 0,
        "²": 0,
        "Wed, 21 Oct 99999 07:28 +9999": 0,
    }
    assert {header: asked_to_wait(header, START) for header in told} == told
    assert asked_to_wait(None, START) == 0
    assert asked_to_wait("Wed, 21 Oct 2015 07:28:00 GMT", START) == 0


def test_what_is_asked_to_wait_waits(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving((429, {"Retry-After": "120"}), 200) as receiver:
        sending = Sending(telling_store, receiver.url)
        assert sending.step()
        assert not sending.step(after=119 * SECOND)
        assert sending.step(after=SECOND)
    assert sending.counts() == (0, 1, 0)


def test_a_receiver_that_is_gone_is_not_asked_again(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving(410) as receiver:
        sending = Sending(telling_store, receiver.url)
        assert sending.step()
        assert not sending.step(after=48 * HOUR)
    assert sending.counts() == (0, 0, 1)
    assert [one.last_status for one in telling_store.outbox.dead("crm")] == ["410"]


def drip(handler: Any) -> None:
    """A byte now and then, which no time-out between two bytes would end."""
    try:
        for _ in range(40):
            handler.wfile.write(b"H")
            handler.wfile.flush()
            clock.sleep(0.05)
    except OSError:
        pass


def test_a_slow_receiver_is_given_up_and_tried_again(telling_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.3)
    keep(telling_store, said("x", 95, "A"), said("y", 95, "A"))
    with receiving(lambda _: clock.sleep(0.6), drip, 200) as receiver:
        sending = Sending(telling_store, receiver.url)
        start = clock.monotonic()
        assert sending.step()
        assert clock.monotonic() - start < 0.6  # both at once
        assert sending.step(after=2 * SECOND)
    assert sending.statuses() == ["timeout", "timeout", "200", "200"]
    assert sending.counts() == (0, 2, 0)


KILLED = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print(self.headers["webhook-id"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_receiver_that_is_killed_before_it_answers_is_told_again(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    seen, port, sending = [], "0", None
    for _ in range(2):
        command = [sys.executable, "-c", KILLED, port]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            sending = sending or Sending(telling_store, f"http://127.0.0.1:{port}/")
            assert sending.step(after=10 * SECOND)
            seen.append(process.stdout.readline())
            assert process.wait(timeout=10) == -signal.SIGKILL
        assert sending.counts() == (1, 0, 0)
    assert seen[0] == seen[1] != ""


def test_a_sender_that_dies_before_it_has_written_it_down_sends_again(
    telling_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once, under one key."""
    keep(telling_store, said("x", 95, "A"))

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with receiving(200) as receiver:
        first = Sending(telling_store, receiver.url)
        monkeypatch.setattr(telling_store.outbox, "settle", dies)
        with pytest.raises(KeyboardInterrupt):
            first.step()
        monkeypatch.undo()
        second = Sending(telling_store, receiver.url, holder="two")
        assert not second.step()  # the dead one's lease still holds
        assert second.step(after=61 * SECOND)
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert second.counts() == (0, 1, 0)


def test_a_sender_that_is_killed_loses_nothing(fresh_sample: Callable[[], Path], tmp_path: Path) -> None:
    """The process itself, killed while messages are under way, and started again."""
    folder, file = fresh_sample(), tmp_path / "webhooks.toml"
    memory = Memory(str(folder / "store.db"), folder, tmp_path / "counts", 900, webhooks=file)
    environment = os.environ | memory.to_environment() | {"CRM_SECRET": SECRET.decode()}
    names = [f"lead {n}" for n in range(100)]

    def slow(handler: Any) -> None:
        clock.sleep(0.02)
        handler.send_response(200)
        handler.end_headers()

    with receiving(slow) as receiver:
        file.write_text(
            f'[webhooks.crm]\nurl = "{receiver.url}"\nsecret = "env:CRM_SECRET"\ngrades = ["A"]\nallow_private = true\n'
        )
        store = memory.open(tells=True)
        keep(store, *(said(name, 95, "A") for name in names))
        for wanted in (40, 100):
            command = [sys.executable, "-m", "service.webhooks"]
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
                enough = wait_for(lambda wanted=wanted: len(set(receiver.ids)) >= wanted)
                process.kill()
            assert enough
            store.shared.release("webhook crm", f"{socket.gethostname()}/{process.pid}")  # no need to wait for its end
        last = Sending(store, receiver.url)
        last.now[0] = clock.time_ns() // 1_000
        while last.step():
            pass
        store.close()
    told = {json.loads(body)["lead_id"] for _, body, _ in receiver.requests}
    assert told == set(names)
    assert len(set(receiver.ids)) == len(names)


def test_of_two_senders_one_sends(either_store: Store) -> None:
    keep(either_store, said("x", 95, "A"))
    with receiving(200) as receiver:
        one, two = (Sending(either_store, receiver.url, holder=name) for name in ("one", "two"))
        assert one.step()
        keep(either_store, said("y", 95, "A"))
        assert not two.step()
        one.courier.close()
        assert two.step()
        assert not one.step()
    assert [json.loads(body)["lead_id"] for _, body, _ in receiver.requests] == ["x", "y"]


def test_messages_of_a_lead_arrive_in_order(telling_store: Store) -> None:
    for number, (score, grade) in enumerate([(95, "A"), (80, "B"), (95, "A")]):
        keep(telling_store, said("x", score, grade, START + number))
    with receiving(500, 200) as receiver:
        sending = Sending(telling_store, receiver.url)
        sending.now[0] += SECOND
        assert sending.step()
        while sending.step(after=2 * SECOND):
            pass
    grades = [json.loads(body)["after"]["grade"] for _, body, _ in receiver.requests]
    assert grades == ["A", "A", "B", "A"]


def test_a_message_that_fails_in_a_way_nobody_thought_of_holds_up_no_other(
    telling_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(telling_store, said("x", 95, "A"), said("y", 95, "A"))
    post = webhooks._post

    async def fails(hook: Hook, message: Any, *rest: Any) -> Any:
        if json.loads(message.payload)["lead_id"] == "x":
            raise ZeroDivisionError
        return await post(hook, message, *rest)

    monkeypatch.setattr(webhooks, "_post", fails)
    with receiving(200) as receiver:
        sending = Sending(telling_store, receiver.url)
        assert sending.step()
    assert sending.statuses() == ["ZeroDivisionError", "200"]
    assert sending.counts() == (1, 1, 0)


def test_the_example_of_the_readme_takes_ours_and_no_other() -> None:
    readme = (Path(webhooks.__file__).parent / "README.md").read_text(encoding="utf-8")
    [example] = [block.split("```")[0] for block in readme.split("```python\n") if "def verified" in block]
    found: dict[str, Any] = {}
    exec(example, found)
    body, now = b'{"id": "msg_1"}', int(clock.time())
    signature = sign(SECRET, "msg_1", now, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    assert found["verified"](SECRET, headers, body)
    assert not found["verified"](SECRET, headers, body + b" ")
    assert not found["verified"](SECRET, headers | {"webhook-id": "msg_2"}, body)
    old = {"webhook-timestamp": str(now - 600), "webhook-signature": sign(SECRET, "msg_1", now - 600, body)}
    assert not found["verified"](SECRET, headers | old, body)


def test_a_courier_runs_in_a_thread_until_it_is_asked_to_stop(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    stop = threading.Event()
    with receiving(200) as receiver:
        sending = Sending(telling_store, receiver.url)
        thread = threading.Thread(target=sending.courier.run, args=(stop,))
        thread.start()
        deadline = clock.monotonic() + 10
        while sending.counts()[1] == 0 and clock.monotonic() < deadline:
            clock.sleep(0.02)
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert sending.counts() == (0, 1, 0)


def test_the_verb_lists_what_is_dead_and_lets_it_be_tried_again(fresh_sample: Callable[[], Path]) -> None:
    folder = fresh_sample()
    store = open_store(str(folder / "store.db"), Project.load(folder), [Rule("crm", ("A",)), Rule("erp", ("A",))])

    def run(*options: str) -> Any:
        done = CliRunner().invoke(cli.webhooks, [str(folder), *options])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout) if "--json" in options else done.stdout

    assert run() == "No message was written yet\n"
    keep(store, said("x", 95, "A"), said("y", 95, "A"))
    [dead, _] = store.outbox.due("crm", START, at_most=2)
    store.outbox.settle("crm", [Settled(dead.id, DEAD, START, ATTEMPTS, "timeout")], START)
    told = run("--dead", "--hook", "crm", "--json")
    assert told["webhooks"] == {"crm": {"pending": 1, "done": 0, "dead": 1}}
    expected = {"id": dead.key, "hook": "crm", "type": "lead.grade", "lead_id": "x", "as_of": "2026-05-01T09:00:00Z"}
    assert told["dead"] == [{**expected, "attempts": ATTEMPTS, "last_status": "timeout"}]
    assert "lead.grade of x as of 2026-05-01T09:00:00Z: timeout after 12 attempts" in run("--dead")
    assert "erp: 2 pending, 0 done, 0 dead" in run()
    assert run("--retry", "--hook", "erp", "--json")["retried"] == 0
    assert "1 are tried again" in run("--retry")
    assert run("--dead", "--json")["dead"] == []
    store.close()
