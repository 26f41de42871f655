"""Getting in, and being refused."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import trustme
from tests.redis_server import free_port, redis_server

from oxidite.drivers.redis import Redis, RedisOptions
from oxidite.errors import BackendUnavailableError, ConfigError

from .pretender import command, pretender


async def test_a_wrong_password_is_told_when_it_is_opened(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "right") as server:
        for secret in ("wrong@", ""):
            credentials = f":{secret.replace('@', '%40')}@" if secret else ""
            url = f"redis://{credentials}127.0.0.1:{server.port}"
            with pytest.raises(
                ConfigError, match=rf"127\.0\.0\.1:{server.port}/0 cannot"
            ) as caught:
                async with Redis.from_url(url):
                    raise AssertionError("it was let in")
            assert "wrong@" not in str(caught.value)
        async with Redis.from_url(f"redis://:right@127.0.0.1:{server.port}") as redis:
            assert await redis.run("PING") == b"PONG"


async def test_a_user_of_an_access_list_gets_in(tmp_path: Path) -> None:
    user = ("--user", "some", "on", ">secret", "~*", "&*", "+@all")
    with redis_server(tmp_path, *user) as server:
        async with Redis.from_url(f"redis://some:secret@127.0.0.1:{server.port}") as redis:
            assert await redis.run("ACL", "WHOAMI") == b"some"


async def test_a_database_that_is_not_there_is_told_when_it_is_opened(redis: Redis) -> None:
    url = f"redis://{redis.options.host}:{redis.options.port}/12345"
    with pytest.raises(ConfigError, match="has no database 12345"):
        async with Redis.from_url(url):
            raise AssertionError("it was let in")


async def test_a_cluster_is_told_when_it_is_opened(tmp_path: Path) -> None:
    # Its second port would be beyond the last one, for half of those that are free.
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis_server(tmp_path, *options) as server:
        redis = Redis.from_url(server.url)
        with pytest.raises(ConfigError, match="Cluster, which is not supported"):
            await redis.__aenter__()


async def test_a_replica_refuses_writes_and_says_why(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--replicaof", "127.0.0.1", "1") as server:
        async with Redis.from_url(server.url) as redis:
            with pytest.raises(BackendUnavailableError, match="is a replica"):
                await redis.run("SET", "a", 1)


async def test_a_server_that_is_too_old_is_told_without_the_password() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b" ".join(b"`%s`," % part for part in (await command(reader))[1:])
        writer.write(b"-ERR unknown command `HELLO`, with args beginning with: " + said + b"\r\n")
        await reader.read()

    async with pretender(talk) as port:
        with pytest.raises(ConfigError, match="older than Redis 6") as caught:
            async with Redis.from_url(f"redis://:secret@127.0.0.1:{port}"):
                raise AssertionError("it was let in")
        error: BaseException | None = caught.value
        while error is not None:
            assert "secret" not in str(error)
            error = error.__cause__ or error.__context__


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = RedisOptions(host="127.0.0.1", port=silent.getsockname()[1], connect_timeout=0.05)
        async with asyncio.timeout(5), Redis(options) as redis:
            assert not redis.is_connected
            with pytest.raises(BackendUnavailableError, match="cannot be used"):
                await redis.run("PING")


async def test_a_unix_socket(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Redis.from_url(f"redis+unix://{server.socket}?db=3") as redis:
            assert b"db=3" in bytes(str(await redis.run("CLIENT", "INFO")), "ascii")


# TLS.


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def tls_options(authority: trustme.CA, folder: Path, host: str, *more: str) -> list[str]:
    certificate = authority.issue_cert(host)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return [
        *("--tls-port", str(free_port()), "--tls-cert-file", str(folder / "cert.pem")),
        *("--tls-key-file", str(folder / "key.pem"), "--tls-ca-cert-file", str(folder / "ca.pem")),
        *(more or ("--tls-auth-clients", "no")),
    ]


async def test_tls_trusts_the_authority_it_is_told(tmp_path: Path, authority: trustme.CA) -> None:
    options = tls_options(authority, tmp_path, "127.0.0.1")
    with redis_server(tmp_path, *options):
        url = f"rediss://127.0.0.1:{options[1]}"
        async with Redis.from_url(f"{url}?sslrootcert={tmp_path}/ca.pem") as redis:
            large = b"x" * 3_000_000
            assert (
                await asyncio.gather(*(redis.run("ECHO", large) for _ in range(4))) == [large] * 4
            )
        async with Redis.from_url(url) as redis:
            with pytest.raises(BackendUnavailableError, match="certificate verify failed"):
                await redis.run("PING")
        async with Redis.from_url(f"{url}?sslmode=require") as redis:
            assert await redis.run("PING") == b"PONG"


async def test_tls_minds_the_name_of_the_host(tmp_path: Path, authority: trustme.CA) -> None:
    options = tls_options(authority, tmp_path, "other.example")
    with redis_server(tmp_path, *options):
        url = f"rediss://127.0.0.1:{options[1]}?sslrootcert={tmp_path}/ca.pem"
        async with Redis.from_url(url) as redis:
            with pytest.raises(BackendUnavailableError, match="certificate verify failed"):
                await redis.run("PING")
        async with Redis.from_url(f"{url}&sslmode=verify-ca") as redis:
            assert await redis.run("PING") == b"PONG"


async def test_tls_shows_a_certificate_of_its_own(tmp_path: Path, authority: trustme.CA) -> None:
    options = tls_options(authority, tmp_path, "127.0.0.1", "--tls-auth-clients", "yes")
    mine = authority.issue_cert("client@example.com")
    mine.private_key_pem.write_to_path(str(tmp_path / "my-key.pem"))
    mine.cert_chain_pems[0].write_to_path(str(tmp_path / "my-cert.pem"))
    with redis_server(tmp_path, *options):
        url = f"rediss://127.0.0.1:{options[1]}?sslrootcert={tmp_path}/ca.pem"
        async with Redis.from_url(url) as redis:
            with pytest.raises(BackendUnavailableError):
                await redis.run("PING")
        shown = f"&sslcert={tmp_path}/my-cert.pem&sslkey={tmp_path}/my-key.pem"
        async with Redis.from_url(url + shown) as redis:
            assert await redis.run("PING") == b"PONG"


async def test_a_file_of_certificates_that_is_missing_is_told_when_it_is_opened() -> None:
    redis = Redis.from_url("rediss://127.0.0.1:1?sslrootcert=/no/such/file.pem")
    with pytest.raises(ConfigError, match=r"sslrootcert=/no/such/file\.pem"):
        await redis.__aenter__()
