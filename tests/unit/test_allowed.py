"""Who may call which route: listed, or not started."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI

from kiban.bench.attacks.matrix import EXPECTED
from kiban.domain.roles import RIGHTS, Right, Role, RoleGroups, rights_of
from kiban.errors import NotPermitted
from services.chat.allowed import ROUTES, Unlisted, needed, require_listed, routes_of
from services.chat.app import create_app
from services.chat.testing import MemoryHouse


def test_every_route_of_the_service_is_listed_and_none_besides(tmp_path: Path) -> None:
    house = MemoryHouse(tmp_path, {}, lambda turns: ())
    app = create_app(house, house.desk, house.kept, house.views, house.office)
    assert set(routes_of(app)) == set(ROUTES)


def test_the_table_of_the_attack_knows_every_route() -> None:
    assert set(EXPECTED) == set(ROUTES)


def test_a_route_that_is_not_listed_does_not_start() -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/v1/everything", lambda: None, methods=["GET"])
    with pytest.raises(Unlisted, match="GET /v1/everything"):
        require_listed(app)
    with pytest.raises(NotPermitted):
        needed("GET", "/v1/everything")


def test_every_right_belongs_to_one_role() -> None:
    given = [right for rights in RIGHTS.values() for right in rights]
    assert sorted(given) == sorted(Right) and set(RIGHTS) == set(Role)


def test_groups_make_roles_and_no_group_makes_none() -> None:
    groups = RoleGroups(readers="staff", operators="it")
    assert groups.roles_of(frozenset()) == frozenset()
    assert groups.roles_of(frozenset({"it", "hr"})) == {Role.OPERATOR}
    assert rights_of(groups.roles_of(frozenset({"staff", "curators"}))) == {
        Right.ASK, Right.SEARCH, Right.FEEDBACK, Right.CURATE,
    }  # fmt: skip
    assert RoleGroups().roles_of(frozenset()) == {Role.READER}
