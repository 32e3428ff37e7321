"""Before the first answer: would Postgres really hide what it should from the role that reads?

Row-level security fails silently: a superuser, an owner, a forgotten FORCE, and everybody sees everything.
So each way around it that we know is looked for, and then it is tried.
"""

from __future__ import annotations

from kiban.backends.postgres.connect import Connection
from kiban.domain.access import EVERYONE
from kiban.errors import UnsafeRole

GUARDED = ["zone", "document", "chunk", "posting", "embedding", "zone_tally", "term_tally", "graph"]
GUARDED += ["sensitive", "picture"]
GUARDED += ["feedback", "decision"]  # by way of the document they are about
GUARDED += ["conversation", "exchange"]  # by way of the person who had them
READABLE = [*GUARDED, "generation", "membership", "release", "ledger", "change_tally"]

# Each query returns a sentence per fault, and no row when all is well.
INSPECTIONS = (
    """
    select concat_ws(' ', rolname, attribute)
    from pg_roles, lateral (values
        (rolsuper, 'is a superuser'),
        (rolbypassrls, 'may bypass row-level security'),
        (rolcreaterole, 'may create roles'),
        (rolreplication, 'may read the write-ahead log')
    ) as of_role (has, attribute)
    where rolname in (current_user, session_user) and has
    """,
    """
    select concat_ws(' ', session_user, 'logged in and acts as', current_user)
    where session_user <> current_user
    """,
    # Inherited or not: a member can always say `set role`.
    """
    select concat_ws(' ', current_user, 'is a member of', rolname)
    from pg_auth_members join pg_roles on pg_roles.oid = roleid where member = current_user::regrole
    """,
    """
    select concat_ws(' ', current_user, 'owns', thing)
    from (
        select relowner, relname from pg_class where relnamespace = 'kiban'::regnamespace
        union all select proowner, proname from pg_proc where pronamespace = 'kiban'::regnamespace
        union all select nspowner, nspname from pg_namespace where nspname = 'kiban'
        union all select datdba, datname from pg_database where datname = current_database()
    ) as owned (owner, thing)
    where owner = current_user::regrole
    """,
    """
    select concat('row-level security is not forced on ', name)
    from unnest(%(guarded)s::text[]) as name left join pg_class on oid = to_regclass('kiban.' || name)
    where (relrowsecurity and relforcerowsecurity) is not true
    """,
    # One policy for the reader on each table, by groups, by zones, by person, or by what those let through:
    # permissive policies add up.
    r"""
    select concat('the policies on ', name, ' are not ours')
    from unnest(%(guarded)s::text[]) as name
    left join pg_policy on polrelid = to_regclass('kiban.' || name)
        and polroles && array[current_user::regrole::oid, 0::oid]
    group by name
    having count(polname) <> 1 or max(pg_get_expr(polqual, polrelid))
        !~ case name
            when 'zone' then 'reading_groups'
            when 'feedback' then 'document_id IN \( SELECT document\.id'
            when 'decision' then 'feedback_id IN \( SELECT feedback\.id'
            when 'conversation' then 'subject = .*kiban\.subject'
            when 'exchange' then 'conversation_id IN \( SELECT conversation\.id'
            else 'zone_id = ANY'
        end
    """,
    # A graph through several zones would let some rows decide which others are found.
    r"""
    select concat_ws(' ', relname, 'is a graph through more than one zone')
    from pg_index join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
    where relnamespace = 'kiban'::regnamespace and amname in ('hnsw', 'ivfflat')
        and coalesce(pg_get_expr(indpred, indrelid), '') !~ '^\(zone_id = \d+\)$'
    """,
    """
    select concat_ws(' ', current_user, 'may read', relname)
    from pg_class
    where relnamespace = 'kiban'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
        and relname <> all (%(readable)s) and has_table_privilege(oid, 'select')
    """,
    """
    select concat_ws(' ', current_user, 'may change', relname)
    from pg_class
    where relnamespace = 'kiban'::regnamespace and relkind in ('r', 'p', 'v')
        and has_table_privilege(oid, 'insert, update, delete, truncate, trigger')
    """,
    """
    select concat_ws(' ', current_user, 'may create in schema', nspname)
    from pg_namespace
    where nspname in ('kiban', 'public') and has_schema_privilege(oid, 'create')
    """,
)

# schema.sql seeds two zones: one that everyone may read, and one that nobody may.
CANARIES = "select readers from kiban.zone where readers in ('{}', array['everyone'])"


def check(connection: Connection) -> None:
    """Raise UnsafeRole, naming every fault, unless this connection's role can only read what it should.

    Leaves the transaction's groups unset.
    """
    found = [
        fault
        for inspection in INSPECTIONS
        for (fault,) in connection.execute(inspection, {"guarded": GUARDED, "readable": READABLE})
    ]
    found += _canary(connection)
    if found:
        raise UnsafeRole("; ".join(found), mend="kiban up, which sets the roles and policies again")


def _canary(connection: Connection) -> list[str]:
    faults = []
    for groups in ("", "{}"):
        _read_for(connection, groups)
        faults += [
            f"rows of {table} are seen for no group"
            for table in GUARDED
            if connection.execute(f"select from kiban.{table} limit 1".encode()).rowcount
        ]
    _read_for(connection, f"{{{EVERYONE}}}")
    if (zones := connection.execute(CANARIES).fetchall()) != [([EVERYONE],)]:
        faults.append(f"for the group {EVERYONE} these zones are seen: {zones}")
    _read_for(connection, "")
    return faults


def _read_for(connection: Connection, groups: str) -> None:
    connection.execute("select set_config('kiban.groups', %s, true)", [groups])
