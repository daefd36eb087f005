"""The sender: one process beside the keeper that delivers what the outbox holds, at least once.

A message is signed as Standard Webhooks says, sent to an address that was judged at that moment, and tried again for
about a day. Of several senders on one store one sends for each webhook.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import email.utils
import hashlib
import hmac
import os
import socket
import ssl
import threading
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from leadscore.errors import LeadScoreError
from service import targets
from service.beside import begin, told_to_stop
from service.hooks import Hook, read_hooks
from service.observing import Observer
from service.security import fault_of
from service.store import Store
from service.store.outbox import DEAD, DONE, PENDING, Delivery, Settled
from service.store.shared import Lease

TIMEOUT_SECONDS = 10.0
"""For one attempt, from the look-up of the name to the status of the answer."""
CONNECT_SECONDS = 3.0
"""For each of a host's addresses."""
AT_ONCE = 8
"""Messages under way to one webhook."""
ATTEMPTS = 12
LONGEST_SECONDS = 6 * 3_600
"""Between two attempts. The first waits 1 s, each next four times as long: 12 attempts take about a day."""
SPREAD = 0.2
"""By how much of itself a wait is longer or shorter, so that what failed together isn't tried together."""
GONE = 410
IDLE_SECONDS = 0.5
AFTER_FAULT_SECONDS = 2.0
LEASE_SECONDS = 30
"""More than an attempt takes, and how long a webhook waits for another sender where one was killed."""
COUNT_SECONDS = 10.0
"""Between two countings of the outbox for the metrics."""
SECOND = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What came of one attempt: the status, or in a word why there is none.

    `wait` is what ``Retry-After`` asks for, in seconds, 0 if it doesn't.
    """

    status: int | None
    told: str
    wait: float = 0.0
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether it was delivered."""
        return self.status is not None and 200 <= self.status < 300


def sign(secret: bytes, key: str, timestamp: int, body: bytes) -> str:
    """Return the signature of Standard Webhooks, version 1: HMAC-SHA256 of id, timestamp (seconds) and body."""
    content = f"{key}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, content, "sha256")).decode()


def wait_seconds(key: str, attempts: int, asked: float = 0.0) -> float:
    """Return how long to wait after so many attempts; at least as long as the receiver asked for, within bounds.

    The spread comes of the message's key: the same message waits the same, everywhere.
    """
    spread = int.from_bytes(hashlib.sha256(f"{key}.{attempts}".encode()).digest()[:4]) / 2**32
    usual = min(4.0 ** (attempts - 1), LONGEST_SECONDS) * (1 - SPREAD + 2 * SPREAD * spread)
    return max(usual, min(asked, LONGEST_SECONDS))


def asked_to_wait(header: str | None, now: int) -> float:
    """Return the seconds that a ``Retry-After`` names, as a number or a date; 0 for none, past or unreadable."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header.strip()[:9])
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(at.replace(tzinfo=at.tzinfo or dt.UTC).timestamp() - now / SECOND, 0.0)


async def attempt(
    hook: Hook, message: Delivery, now: int, context: ssl.SSLContext, resolve: targets.Resolve = targets.resolve
) -> Answer:
    """Send one message once. Nothing is followed, no proxy is asked, and of the answer only its head is read."""
    start = clock.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status, retry_after = await _post(hook, message, now // SECOND, context, resolve)
        answer = Answer(status, str(status), asked_to_wait(retry_after, now))
    except targets.ForbiddenTargetError:
        answer = Answer(None, "forbidden-address")
    except (TimeoutError, httpx.TimeoutException):
        answer = Answer(None, "timeout")
    except socket.gaierror:
        answer = Answer(None, "no-such-host")
    except Exception as error:  # whatever it is, it must not keep others from being sent, nor be tried for ever
        answer = Answer(None, "tls" if _is_tls(error) else type(error).__name__)
    return Answer(answer.status, answer.told, answer.wait, clock.monotonic() - start)


async def _post(
    hook: Hook, message: Delivery, timestamp: int, context: ssl.SSLContext, resolve: targets.Resolve
) -> tuple[int, str | None]:
    """Send to the first of the host's addresses that can be connected to; the name goes into Host and TLS alone."""
    body, url = message.payload.encode(), hook.url
    host = url.raw_host.decode("ascii")
    headers = {
        "host": url.netloc.decode("ascii"),
        "content-type": "application/json",
        "user-agent": "leadscore",
        "webhook-id": message.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(hook.secret, message.key, timestamp, body),
    }
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    addresses = await targets.judged(host, port, private=hook.allow_private, resolve=resolve)
    timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=timeout) as client:
        for address in addresses:
            request = client.build_request(
                "POST", url.copy_with(host=address), content=body, headers=headers, extensions={"sni_hostname": host}
            )
            try:
                answer = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[-1]:
                    raise
                continue  # nothing was sent
            retry_after = answer.headers.get("retry-after")
            await answer.aclose()
            return answer.status_code, retry_after
    raise AssertionError("a host has an address")


