"""Nothing of a webhook goes where it must not: not by a redirect, a name, a proxy, a certificate, a log."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import time as clock
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.store import Store
from tests.service.telling import SECOND, SECRET, Sending, keep, receiving, said


def to_this_machine(*addresses: str) -> Callable[[str, int], Any]:
    """A resolver that has these addresses for every name."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses or ["127.0.0.1"]

    return resolve


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(telling_store: Store, status: int) -> None:
    """Neither to the addresses where clouds tell their secrets, nor to anywhere."""
    keep(telling_store, said("x", 95, "A"))
    with receiving(200) as elsewhere, receiving((status, {"Location": elsewhere.url})) as receiver:
        sending = Sending(telling_store, receiver.url)
        assert sending.step()
        receiver.script = [(status, {"Location": "http://169.254.169.254/latest/meta-data/"})]
        assert sending.step(after=2 * SECOND)
    assert elsewhere.requests == []
    assert len(receiver.requests) == 2
    assert sending.statuses() == [str(status)] * 2
    assert sending.counts() == (1, 0, 0)


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(1_000):
            handler.wfile.write(b"x" * 65_536)
            clock.sleep(0.01)
    except OSError:
        handler.server.cut_off = True


def test_an_answer_without_end_is_not_read(telling_store: Store) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving(endless) as receiver:
        start = clock.monotonic()
        assert Sending(telling_store, receiver.url).step()
        assert clock.monotonic() - start < 1.0
    assert telling_store.outbox.counts()["crm"]["done"] == 1


@pytest.mark.parametrize("noise", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, b""])
def test_what_is_no_answer_is_tried_again(telling_store: Store, noise: bytes) -> None:
    keep(telling_store, said("x", 95, "A"))

    def answer(handler: Any) -> None:
        handler.wfile.write(noise)
        handler.close_connection = True

    with receiving(answer, 200) as receiver:
        sending = Sending(telling_store, receiver.url)
        assert sending.step()
        assert sending.counts() == (1, 0, 0)
        assert sending.step(after=2 * SECOND)
    assert sending.counts() == (0, 1, 0)


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"]]
)
def test_nothing_is_sent_to_a_name_that_leads_inside(telling_store: Store, addresses: list[str]) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving(200) as receiver:
        url = f"http://hooks.test:{receiver.port}/"
        sending = Sending(telling_store, url, private=False, resolve=to_this_machine(*addresses))
        assert sending.step()
    assert receiver.requests == []
    assert sending.statuses() == ["forbidden-address"]
    assert sending.counts() == (1, 0, 0)


def test_a_name_that_moves_after_it_was_judged_is_not_asked_again(
    telling_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whoever connects by name looks it up once more, and may be told another address."""
    keep(telling_store, said("x", 95, "A"))
    connected: list[tuple[str, int]] = []

    async def connect(self: Any, host: str, port: int, *_: Any, **__: Any) -> Any:
        connected.append((host, port))
        raise httpx.ConnectError("nobody")

    lookups = iter([["1.1.1.1", "2606:4700::1111"], ["127.0.0.1"]])

    async def moving(host: str, port: int) -> Sequence[str]:
        return next(lookups)

    monkeypatch.setattr("httpcore._backends.auto.AutoBackend.connect_tcp", connect)
    sending = Sending(telling_store, "https://hooks.test/", private=False, resolve=moving)
    assert sending.step()
    assert connected == [("1.1.1.1", 443), ("2606:4700::1111", 443)]  # the second is tried as the first isn't there
    assert sending.step(after=2 * SECOND)
    assert connected[2:] == []
    assert sending.statuses()[1] == "forbidden-address"


def test_a_proxy_of_the_environment_is_not_asked(telling_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(telling_store, said("x", 95, "A"))
    with receiving(200) as proxy, receiving(200) as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert Sending(telling_store, f"http://hooks.test:{receiver.port}/", resolve=to_this_machine()).step()
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)
    assert receiver.requests[0][0]["host"] == f"hooks.test:{receiver.port}"


def test_a_name_that_is_not_there_is_asked_for_again(telling_store: Store) -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    keep(telling_store, said("x", 95, "A"))
    sending = Sending(telling_store, "https://hooks.test/", private=False, resolve=nowhere)
    assert sending.step()
    assert sending.statuses() == ["no-such-host"]
    assert sending.counts() == (1, 0, 0)


def certificate(folder: Path, name: str) -> Path:
    """A certificate of a name, signed by itself, and its key, in one file."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(pem))
    return path


def test_tls_is_with_the_name_though_the_connection_is_with_the_address(
    telling_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "hooks.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    names: list[str] = []
    context.sni_callback = lambda _, name, __: names.append(name)

    def wrap(server: Any) -> None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None

    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    keep(telling_store, said("x", 95, "A"))
    with receiving(200, wrap=wrap) as receiver:
        for number, name in enumerate(("other.test", "hooks.test")):
            sending = Sending(telling_store, f"https://{name}:{receiver.port}/", resolve=to_this_machine())
            assert sending.step(after=10 * number * SECOND)
            assert sending.statuses() == (["200"] if name == "hooks.test" else ["tls"])
    assert names == ["other.test", "hooks.test"]
    assert len(receiver.requests) == 1


def test_neither_log_nor_metrics_say_who_or_where(telling_store: Store) -> None:
    keep(telling_store, said("Jane Doe", 95, "A"))
    with receiving(500, 200) as receiver:
        sending = Sending(telling_store, receiver.url)
        sending.step()
        sending.step(after=2 * SECOND)
    told = "\n".join(sending.log)
    assert not [word for word in ("Jane", "127.0.0.1", "t0ken", "msg_", SECRET.decode()) if word in told]
    assert json.loads(sending.log[0]).keys() == {"at", "event", "hook", "outcome", "status", "ms", "attempts"}
