-- Word between the processes of one database (storage/bus.h): what you keep of this key is no longer true. Told inside the
-- transaction that makes the change, so that nobody hears of a change that was rolled back or misses one that was not.
-- bot_states says nothing here: a NOTIFY takes a lock of the whole database until its commit is on disk.

CREATE FUNCTION bus_tell(p_kind text, p_key text) RETURNS void LANGUAGE sql AS
$$ SELECT pg_notify('xorj', p_kind || ' ' || p_key) $$;

CREATE FUNCTION sessions_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bus_tell('s', OLD.jti::text);
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_revoked_tell AFTER UPDATE OF revoked_at ON sessions
    FOR EACH ROW WHEN (NEW.revoked_at IS NOT NULL AND OLD.revoked_at IS NULL) EXECUTE FUNCTION sessions_tell();
CREATE TRIGGER sessions_gone_tell AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now()) EXECUTE FUNCTION sessions_tell();

CREATE FUNCTION user_settings_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bus_tell('w', coalesce(NEW.wallet_address, OLD.wallet_address));
    RETURN NULL;
END $$;
CREATE TRIGGER user_settings_tell AFTER UPDATE OR DELETE ON user_settings
    FOR EACH ROW EXECUTE FUNCTION user_settings_tell();
-- A first row that holds the defaults changes no answer.
CREATE TRIGGER user_settings_new_tell AFTER INSERT ON user_settings
    FOR EACH ROW WHEN (NEW.risk_profile <> 'Balanced' OR NEW.max_trade_amount IS NOT NULL OR NEW.slippage_tolerance <> 1.0
                       OR NEW.settings <> '{}') EXECUTE FUNCTION user_settings_tell();
