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

-- Whom this house itself knows, with the argon2id hash of a password; without one it is a service.
create table if not exists kiban.local_user (
    name text primary key check (name <> ''),
    password text not null,
    made timestamptz not null default now()
);

-- Tokens of services, and of sessions of the page, by the hash of their random half.
create table if not exists kiban.token (
    id text primary key,
    secret_sha256 bytea not null,
    subject text not null,
    scopes text[],  -- null: all that the subject may do
    purpose text not null check (purpose in ('service', 'session')),
    note text not null,
    made timestamptz not null default now(),
    expires timestamptz not null,
    revoked timestamptz
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
-- Numbers that others get to see are drawn, not counted: a gap would tell that something is stored elsewhere.
-- 52 random bits of a version 4 UUID (RFC 9562), which JSON and JavaScript carry without loss.
create or replace function kiban.drawn() returns bigint language sql volatile as $$
    select ('x' || right(replace(gen_random_uuid()::text, '-', ''), 13))::bit(52)::bigint
$$;
alter table kiban.document alter column id drop identity if exists, alter column id set default kiban.drawn();
alter table kiban.document
    add column if not exists tag text not null default '',  -- as the source last said
    add column if not exists url text not null default '',
    add column if not exists modified timestamptz,
    add column if not exists identity text not null default '',
    -- When a worker may take it; while it is lent, that is the lease's end.
    add column if not exists due timestamptz not null default now(),
    add column if not exists lease text not null default '',
    add column if not exists deaths integer not null default 0;  -- of workers that read it, in a row
alter table kiban.document drop constraint if exists document_state_check;
alter table kiban.document add constraint document_state_check
    check (state in ('waiting', 'reading', 'ready', 'failed', 'dead'));
create index if not exists document_due on kiban.document (source, due)
    where state in ('waiting', 'reading', 'failed');
create index if not exists document_identity on kiban.document (source, identity);
create index if not exists document_lease on kiban.document (lease) where lease <> '';

-- What stays of a deleted document: that it was there. Nothing it said.
create table if not exists kiban.tombstone (
    document_id bigint primary key,
    source text not null,
    uri text not null,
    version integer not null,
    at timestamptz not null default now(),
    why text not null
);

-- What each source said last: where to go on listing, and why deletions are held back, if they are.
create table if not exists kiban.source (
    name text primary key,
    cursor text not null default ''
);
alter table kiban.source
    add column if not exists surveyed timestamptz,
    add column if not exists refused text not null default '';

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
    unique (id, zone_id),
    foreign key (document_id, zone_id) references kiban.document (id, zone_id)
        on update cascade on delete cascade
);
-- A document has chunks in every cut that lives (chunking + tokeniser, see generation below). A reader sees
-- those of the cut it reads for. What was stored before chunks kept their lead is taken to begin a line.
alter table kiban.chunk
    add column if not exists anchor text not null default '',
    add column if not exists cut_id integer not null default 1,
    add column if not exists lead text default E'\n';
alter table kiban.chunk alter column lead drop default;
create unique index if not exists chunk_of_document on kiban.chunk (document_id, cut_id, ordinal);
alter table kiban.chunk drop constraint if exists chunk_document_id_ordinal_key;
create index if not exists chunk_zone on kiban.chunk (zone_id) include (length);
create index if not exists chunk_besides on kiban.chunk (cut_id, document_id) where cut_id <> 1;

-- Secrets and personal data in a chunk, found once, when it was stored.
create table if not exists kiban.sensitive (
    chunk_id bigint not null,
    zone_id integer not null,
    kind text not null,
    span_start integer not null,
    span_end integer not null,  -- of the chunk's original text
    primary key (chunk_id, span_start),
    foreign key (chunk_id, zone_id) references kiban.chunk (id, zone_id)
        on update cascade on delete cascade
);
create index if not exists sensitive_zone on kiban.sensitive (zone_id);

