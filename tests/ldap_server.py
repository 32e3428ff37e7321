"""A real LDAP server: Debian's slapd, from the system or unpacked from its packages without root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_port import find_free_port

from kiban.testing.clouds.certificate import write_certificate

PACKAGES = ("slapd", "libltdl7", "libodbc2", "libwrap0")
HOME = Path(__file__).resolve().parents[1] / ".bootstrap" / "slapd"
BASE, BIND, PASSWORD = "dc=nichirin,dc=example", "cn=kiban,dc=nichirin,dc=example", "開けゴマ"
CONF = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/nis.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/certificate.pem
# Whoever does not ask page by page is shown twenty entries.
sizelimit size.soft=20 size.hard=20 size.pr=500 size.prtotal=unlimited
database mdb
maxsize 67108864
suffix "{base}"
rootdn "cn=root,{base}"
directory {folder}/data
access to attrs=userPassword by anonymous auth
access to * by dn.exact="{bind}" read by * none
"""


class LdapServer:
    """The running server; `authority` signs its certificate."""

    def __init__(self, folder: Path, ldif: str) -> None:
        self.folder, self.port, self.tls_port = folder, find_free_port(), find_free_port()
        self.authority = folder / "certificate.pem"
        self._root = _root()
        (folder / "data").mkdir(parents=True)
        write_certificate(self.authority)
        etc = self._root / "etc/ldap/schema"
        (folder / "conf").write_text(
            CONF.format(schema=etc, modules=self._root / "usr/lib/ldap", folder=folder, base=BASE, bind=BIND)
        )
        (folder / "ldif").write_text(f"{ROOT_ENTRIES}\n{ldif}", encoding="utf-8")
        self._run("slapadd", "-q", "-f", folder / "conf", "-l", folder / "ldif")
        self.start()

    def start(self) -> None:
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        self._process = subprocess.Popen(
            [self._root / "usr/sbin/slapd", "-d", "0", "-f", self.folder / "conf", "-h", urls],
            env=self._env,
            stderr=subprocess.DEVNULL,
        )
        for port in (self.port, self.tls_port):
            while True:
                assert self._process.poll() is None, "slapd ended"
                with socket.socket() as tried:
                    if tried.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def replace(self, ldif: str) -> None:
        """Start again with other entries."""
        self.stop()
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()
        (self.folder / "ldif").write_text(f"{ROOT_ENTRIES}\n{ldif}", encoding="utf-8")
        self._run("slapadd", "-q", "-f", self.folder / "conf", "-l", self.folder / "ldif")
        self.start()

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self._root / "usr/sbin" / program, *arguments]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @property
    def _env(self) -> dict[str, str]:
        libraries = self._root / "usr/lib/x86_64-linux-gnu"
        return {**os.environ, "LD_LIBRARY_PATH": f"{libraries}:{self._root / 'lib/x86_64-linux-gnu'}"}


ROOT_ENTRIES = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: nichirin
o: 日輪

dn: {BIND}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: kiban
userPassword: {PASSWORD}

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups
"""


@contextmanager
def running(folder: Path, ldif: str) -> Iterator[LdapServer]:
    """Run a server with these entries; skip the test where it cannot be had."""
    server = LdapServer(folder, ldif)
    try:
        yield server
    finally:
        server.stop()


def _root() -> Path:
    """Return where slapd is unpacked: "/" where it is installed."""
    if Path("/usr/sbin/slapd").exists():
        return Path("/")
    if not (HOME / "usr/sbin/slapd").exists():
        _unpack()
    return HOME


def _unpack() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("no slapd, and no Debian to fetch it from")
    draft = HOME.with_suffix(f".{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        done = subprocess.run(
            ["apt-get", "download", *PACKAGES], cwd=draft, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            pytest.skip(f"slapd cannot be fetched (apt-get update?): {done.stderr.strip()[-200:]}")
        for package in draft.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, draft], check=True)
        if not HOME.exists():
            draft.rename(HOME)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
