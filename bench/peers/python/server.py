"""The peer in Python: FastAPI, asyncpg with its statement cache, PyJWT, orjson; uvicorn runs it on uvloop and httptools."""
import os
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import ORJSONResponse

SECRET = os.environ["JWT_SECRET"]
SQL = Path(os.environ["PEER_SQL"])
PERF, TOGGLE = (SQL / "perf.sql").read_text(), (SQL / "toggle.sql").read_text()
POOL = -(-16 // int(os.environ.get("WORKERS", "1")))
DAYS = {"1D": 1, "7D": 7, "30D": 30, "90D": 90, "ALL": 0}
FRESH_S = 15

tokens: dict[str, tuple[str, float]] = {}
cache: dict[tuple[str, str], tuple[bytes, float]] = {}


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.db = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL, max_size=POOL)
    yield
    await app.state.db.close()


app = FastAPI(lifespan=lifespan, default_response_class=ORJSONResponse, openapi_url=None)


async def wallet_of(request: Request) -> str:
    token = request.headers.get("authorization", "")[7:]
    known = tokens.get(token)
    if known and known[1] > time.time():
        return known[0]
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="xorj:wallet", options={"require": ["exp"]})
    except jwt.InvalidTokenError:
        raise HTTPException(401, "a token is expected") from None
    tokens[token] = (claims["wallet_address"], claims["exp"])
    return claims["wallet_address"]


async def load(wallet: str, span: str) -> bytes:
    hit = cache.get((wallet, span))
    if hit and hit[1] > time.monotonic():
        return hit[0]
    data = (await app.state.db.fetchval(PERF, wallet, DAYS[span], span)).encode()
    cache[wallet, span] = (data, time.monotonic() + FRESH_S)
    return data


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.get("/api/user/performance")
async def performance(walletAddress: str, timeRange: str = "30D", wallet: str = Depends(wallet_of)):
    if timeRange not in DAYS:
        raise HTTPException(400, "timeRange")
    if walletAddress != wallet:
        raise HTTPException(403, "not this token's wallet")
    data = await load(wallet, timeRange)
    body = b'{"success":true,"stale":false,"data":' + data + b',"requestId":"' + str(uuid.uuid4()).encode() + b'"}'
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


async def switch(wallet: str, enabled: bool, message: str):
    version, at = await app.state.db.fetchrow(TOGGLE, wallet, enabled)
    return ORJSONResponse(
        {"success": True, "message": message, "enabled": enabled, "version": version, "updated_at": at},
        headers={"Cache-Control": "no-store"},
    )


@app.post("/api/bot/enable")
async def enable(wallet: str = Depends(wallet_of)):
    return await switch(wallet, True, "Bot enabled")


@app.post("/api/bot/disable")
async def disable(wallet: str = Depends(wallet_of)):
    return await switch(wallet, False, "Bot disabled")
