"""Groups from a real LDAP server, and what they let people read and do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from ldap_server import BASE, BIND, PASSWORD, LdapServer, running
from lent_furniture import Lent

from kiban.backends.ldap_directory import Branch, LdapDirectory, Server, canonical
from kiban.backends.postgres.connect import Postgres
from kiban.domain.roles import Right
from kiban.errors import PartUnavailable, SourceRefused
from kiban.settings import Settings
from kiban.wiring.directories import Directories
from kiban.wiring.identity import Identity

CLERKS = 300  # more than a page, and far more than the server shows at once


def person(uid: str, *, cn: str = "", mail: str = "") -> str:
    dn = of((cn or uid).replace(",", "\\,"))
    lines = ["objectClass: inetOrgPerson", f"cn:: {_coded(cn or uid)}", f"sn:: {_coded(uid)}", f"uid: {uid}"]
    return "\n".join([f"dn:: {_coded(dn)}", *lines, *([f"mail: {mail}"] if mail else [])]) + "\n"


def group(cn: str, *members: str, ou: str = "groups") -> str:
    dn = f"cn={cn},ou={ou},{BASE}"
    lines = ["objectClass: groupOfNames", f"cn:: {_coded(cn)}"]
    return "\n".join([f"dn:: {_coded(dn)}", *lines, *(f"member:: {_coded(each)}" for each in members)]) + "\n"


def of(uid: str) -> str:
    return f"cn={uid},ou=people,{BASE}"


def in_groups(cn: str) -> str:
    return f"cn={cn},ou=groups,{BASE}"


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


COMPANY = "\n".join(
    [
        *(person(f"clerk{number}") for number in range(CLERKS)),
        person("sato", mail="sato@nichirin.example"),
        person("mori", cn="森, 太郎", mail="mori@nichirin.example"),
        person("kato", mail="shared@nichirin.example"),
        person("ueda", mail="shared@nichirin.example"),
        group("clerks", *(of(f"clerk{number}") for number in range(CLERKS))),
        group("人事部", of("sato"), f"CN=森\\2C 太郎, OU=People,{BASE.upper()}"),
        group("management", in_groups("人事部"), of("kato")),
        group("operators", in_groups("management")),
        group("round", in_groups("robin"), of("ueda")),
        group("robin", in_groups("round")),
        f"dn: ou=old,{BASE}\nobjectClass: organizationalUnit\nou: old\n",
        group("twice", of("kato")),
        group("twice", of("sato"), ou="old"),
        f"dn: cn=posix,ou=groups,{BASE}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\nmemberUid: ueda\n",
    ]
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LdapServer]:
    with running(tmp_path_factory.mktemp("ldap"), COMPANY) as server:
        yield server


def directory(server: LdapServer, named_by: str = "uid", **said: object) -> LdapDirectory:
    reached = {"tls": "none", "port": server.port, "bind": BIND, "password": PASSWORD, **said}
    return LdapDirectory(
        "ldap",
        Server(host="127.0.0.1", **reached),  # type: ignore[arg-type]
        Branch(f"ou=people,{BASE}", "(objectClass=person)", named_by),
        Branch(BASE, "(|(objectClass=groupOfNames)(objectClass=posixGroup))", "cn"),
        page=40,
    )


def test_everybody_is_listed_page_by_page_with_groups_within_groups(server: LdapServer) -> None:
    found = directory(server).memberships()
    assert len(found) == CLERKS + 4
    assert all(found[f"clerk{number}"] == {"clerks"} for number in range(CLERKS))
    assert found["sato"] == found["mori"] == {"人事部", "management", "operators"}
    assert found["kato"] == {"management", "operators"}  # and no group of a name that two have
    assert found["ueda"] == {"round", "robin", "posix"}  # groups may hold each other


def test_people_who_share_a_name_get_nothing(server: LdapServer) -> None:
    found = directory(server, "mail").memberships()
    assert set(found) == {"sato@nichirin.example", "mori@nichirin.example"}


def test_over_tls_only_a_trusted_server_is_asked(server: LdapServer) -> None:
    for tls, port in (("tls", server.tls_port), ("starttls", server.port)):
        told = directory(server, tls=tls, port=port, authority=server.authority).memberships()
        assert told["sato"]
        with pytest.raises(PartUnavailable, match="ertificate"):
            directory(server, tls=tls, port=port).memberships()


def test_a_wrong_password_and_a_wrong_base_are_named(server: LdapServer) -> None:
    with pytest.raises(SourceRefused, match="invalidCredentials"):
        directory(server, password="wrong").memberships()
    with pytest.raises((SourceRefused, PartUnavailable)):
        directory(server, bind="", password="").memberships()  # strangers are shown nothing


@pytest.mark.parametrize(
    "same",
    [
        ("cn=森\\2C 太郎,ou=a", "CN=森\\, 太郎, OU=A"),
        ("cn=\\E6\\A3\\AE,ou=a", "cn=森,ou=a"),
        ("cn=a+uid=b,ou=a", "CN=A+UID=B,OU=A"),
    ],
)
def test_names_that_are_written_otherwise_are_the_same(same: tuple[str, str]) -> None:
    assert canonical(same[0]) == canonical(same[1]) != canonical("cn=other,ou=a")


def house(postgres: Postgres, folder: Path, server: LdapServer, **said: object) -> Lent:
    table = {
        "name": "ad",
        "host": "127.0.0.1",
        "port": server.port,
        "tls": "none",
        "bind": BIND,
        "password": "env:KIBAN_TEST_LDAP",
        "people": f"ou=people,{BASE}",
        "groups": f"ou=groups,{BASE}",
        **said,
    }
    return Lent(folder, postgres, directories=[table])


def test_groups_reach_the_next_question_and_leave_with_it(
    postgres: Postgres, tmp_path: Path, server: LdapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIBAN_TEST_LDAP", PASSWORD)
    furniture = house(postgres, tmp_path, server, prefix="ad-")
    identity, directories = Identity(furniture), Directories(furniture)
    furniture.library.set_memberships("wiki", {"sato": frozenset({"editors"})})
    (followed,) = directories.follow()
    assert (followed.people, followed.error) == (CLERKS + 4, None)
    assert identity.known("sato").groups == {"ad-人事部", "ad-management", "ad-operators", "editors"}
    assert directories.follow() == []  # it was asked a moment ago
    nowhere = Directories(Lent(tmp_path, postgres))
    assert nowhere.follow() == []
    assert identity.known("sato").groups == {"editors"}  # a directory no longer asked has no say


def test_operators_come_from_the_directory_and_stay_while_it_is_down(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIBAN_TEST_LDAP", PASSWORD)
    with running(tmp_path / "ldap", person("sato") + "\n" + group("operators", of("sato"))) as server:
        furniture = house(postgres, tmp_path, server)
        identity, directories = Identity(furniture), Directories(furniture)
        directories.follow_now()
        assert Right.OPERATE in identity.seated("sato").rights
        server.replace(person("sato") + "\n" + person("kato") + "\n" + group("operators", of("kato")))
        directories.follow_now()
        assert Right.OPERATE not in identity.seated("sato").rights
        server.stop()
        (followed,) = directories.follow_now()
        assert isinstance(followed.error, PartUnavailable)
        assert Right.OPERATE in identity.seated("kato").rights
        server.start()
        server.replace(person("kato"))  # every group gone at once: rather a fault than the truth
        (followed,) = directories.follow_now()
        assert isinstance(followed.error, SourceRefused)
        assert Right.OPERATE in identity.seated("kato").rights


def test_a_secret_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIBAN_TEST_LDAP", raising=False)
    table = {"name": "ad", "host": "h", "password": "env:KIBAN_TEST_LDAP", "people": "p", "groups": "g"}
    with pytest.raises(ValueError, match="KIBAN_TEST_LDAP is not set"):
        Settings(state=tmp_path, directories=[table])  # type: ignore[list-item]
