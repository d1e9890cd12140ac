"""A private PostgreSQL."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from tests.servers.process import HOST, PrivateServer, ServerError, free_port

# Debian keeps the programs of each version in a folder of its own, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")

FORGETFUL = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
"""A power cut may take everything, a kill of the processes nothing: what is committed was given to the system."""


class PostgresServer(PrivateServer):
    """A PostgreSQL that asks for a password, with databases made by `new_database`.

    It refuses to run as root: then it runs as the user `postgres`, or `nobody` where there is none.

    Args:
        url: use this server, as this user, who may create databases, instead of starting one.
        options: further settings, e.g. `{"max_connections": "20"}`.
    """

    name = "postgresql"
    stop_signal = signal.SIGINT  # "fast": clients are not waited for
    end_signal = signal.SIGQUIT  # "immediate"; killed, it would leave a piece of shared memory behind

    def __init__(self, *, url: str | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__(url)
        self._options = FORGETFUL | dict(options or {})
        self._made: list[str] = []
        if url is not None:
            self._url = make_url(url)
            return
        self.port = free_port()
        self._user = _unprivileged()
        self._url = URL.create(
            "postgresql+psycopg", "pavane", secrets.token_hex(12), HOST, self.port, "postgres"
        )

    @property
    def url(self) -> str:
        """The URL of the server's own database, with the password."""
        return self._url.render_as_string(hide_password=False)

    def new_database(self) -> str:
        """The URL of a new, empty database; it is gone with the server."""
        name = f"pavane_{secrets.token_hex(6)}"
        self._execute(f"create database {name}")
        self._made.append(name)
        return self._url.set(database=name).render_as_string(hide_password=False)

    def empty(self, database: str) -> None:
        """Drop all tables of one of these databases: much less to write than another database."""
        with self._connect(make_url(database)) as connection:
            connection.execute("drop schema public cascade")
            connection.execute("create schema public")

    def close(self) -> None:
        while self.external and self._made:
            self._execute(f"drop database {self._made.pop()} with (force)")
        super().close()

    def _execute(self, statement: str) -> None:
        with self._connect(self._url) as connection:
            connection.execute(statement.encode())

    def _connect(self, url: URL) -> psycopg.Connection:
        place = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(place, autocommit=True, connect_timeout=10)

    def _command(self) -> list[str]:
        data = self.folder / "data"
        if not data.exists():
            self._make_cluster(data)
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
        } | self._options
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*self._as_user(), _program("postgres"), "-D", str(data), *words]

    def _make_cluster(self, data: Path) -> None:
        password = self.folder / "password"
        password.write_text(self._url.password or "")
        if self._user is not None:
            for each in (self.folder, password):
                shutil.chown(each, self._user)
        made = subprocess.run(
            [
                *self._as_user(),
                *(_program("initdb"), "--pgdata", str(data), "--no-sync"),
                *("--username", self._url.username or "", "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            raise ServerError(f"initdb failed ({made.returncode})\n{made.stdout}{made.stderr}")

    def _as_user(self) -> list[str]:
        if self._user is None:
            return []
        group = str(pwd.getpwnam(self._user).pw_gid)
        return ["setpriv", f"--reuid={self._user}", f"--regid={group}", "--clear-groups", "--"]

    def _is_ready(self) -> bool:
        try:
            self._connect(self._url).close()
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged() -> str | None:
    """Whom the server runs as; `None`: as we are."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"


def _program(name: str) -> str:
    debian = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda program: float(program.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which(name)
    if found is None:
        raise ServerError(f"{name} of PostgreSQL is missing: run make setup, or set PAVANE_TEST_DATABASE_URL")
    return found
