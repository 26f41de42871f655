"""``oxidite.servers.sockets``: listening, and being refused."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oxidite.servers import ListenError, Settings
from oxidite.servers.sockets import holder_of, listen, listening


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def connects(sock: socket.socket) -> bool:
    with socket.socket(sock.family) as client:
        return client.connect_ex(sock.getsockname()) == 0


def test_port_0_is_a_free_port_and_the_address_says_which() -> None:
    with listening(Settings(port=0)) as (sock, held):
        assert held.port == sock.getsockname()[1] != 0
        assert held.url == f"http://127.0.0.1:{held.port}"
        assert connects(sock)


@pytest.mark.skipif(sys.platform != "linux", reason="what is accepted inherits it there")
@pytest.mark.parametrize("inherited", [False, True])
def test_what_is_accepted_is_asked_whether_it_is_there(*, inherited: bool) -> None:
    fd = socket.create_server(("127.0.0.1", 0)).detach() if inherited else None
    with (
        listening(Settings(port=0, fd=fd, keepalive=44)) as (sock, _),
        socket.create_connection(sock.getsockname()),
        sock.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [accepted.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [44, 11, 4]


def test_a_taken_port_is_refused_with_what_to_do(taken: int) -> None:
    with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{taken} is taken.*another port"):
        listen(Settings(port=taken))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")
def test_a_taken_port_is_refused_with_who_has_it(taken: int) -> None:
    with pytest.raises(ListenError, match=rf"is taken by pid {os.getpid()} \("):
        listen(Settings(port=taken))


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "127.0.0.1:80 is not allowed: ports below 1024 need special rights."),
        (errno.ENOBUFS, "Cannot listen on 127.0.0.1:80: "),
    ],
)
def test_what_the_system_refuses_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    # No test may count on the rights or the memory of who runs it.
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ListenError) as caught:
        listen(Settings(port=80))

    assert caught.value.message.startswith(message)


def test_nobody_is_named_where_the_system_does_not_say_who_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As for the processes of other people: the port is in the table, its holder cannot be seen.
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode\n"
        "0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n"
    )
    (tmp_path / "1" / "fd").mkdir(parents=True)
    (tmp_path / "1" / "cmdline").write_bytes(b"python\0app.py\0")
    monkeypatch.setattr("oxidite.servers.sockets._PROC", tmp_path)

    assert holder_of(8080) == ""
    (tmp_path / "1" / "fd" / "3").symlink_to("socket:[4711]")
    assert holder_of(8080) == "pid 1 (python app.py)"
    assert holder_of(8081) == ""


@pytest.mark.parametrize("host", ["256.1.1.1", "203.0.113.7", "no such host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match="is not an address of this machine"):
        listen(Settings(host=host, port=0))


def test_ipv6_addresses_are_written_in_brackets() -> None:
    assert Settings(host="::1", port=80).url == "http://[::1]:80"


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(Settings(uds=path)) as (sock, held):
        assert connects(sock)
        assert held.url == f"unix:{path}"

    assert not path.exists()


def test_the_unix_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen(Settings(uds=path)).close()

    with listening(Settings(uds=path)) as (sock, _):
        assert connects(sock)


def test_the_unix_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(Settings(uds=path)) as (sock, _):
        with pytest.raises(ListenError, match="a server answers there"):
            listen(Settings(uds=path))
        assert connects(sock)


def test_a_unix_socket_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "app.sock"
    with pytest.raises(ListenError, match=r"Cannot listen on .*/missing/app\.sock: No such file"):
        listen(Settings(uds=path))


def test_an_ordinary_file_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")

    with pytest.raises(ListenError, match="is no socket"):
        listen(Settings(uds=path))
    assert path.read_text() == "precious"


def test_an_inherited_descriptor_is_listened_on() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with listening(Settings(fd=bound.dup().detach())) as (sock, held):
            assert connects(sock)
            assert held.url.startswith("fd:")


def test_a_descriptor_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ListenError, match="is no socket"):
        listen(Settings(fd=file.fileno()))
