//! The peer in Rust: axum on tokio's threads, tokio-postgres behind deadpool with prepared statements, jsonwebtoken.
use std::{
    collections::HashMap,
    env, fs,
    sync::{Arc, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Query, State},
    http::{header, request::Parts, HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
    Json, Router,
};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use jsonwebtoken::{decode, Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

const FRESH: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Claims {
    wallet_address: String,
    exp: u64,
}

struct App {
    db: Pool,
    key: DecodingKey,
    rules: Validation,
    perf: String,
    toggle: String,
    tokens: RwLock<HashMap<String, (Arc<str>, u64)>>,
    cache: RwLock<HashMap<String, (Arc<str>, Instant)>>,
}

type Refusal = (StatusCode, &'static str);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl App {
    fn wallet(&self, headers: &HeaderMap) -> Result<Arc<str>, Refusal> {
        const NO: Refusal = (StatusCode::UNAUTHORIZED, "a token is expected");
        let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer ")).ok_or(NO)?;
        if let Some((wallet, until)) = self.tokens.read().unwrap().get(token) {
            if *until > now() {
                return Ok(wallet.clone());
            }
        }
        let claims = decode::<Claims>(token, &self.key, &self.rules).map_err(|_| NO)?.claims;
        let wallet: Arc<str> = claims.wallet_address.into();
        self.tokens.write().unwrap().insert(token.to_owned(), (wallet.clone(), claims.exp));
        Ok(wallet)
    }

    async fn load(&self, wallet: &str, range: &str, days: i32) -> Result<Arc<str>, Refusal> {
        const AWAY: Refusal = (StatusCode::SERVICE_UNAVAILABLE, "database");
        let key = format!("{wallet}{range}");
        if let Some((data, until)) = self.cache.read().unwrap().get(&key) {
            if *until > Instant::now() {
                return Ok(data.clone());
            }
        }
        let db = self.db.get().await.map_err(|_| AWAY)?;
        let stmt = db.prepare_cached(&self.perf).await.map_err(|_| AWAY)?;
        let row = db.query_one(&stmt, &[&wallet, &days, &range]).await.map_err(|_| AWAY)?;
        let data: Arc<str> = row.get::<_, &str>(0).into();
        self.cache.write().unwrap().insert(key, (data.clone(), Instant::now() + FRESH));
        Ok(data)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ask {
    wallet_address: String,
    time_range: Option<String>,
}

async fn performance(State(app): State<Arc<App>>, headers: HeaderMap, Query(ask): Query<Ask>) -> Result<Response, Refusal> {
    let wallet = app.wallet(&headers)?;
    let range = ask.time_range.as_deref().unwrap_or("30D");
    let days = match range {
        "1D" => 1,
        "7D" => 7,
        "30D" => 30,
        "90D" => 90,
        "ALL" => 0,
        _ => return Err((StatusCode::BAD_REQUEST, "timeRange")),
    };
    if ask.wallet_address != *wallet {
        return Err((StatusCode::FORBIDDEN, "not this token's wallet"));
    }
    let data = app.load(&wallet, range, days).await?;
    let body = format!("{{\"success\":true,\"stale\":false,\"data\":{data},\"requestId\":\"{}\"}}", uuid::Uuid::new_v4());
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

#[derive(Serialize)]
struct Saved {
    success: bool,
    message: &'static str,
    enabled: bool,
    version: i64,
    updated_at: String,
}

async fn switch(app: Arc<App>, parts: Parts, enabled: bool, message: &'static str) -> Result<Response, Refusal> {
    const AWAY: Refusal = (StatusCode::SERVICE_UNAVAILABLE, "database");
    let wallet = app.wallet(&parts.headers)?;
    let db = app.db.get().await.map_err(|_| AWAY)?;
    let stmt = db.prepare_cached(&app.toggle).await.map_err(|_| AWAY)?;
    let row = db.query_one(&stmt, &[&&*wallet, &enabled]).await.map_err(|_| AWAY)?;
    let saved = Saved { success: true, message, enabled, version: row.get(0), updated_at: row.get(1) };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(saved)).into_response())
}

#[tokio::main]
async fn main() {
    let sql = env::var("PEER_SQL").expect("PEER_SQL");
    let text = |file: &str| fs::read_to_string(format!("{sql}/{file}")).expect("a statement");
    let config: tokio_postgres::Config = env::var("DATABASE_URL").expect("DATABASE_URL").parse().expect("a database URL");
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&["xorj:wallet"]);
    let app = Arc::new(App {
        db: Pool::builder(manager).max_size(24).build().expect("a pool"),
        key: DecodingKey::from_secret(env::var("JWT_SECRET").expect("JWT_SECRET").as_bytes()),
        rules,
        perf: text("perf.sql"),
        toggle: text("toggle.sql"),
        tokens: RwLock::default(),
        cache: RwLock::default(),
    });
    let routes = Router::new()
        .route("/health", get(|| async { "{\"status\":\"ok\"}" }))
        .route("/api/user/performance", get(performance))
        .route("/api/bot/enable", post(|State(a): State<Arc<App>>, p: Parts| switch(a, p, true, "Bot enabled")))
        .route("/api/bot/disable", post(|State(a): State<Arc<App>>, p: Parts| switch(a, p, false, "Bot disabled")))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT").expect("PORT"))).await.expect("a port");
    let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap_or(()));
    axum::serve(listener, routes).await.expect("serving");
}
