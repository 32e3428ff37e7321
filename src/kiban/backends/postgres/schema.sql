-- Kiban's tables. Run by the owner; safe to run again.
-- Three roles: kiban_owner owns, kiban_writer stores, kiban_reader answers. The reader owns nothing,
-- cannot bypass row-level security, and sees nothing until a transaction says whose groups it reads for.

create schema if not exists kiban;
create extension if not exists vector;

-- A zone is all documents with an identical audience. No reader group means nobody.
create table if not exists kiban.zone (
    id integer generated always as identity primary key,
    readers text[] not null unique
);

create table if not exists kiban.membership (
    person text not null,
    group_name text not null,
    primary key (person, group_name)
);

create table if not exists kiban.document (
    id bigint generated always as identity primary key,
    source text not null,
    uri text not null,
    title text not null default '',
    version integer not null default 1,
    sha256 text not null,
    size bigint not null,
    zone_id integer not null references kiban.zone,
    state text not null check (state in ('ready', 'failed')),
    since timestamptz not null default now(),
    reason text not null default '',
    attempts integer not null default 0,
    unique (source, uri),
    unique (id, zone_id)
);

-- zone_id is not a second copy that could go stale: the composite key makes it follow the document.
create table if not exists kiban.chunk (
    id bigint generated always as identity primary key,
    document_id bigint not null,
    zone_id integer not null,
    ordinal integer not null,
    span_start integer not null,
    span_end integer not null,
    page integer,
    sheet text,
    slide integer,
    heading text not null default '',
    original text not null,
    normalised text not null,
    length integer not null,  -- terms, for BM25
    unique (document_id, ordinal),
    unique (id, zone_id),
    foreign key (document_id, zone_id) references kiban.document (id, zone_id)
        on update cascade on delete cascade
);
create index if not exists chunk_zone on kiban.chunk (zone_id) include (length);

create table if not exists kiban.posting (
    term text not null,
    chunk_id bigint not null,
    zone_id integer not null,
    frequency integer not null,
    length integer not null,
    primary key (term, chunk_id),
    foreign key (chunk_id, zone_id) references kiban.chunk (id, zone_id)
        on update cascade on delete cascade
);
create index if not exists posting_chunk on kiban.posting (chunk_id, zone_id);

-- One embedder + chunking + tokeniser is one generation of the index. A new one is built beside the old.
create table if not exists kiban.generation (
    id integer generated always as identity primary key,
    embedder text not null,
    embedder_sha256 text not null,
    dimensions integer not null,
    tokenizer text not null,
    chunking text not null,
    created timestamptz not null default now(),
    unique (embedder_sha256, tokenizer, chunking)
);

create table if not exists kiban.embedding (
    generation_id integer not null references kiban.generation,
    chunk_id bigint not null,
    zone_id integer not null,
    vector halfvec not null,
    primary key (generation_id, chunk_id),
    foreign key (chunk_id, zone_id) references kiban.chunk (id, zone_id)
        on update cascade on delete cascade
) partition by list (generation_id);
create index if not exists embedding_chunk on kiban.embedding (chunk_id, zone_id);

-- What was learnt from what. No foreign key to document: lineage outlives what it points at.
create table if not exists kiban.curriculum (
    sha256 text primary key,
    audience text[] not null,
    prompt_version text not null,
    examples jsonb not null,
    created timestamptz not null default now()
);

create table if not exists kiban.lineage (
    curriculum_sha256 text not null references kiban.curriculum,
    document_id bigint not null,
    uri text not null,
    version integer not null,
    sha256 text not null,
    primary key (curriculum_sha256, document_id)
);
create index if not exists lineage_document on kiban.lineage (document_id);

create table if not exists kiban.release (
    id text primary key,
    content jsonb not null,
    curriculum_sha256 text references kiban.curriculum,
    created timestamptz not null default now()
);

-- Append-only and hash-chained. Its primary key is the compare-and-swap: two people who saw the same
-- last entry both write seq + 1, and only one of them can.
create table if not exists kiban.ledger (
    seq bigint primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    release_id text not null references kiban.release,
    reason text not null,
    evidence text not null,
    previous_hash text not null,
    hash text not null unique
);

create or replace function kiban.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only';
end $$;
create or replace trigger ledger_is_append_only
    before update or delete or truncate on kiban.ledger
    for each statement execute function kiban.refuse_change();

-- Curricula that saw a document which is gone, or which not everyone in their audience may read now.
create or replace view kiban.tainted_curriculum as
select distinct lineage.curriculum_sha256, lineage.uri
from kiban.lineage
join kiban.curriculum on curriculum.sha256 = lineage.curriculum_sha256
left join kiban.document on document.id = lineage.document_id
left join kiban.zone on zone.id = document.zone_id
where document.id is null or not (zone.readers @> curriculum.audience);

-- Row-level security. Null or empty groups: no zone, no row.
create or replace function kiban.visible_zones() returns integer[] language sql stable as $$
    select coalesce(array_agg(id), '{}') from kiban.zone
    where readers && string_to_array(nullif(current_setting('kiban.groups', true), ''), ',')
$$;

do $$
declare
    name text;
    zone_column text;
begin
    foreach name in array array['zone', 'document', 'chunk', 'posting', 'embedding'] loop
        zone_column := case name when 'zone' then 'id' else 'zone_id' end;
        execute format('alter table kiban.%I enable row level security', name);
        execute format('alter table kiban.%I force row level security', name);
        execute format('drop policy if exists keepers on kiban.%I', name);
        execute format('create policy keepers on kiban.%I to kiban_owner, kiban_writer using (true) with check (true)', name);
        execute format('drop policy if exists readers on kiban.%I', name);
        if name = 'zone' then
            create policy readers on kiban.zone for select to kiban_reader
                using (readers && string_to_array(nullif(current_setting('kiban.groups', true), ''), ','));
        else
            execute format(
                'create policy readers on kiban.%I for select to kiban_reader '
                'using (zone_id = any ((select kiban.visible_zones())::integer[]))', name);
        end if;
    end loop;
end $$;

grant usage on schema kiban to kiban_writer, kiban_reader;
grant select, insert, update, delete on kiban.zone, kiban.membership, kiban.document, kiban.chunk,
    kiban.posting, kiban.generation, kiban.embedding, kiban.curriculum, kiban.lineage to kiban_writer;
grant select, insert on kiban.release, kiban.ledger to kiban_writer;
grant select on kiban.tainted_curriculum to kiban_writer, kiban_reader;
grant select on kiban.zone, kiban.document, kiban.chunk, kiban.posting, kiban.embedding,
    kiban.generation, kiban.membership, kiban.release, kiban.ledger to kiban_reader;