-- Figures and drawings, small, under the chunk each stands beside. Compared whole: there is no graph.
create table if not exists kiban.picture (
    chunk_id bigint not null,
    zone_id integer not null,
    ordinal integer not null,  -- within its document
    caption text not null,
    thumbnail bytea not null,  -- PNG
    embedder_sha256 text not null,
    vector halfvec not null,
    primary key (chunk_id, ordinal),
    foreign key (chunk_id, zone_id) references kiban.chunk (id, zone_id)
        on update cascade on delete cascade
);
alter table kiban.picture add column if not exists at integer;  -- in its document; null: beside its chunk
create index if not exists picture_zone on kiban.picture (zone_id, embedder_sha256);
alter table kiban.picture alter column vector set storage plain;

-- The key is all that the lexical lane reads: term by term, and only of the zones it may see. Terms of another
-- cut than the first begin with its number (copying.py): two tokenisers' words are two vocabularies.
create table if not exists kiban.posting (
    term text not null,
    chunk_id bigint not null,
    zone_id integer not null,
    frequency integer not null,
    length integer not null
);
do $$
begin
    if not exists (
        select from pg_constraint where conrelid = 'kiban.posting'::regclass and conname = 'posting_key'
    ) then
        alter table kiban.posting drop constraint if exists posting_pkey;  -- before tallies: (term, chunk_id)
        alter table kiban.posting add constraint posting_key
            primary key (term, zone_id, chunk_id) include (frequency, length);
    end if;
end $$;
create index if not exists posting_chunk on kiban.posting (chunk_id, zone_id);

-- What a foreign key to chunk (id, zone_id) with cascades would do, but once a statement: a chunk has some
-- forty postings, and looking it up for each took a fifth of storing. As there, a chunk that is being deleted
-- or moved is waited for.
create or replace function kiban.postings_arrive() returns trigger language plpgsql as $$
begin
    perform from kiban.chunk where (id, zone_id) in (select chunk_id, zone_id from arrived) for key share;
    if exists (
        select from (select distinct chunk_id, zone_id from arrived) as one
        where not exists (select from kiban.chunk where id = chunk_id and chunk.zone_id = one.zone_id)
    ) then
        raise foreign_key_violation using message = 'a posting of no chunk, or of another zone than its chunk';
    end if;
    return null;
end $$;

create or replace function kiban.postings_follow() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from kiban.posting where chunk_id in (select id from gone);
    else
        update kiban.posting set zone_id = arrived.zone_id
        from gone join arrived using (id)
        where chunk_id = id and gone.zone_id <> arrived.zone_id;
    end if;
    return null;
end $$;

alter table kiban.posting drop constraint if exists posting_chunk_id_zone_id_fkey;
create or replace trigger postings_arrive after insert on kiban.posting
    referencing new table as arrived for each statement execute function kiban.postings_arrive();
create or replace trigger postings_follow_moved after update on kiban.chunk
    referencing old table as gone new table as arrived
    for each statement execute function kiban.postings_follow();
create or replace trigger postings_follow_gone after delete on kiban.chunk
    referencing old table as gone for each statement execute function kiban.postings_follow();

-- What there is, zone by zone: rows of differences, whose sum is exact in every transaction. Nothing is
-- ever updated, so those who store at once do not wait for each other. `kiban.settle_tallies` adds them up.
create table if not exists kiban.zone_tally (
    zone_id integer not null,
    chunks bigint not null,
    length bigint not null  -- terms, repeats counted
);
alter table kiban.zone_tally add column if not exists cut_id integer not null default 1;
create index if not exists zone_tally_cut on kiban.zone_tally (zone_id, cut_id) include (chunks, length);
drop index if exists kiban.zone_tally_zone;

create table if not exists kiban.term_tally (
    term text not null,
    zone_id integer not null,
    chunks bigint not null  -- that hold the term
);
create index if not exists term_tally_term on kiban.term_tally (term, zone_id) include (chunks);

