"""Whom the dashboard's server answers."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import psutil

TOKEN_BYTES = 16

FOREIGN_HOST = (
    "This is a dashboard of daydreamer, and it was asked for under a name or address that is not this machine's. "
    "Open it by the address that it printed."
)
FOREIGN_ORIGIN = "Other pages may not use this dashboard."
NO_TOKEN = (
    "This dashboard wants the token that is at the end of the address that it printed. A dashboard that is started "
    "anew prints a new one."
)


class Access:
    """Answers only to its own names, only its own page, and only who has the token.

    A page somewhere on the web can make a browser send requests here. By Host those are refused that come under a
    name of that page's (DNS rebinding), by Origin those that any other page sends, and the token knows only who could
    read what this process printed.

    Attributes:
      token: new in every process.
    """

    def __init__(self, scheme: str, names: Iterable[str]):
        """Makes a token.

        Args:
          scheme: 'http' or 'https'.
          names: and addresses of this machine under which it may be asked; loopback is always one.
        """
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._scheme = scheme
        self._names = {_normal(name) for name in names}

    def refusal(self, hosts: list[str], origins: list[str]) -> str | None:
        """Why a request with these Host and Origin headers is refused, None if it is not."""
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return FOREIGN_HOST
        if any(origin.lower() != f"{self._scheme}://{hosts[0].lower()}" for origin in origins):
            return FOREIGN_ORIGIN
        return None

    def knows(self, token: str | None) -> bool:
        return token is not None and hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def _is_own(self, host: str) -> bool:
        # The port does not matter: it is another one behind `ssh -L`, and who rebinds a name cannot choose the name.
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (is_loopback(name) or _normal(name) in self._names)


def is_loopback(name: str) -> bool:
    """Whether this name or address means the machine itself."""
    if name.lower() == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


def addresses_of_this_machine(version: int | None = None) -> list[str]:
    """Addresses at which other machines may reach this one, the one of the default route first.

    Args:
      version: 4 or 6; None for both.
    """
    found = []
    active = psutil.net_if_stats()
    for interface, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if each.family not in (socket.AF_INET, socket.AF_INET6) or not active[interface].isup:
                continue
            address = ipaddress.ip_address(each.address.partition("%")[0])
            # A link-local one of IPv6 is good only together with the name of the other machine's interface.
            if not address.is_loopback and not (address.version == 6 and address.is_link_local):
                found.append(address)
    wanted = [str(address) for address in found if version in (None, address.version)]
    first = _default_route_address()
    return sorted(wanted, key=lambda address: (address != first, ":" in address))


def names_of_this_machine() -> list[str]:
    """Its names, as far as it knows them itself."""
    name = socket.gethostname()
    return list(dict.fromkeys([name, socket.getfqdn(), f"{name.partition('.')[0]}.local"]))


def _default_route_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing; an address of no one (RFC 5737)
        return probe.getsockname()[0]
    return None


def _normal(name: str) -> str:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).compressed
    return name.lower()
