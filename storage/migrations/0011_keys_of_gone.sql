-- Idempotency keys belong to an account's name: with the account they go, so that whoever bears the name next is not given
-- the answers of who bore it before.

CREATE FUNCTION idem_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idempotency_keys WHERE principal IN ('viewer:' || OLD.username, 'operator:' || OLD.username, 'admin:' || OLD.username);
    RETURN NULL;
END $$;
CREATE TRIGGER operators_idem AFTER DELETE ON operators FOR EACH ROW EXECUTE FUNCTION idem_forget();
