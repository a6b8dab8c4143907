-- What users choose and how their requests are repeated: versions of settings, holds on bots, idempotency keys.
--
-- Every function that changes something takes the name of the change (p_req). A name is good for one change: asked again
-- with it, the function gives the answer of the first time and changes nothing, so that a request may be repeated at will.
-- Locks are taken in one order: bot_states, user_settings, risk_state, then the head of the audit log.

ALTER TABLE user_settings ADD COLUMN version bigint NOT NULL DEFAULT 0 CHECK (version >= 0);

-- One row per scope: 'global' (all bots), 'operator:WALLET' (an operator about one bot), 'wallet:WALLET' (its owner).
-- paused ends by resume; killed only by who may use the kill switch; closing: positions are to be closed, which an
-- executor reports done. daily_pnl_usd NULL: nothing computes it yet.
CREATE TABLE risk_state (
    scope         text COLLATE "C" PRIMARY KEY,
    paused        boolean NOT NULL DEFAULT false,
    killed        boolean NOT NULL DEFAULT false,
    closing       boolean NOT NULL DEFAULT false,
    reason        text NOT NULL DEFAULT '',
    actor         text NOT NULL DEFAULT '',
    daily_pnl_usd numeric(20,6),
    counters      jsonb NOT NULL DEFAULT '{}',
    version       bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- name: of the change that the key's request makes, the same for every repeat. answer NULL: not given yet (or the process
-- that was to give it is gone). open: the request was refused, so another may have the key; the name stays, so that
-- whatever is under way with it cannot be done twice.
CREATE TABLE idempotency_keys (
    principal    text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    name         uuid NOT NULL DEFAULT gen_random_uuid(),
    status       integer CHECK (status BETWEEN 200 AND 299),
    etag         text,
    answer       text,
    open         boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (principal, key),
    CHECK ((status IS NULL) = (answer IS NULL))
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

-- The audit row that a change of this name made; no row: the name is free.
CREATE FUNCTION audit_named(p_req uuid) RETURNS SETOF audit_log LANGUAGE sql STABLE AS
$$ SELECT a.* FROM audit_batch t JOIN audit_log a ON a.seq = t.lo WHERE t.id = p_req AND t.n > 0 $$;

-- The key's row, made when it is new or its time is over. A name outlives its key: audit_batch is purged after a longer
-- time than ttl, counted from a later moment.
CREATE FUNCTION idem_claim(p_principal text, p_key text, p_hash bytea, p_ttl_s bigint) RETURNS SETOF idempotency_keys
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM idempotency_keys k WHERE k.principal = p_principal AND k.key = p_key AND k.expires_at > now() AND NOT k.open;
    IF FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY INSERT INTO idempotency_keys AS k (principal, key, request_hash, expires_at)
    VALUES (p_principal, p_key, p_hash, now() + p_ttl_s * interval '1 s')
    ON CONFLICT (principal, key) DO UPDATE SET
        request_hash = CASE WHEN k.expires_at > now() AND NOT k.open THEN k.request_hash ELSE EXCLUDED.request_hash END,
        open = false,
        name = CASE WHEN k.expires_at > now() THEN k.name ELSE EXCLUDED.name END,
        status = CASE WHEN k.expires_at > now() THEN k.status END,
        etag = CASE WHEN k.expires_at > now() THEN k.etag END,
        answer = CASE WHEN k.expires_at > now() THEN k.answer END,
        created_at = CASE WHEN k.expires_at > now() THEN k.created_at ELSE now() END,
        expires_at = CASE WHEN k.expires_at > now() THEN k.expires_at ELSE EXCLUDED.expires_at END
    RETURNING k.*;
END $$;

-- Settings as the audit log and every answer tell them: numbers as exact text.
CREATE FUNCTION settings_doc(s user_settings) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('riskProfile', s.risk_profile, 'maxTradeAmount', trim_scale(s.max_trade_amount)::text,
        'slippageTolerance', trim_scale(s.slippage_tolerance)::text, 'maxDrawdownLimit', s.settings ->> 'maxDrawdownLimit',
        'positionSizePercent', s.settings ->> 'positionSizePercent', 'stopLossEnabled', (s.settings ->> 'stopLossEnabled')::boolean,
        'takeProfitEnabled', (s.settings ->> 'takeProfitEnabled')::boolean, 'investmentAmount', s.settings ->> 'investmentAmount',
        'version', s.version)
$$;

-- The wallet's settings, locked; made when they are missing. No such user: no row.
CREATE FUNCTION settings_lock(p_wallet text) RETURNS SETOF user_settings LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_settings (wallet_address, user_id) SELECT p_wallet, id FROM users WHERE wallet_address = p_wallet
    ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT * FROM user_settings s WHERE s.wallet_address = p_wallet FOR UPDATE;
END $$;

-- NULL leaves a member as it is.
CREATE FUNCTION settings_apply(p_wallet text, p_risk text, p_max numeric, p_slip numeric, p_drawdown numeric, p_position numeric,
                               p_stop boolean, p_take boolean, p_invest numeric) RETURNS user_settings
LANGUAGE sql AS $$
    UPDATE user_settings SET risk_profile = coalesce(p_risk, risk_profile), max_trade_amount = coalesce(p_max, max_trade_amount),
        slippage_tolerance = coalesce(p_slip, slippage_tolerance),
        settings = settings || jsonb_strip_nulls(jsonb_build_object('maxDrawdownLimit', trim_scale(p_drawdown),
            'positionSizePercent', trim_scale(p_position), 'stopLossEnabled', p_stop, 'takeProfitEnabled', p_take,
            'investmentAmount', trim_scale(p_invest))),
        version = version + 1
    WHERE wallet_address = p_wallet RETURNING *
$$;

-- outcome: 0 done, 1 the version was another, 2 no such user. doc: settings_doc() after the change.
CREATE FUNCTION settings_put(p_req uuid, p_wallet text, p_if bigint, p_risk text, p_max numeric, p_slip numeric, p_drawdown numeric,
                             p_position numeric, p_stop boolean, p_take boolean, p_invest numeric,
                             p_actor text, p_role text, p_request_id text, p_source_ip text,
                             OUT outcome int, OUT doc json, OUT updated_us bigint)
LANGUAGE plpgsql AS $$
DECLARE
    old user_settings;
    n user_settings;
    seen audit_log;
BEGIN
    SELECT * INTO old FROM settings_lock(p_wallet);
    IF NOT FOUND THEN
        outcome := 2;
        RETURN;
    END IF;
    SELECT * INTO seen FROM audit_named(p_req);
    IF FOUND THEN
        SELECT 0, seen.after, us(seen.at) INTO outcome, doc, updated_us;
        RETURN;
    END IF;
    IF p_if >= 0 AND old.version <> p_if THEN
        outcome := 1;
        RETURN;
    END IF;
    SELECT * INTO n FROM settings_apply(p_wallet, p_risk, p_max, p_slip, p_drawdown, p_position, p_stop, p_take, p_invest);
    doc := settings_doc(n);
    PERFORM audit_append(p_req, p_actor, p_role, 'settings.put', p_wallet, settings_doc(old), doc, p_request_id, p_source_ip);
    SELECT 0, us(now()) INTO outcome, updated_us;
END $$;

-- A bot's configuration: its switch and the settings beside it, changed together. p_if and p_if_settings: versions, -1 any.
-- doc: settings_doc() with enabled, botVersion and botUpdated.
CREATE FUNCTION bot_configure(p_req uuid, p_wallet text, p_if bigint, p_if_settings bigint, p_enabled boolean, p_default boolean,
                              p_risk text, p_max numeric, p_slip numeric, p_invest numeric,
                              p_actor text, p_role text, p_request_id text, p_source_ip text,
                              OUT outcome int, OUT doc json, OUT updated_us bigint)
LANGUAGE plpgsql AS $$
DECLARE
    b bot_states;
    n bot_states;
    old user_settings;
    fresh user_settings;
    seen audit_log;
BEGIN
    INSERT INTO bot_states (user_vault_address, is_enabled, version) VALUES (p_wallet, p_default, 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT b FROM bot_states s WHERE s.user_vault_address = p_wallet FOR UPDATE;
    SELECT * INTO old FROM settings_lock(p_wallet);
    IF NOT FOUND THEN
        outcome := 2;
        RETURN;
    END IF;
    SELECT * INTO seen FROM audit_named(p_req);
    IF FOUND THEN
        SELECT 0, seen.after, us(seen.at) INTO outcome, doc, updated_us;
        RETURN;
    END IF;
    IF (p_if >= 0 AND b.version <> p_if) OR (p_if_settings >= 0 AND old.version <> p_if_settings) THEN
        outcome := 1;
        RETURN;
    END IF;
    n := b;
    IF p_enabled IS NOT NULL THEN
        UPDATE bot_states s SET is_enabled = p_enabled, was_enabled = b.is_enabled, version = b.version + 1, updated_at = now()
        WHERE s.user_vault_address = p_wallet RETURNING * INTO n;
    END IF;
    SELECT * INTO fresh FROM settings_apply(p_wallet, p_risk, p_max, p_slip, NULL, NULL, NULL, NULL, p_invest);
    doc := (settings_doc(fresh)::jsonb
            || jsonb_build_object('enabled', CASE WHEN n.version > 0 THEN n.is_enabled ELSE p_default END, 'botVersion', n.version,
                                  'botUpdated', CASE WHEN n.version > 0 THEN us(n.updated_at) END))::json;
    PERFORM audit_append(p_req, p_actor, p_role, 'bot.configure', p_wallet,
                         (settings_doc(old)::jsonb || jsonb_build_object('enabled', b.is_enabled, 'botVersion', b.version))::json,
                         doc, p_request_id, p_source_ip);
    SELECT 0, us(now()) INTO outcome, updated_us;
END $$;

CREATE FUNCTION hold_doc(r risk_state) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object('scope', r.scope, 'paused', r.paused, 'killed', r.killed, 'closing', r.closing,
                             'reason', r.reason, 'actor', r.actor, 'version', r.version)
$$;

-- pause, resume, kill_switch, close_positions on one scope. outcome: 0 done, 3 the kill switch holds and p_master is false.
-- close_positions pauses as well: what is being closed must not be opened again.
CREATE FUNCTION bot_emergency(p_req uuid, p_scope text, p_action text, p_reason text, p_master boolean,
                              p_actor text, p_role text, p_request_id text, p_source_ip text,
                              OUT outcome int, OUT doc json, OUT updated_us bigint)
LANGUAGE plpgsql AS $$
DECLARE
    old risk_state;
    n risk_state;
    seen audit_log;
BEGIN
    INSERT INTO risk_state (scope) VALUES (p_scope) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT old FROM risk_state r WHERE r.scope = p_scope FOR UPDATE;
    SELECT * INTO seen FROM audit_named(p_req);
    IF FOUND THEN
        SELECT 0, seen.after, us(seen.at) INTO outcome, doc, updated_us;
        RETURN;
    END IF;
    IF p_action = 'resume' AND old.killed AND NOT p_master THEN
        outcome := 3;
        RETURN;
    END IF;
    UPDATE risk_state r SET
        paused = p_action <> 'resume' AND (old.paused OR p_action IN ('pause', 'close_positions')),
        killed = p_action <> 'resume' AND (old.killed OR p_action = 'kill_switch'),
        closing = p_action <> 'resume' AND (old.closing OR p_action = 'close_positions'),
        reason = p_reason, actor = p_actor, version = old.version + 1, updated_at = now()
    WHERE r.scope = p_scope RETURNING * INTO n;
    doc := hold_doc(n);
    PERFORM audit_append(p_req, p_actor, p_role, 'bot.' || p_action, p_scope, hold_doc(old), doc, p_request_id, p_source_ip);
    SELECT 0, us(now()) INTO outcome, updated_us;
END $$;
