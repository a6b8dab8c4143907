-- Performance of a wallet as the answer's data object. $1 wallet, $2 days (0: all), $3 name of the range.
WITH v AS (
    SELECT at, value_usd FROM vault_valuations
    WHERE wallet_address = $1::text AND ($2::int = 0 OR at >= now() - make_interval(days => $2::int))
), last AS (
    SELECT at, value_usd FROM vault_valuations WHERE wallet_address = $1::text ORDER BY at DESC LIMIT 1
), t AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE status = 'CONFIRMED' AND realized_pnl_usd IS NOT NULL) AS closed,
           count(*) FILTER (WHERE status = 'CONFIRMED' AND realized_pnl_usd > 0) AS won
    FROM trades WHERE user_vault_address = $1::text AND ($2::int = 0 OR created_at >= now() - make_interval(days => $2::int))
), fall AS (
    SELECT max((peak - value_usd) / nullif(peak, 0)) * 100 AS most
    FROM (SELECT value_usd, max(value_usd) OVER (ORDER BY at) AS peak FROM v) p HAVING count(*) > 1
), ends AS (
    SELECT (array_agg(value_usd ORDER BY at))[1] AS a, (array_agg(value_usd ORDER BY at DESC))[1] AS z FROM v HAVING count(*) > 1
), daily AS (
    SELECT value_usd / nullif(lag(value_usd) OVER (ORDER BY day), 0) - 1 AS r
    FROM (SELECT DISTINCT ON (at::date) at::date AS day, value_usd FROM v ORDER BY at::date, at DESC) d
), figures AS (
    SELECT (ends.z / nullif(ends.a, 0) - 1) * 100 AS roi, fall.most, t.n, 100.0 * t.won / nullif(t.closed, 0) AS win,
           (SELECT avg(r) / nullif(stddev_samp(r), 0) * sqrt(365) FROM daily) AS sharpe, last.at, last.value_usd
    FROM t LEFT JOIN last ON true LEFT JOIN fall ON true LEFT JOIN ends ON true
)
SELECT json_build_object(
    'walletAddress', $1::text, 'currentVaultValueUSD', value_usd, 'currentVaultValueUSD_str', value_usd::text,
    'netROI', roi, 'maxDrawdownPercent', most, 'totalTrades', n, 'winRate', win, 'sharpeRatio', sharpe,
    'chartData', (SELECT coalesce(json_agg(json_build_object('timestamp', at, 'value', value_usd) ORDER BY at), '[]') FROM v),
    'timeRange', $3::text, 'lastUpdated', at, 'reason', CASE WHEN at IS NULL THEN 'NO_VALUATION' END,
    'reasons', json_strip_nulls(json_build_object(
        'currentVaultValueUSD', CASE WHEN at IS NULL THEN 'NO_VALUATION' END,
        'netROI', CASE WHEN roi IS NULL THEN 'NOT_ENOUGH_VALUATIONS' END,
        'maxDrawdownPercent', CASE WHEN most IS NULL THEN 'NOT_ENOUGH_VALUATIONS' END,
        'sharpeRatio', CASE WHEN sharpe IS NULL THEN 'NOT_ENOUGH_VALUATIONS' END,
        'winRate', CASE WHEN win IS NULL THEN 'NO_CLOSED_TRADE' END,
        'lastUpdated', CASE WHEN at IS NULL THEN 'NO_VALUATION' END)))::text
FROM figures
