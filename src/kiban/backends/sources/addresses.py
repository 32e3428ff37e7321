"""Which addresses of the internet a source may be read from (IANA's special-purpose registries)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = tuple(  # where clouds tell machines their credentials: never, whatever is allowed
    map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"))
)
_PRIVATE = tuple(  # a company's own: allowed to hosts that the settings name
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
_NOWHERE = tuple(  # this machine, this link, groups, documentation, benchmarks, reserved
    map(
        ip_network,
        "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15"
        " 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 100::/64 2001:2::/48"
        " 2001:10::/28 2001:20::/28 2001:db8::/32 3fff::/20 5f00::/16 fe80::/10 fec0::/10 ff00::/8".split(),
    )
)
_NAT64 = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_TEREDO, _COMPATIBLE = ip_network("2001::/32"), ip_network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214, section 6.1


class Doorman:
    """Says who may be connected to: every public address; private ones of the hosts and any address of the
    networks that `allowed` names."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for name in allowed:
            try:
                self._networks.append(ip_network(name))
            except ValueError:
                self._hosts.add(name.lower().rstrip("."))

    def lets_in(self, host: str, address: Address) -> bool:
        address = _without_scope(address)
        everything = [address, *_embedded(address)]
        if any(each in _METADATA for each in everything):
            return False
        if any(address.version == of.version and address in of for of in self._networks):
            return True
        private = all(_within(each, _PRIVATE) or _is_public(each) for each in everything)
        return private if host.lower().rstrip(".") in self._hosts else all(map(_is_public, everything))


def _is_public(address: Address) -> bool:
    return not _within(address, _PRIVATE + _NOWHERE)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses a packet to an IPv6 address may end at."""
    if isinstance(address, IPv4Address):
        return
    low, number = int(address) & 0xFFFFFFFF, int(address)
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield IPv4Address(low ^ 0xFFFFFFFF)
    if _within(address, _NAT64) or address in _COMPATIBLE or (number >> 32 & 0xFFFFFFFF) in _ISATAP:
        yield IPv4Address(low)


def _without_scope(address: Address) -> Address:
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address
