-- Operators: accounts with roles, sessions with rotating refresh tokens, API keys, and the count of failed sign-ins.
--
-- A sign-in makes one row of sessions, the family: access tokens carry its jti, refresh tokens hang on it, and revoking it
-- ends them all. An API key has such a row too, so keys live, expire and are revoked by the same rules. Of tokens and keys
-- only hashes are kept. Locks are taken in this order: operators (by name), sessions, refresh_tokens, the audit's head.

CREATE TABLE operators (
    username      text COLLATE "C" PRIMARY KEY CHECK (username ~ '^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$' AND username !~ '^cli[.]'),
    role          text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash text NOT NULL,
    password_at   timestamptz NOT NULL DEFAULT now(),
    must_change   boolean NOT NULL DEFAULT false, -- the password was somebody else's choice
    totp_secret   bytea CHECK (length(totp_secret) = 20),
    totp_on       boolean NOT NULL DEFAULT false,
    totp_used     bigint NOT NULL DEFAULT 0, -- the last step a code was taken for: none works twice
    last_login_at timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (NOT totp_on OR totp_secret IS NOT NULL)
);
CREATE UNIQUE INDEX operators_alike ON operators (lower(username)); -- no two that read alike
CREATE TRIGGER operators_touch BEFORE UPDATE ON operators FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- operator: the account's name; "cli.ROLE" for tokens that the command line signs, which belong to no account.
ALTER TABLE sessions ADD COLUMN operator text COLLATE "C", ADD COLUMN role text CHECK (role IN ('viewer', 'operator', 'admin'));
UPDATE sessions SET operator = 'cli.viewer', role = 'viewer' WHERE kind = 'operator';
ALTER TABLE sessions DROP CONSTRAINT sessions_kind_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_kind_check CHECK (kind IN ('wallet', 'operator', 'api_key'));
ALTER TABLE sessions ADD CONSTRAINT sessions_operator_check CHECK ((kind = 'wallet') = (operator IS NULL) AND (operator IS NULL) = (role IS NULL));
CREATE INDEX sessions_operator ON sessions (operator) WHERE operator IS NOT NULL;

-- A token once used stays until it expires, so that a second use is known for what it is.
CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
    jti        uuid NOT NULL REFERENCES sessions (jti) ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (jti);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_at);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY REFERENCES sessions (jti) ON DELETE CASCADE,
    owner        text COLLATE "C" NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 3),
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX api_keys_owner ON api_keys (owner);

