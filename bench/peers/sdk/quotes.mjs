// The official packages on the pools of bench/quotes.c. Prints one JSON object: nanoseconds a quote and the amount.
//   node quotes.mjs [SECONDS each, 1]      whirlpools-core is Apache-2.0 at this version, the Raydium SDK is GPL-3.0.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const LIMIT = Number(process.argv[2] || 1) * 1e9
const out = {}

function measure(kind, amount, quote) {
  let n = 0
  const t0 = process.hrtime.bigint()
  let t = 0
  do {
    for (let i = 0; i < 16; i++) quote(amount + ((n + i) % 1000))
    n += 16
    t = Number(process.hrtime.bigint() - t0)
  } while (t < LIMIT)
  out[kind] = { ns: t / n, out: String(quote(amount)) }
}

function whirlpool() {
  const { swapQuoteByInputToken } = require('@orca-so/whirlpools-core')
  const none = { initialized: false, liquidityNet: 0n, liquidityGross: 0n, feeGrowthOutsideA: 0n, feeGrowthOutsideB: 0n, rewardGrowthsOutside: [0n, 0n, 0n] }
  const ticks = { 504: -1000000000000n, '-504': 1000000000000n, '-1200': 500000000000n }
  const array = (start) => ({
    startTickIndex: start,
    ticks: Array.from({ length: 88 }, (_, i) => {
      const net = ticks[start + i * 8]
      return net === undefined ? none : { ...none, initialized: true, liquidityNet: net, liquidityGross: net < 0n ? -net : net }
    }),
  })
  const pool = {
    tickSpacing: 8, feeRate: 3000, protocolFeeRate: 1300, liquidity: 1500000000000n, sqrtPrice: 1n << 64n, tickCurrentIndex: 0,
    feeGrowthGlobalA: 0n, feeGrowthGlobalB: 0n, rewardLastUpdatedTimestamp: 0n,
    rewardInfos: Array.from({ length: 3 }, () => ({ emissionsPerSecondX64: 0n, growthGlobalX64: 0n })),
  }
  const arrays = [0, -704, -1408].map(array)
  measure('whirlpool', 45000000000, (amount) => swapQuoteByInputToken(BigInt(amount), true, 0, pool, arrays).tokenEstOut)
}

/** Account bytes, read by the package's own layouts. */
function clmmAccounts(sdk) {
  const pool = Buffer.alloc(1544)
  pool.writeUInt16LE(10, 235)
  pool.writeBigUInt64LE(1500000000000n, 237)
  pool.writeBigUInt64LE(1n, 261)
  pool.writeBigUInt64LE(3n << 62n, 904 + 7 * 8)
  const config = Buffer.alloc(117)
  config.writeUInt32LE(120000, 43)
  config.writeUInt32LE(3000, 47)
  config.writeUInt16LE(10, 51)
  config.writeUInt32LE(40000, 53)
  const array = (start, place, net) => {
    const b = Buffer.alloc(10240)
    b.writeInt32LE(start, 40)
    for (let i = 0; i < 60; i++) b.writeInt32LE(start + i * 10, 44 + i * 168)
    b.writeBigInt64LE(net, 44 + place * 168 + 4)
    b.writeBigInt64LE(net, 44 + place * 168 + 20)
    b[10124] = 1
    return sdk.TickArrayLayout.decode(b)
  }
  return {
    poolInfo: sdk.PoolInfoLayout.decode(pool), configInfo: sdk.ClmmConfigLayout.decode(config),
    arrays: [array(-600, 10, 1000000000000n), array(-1200, 0, 500000000000n)],
    tickarrayBitmapExtension: sdk.TickArrayBitmapExtensionLayout.decode(Buffer.alloc(1832)),
  }
}

function raydium() {
  const sdk = require('@raydium-io/raydium-sdk-v2')
  const BN = require('bn.js')
  const { PublicKey } = require('@solana/web3.js')
  const key = (n) => new PublicKey(Buffer.alloc(32, n))
  const programId = key(1), poolId = key(2), a = clmmAccounts(sdk)
  const tickArrays = a.arrays.map((value) => ({ address: sdk.getPdaTickArrayAddress(programId, poolId, value.startTickIndex).publicKey, value }))
  measure('raydium_clmm', 45000000000, (amount) => sdk.swapInternal({
    programId, poolId, poolInfo: a.poolInfo, tickArrays, configInfo: a.configInfo, tickarrayBitmapExtension: a.tickarrayBitmapExtension,
    amountSpecified: new BN(amount), sqrtPriceLimitX64: new BN(0), zeroForOne: true, isBaseInput: true, blockTimestamp: 0, includeExtraTickArrays: false,
  }).amountCalculated)
  const [v0, v1, trade, zero, protocol, fund] = [1000000000000, 2000000000000, 2500, 0, 120000, 40000].map((x) => new BN(x))
  measure('raydium_cpmm', 45000000000, (amount) => sdk.CurveCalculator.swapBaseInput(new BN(amount), v0, v1, trade, zero, protocol, fund, true).outputAmount)
}

whirlpool()
raydium()
console.log(JSON.stringify(out))