def _is_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


@dataclass
class Courier:
    """Delivers one webhook's messages; `step` is called again and again.

    Parameters
    ----------
    holder : names this sender among others
    now : the time, UTC microseconds
    """

    hook: Hook
    store: Store
    observer: Observer
    holder: str
    now: Callable[[], int]
    resolve: targets.Resolve = targets.resolve
    _lease: Lease = field(init=False)
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner, init=False)
    _context: ssl.SSLContext = field(default_factory=httpx.create_ssl_context, init=False)
    _counted_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._lease = Lease(self.store.shared, f"webhook {self.hook.name}", self.holder, self.now, LEASE_SECONDS)

    def step(self) -> bool:
        """Send what is due, some at once; returns whether anything was."""
        due: list[Delivery] = []
        if self._due(at_most=1) and self._lease.hold():
            due = self._due(at_most=AT_ONCE)  # again: whoever held the lease may have sent some
        if due:
            answers = self._runner.run(self._send(due))
            settled = [self._settled(message, answer) for message, answer in zip(due, answers, strict=True)]
            self.store.outbox.settle(self.hook.name, settled, self.now())
        if clock.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._count()
        return bool(due)

    def _due(self, *, at_most: int) -> list[Delivery]:
        return self.store.outbox.due(self.hook.name, self.now(), at_most=at_most)

    async def _send(self, due: list[Delivery]) -> list[Answer]:
        now = self.now()
        return await asyncio.gather(*(attempt(self.hook, one, now, self._context, self.resolve) for one in due))

    def _settled(self, message: Delivery, answer: Answer) -> Settled:
        attempts, now = message.attempts + 1, self.now()
        state = DONE if answer.accepted else DEAD if answer.status == GONE or attempts >= ATTEMPTS else PENDING
        outcome = "failed" if state == PENDING else state
        self.observer.attempted(self.hook.name, outcome, answer.told, answer.seconds, attempts)
        wait = wait_seconds(message.key, attempts, answer.wait) if state == PENDING else 0.0
        return Settled(message.id, state, now + round(wait * SECOND), attempts, answer.told)

    def _count(self) -> None:
        counted = self.store.outbox.counts().get(self.hook.name, {})
        self.observer.outbox(self.hook.name, counted.get(PENDING, 0), counted.get(DEAD, 0))
        self._counted_at = clock.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Deliver until asked to stop; a fault is logged and tried again."""
        while not stop.is_set():
            try:
                busy = self.step()
            except Exception as error:
                self.observer.log("webhook", {"hook": self.hook.name, "fault": fault_of(error)})
                busy = False
                stop.wait(AFTER_FAULT_SECONDS)
            if not busy:
                stop.wait(IDLE_SECONDS)
        self.close()

    def close(self) -> None:
        """Let another sender take over at once."""
        self._runner.close()
        self._lease.release()


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Deliver to the webhooks that the environment names, each in a thread of its own, until asked to stop."""
    observer, memory = begin(environment)
    if memory.webhooks is None:
        raise SystemExit("LEADSCORE_WEBHOOKS is not set. Start with: leadscore serve --webhooks FILE")
    stop = told_to_stop(environment)
    try:
        hooks, store = read_hooks(memory.webhooks, environment), memory.open()
    except LeadScoreError as error:
        observer.log("webhook", {"fault": fault_of(error), "message": str(error)})
        stop.wait(AFTER_FAULT_SECONDS)
        raise SystemExit(1) from None
    holder = f"{socket.gethostname()}/{os.getpid()}"
    couriers = [Courier(hook, store, observer, holder, lambda: clock.time_ns() // 1_000) for hook in hooks]
    threads = [threading.Thread(target=courier.run, args=(stop,)) for courier in couriers]
    for thread in threads:
        thread.start()
    while not stop.wait(1.0):  # a signal is seen between waits
        pass
    for thread in threads:
        thread.join()
    store.close()


if __name__ == "__main__":
    main()
