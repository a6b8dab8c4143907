-- The audit log: append-only, gapless, hash-chained a batch at a time.
--
-- All rows written by one statement share prev_hash, the head's hash when that statement locked the head. A row's hash is
-- sha256(prev_hash || audit_text(row)); the head's next hash is sha256(prev_hash || the rows' hashes in order of seq).
-- Whoever appends locks the rows it changes first and the head last, so nobody waits for anything while holding the head.
--
-- Every append has a name of the server's making. A name is good for one append: a statement that was sent, lost with its
-- connection and arrives late finds its name taken, by its own repeat or by a cancellation (n = 0), and changes nothing.

CREATE TABLE audit_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_head (seq, hash) VALUES (0, sha256('xorj audit'::bytea));

CREATE TABLE audit_log (
    seq        bigint PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    role       text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    before     json, -- kept as written: nothing searches inside, and the hash covers the text
    after      json,
    request_id text NOT NULL,
    source_ip  text NOT NULL,
    prev_hash  bytea NOT NULL,
    hash       bytea NOT NULL
);

-- The names, one row per append: a key per batch costs a fiftieth of a key per row. Purged after a day.
CREATE TABLE audit_batch (
    id uuid PRIMARY KEY,
    lo bigint NOT NULL, -- its first seq
    n  integer NOT NULL CHECK (n >= 0),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_batch_at ON audit_batch (at);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_kept BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Microseconds since 1970.
CREATE FUNCTION us(t timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (extract(epoch FROM t) * 1000000)::bigint $$;

-- One spelling per row, a line per column. No column holds a line break (writers replace them, audit_verify() refuses
-- them), so no two different rows read the same. An absent before or after is an empty line, which is no JSON.
CREATE FUNCTION audit_text(seq bigint, at timestamptz, actor text, role text, action text, target text, before json,
                           after json, request_id text, source_ip text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT seq::text || E'\n' || us(at)::text || E'\n' || actor || E'\n' || role || E'\n' || action || E'\n' || target
       || E'\n' || coalesce(before::text, '') || E'\n' || coalesce(after::text, '') || E'\n' || request_id || E'\n'
       || source_ip $$;

-- Free text as a column of the log takes it.
CREATE FUNCTION audit_line(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT translate(t, E'\n', '?') $$;

-- Appends one row. Call it last in a transaction: it takes the head.
CREATE FUNCTION audit_append(p_req uuid, p_actor text, p_role text, p_action text, p_target text, p_before json,
                             p_after json, p_request_id text, p_source_ip text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    h audit_head;
    row_hash bytea;
BEGIN
    p_actor := audit_line(p_actor);
    p_role := audit_line(p_role);
    p_target := audit_line(p_target);
    p_request_id := audit_line(p_request_id);
    p_source_ip := audit_line(p_source_ip);
    SELECT * INTO STRICT h FROM audit_head WHERE one FOR UPDATE;
    row_hash := sha256(h.hash || convert_to(audit_text(h.seq + 1, now(), p_actor, p_role, p_action, p_target, p_before,
                                                       p_after, p_request_id, p_source_ip), 'UTF8'));
    INSERT INTO audit_batch (id, lo, n) VALUES (p_req, h.seq + 1, 1);
    INSERT INTO audit_log (seq, at, actor, role, action, target, before, after, request_id, source_ip, prev_hash, hash)
    VALUES (h.seq + 1, now(), p_actor, p_role, p_action, p_target, p_before, p_after, p_request_id, p_source_ip,
            h.hash, row_hash);
    UPDATE audit_head SET seq = h.seq + 1, hash = sha256(h.hash || row_hash) WHERE one;
END $$;

-- Walks the whole chain. No row: it is intact. One row: the first seq that does not fit and what is wrong with it.
CREATE FUNCTION audit_verify() RETURNS TABLE (bad_seq bigint, what text) LANGUAGE sql STABLE AS $$
    WITH links AS (
        SELECT prev_hash, min(seq) AS lo, max(seq) AS hi, count(*) AS n,
               sha256(prev_hash || string_agg(hash, ''::bytea ORDER BY seq)) AS next_hash
        FROM audit_log GROUP BY prev_hash
    ), chain AS (
        SELECT lo, hi, n, prev_hash, next_hash, lag(hi) OVER w AS before_hi, lag(next_hash) OVER w AS want_prev
        FROM links WINDOW w AS (ORDER BY lo)
    ), faults AS (
        SELECT seq, 'row changed' AS what FROM audit_log
        WHERE hash <> sha256(prev_hash || convert_to(audit_text(seq, at, actor, role, action, target, before, after,
                                                                 request_id, source_ip), 'UTF8'))
           OR strpos(concat(actor, role, action, target, before, after, request_id, source_ip), E'\n') > 0
        UNION ALL SELECT lo, 'row missing' FROM chain WHERE n <> hi - lo + 1 OR lo <> coalesce(before_hi, 0) + 1
        UNION ALL SELECT lo, 'chain broken' FROM chain WHERE prev_hash <> coalesce(want_prev, sha256('xorj audit'::bytea))
        UNION ALL SELECT h.seq, 'head does not match' FROM audit_head h
        WHERE h.seq <> coalesce((SELECT max(hi) FROM links), 0)
           OR h.hash <> coalesce((SELECT next_hash FROM links ORDER BY hi DESC LIMIT 1), sha256('xorj audit'::bytea))
    )
    SELECT seq, what FROM faults ORDER BY seq, what LIMIT 1
$$;

-- One change of one bot: conditional when p_if >= 0, and safe to repeat. p_req names this change alone; p_batch and p_ord
-- (NULL: none) say where it flew before: when that batch was committed its answer is given again, else the batch is
-- cancelled. outcome: 0 done, 1 the version was another.
CREATE FUNCTION bot_set_one(p_req uuid, p_batch uuid, p_ord bigint, p_wallet text, p_enabled boolean, p_if bigint,
                            p_actor text, p_role text, p_request_id text, p_source_ip text,
                            OUT outcome int, OUT is_enabled boolean, OUT version bigint, OUT updated_us bigint)
LANGUAGE plpgsql AS $$
DECLARE
    b bot_states;
    seen audit_log;
BEGIN
    INSERT INTO bot_states (user_vault_address, is_enabled, version) VALUES (p_wallet, false, 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT b FROM bot_states s WHERE s.user_vault_address = p_wallet FOR UPDATE;
    IF p_batch IS NOT NULL THEN
        INSERT INTO audit_batch (id, lo, n) VALUES (p_batch, 0, 0) ON CONFLICT DO NOTHING;
    END IF;
    SELECT a.* INTO seen FROM audit_batch t JOIN audit_log a ON a.seq = t.lo + CASE WHEN t.id = p_batch THEN p_ord - 1 ELSE 0 END
    WHERE t.id IN (p_req, p_batch) AND t.n > 0;
    IF FOUND THEN
        SELECT 0, (seen.after ->> 'enabled')::boolean, (seen.after ->> 'version')::bigint, us(seen.at)
        INTO outcome, is_enabled, version, updated_us;
        RETURN;
    END IF;
    IF p_if >= 0 AND b.version <> p_if THEN
        SELECT 1, b.is_enabled, b.version, us(b.updated_at) INTO outcome, is_enabled, version, updated_us;
        RETURN;
    END IF;
    UPDATE bot_states s SET is_enabled = p_enabled, was_enabled = b.is_enabled, version = b.version + 1, updated_at = now()
    WHERE s.user_vault_address = p_wallet;
    PERFORM audit_append(p_req, p_actor, p_role, 'bot.set_enabled', p_wallet,
                         json_build_object('enabled', b.is_enabled, 'version', b.version),
                         json_build_object('enabled', p_enabled, 'version', b.version + 1), p_request_id, p_source_ip);
    SELECT 0, p_enabled, b.version + 1, us(now()) INTO outcome, is_enabled, version, updated_us;
END $$;

-- First sign-in makes user, settings and bot row; every sign-in makes a session. One transaction, one audit row.
CREATE FUNCTION session_create(p_req uuid, p_jti uuid, p_wallet text, p_issued bigint, p_expires bigint, p_default boolean,
                               p_actor text, p_role text, p_request_id text, p_source_ip text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    uid uuid;
BEGIN
    SELECT id INTO uid FROM users WHERE wallet_address = p_wallet;
    IF NOT FOUND THEN
        INSERT INTO users (wallet_address) VALUES (p_wallet) ON CONFLICT DO NOTHING;
        SELECT id INTO STRICT uid FROM users WHERE wallet_address = p_wallet;
        INSERT INTO user_settings (wallet_address, user_id) VALUES (p_wallet, uid) ON CONFLICT DO NOTHING;
        INSERT INTO bot_states (user_vault_address, is_enabled, version) VALUES (p_wallet, p_default, 0) ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO sessions (jti, user_id, wallet, issued_at, expires_at)
    VALUES (p_jti, uid, p_wallet, to_timestamp(p_issued), to_timestamp(p_expires));
    PERFORM audit_append(p_req, p_actor, p_role, 'session.create', p_jti::text, NULL,
                         json_build_object('wallet', p_wallet, 'expires_s', p_expires), p_request_id, p_source_ip);
    RETURN uid;
END $$;

-- Unknown jti: false. A session already revoked stays as it is and makes no second row.
CREATE FUNCTION session_revoke(p_req uuid, p_jti uuid, p_actor text, p_role text, p_request_id text, p_source_ip text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now() WHERE jti = p_jti AND revoked_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(p_req, p_actor, p_role, 'session.revoke', p_jti::text, NULL, NULL, p_request_id, p_source_ip);
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM sessions WHERE jti = p_jti);
END $$;

-- true: the nonce was free and is now used.
CREATE FUNCTION nonce_consume(p_req uuid, p_nonce text, p_wallet text, p_expires bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO used_nonces (nonce, wallet, expires_at) VALUES (p_nonce, p_wallet, to_timestamp(p_expires))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit_append(p_req, p_wallet, 'wallet', 'auth.attempt', p_wallet, NULL, NULL, '', '');
    RETURN true;
END $$;
