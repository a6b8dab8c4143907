-- What a wallet's performance is computed from, and the opportunities the desk saw.

CREATE TABLE vault_valuations (
    wallet_address text COLLATE "C" NOT NULL,
    at             timestamptz NOT NULL,
    value_usd      numeric(20,6) NOT NULL CHECK (value_usd >= 0 AND value_usd < 9e12),
    PRIMARY KEY (wallet_address, at)
);

-- job_id names a row of execution_jobs, a table that a later migration brings together with the foreign key.
CREATE TABLE trades (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id                  uuid,
    user_vault_address      text COLLATE "C" NOT NULL,
    client_order_id         text NOT NULL,
    status                  text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SUBMITTED', 'CONFIRMED', 'FAILED')),
    from_token_address      text NOT NULL,
    to_token_address        text NOT NULL,
    amount_in               numeric(30,0) NOT NULL CHECK (amount_in > 0),
    expected_amount_out     numeric(30,0) CHECK (expected_amount_out >= 0),
    actual_amount_out       numeric(30,0) CHECK (actual_amount_out >= 0),
    gas_fee                 numeric(30,0) CHECK (gas_fee >= 0),
    slippage_realized       numeric(9,6),
    realized_pnl_usd        numeric(20,6),
    transaction_signature   text UNIQUE,
    last_valid_block_height bigint,
    error_message           text,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_vault_address, client_order_id)
);
CREATE INDEX trades_status ON trades (status);
CREATE INDEX trades_vault_created ON trades (user_vault_address, created_at DESC);
CREATE TRIGGER trades_touch BEFORE UPDATE ON trades FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE FUNCTION trades_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'trades are never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.id, NEW.user_vault_address, NEW.client_order_id, NEW.from_token_address, NEW.to_token_address, NEW.amount_in)
       IS DISTINCT FROM
       (OLD.id, OLD.user_vault_address, OLD.client_order_id, OLD.from_token_address, OLD.to_token_address, OLD.amount_in) THEN
        RAISE EXCEPTION 'what names a trade never changes' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trades_identity BEFORE UPDATE OR DELETE ON trades FOR EACH ROW EXECUTE FUNCTION trades_guard();
CREATE TRIGGER trades_kept BEFORE TRUNCATE ON trades FOR EACH STATEMENT EXECUTE FUNCTION trades_guard();

-- bps columns keep hundredths. parse_ns and detect_ns count from the receipt of the frame that caused the detection.
CREATE TABLE opportunities (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            uuid NOT NULL UNIQUE,
    pair          text NOT NULL,
    direction     text NOT NULL CHECK (direction IN ('CEX_TO_DEX', 'DEX_TO_CEX')),
    buy_venue     text NOT NULL,
    sell_venue    text NOT NULL,
    buy_price     numeric(40,12) NOT NULL,
    sell_price    numeric(40,12) NOT NULL,
    buy_touch     numeric(40,12) NOT NULL,
    sell_touch    numeric(40,12) NOT NULL,
    size          numeric(40,12) NOT NULL,
    buy_cost      numeric(20,6) NOT NULL,
    sell_proceeds numeric(20,6) NOT NULL,
    fee_cex       numeric(20,6) NOT NULL,
    fee_dex       numeric(20,6) NOT NULL,
    fee_network   numeric(20,6) NOT NULL,
    slippage      numeric(20,6) NOT NULL,
    fee_total     numeric(20,6) NOT NULL,
    basis         numeric(40,12) NOT NULL,
    gross_bps     numeric(12,2) NOT NULL,
    net_bps       numeric(12,2) NOT NULL,
    peak_net_bps  numeric(12,2) NOT NULL,
    predicted_pnl numeric(20,6) NOT NULL,
    detected_at   timestamptz NOT NULL,
    source_at     timestamptz,
    received_at   timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL,
    ended_at      timestamptz,
    lifetime_ms   bigint NOT NULL,
    parse_ns      bigint NOT NULL,
    detect_ns     bigint NOT NULL,
    pool_slot     numeric(20,0) NOT NULL,
    decision      text NOT NULL,
    reason_code   text NOT NULL,
    status        text NOT NULL CHECK (status IN ('open', 'closed')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX opportunities_detected ON opportunities (detected_at DESC);
CREATE INDEX opportunities_pair ON opportunities (pair, seq DESC);
CREATE INDEX opportunities_buy ON opportunities (buy_venue, seq DESC);
CREATE INDEX opportunities_sell ON opportunities (sell_venue, seq DESC);
CREATE INDEX opportunities_net ON opportunities (net_bps);
