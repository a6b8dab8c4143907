-- Users, their settings, bot states and sign-in: the rows every request leans on. Times are timestamptz (UTC by session).
-- Addresses are compared byte by byte, hence COLLATE "C".

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;

CREATE TABLE users (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    wallet_address text COLLATE "C" NOT NULL UNIQUE CHECK (wallet_address ~ '^[1-9A-HJ-NP-Za-km-z]{32,44}$'),
    vault_address  text COLLATE "C" CHECK (vault_address ~ '^[1-9A-HJ-NP-Za-km-z]{32,44}$'),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE user_settings (
    wallet_address     text COLLATE "C" NOT NULL UNIQUE,
    user_id            uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    risk_profile       text NOT NULL DEFAULT 'Balanced' CHECK (risk_profile IN ('Conservative', 'Balanced', 'Aggressive')),
    max_trade_amount   numeric(20,6) CHECK (max_trade_amount >= 0),
    slippage_tolerance numeric(5,2) NOT NULL DEFAULT 1.0 CHECK (slippage_tolerance BETWEEN 0 AND 100),
    settings           jsonb NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX user_settings_user ON user_settings (user_id);
CREATE TRIGGER user_settings_touch BEFORE UPDATE ON user_settings FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- version 0: the row exists but its owner never chose. was_enabled is the value before the last statement, so that the
-- statement that changes many rows at once can write the audit's "before" without reading them first. The hot path sets
-- updated_at itself; a trigger per row would cost more than the row. No index on is_enabled: it halves nothing (two values)
-- and would turn each toggle from an update in place into one that touches every index. Less than 90 % full would have
-- each page pruned at nearly every visit.
CREATE TABLE bot_states (
    user_vault_address  text COLLATE "C" NOT NULL PRIMARY KEY,
    is_enabled          boolean NOT NULL,
    was_enabled         boolean NOT NULL DEFAULT false,
    current_strategy    text,
    risk_parameters     jsonb NOT NULL DEFAULT '{}',
    performance_metrics jsonb NOT NULL DEFAULT '{}',
    last_execution_at   timestamptz,
    version             bigint NOT NULL CHECK (version >= 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 90);

CREATE TABLE sessions (
    jti        uuid PRIMARY KEY,
    user_id    uuid REFERENCES users (id) ON DELETE CASCADE,
    wallet     text COLLATE "C",
    kind       text NOT NULL DEFAULT 'wallet' CHECK (kind IN ('wallet', 'operator')),
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > issued_at),
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (kind <> 'wallet' OR (wallet IS NOT NULL AND user_id IS NOT NULL))
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE used_nonces (
    nonce      text COLLATE "C" PRIMARY KEY,
    wallet     text COLLATE "C" NOT NULL,
    used_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_nonces_expires ON used_nonces (expires_at);