create or replace function kiban.tally_chunks() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        insert into kiban.zone_tally (zone_id, cut_id, chunks, length)
        select zone_id, cut_id, count(*), sum(length) from arrived group by zone_id, cut_id;
    end if;
    if tg_op <> 'INSERT' then
        insert into kiban.zone_tally (zone_id, cut_id, chunks, length)
        select zone_id, cut_id, -count(*), -sum(length) from gone group by zone_id, cut_id;
    end if;
    return null;
end $$;

create or replace function kiban.tally_terms() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        insert into kiban.term_tally (term, zone_id, chunks)
        select term, zone_id, count(*) from arrived group by term, zone_id;
    end if;
    if tg_op <> 'INSERT' then
        insert into kiban.term_tally (term, zone_id, chunks)
        select term, zone_id, -count(*) from gone group by term, zone_id;
    end if;
    return null;
end $$;

do $$
declare
    counted text;
    counting text;
begin
    for counted, counting in values ('chunk', 'tally_chunks'), ('posting', 'tally_terms') loop
        if exists (select from pg_trigger where tgname = counting || '_arrived') then
            continue;
        end if;
        execute format('create trigger %s_arrived after insert on kiban.%I referencing new table as arrived '
            'for each statement execute function kiban.%I()', counting, counted, counting);
        execute format('create trigger %s_moved after update on kiban.%I referencing old table as gone '
            'new table as arrived for each statement execute function kiban.%I()', counting, counted, counting);
        execute format('create trigger %s_gone after delete on kiban.%I referencing old table as gone '
            'for each statement execute function kiban.%I()', counting, counted, counting);
        if counted = 'chunk' then
            insert into kiban.zone_tally (zone_id, cut_id, chunks, length)
            select zone_id, cut_id, count(*), sum(length) from kiban.chunk group by zone_id, cut_id;
        else
            insert into kiban.term_tally
            select term, zone_id, count(*) from kiban.posting group by term, zone_id;
        end if;
    end loop;
end $$;

-- How often it has changed who may read what, or what is in force: a replica that has not heard of all
-- changes is not asked (replica.py). Only its sum means anything.
create table if not exists kiban.change_tally (changes bigint not null);

create or replace function kiban.tally_change() returns trigger language plpgsql as $$
begin
    insert into kiban.change_tally (changes) values (1);
    return null;
end $$;
create or replace trigger document_change after delete or update of zone_id on kiban.document
    for each statement execute function kiban.tally_change();
create or replace trigger chunk_change after delete on kiban.chunk
    for each statement execute function kiban.tally_change();
create or replace trigger membership_change after insert or update or delete on kiban.membership
    for each statement execute function kiban.tally_change();

-- One embedder + chunking + tokeniser is one generation of the index. A new one is built beside the old.
-- Generations of the same chunking and tokeniser share a cut. Its number is never given twice.
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
alter table kiban.generation add column if not exists cut_id integer not null default 1;
create sequence if not exists kiban.cut_id_seq start 2;

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
alter table kiban.embedding alter column vector set storage plain;  -- beside its row: 2,000 bytes are not long

-- The zones of a generation that are searched through a graph: an index over that zone's vectors alone.
-- graphs.py enters one here when it is whole.
create table if not exists kiban.graph (
    generation_id integer not null references kiban.generation on delete cascade,
    zone_id integer not null references kiban.zone,
    primary key (generation_id, zone_id)
);

-- What people say of answers. It goes with the document it is about, so that no text outlives its source;
-- a thumb alone names no document. A curator sees what is about documents they may read.
create table if not exists kiban.feedback (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    author text not null,
    rating text not null check (rating in ('up', 'down')),
    question text not null,
    answer text not null,
    release_id text not null,
    correction text not null,
    comment text not null,
    document_id bigint references kiban.document on delete cascade,
    version integer,
    span_start integer,
    span_end integer,
    quote text,
    check (num_nulls(document_id, version, span_start, span_end, quote) in (0, 5))
);
alter table kiban.feedback alter column id drop identity if exists, alter column id set default kiban.drawn();
create index if not exists feedback_document on kiban.feedback (document_id);

