"""``oxidite.cli.dev.certificate``: an authority for one machine, and what it vouches for."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from oxidite import clock
from oxidite.cli.dev.certificate import AUTHORITY, cache_directory, development_tls
from oxidite.errors import ConfigError
from oxidite.servers import TLS
from oxidite.servers.tls import server_context


def shake_hands(tls: TLS, authority: Path, name: str) -> None:
    ours, theirs = socket.socketpair()
    context = server_context(tls)

    def serve() -> None:
        try:
            context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client = ssl.create_default_context(cafile=str(authority))
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_clients_that_trust_the_authority_accept_it(tmp_path: Path, name: str) -> None:
    shake_hands(development_tls(tmp_path), tmp_path / AUTHORITY, name)


def test_other_names_are_not_vouched_for(tmp_path: Path) -> None:
    tls = development_tls(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tls, tmp_path / AUTHORITY, "example.com")

    found = x509.load_pem_x509_certificate((tmp_path / AUTHORITY).read_bytes())
    constraints = found.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert len(list(constraints.value.permitted_subtrees or ())) == 3


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    development_tls(directory)

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()} == {0o600}


def test_it_is_made_once(tmp_path: Path) -> None:
    first = development_tls(tmp_path).certificate.read_bytes()

    assert development_tls(tmp_path).certificate.read_bytes() == first


async def test_a_certificate_that_ends_soon_is_made_anew_under_the_same_authority(
    tmp_path: Path,
) -> None:
    with clock.use(clock.TravelClock()) as travel:
        first = development_tls(tmp_path).certificate.read_bytes()
        authority = (tmp_path / AUTHORITY).read_bytes()
        await travel.advance(timedelta(days=25).total_seconds())

        assert development_tls(tmp_path).certificate.read_bytes() != first
        assert (tmp_path / AUTHORITY).read_bytes() == authority


@pytest.mark.parametrize("name", [AUTHORITY, "authority.key", "localhost.pem", "localhost.key"])
def test_what_is_spoiled_is_made_anew(tmp_path: Path, name: str) -> None:
    development_tls(tmp_path)
    (tmp_path / name).write_text("spoiled")

    shake_hands(development_tls(tmp_path), tmp_path / AUTHORITY, "localhost")


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="Cannot keep a certificate in"):
        development_tls(tmp_path / "file" / "cache")


def test_it_is_kept_where_the_system_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_directory() == Path("/cache/oxidite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache/oxidite"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_directory() == Path.home() / "Library/Caches/oxidite"
