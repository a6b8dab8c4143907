// `make bench`: the first ratios of the performance table, each measured beside its peer in the same run, in interleaved
// rounds, as medians. Prints a table and writes build/bench.json. Everything runs on loopback and is ended by pid.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import crypto from 'node:crypto';

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const WORK = path.join(ROOT, 'build', 'bench');
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = String(process.env.SECONDS ?? 3);
const CONNS = '100';
const started = [];
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const median = (a) => [...a].sort((x, y) => x - y)[Math.floor(a.length / 2)];
const say = (s) => process.stdout.write(`${s}\n`);

function stack(...args) {
  const env = { ...process.env, RUN_DIR: path.join(WORK, 'run'), PORT: '0', XORJ_LIMITS_ENABLED: 'false', XORJ_WS_PER_PRINCIPAL: '20000', XORJ_LOG_OPPORTUNITIES: 'false' };
  execFileSync('bash', [path.join(ROOT, 'deploy', 'stack.sh'), ...args], { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function readEnv() {
  const out = {};
  for (const line of fs.readFileSync(path.join(WORK, 'run', 'env'), 'utf8').split('\n')) {
    const m = /^(?:export )?([A-Z_]+)=(.*)$/.exec(line);
    if (m) out[m[1]] = m[2].replace(/^'(.*)'$/, '$1').replace(/^"(.*)"$/, '$1');
  }
  return out;
}

function cpuNs(pid) { // time on a core of every thread
  let sum = 0;
  for (const t of fs.readdirSync(`/proc/${pid}/task`)) sum += Number(fs.readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]);
  return sum;
}

const rssBytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

async function load(to, args, pid) {
  const before = pid ? cpuNs(pid) : 0;
  const child = spawn(path.join(ROOT, 'build', 'bench', 'load'), ['--to', to, '--conns', CONNS, '--seconds', SECONDS, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (d) => (text += d));
  await new Promise((r) => child.on('exit', r));
  const res = JSON.parse(text);
  if (pid) res.cpu_us = (cpuNs(pid) - before) / 1e3 / res.requests;
  return res;
}

function freePort() {
  return new Promise((r) => {
    const s = net.createServer().listen(0, '127.0.0.1', () => { const p = s.address().port; s.close(() => r(p)); });
  });
}

async function startNginx(body) {
  const port = await freePort();
  const dir = path.join(WORK, 'nginx');
  fs.mkdirSync(dir, { recursive: true });
  const conf = `daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 16384; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
server { listen 127.0.0.1:${port} backlog=4096; location / { default_type application/json; return 200 '${body}'; } } }`;
  fs.writeFileSync(path.join(dir, 'nginx.conf'), conf);
  const child = spawn('nginx', ['-p', dir, '-c', path.join(dir, 'nginx.conf')], { stdio: 'ignore' });
  started.push(child);
  await sleep(500);
  if (child.exitCode !== null) throw new Error(`nginx did not start, see ${dir}/error.log`);
  return { port, pid: child.pid };
}

const has = (cmd) => { try { execFileSync('sh', ['-c', `command -v ${cmd}`], { stdio: 'ignore' }); return true; } catch { return false; } };

function pgbin(name) {
  const dirs = fs.existsSync('/usr/lib/postgresql') ? fs.readdirSync('/usr/lib/postgresql').sort((a, b) => b - a) : [];
  for (const v of dirs) { const p = `/usr/lib/postgresql/${v}/bin/${name}`; if (fs.existsSync(p)) return p; }
  return has(name) ? name : null;
}

async function p1(env, to, tokens) {
  const rows = { xorj: [], nginx: [] };
  const get = ['--tokens', tokens, '--get', '/api/user/performance?walletAddress=%W&timeRange=30D'];
  const first = fs.readFileSync(tokens, 'utf8').split('\n')[0].split(' ');
  const res = await fetch(`http://${to}/api/user/performance?walletAddress=${first[0]}&timeRange=30D`, { headers: { authorization: `Bearer ${first[1]}` } });
  const size = (await res.arrayBuffer()).byteLength;
  if (!has('nginx')) return { id: 'P1', missing: 'nginx is not installed' };
  const ng = await startNginx('x'.repeat(size));
  for (let i = 0; i < ROUNDS; i++) {
    rows.xorj.push(await load(to, get, env.XORJ_PID));
    rows.nginx.push(await load(`127.0.0.1:${ng.port}`, ['--get', '/'], ng.pid));
    say(`  P1 round ${i + 1}/${ROUNDS}: xorj ${rows.xorj.at(-1).cpu_us.toFixed(2)} us, nginx ${rows.nginx.at(-1).cpu_us.toFixed(2)} us`);
  }
  const a = median(rows.xorj.map((r) => r.cpu_us)), b = median(rows.nginx.map((r) => r.cpu_us));
  const errors = rows.xorj.reduce((n, r) => n + r.errors, 0);
  return { id: 'P1', what: `CPU per authenticated GET from cache, ${size} bytes, against nginx return 200`, ours: `${a.toFixed(2)} us`, peer: `${b.toFixed(2)} us`, ratio: a / b, target: '<= 1.2 now, 1.0 goal', ok: a / b <= 1.2 && errors === 0, errors, rounds: rows };
}

async function p2(env, to, tokens) {
  const pgbench = pgbin('pgbench'), psql = pgbin('psql');
  if (!pgbench) return { id: 'P2', missing: 'pgbench is not installed' };
  const db = env.DATABASE_URL;
  const sql = path.join(WORK, 'upsert.sql');
  fs.writeFileSync(sql, `\\set w random(1, 10000)
INSERT INTO bench_bot_states (user_vault_address, is_enabled, version) VALUES ('bench' || :w, true, 1)
ON CONFLICT (user_vault_address) DO UPDATE SET is_enabled = NOT bench_bot_states.is_enabled, version = bench_bot_states.version + 1, updated_at = now();\n`);
  execFileSync(psql, [db, '-qc', 'DROP TABLE IF EXISTS bench_bot_states; CREATE TABLE bench_bot_states (LIKE bot_states INCLUDING ALL)'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const rows = { xorj: [], pgbench: [] };
  const post = ['--tokens', tokens, '--post', '/api/bot/enable', '--post', '/api/bot/disable'];
  // A database that has run for a while recycles its log files; a fresh one writes each new one twice. Warm up both sides.
  await load(to, post, env.XORJ_PID);
  execFileSync(pgbench, ['-n', '-M', 'prepared', '-c', CONNS, '-j', '1', '-T', SECONDS, '-f', sql, db], { stdio: 'ignore' });
  execFileSync(psql, [env.DATABASE_ADMIN_URL ?? db, '-qc', 'CHECKPOINT'], { stdio: 'ignore' });
  for (let i = 0; i < ROUNDS; i++) {
    rows.xorj.push(await load(to, post, env.XORJ_PID));
    const text = execFileSync(pgbench, ['-n', '-M', 'prepared', '-c', CONNS, '-j', '1', '-T', SECONDS, '-f', sql, db], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    rows.pgbench.push({ tps: Number(/tps = ([\d.]+)/.exec(text)[1]) });
    say(`  P2 round ${i + 1}/${ROUNDS}: xorj ${rows.xorj.at(-1).rps.toFixed(0)}/s p99 ${(rows.xorj.at(-1).p99_us / 1e3).toFixed(1)} ms, pgbench ${rows.pgbench.at(-1).tps.toFixed(0)}/s`);
  }
  execFileSync(psql, [db, '-qc', 'DROP TABLE bench_bot_states'], { stdio: 'ignore' });
  const a = median(rows.xorj.map((r) => r.rps)), b = median(rows.pgbench.map((r) => r.tps));
  const errors = rows.xorj.reduce((n, r) => n + r.errors, 0);
  return { id: 'P2', what: 'durable POST enable/disable, 100 connections, against pgbench -M prepared -c 100', ours: `${a.toFixed(0)}/s`, peer: `${b.toFixed(0)}/s`, ratio: a / b, target: '>= 2.5 now, 3.0 goal', ok: a / b >= 2.5 && errors === 0, errors, rounds: rows };
}

async function openSockets(n, to, hello, done) {
  const [host, port] = to.split(':');
  const out = [];
  for (let i = 0; i < n; i += 100) {
    await Promise.all(Array.from({ length: Math.min(100, n - i) }, () => new Promise((res, rej) => {
      const s = net.connect({ host, port: Number(port) }, () => s.write(hello));
      let text = '';
      s.on('data', (d) => { if (text.length < 4096) text += d.toString('latin1'); if (done(text)) res(); });
      s.on('error', rej);
      out.push(s);
    })));
  }
  return out;
}

async function p13(env, to, viewer) {
  const N = 1000, pid = await freshServer(env, { XORJ_FEEDS_ENABLED: 'false', XORJ_WS_PER_PRINCIPAL: '20000', XORJ_LIMITS_ENABLED: 'false' });
  const at = `127.0.0.1:${pid.port}`;
  const idle = rssBytes(pid.pid);
  const http = await openSockets(N, at, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', (t) => t.includes('\r\n\r\n'));
  await sleep(300);
  const conn = (rssBytes(pid.pid) - idle) / N;
  http.forEach((s) => s.destroy());
  await sleep(500);
  const base = rssBytes(pid.pid);
  const key = crypto.randomBytes(16).toString('base64');
  const sub = Buffer.from('{"action":"subscribe","channels":["opportunities"]}');
  const mask = Buffer.from([1, 2, 3, 4]);
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | sub.length]), mask, Buffer.from(sub.map((b, i) => b ^ mask[i % 4]))]);
  const ws = await openSockets(N, at, `GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer ${viewer}\r\n\r\n`, (t) => t.startsWith('HTTP/1.1 101'));
  ws.forEach((s) => s.write(frame));
  await sleep(700);
  // Memory of the closed connections is reused, so the floor of a subscriber is the larger of both readings.
  const each = Math.max((rssBytes(pid.pid) - base) / N, (rssBytes(pid.pid) - idle) / N);
  ws.forEach((s) => s.destroy());
  process.kill(pid.pid, 'SIGTERM');
  const kb = (b) => `${(b / 1024).toFixed(1)} KB`;
  return { id: 'P13', what: 'memory: idle process (no feeds) / keep-alive connection / subscriber', ours: `${(idle / 1048576).toFixed(1)} MB / ${kb(conn)} / ${kb(each)}`, peer: '-', ratio: null, target: '< 20 MB / < 4 KB / < 8 KB', ok: idle < 20 * 1048576 && conn < 4096 && each < 8192 };
}

function freshServer(env, more) {
  return new Promise((res, rej) => {
    const child = spawn(path.join(ROOT, 'build', 'xorj'), ['serve'], { env: { PATH: process.env.PATH, DATABASE_URL: env.DATABASE_URL, REDIS_URL: env.REDIS_URL, JWT_SECRET: env.JWT_SECRET, XORJ_SERVER_PORT: '0', XORJ_LOG_LEVEL: 'error', ...more }, stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(child);
    let text = '';
    child.stdout.on('data', async (d) => {
      text += d;
      const m = /XORJ_PORT=(\d+)/.exec(text);
      if (!m) return;
      child.stdout.removeAllListeners('data');
      for (;;) {
        const r = await fetch(`http://127.0.0.1:${m[1]}/health/ready`).catch(() => null);
        if (r?.status === 200) return res({ pid: child.pid, port: Number(m[1]) });
        await sleep(2);
      }
    });
    child.on('exit', (c) => rej(new Error(`the server ended with ${c}`)));
  });
}

async function p14(env) {
  const ms = [];
  for (let i = 0; i < ROUNDS * 2; i++) {
    const t0 = process.hrtime.bigint();
    const s = await freshServer(env, { XORJ_FEEDS_ENABLED: 'false' });
    ms.push(Number(process.hrtime.bigint() - t0) / 1e6);
    process.kill(s.pid, 'SIGTERM');
    await sleep(150);
  }
  const v = median(ms);
  return { id: 'P14', what: 'start of the process to /health/ready 200, warm database', ours: `${v.toFixed(0)} ms`, peer: '-', ratio: null, target: '< 200 ms', ok: v < 200, rounds: ms };
}

function machine() {
  const cpu = os.cpus();
  return { cpu: cpu[0]?.model, cores: cpu.length, memory_gib: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(), node: process.version };
}

async function main() {
  fs.mkdirSync(WORK, { recursive: true });
  say('bench: starting a stack of its own');
  stack('up');
  try {
    const env = readEnv();
    const to = env.XORJ_URL.replace('http://', '');
    const child = { env: { ...process.env, DATABASE_URL: env.DATABASE_URL, JWT_SECRET: env.JWT_SECRET, REDIS_URL: env.REDIS_URL }, encoding: 'utf8', maxBuffer: 64 << 20 };
    for (const k of ['XORJ_URL', 'XORJ_PID']) delete child.env[k];
    const creds = JSON.parse(execFileSync(path.join(ROOT, 'build', 'xorj'), ['token', '--wallets', '100'], child));
    const viewer = execFileSync(path.join(ROOT, 'build', 'xorj'), ['token', '--role', 'viewer'], child).trim();
    const tokens = path.join(WORK, 'tokens.txt');
    fs.writeFileSync(tokens, creds.map((c) => `${c.wallet} ${c.token}\n`).join(''), { mode: 0o600 });
    const table = [];
    for (const f of [() => p1(env, to, tokens), () => p2(env, to, tokens), () => p13(env, to, viewer), () => p14(env)]) table.push(await f());
    const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
    say(`\ncommit ${commit}, ${new Date().toISOString()}, ${machine().cores} cores ${machine().cpu}, ${ROUNDS} interleaved rounds of ${SECONDS} s, medians`);
    for (const r of table) {
      if (r.missing) say(`${r.id.padEnd(4)} MISSING  ${r.missing}`);
      else say(`${r.id.padEnd(4)} ${r.ok ? 'reached' : 'MISSED '}  ${r.ratio === null ? '      ' : r.ratio.toFixed(2).padStart(6)}  ${r.ours} vs ${r.peer}  target ${r.target}  ${r.what}`);
    }
    fs.writeFileSync(path.join(ROOT, 'build', 'bench.json'), JSON.stringify({ commit, date: new Date().toISOString(), machine: machine(), command: 'make bench', rounds: ROUNDS, seconds: Number(SECONDS), table }, null, 1));
    say('written: build/bench.json');
  } finally {
    for (const c of started) if (c.exitCode === null) c.kill('SIGTERM');
    stack('down');
  }
}

main().catch((e) => { console.error(`bench: ${e.message}`); process.exitCode = 1; });