create table if not exists kiban.decision (
    feedback_id bigint not null references kiban.feedback on delete cascade,
    curator text not null,
    at timestamptz not null default now(),
    approves boolean not null,
    reason text not null,
    primary key (feedback_id, curator)
);

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
alter table kiban.ledger add column if not exists share integer not null default 100;  -- per cent of people

create or replace function kiban.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only';
end $$;
create or replace trigger ledger_change after insert on kiban.ledger
    for each statement execute function kiban.tally_change();
create or replace trigger ledger_is_append_only
    before update or delete or truncate on kiban.ledger
    for each statement execute function kiban.refuse_change();

-- What people asked and were answered, for themselves alone. An answer holds words of documents: it is shown while
-- its reader may read all of them, and forgotten when one of them is gone.
create table if not exists kiban.conversation (
    id uuid primary key default gen_random_uuid(), -- random: no number tells how much others ask
    subject text not null,
    title text not null,
    begun timestamptz not null default now(),
    last timestamptz not null default now()
);
create index if not exists conversation_subject on kiban.conversation (subject, last);

create table if not exists kiban.exchange (
    conversation_id uuid not null references kiban.conversation on delete cascade,
    number integer not null,
    at timestamptz not null default now(),
    question text not null,
    answer jsonb, -- text, citations, …; null when it was forgotten
    documents bigint[] not null, -- that it was made from
    primary key (conversation_id, number)
);
create index if not exists exchange_documents on kiban.exchange using gin (documents);

create or replace function kiban.forget_what_was_said() returns trigger language plpgsql as $$
begin
    update kiban.exchange set answer = null where documents @> array[old.id];
    return old;
end $$;
create or replace trigger document_is_gone after delete on kiban.document
    for each row execute function kiban.forget_what_was_said();

-- What was answered, for auditors: append-only and hash-chained. Only its oldest lines may go, all at once, and
-- then the last of them leaves its hash, to which the chain that stays is tied.
create table if not exists kiban.answer_record (
    seq bigint primary key,
    at timestamptz not null,
    asker text not null,
    question text not null,
    release_id text not null,
    shown jsonb not null, -- [document, version, chunk] of each passage
    citations integer not null,
    refused_quotes integer not null,
    ending text not null,
    previous_hash text not null,
    hash text not null unique
);
alter table kiban.answer_record add column if not exists milliseconds integer not null default 0;
alter table kiban.answer_record add column if not exists refused_by text not null default '';
create index if not exists answer_record_at on kiban.answer_record (at);

create table if not exists kiban.answer_record_end (
    seq bigint primary key,
    hash text not null,
    forgotten timestamptz not null default now()
);

create or replace function kiban.refuse_change_of_answers() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('kiban.forgetting', true) = 'on' then
        return null;
    end if;
    raise exception 'the record of answers is append-only';
end $$;
create or replace trigger answer_record_is_append_only
    before update or delete or truncate on kiban.answer_record
    for each statement execute function kiban.refuse_change_of_answers();

-- Returns how many lines went. The newest line stays, whatever its age: the next one is tied to it.
create or replace function kiban.forget_answers(before timestamptz) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    last record;
    gone bigint;
begin
    perform pg_advisory_xact_lock(hashtext('kiban answers'));
    select seq, hash into last from kiban.answer_record
    where at < before and seq < (select max(seq) from kiban.answer_record)
    order by seq desc limit 1;
    if last.seq is null then
        return 0;
    end if;
    perform set_config('kiban.forgetting', 'on', true);
    delete from kiban.answer_record where seq <= last.seq;
    get diagnostics gone = row_count;
    perform set_config('kiban.forgetting', 'off', true);
    insert into kiban.answer_record_end (seq, hash) values (last.seq, last.hash);
    return gone;
end $$;

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

