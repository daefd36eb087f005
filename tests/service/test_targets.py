"""Which addresses webhooks are sent to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.targets import ForbiddenTargetError, judged, may_reach, resolve

PUBLIC = """1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 100.63.255.255 100.128.0.1 2606:4700:4700::1111 2a00:1450:4001::1
    ::ffff:1.1.1.1 64:ff9b::101:101 2620:fe::fe""".split()
PRIVATE = """10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 127.0.0.1 127.9.9.9 100.64.0.1 100.127.255.255 ::1 fc00::1
    fd12:3456::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::a00:1 64:ff9b::7f00:1""".split()
NEVER = """169.254.169.254 169.254.0.1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fe80::1 fe80::1%eth0 fec0::1 0.0.0.0
    0.1.2.3 :: 224.0.0.1 239.255.255.255 ff02::1 240.0.0.1 255.255.255.255 192.0.0.1 192.0.2.1 198.18.0.1
    198.51.100.1 203.0.113.1 192.88.99.1 2001::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe::1 ::127.0.0.1
    ::7f00:1 100::1 64:ff9b:1::7f00:1 3fff::1 4000::1 5f00::1 168.63.129.16 100.100.100.200 fd00:ec2::254
    fd20:ce::254 localhost 127.1 0x7f.1 2130706433 nonsense""".split()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_reach(address)
    assert may_reach(address, private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_opened_and_not_by_chance(address: str) -> None:
    assert not may_reach(address)
    assert may_reach(address, private=True)


@pytest.mark.parametrize("address", [*NEVER, ""])
def test_some_addresses_are_never_open(address: str) -> None:
    assert not may_reach(address)
    assert not may_reach(address, private=True)


@pytest.mark.parametrize("found", [["1.1.1.1", "10.0.0.1"], ["10.0.0.1"], ["1.1.1.1", "::1"], []])
def test_one_address_that_is_not_open_closes_the_name(found: list[str]) -> None:
    async def answer(host: str, port: int) -> Sequence[str]:
        return found

    with pytest.raises(ForbiddenTargetError):
        asyncio.run(judged("hooks.test", 443, private=False, resolve=answer))


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.1", "2130706433", "127.0.0.1", "0"])
def test_this_machine_by_whatever_name_is_this_machine(host: str) -> None:
    """As the system's resolver has it: it reads more than dotted decimals."""
    try:
        found = asyncio.run(resolve(host, 80))
    except OSError:
        pytest.skip("this system does not take it for a name")
    with pytest.raises(ForbiddenTargetError):
        asyncio.run(judged(host, 80, private=False))
    assert found