-- Tries of the last minutes per account name and per address. Losing them in a crash is no harm: hence unlogged.
CREATE UNLOGGED TABLE login_attempts (
    key   text COLLATE "C" PRIMARY KEY, -- 'a:' network or 'u:' name
    times timestamptz[] NOT NULL,
    last  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_attempts_last ON login_attempts (last);

-- Seconds until that key may try again, 0: now. The row is locked from here on.
CREATE FUNCTION login_wait(p_key text, p_max int, p_window interval) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    t timestamptz[];
    n int;
BEGIN
    INSERT INTO login_attempts AS a (key, times) VALUES (p_key, '{}')
    ON CONFLICT (key) DO UPDATE SET last = now() RETURNING a.times INTO t;
    SELECT coalesce(array_agg(x ORDER BY x), '{}') INTO t FROM unnest(t) x WHERE x > clock_timestamp() - p_window;
    UPDATE login_attempts a SET times = t WHERE a.key = p_key;
    n := cardinality(t);
    IF n < p_max THEN
        RETURN 0;
    END IF;
    RETURN greatest(1, ceil(extract(epoch FROM t[n - p_max + 1] + p_window - clock_timestamp()))::int);
END $$;

-- IPv6 counts per /64, as one household gets them.
CREATE FUNCTION login_net(p_addr text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT 'a:' || network(set_masklen(p_addr::inet, CASE family(p_addr::inet) WHEN 6 THEN 64 ELSE 32 END))::text $$;

-- Before a password is measured: counts the try as failed, so that many at once cannot pass the bound together;
-- login_forgive takes it back. retry_s > 0: too many, nothing was counted. Maxima of 0: nobody counts.
CREATE FUNCTION login_begin(p_user text, p_addr text, p_window_s int, p_user_max int, p_addr_max int,
                            OUT retry_s int, OUT password_hash text, OUT totp_secret text, OUT totp_used bigint)
LANGUAGE plpgsql AS $$
BEGIN
    retry_s := 0;
    IF p_addr_max > 0 THEN
        retry_s := login_wait(login_net(p_addr), p_addr_max, p_window_s * interval '1 s');
        retry_s := greatest(retry_s, login_wait('u:' || p_user, p_user_max, p_window_s * interval '1 s'));
        IF retry_s > 0 THEN
            RETURN;
        END IF;
        UPDATE login_attempts SET times = times || clock_timestamp(), last = now() WHERE key IN (login_net(p_addr), 'u:' || p_user);
    END IF;
    SELECT o.password_hash, CASE WHEN o.totp_on THEN encode(o.totp_secret, 'hex') END, o.totp_used
    INTO password_hash, totp_secret, totp_used FROM operators o WHERE o.username = p_user;
END $$;

CREATE FUNCTION login_forgive(p_user text, p_addr text) RETURNS void LANGUAGE sql AS $$
    UPDATE login_attempts SET times = times[1:cardinality(times) - 1] WHERE key = login_net(p_addr);
    DELETE FROM login_attempts WHERE key = 'u:' || p_user;
$$;

-- The password was right (its hash is the account's still). outcome: 0 signed in, 1 refused. p_step: of the one-time
-- code, NULL without.
CREATE FUNCTION operator_login(p_req uuid, p_user text, p_hash text, p_step bigint, p_jti uuid, p_refresh bytea,
                               p_issued bigint, p_expires bigint, p_request_id text, p_source_ip text,
                               OUT outcome int, OUT jti uuid, OUT username text, OUT role text, OUT must_change boolean)
LANGUAGE plpgsql AS $$
DECLARE
    o operators;
BEGIN
    outcome := 1;
    SELECT * INTO o FROM operators x WHERE x.username = p_user AND x.password_hash = p_hash FOR UPDATE;
    IF NOT FOUND OR o.totp_on AND (p_step IS NULL OR p_step <= o.totp_used) THEN
        RETURN;
    END IF;
    UPDATE operators x SET last_login_at = now(), totp_used = coalesce(p_step, x.totp_used) WHERE x.username = p_user;
    INSERT INTO sessions (jti, kind, operator, role, issued_at, expires_at)
    VALUES (p_jti, 'operator', p_user, o.role, to_timestamp(p_issued), to_timestamp(p_expires));
    INSERT INTO refresh_tokens (hash, jti, expires_at) VALUES (p_refresh, p_jti, to_timestamp(p_expires));
    PERFORM login_forgive(p_user, p_source_ip);
    PERFORM audit_append(p_req, p_user, o.role, 'operator.login', p_jti::text, NULL,
                         json_build_object('expires_s', p_expires), p_request_id, p_source_ip);
    SELECT 0, p_jti, o.username, o.role, o.must_change INTO outcome, jti, username, role, must_change;
END $$;

-- A refresh token is good once. outcome: 0 rotated, 1 unknown, expired or revoked, 2 used before: the family is revoked,
-- because one of the two who hold it has stolen it.
CREATE FUNCTION operator_refresh(p_req uuid, p_old bytea, p_new bytea, p_expires bigint, p_request_id text, p_source_ip text,
                                 OUT outcome int, OUT jti uuid, OUT username text, OUT role text, OUT must_change boolean)
LANGUAGE plpgsql AS $$
DECLARE
    s sessions;
    t refresh_tokens;
    o operators;
BEGIN
    outcome := 1;
    SELECT x.jti INTO jti FROM refresh_tokens x WHERE x.hash = p_old;
    SELECT * INTO s FROM sessions x WHERE x.jti = operator_refresh.jti FOR UPDATE;
    SELECT * INTO t FROM refresh_tokens x WHERE x.hash = p_old; -- read again behind the lock
    IF NOT FOUND OR s.revoked_at IS NOT NULL OR t.expires_at <= now() THEN
        RETURN;
    END IF;
    IF t.used_at IS NOT NULL THEN
        UPDATE sessions x SET revoked_at = now() WHERE x.jti = s.jti;
        PERFORM audit_append(p_req, s.operator, s.role, 'operator.refresh_reuse', s.jti::text, NULL, NULL, p_request_id, p_source_ip);
        outcome := 2;
        RETURN;
    END IF;
    SELECT * INTO o FROM operators x WHERE x.username = s.operator;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE refresh_tokens x SET used_at = now() WHERE x.hash = p_old;
    INSERT INTO refresh_tokens (hash, jti, expires_at) VALUES (p_new, s.jti, to_timestamp(p_expires));
    UPDATE sessions x SET expires_at = to_timestamp(p_expires) WHERE x.jti = s.jti;
    SELECT 0, o.username, o.role, o.must_change INTO outcome, username, role, must_change;
END $$;

-- outcome: 0 made, 1 there is one of that name (or one that reads alike).
CREATE FUNCTION operator_add(p_req uuid, p_user text, p_role text, p_hash text, p_must_change boolean, p_actor text,
                             p_actor_role text, p_request_id text, p_source_ip text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO operators (username, role, password_hash, must_change) VALUES (p_user, p_role, p_hash, p_must_change)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 1;
    END IF;
    PERFORM audit_append(p_req, p_actor, p_actor_role, 'operator.create', p_user, NULL,
                         json_build_object('role', p_role, 'must_change', p_must_change), p_request_id, p_source_ip);
    RETURN 0;
END $$;

-- The first account of all: true when this call made it. Several processes may try at once.
CREATE FUNCTION operator_first(p_req uuid, p_user text, p_hash text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE operators IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM operators) THEN
        RETURN false;
    END IF;
    RETURN operator_add(p_req, p_user, 'admin', p_hash, true, 'xorj', 'system', '', '') = 0;
END $$;

-- All live sessions (and keys, when p_keys) of an account but p_keep.
CREATE FUNCTION operator_end_sessions(p_user text, p_keep uuid, p_keys boolean) RETURNS uuid[] LANGUAGE sql AS $$
    WITH gone AS (
        UPDATE sessions SET revoked_at = now()
        WHERE operator = p_user AND revoked_at IS NULL AND jti IS DISTINCT FROM p_keep AND (p_keys OR kind = 'operator')
        RETURNING jti
    ) SELECT coalesce(array_agg(jti), '{}') FROM gone
$$;

-- outcome: 0 gone, 1 there is none, 2 oneself, 3 the last admin. ended: sessions and keys revoked with it.
CREATE FUNCTION operator_delete(p_req uuid, p_user text, p_actor text, p_actor_role text, p_request_id text, p_source_ip text,
                                OUT outcome int, OUT ended uuid[]) LANGUAGE plpgsql AS $$
DECLARE
    o operators;
    admins int;
BEGIN
    ended := '{}';
    -- Of two admins who delete each other one waits here, and then finds himself the last.
    SELECT count(*) INTO admins FROM (SELECT FROM operators WHERE role = 'admin' ORDER BY username FOR UPDATE) a;
    SELECT * INTO o FROM operators WHERE username = p_user FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 1;
    ELSIF p_user = p_actor THEN
        outcome := 2;
    ELSIF o.role = 'admin' AND admins <= 1 THEN
        outcome := 3;
    ELSE
        DELETE FROM operators WHERE username = p_user;
        ended := operator_end_sessions(p_user, NULL, true);
        PERFORM audit_append(p_req, p_actor, p_actor_role, 'operator.delete', p_user, json_build_object('role', o.role), NULL,
                             p_request_id, p_source_ip);
        outcome := 0;
    END IF;
END $$;

-- outcome: 0 changed, 1 the account is gone or its password another than p_old (NULL: whatever it is).
CREATE FUNCTION operator_password(p_req uuid, p_user text, p_old text, p_new text, p_must_change boolean, p_keep uuid,
                                  p_actor text, p_actor_role text, p_request_id text, p_source_ip text,
                                  OUT outcome int, OUT ended uuid[]) LANGUAGE plpgsql AS $$
BEGIN
    outcome := 1;
    ended := '{}';
    UPDATE operators SET password_hash = p_new, password_at = now(), must_change = p_must_change
    WHERE username = p_user AND (p_old IS NULL OR password_hash = p_old);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    ended := operator_end_sessions(p_user, p_keep, false);
    IF p_keep IS NOT NULL THEN
        PERFORM bus_tell('o', p_keep::text);
    END IF;
    DELETE FROM login_attempts WHERE key = 'u:' || p_user;
    PERFORM audit_append(p_req, p_actor, p_actor_role, 'operator.password', p_user, NULL,
                         json_build_object('must_change', p_must_change, 'sessions_ended', cardinality(ended)), p_request_id, p_source_ip);
    outcome := 0;
END $$;

-- p_secret: one to be confirmed, or (with p_step) the pending one, now in force; NULL with p_step: switched off.
-- outcome: 0 done, 1 the account or its pending secret is another, or the code was used before.
CREATE FUNCTION operator_totp(p_req uuid, p_user text, p_secret bytea, p_step bigint, p_actor_role text, p_request_id text,
                              p_source_ip text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    o operators;
BEGIN
    SELECT * INTO o FROM operators WHERE username = p_user FOR UPDATE;
    IF NOT FOUND OR p_step <= o.totp_used THEN
        RETURN 1;
    END IF;
    IF p_step IS NULL THEN
        IF o.totp_on THEN
            RETURN 1;
        END IF;
        UPDATE operators SET totp_secret = p_secret WHERE username = p_user;
        RETURN 0;
    END IF;
    IF (p_secret IS NULL) <> o.totp_on OR p_secret <> o.totp_secret THEN
        RETURN 1;
    END IF;
    UPDATE operators SET totp_on = p_secret IS NOT NULL, totp_secret = p_secret, totp_used = p_step WHERE username = p_user;
    PERFORM audit_append(p_req, p_user, p_actor_role, 'operator.totp', p_user, json_build_object('on', o.totp_on),
                         json_build_object('on', p_secret IS NOT NULL), p_request_id, p_source_ip);
    RETURN 0;
END $$;

-- outcome: 0 made, 1 the account is gone, 2 it has as many live keys as it may.
CREATE FUNCTION api_key_create(p_req uuid, p_id uuid, p_owner text, p_role text, p_name text, p_scopes text[], p_hash bytea,
                               p_issued bigint, p_expires bigint, p_max int, p_actor_role text, p_request_id text, p_source_ip text)
RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF p_owner !~ '^cli[.]' THEN
        PERFORM FROM operators WHERE username = p_owner FOR UPDATE;
        IF NOT FOUND THEN
            RETURN 1;
        END IF;
    END IF;
    IF (SELECT count(*) FROM sessions WHERE operator = p_owner AND kind = 'api_key' AND revoked_at IS NULL AND expires_at > now()) >= p_max THEN
        RETURN 2;
    END IF;
    INSERT INTO sessions (jti, kind, operator, role, issued_at, expires_at)
    VALUES (p_id, 'api_key', p_owner, p_role, to_timestamp(p_issued), to_timestamp(p_expires));
    INSERT INTO api_keys (id, owner, name, scopes, hash, expires_at)
    VALUES (p_id, p_owner, p_name, p_scopes, p_hash, to_timestamp(p_expires));
    PERFORM audit_append(p_req, p_owner, p_actor_role, 'api_key.create', p_id::text, NULL,
                         json_build_object('name', audit_line(p_name), 'scopes', array_to_json(p_scopes), 'expires_s', p_expires),
                         p_request_id, p_source_ip);
    RETURN 0;
END $$;

-- p_owner NULL: anybody's. outcome: 0 revoked (also when it was before), 1 there is none of theirs.
CREATE FUNCTION api_key_revoke(p_req uuid, p_id uuid, p_owner text, p_actor text, p_actor_role text, p_request_id text,
                               p_source_ip text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM api_keys WHERE id = p_id AND (p_owner IS NULL OR owner = p_owner)) THEN
        RETURN 1;
    END IF;
    UPDATE sessions SET revoked_at = now() WHERE jti = p_id AND revoked_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(p_req, p_actor, p_actor_role, 'api_key.revoke', p_id::text, NULL, NULL, p_request_id, p_source_ip);
    END IF;
    RETURN 0;
END $$;