-- For whom it reads together, if for a whole zone: only what each of these groups may read by itself is seen.
create or replace function kiban.reading_together() returns text[] language sql stable parallel safe as $$
    select coalesce(nullif(current_setting('kiban.each_of', true), ''), '{}')::text[]
$$;

-- Which cut this transaction reads: unset, the first.
create or replace function kiban.reading_cut() returns integer language sql stable parallel safe as $$
    select coalesce(nullif(current_setting('kiban.cut', true), '')::integer, 1)
$$;

-- The reader sees the zones it may read, and of every other table the rows of the zones it sees; of chunks
-- and what counts them, those of one cut, so that no answer mixes two.
do $$
declare
    name text;
begin
    foreach name in array array[
        'zone', 'document', 'chunk', 'sensitive', 'posting', 'embedding', 'zone_tally', 'term_tally', 'graph',
        'picture', 'feedback', 'decision'
    ] loop
        execute format('alter table kiban.%I enable row level security', name);
        execute format('alter table kiban.%I force row level security', name);
        execute format('drop policy if exists keepers on kiban.%I', name);
        execute format('drop policy if exists readers on kiban.%I', name);
        execute format(
            'create policy keepers on kiban.%I to kiban_owner, kiban_writer using (true) with check (true)', name);
        execute format(
            'create policy readers on kiban.%I for select to kiban_reader using (%s)', name,
            case name
                when 'zone' then 'readers && (select kiban.reading_groups()) and (readers @> array[''everyone'']'
                    ' or readers @> (select kiban.reading_together()))'
                when 'feedback' then 'document_id in (select id from kiban.document)'
                when 'decision' then 'feedback_id in (select id from kiban.feedback)'
                else 'zone_id = any (array(select id from kiban.zone))'
                    || case when name in ('chunk', 'zone_tally')
                        then ' and cut_id = (select kiban.reading_cut())' else '' end
            end);
    end loop;
end $$;

-- Conversations are read by whoever had them, which each transaction says for itself.
do $$
declare
    name text;
