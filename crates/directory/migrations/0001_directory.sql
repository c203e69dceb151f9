-- Domains, accounts and aliases. Names are stored in the form that `directory::AccountName`
-- admits (lower case, safe as a path); the checks here repeat the part of that rule on which
-- file paths rest, so that a row written by hand cannot break it either.

CREATE TABLE directory.compatibility (
    -- Raised only by a migration that older binaries cannot live with.
    level integer NOT NULL
);
INSERT INTO directory.compatibility (level) VALUES (1);
CREATE UNIQUE INDEX compatibility_is_one_row ON directory.compatibility ((true));

-- A domain that is given no tenant is a tenant of its own; smaller numbers are the operator's.
CREATE SEQUENCE directory.tenant AS bigint START 1000000;

CREATE FUNCTION directory.is_safe_name(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN name ~ '^[a-z0-9_][a-z0-9._=+''-]*$'
       AND name !~ '\.\.|\.$'
       AND length(name) <= 64;

CREATE FUNCTION directory.is_safe_domain(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN name ~ '^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$'
       AND name !~ '\.\.'
       AND length(name) <= 255;

CREATE TABLE directory.domain (
    name       text        PRIMARY KEY CHECK (directory.is_safe_domain(name)),
    tenant     bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, tenant)
);

CREATE TABLE directory.account (
    id                 bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    tenant             bigint      NOT NULL,
    domain             text        NOT NULL,
    local_part         text        NOT NULL CHECK (directory.is_safe_name(local_part)),
    -- Argon2id as a PHC string; none: nobody can log in, mail is still taken.
    password_hash      text        CHECK (password_hash LIKE '$argon2id$%'),
    disabled           boolean     NOT NULL DEFAULT false,
    -- Raised with every change of the password or of `disabled`, so that a remembered login
    -- can be told from a current one.
    credential_version bigint      NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (domain, local_part),
    FOREIGN KEY (domain, tenant) REFERENCES directory.domain (name, tenant)
);

-- One row a target. Targets are accounts, never aliases, so that a loop cannot be written down.
CREATE TABLE directory.alias (
    domain     text        NOT NULL REFERENCES directory.domain (name),
    local_part text        NOT NULL CHECK (directory.is_safe_name(local_part)),
    target     bigint      NOT NULL REFERENCES directory.account (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, local_part, target)
);
CREATE INDEX alias_by_target ON directory.alias (target);
