-- Kiban's tables. Run by kiban_owner (schema.py makes the roles and the schema); safe to run again.
-- Three roles: kiban_owner owns, kiban_writer stores, kiban_reader answers. The reader owns nothing,
-- cannot bypass row-level security, and sees nothing until a transaction says whose groups it reads for.

-- A zone is all documents with an identical audience. No reader group means nobody.
create table if not exists kiban.zone (
    id integer generated always as identity primary key,
    readers text[] not null unique check (array_position(readers, '') is null)
);

-- Two canaries for posture.py: what everyone may read, and what nobody may.
insert into kiban.zone (readers) values ('{everyone}'), ('{}') on conflict (readers) do nothing;

create table if not exists kiban.membership (
    source text not null,
    person text not null,
    group_name text not null,
    primary key (person, group_name, source)
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
create index if not exists embedding_zone on kiban.embedding (zone_id);  -- the exact lane's way in

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
where document.id is null or not (zone.readers @> array['everyone'] or zone.readers @> curriculum.audience);

-- Whose groups this transaction reads for, as an array literal. Unset or empty: nobody's.
create or replace function kiban.reading_groups() returns text[] language sql stable parallel safe as $$
    select nullif(current_setting('kiban.groups', true), '')::text[]
$$;

-- The reader sees the zones it may read, and of every other table the rows of the zones it sees.
do $$
declare
    name text;
begin
    foreach name in array array['zone', 'document', 'chunk', 'posting', 'embedding'] loop
        execute format('alter table kiban.%I enable row level security', name);
        execute format('alter table kiban.%I force row level security', name);
        execute format('drop policy if exists keepers on kiban.%I', name);
        execute format('drop policy if exists readers on kiban.%I', name);
        execute format(
            'create policy keepers on kiban.%I to kiban_owner, kiban_writer using (true) with check (true)', name);
        execute format(
            'create policy readers on kiban.%I for select to kiban_reader using (%s)', name,
            case name when 'zone' then 'readers && (select kiban.reading_groups())'
                else 'zone_id = any (array(select id from kiban.zone))' end);
    end loop;
end $$;

-- Building an index needs an owner; the writer asks through these. A partition is closed to the reader
-- twice over: no grant, and row-level security without a policy for it.
create or replace function kiban.add_generation(
    embedder text, embedder_sha256 text, dimensions integer, tokenizer text, chunking text
) returns integer language plpgsql security definer set search_path from current as $$
declare
    generation integer;
    partition text;
begin
    lock table kiban.generation in share row exclusive mode;  -- two who ask at once get one generation
    select id from kiban.generation as known into generation
    where (known.embedder_sha256, known.tokenizer, known.chunking) = ($2, $4, $5);
    if generation is not null then
        return generation;
    end if;
    insert into kiban.generation (embedder, embedder_sha256, dimensions, tokenizer, chunking)
    values ($1, $2, $3, $4, $5) returning id into generation;
    partition := format('embedding_%s', generation);
    execute format(
        'create table kiban.%I partition of kiban.embedding (check (vector_dims(vector) = %s)) '
        'for values in (%s)', partition, dimensions, generation);
    execute format('alter table kiban.%I enable row level security', partition);
    execute format('alter table kiban.%I force row level security', partition);
    execute format(
        'create policy keepers on kiban.%I to kiban_owner, kiban_writer using (true) with check (true)',
        partition);
    return generation;
end $$;

create or replace function kiban.index_generation(generation integer) returns void
language plpgsql security definer set search_path from current as $$
begin
    execute format(
        'create index if not exists embedding_%s_graph on kiban.embedding_%s '
        'using hnsw ((vector::halfvec(%s)) halfvec_cosine_ops)', $1, $1,
        (select dimensions from kiban.generation where id = $1));
    execute format('analyze kiban.embedding_%s', $1);
end $$;

create or replace function kiban.drop_generation(generation integer) returns void
language plpgsql security definer set search_path from current as $$
begin
    if exists (select from kiban.release where (content ->> 'generation')::integer = $1) then
        raise exception 'a release was made with generation %', $1;
    end if;
    execute format('drop table if exists kiban.embedding_%s', $1);
    delete from kiban.generation where id = $1;
end $$;

revoke execute on function kiban.add_generation, kiban.index_generation, kiban.drop_generation from public;
grant execute on function kiban.add_generation, kiban.index_generation, kiban.drop_generation to kiban_writer;

grant usage on schema kiban to kiban_writer, kiban_reader;
grant select, insert, update, delete on kiban.zone, kiban.membership, kiban.document, kiban.chunk,
    kiban.posting, kiban.embedding, kiban.curriculum, kiban.lineage to kiban_writer;
grant select, insert on kiban.release, kiban.ledger to kiban_writer;
grant select on kiban.generation, kiban.tainted_curriculum to kiban_writer;
grant usage on sequence kiban.chunk_id_seq to kiban_writer;
grant select on kiban.zone, kiban.document, kiban.chunk, kiban.posting, kiban.embedding,
    kiban.generation, kiban.membership, kiban.release, kiban.ledger to kiban_reader;
grant select (curriculum_sha256) on kiban.tainted_curriculum to kiban_reader;  -- not which documents