begin
    foreach name in array array['conversation', 'exchange'] loop
        execute format('alter table kiban.%I enable row level security', name);
        execute format('alter table kiban.%I force row level security', name);
        execute format('drop policy if exists keepers on kiban.%I', name);
        execute format('drop policy if exists own on kiban.%I', name);
        execute format(
            'create policy keepers on kiban.%I to kiban_owner, kiban_writer using (true) with check (true)', name);
        execute format(
            'create policy own on kiban.%I for select to kiban_reader using (%s)', name,
            case name
                when 'conversation' then 'subject = nullif(current_setting(''kiban.subject'', true), '''')'
                else 'conversation_id in (select id from kiban.conversation)'
            end);
    end loop;
end $$;

-- Building an index needs an owner; the writer asks through these. A partition is closed to the reader
-- twice over: no grant, and row-level security without a policy for it.
create or replace function kiban.add_generation(
    embedder text, embedder_sha256 text, dimensions integer, tokenizer text, chunking text
) returns integer language plpgsql security definer set search_path from current as $$
declare
    generation integer;
    cut integer;
    partition text;
begin
    lock table kiban.generation in share row exclusive mode;  -- two who ask at once get one generation
    select id from kiban.generation as known into generation
    where (known.embedder_sha256, known.tokenizer, known.chunking) = ($2, $4, $5);
    if generation is not null then
        return generation;
    end if;
    lock table kiban.chunk in share row exclusive mode;  -- in the order of those who store, or we deadlock
    select min(cut_id) from kiban.generation as known into cut
    where (known.tokenizer, known.chunking) = ($4, $5);
    if cut is null then
        cut := case when exists (select from kiban.generation) then nextval('kiban.cut_id_seq') else 1 end;
    end if;
    insert into kiban.generation (embedder, embedder_sha256, dimensions, tokenizer, chunking, cut_id)
    values ($1, $2, $3, $4, $5, cut) returning id into generation;
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

drop function if exists kiban.index_generation;  -- its graph ran through all zones
do $$
declare
    graph text;
begin
    for graph in select indexname from pg_indexes where schemaname = 'kiban' and indexname ~ '^embedding_\d+_graph$' loop
        execute format('drop index kiban.%I', graph);
    end loop;
end $$;

-- Adds the differences up. Two at once do not count anything twice: the second finds the rows gone.
create or replace function kiban.settle_tallies() returns void
language sql security definer set search_path from current as $$
    with taken as (delete from kiban.change_tally returning changes)
    insert into kiban.change_tally select sum(changes) from taken having count(*) > 0;
    with taken as (delete from kiban.zone_tally returning zone_id, cut_id, chunks, length)
    insert into kiban.zone_tally (zone_id, cut_id, chunks, length)
    select zone_id, cut_id, sum(chunks), sum(length) from taken
    group by zone_id, cut_id having sum(chunks) <> 0;
    with taken as (delete from kiban.term_tally returning term, zone_id, chunks)
    insert into kiban.term_tally select term, zone_id, sum(chunks) from taken
    group by term, zone_id having sum(chunks) <> 0;
$$;

create or replace function kiban.drop_generation(generation integer) returns void
language plpgsql security definer set search_path from current as $$
begin
    -- The founding release, and whatever somebody may want back.
    if exists (
        select from kiban.ledger join kiban.release on release.id = release_id
        where (content ->> 'generation')::integer = $1
            and (seq = 1 or seq > (select max(seq) from kiban.ledger) - 5)
    ) then
        raise exception 'one of the last releases was made with generation %', $1;
    end if;
    lock table kiban.generation in share row exclusive mode;
    lock table kiban.chunk in share row exclusive mode;  -- whoever stores has done so, or will find it gone
    execute format('drop table if exists kiban.embedding_%s', $1);
    delete from kiban.generation where id = $1;
end $$;

revoke execute on function kiban.add_generation, kiban.settle_tallies, kiban.drop_generation from public;
grant execute on function kiban.add_generation, kiban.settle_tallies, kiban.drop_generation to kiban_writer;

grant select, insert, update, delete on kiban.conversation, kiban.exchange to kiban_writer;
grant select on kiban.conversation, kiban.exchange to kiban_reader;
revoke execute on function kiban.forget_answers from public;
grant execute on function kiban.forget_answers to kiban_writer;
grant select, insert on kiban.answer_record to kiban_writer;
grant select on kiban.answer_record_end to kiban_writer;

grant select, insert, update, delete on kiban.local_user, kiban.token to kiban_writer;
grant usage on schema kiban to kiban_writer, kiban_reader;
grant select, insert, update, delete on kiban.zone, kiban.membership, kiban.source, kiban.tombstone, kiban.document,
    kiban.chunk, kiban.posting, kiban.embedding, kiban.curriculum, kiban.lineage to kiban_writer;
grant select, insert, update, delete on kiban.sensitive, kiban.picture to kiban_writer;
grant select, insert on kiban.zone_tally, kiban.term_tally, kiban.change_tally to kiban_writer;
grant select on kiban.graph to kiban_writer;
grant select, insert on kiban.release, kiban.ledger, kiban.feedback to kiban_writer;
grant select, insert, update on kiban.decision to kiban_writer;
grant select on kiban.feedback, kiban.decision to kiban_reader;
grant select on kiban.generation, kiban.tainted_curriculum to kiban_writer;
grant usage on sequence kiban.chunk_id_seq to kiban_writer;
grant select on kiban.zone, kiban.document, kiban.chunk, kiban.posting, kiban.embedding,
    kiban.generation, kiban.membership, kiban.release, kiban.ledger, kiban.zone_tally, kiban.term_tally,
    kiban.change_tally, kiban.graph, kiban.sensitive, kiban.picture to kiban_reader;
grant select (curriculum_sha256) on kiban.tainted_curriculum to kiban_reader;  -- not which documents
