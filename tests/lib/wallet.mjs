// A wallet as a browser extension has one: an Ed25519 key that signs the bytes of the sign-in message.
import { Keypair } from '@solana/web3.js'
import bs58 from 'bs58'
import nacl from 'tweetnacl'
import { get, ok, post } from './http.mjs'

export class Wallet {
  constructor(secretKey) {
    this.key = secretKey ? Keypair.fromSecretKey(secretKey) : Keypair.generate()
    this.address = this.key.publicKey.toBase58()
  }

  sign(message) {
    const bytes = typeof message === 'string' ? new TextEncoder().encode(message) : message
    return nacl.sign.detached(bytes, this.key.secretKey)
  }

  async challenge(stack, opts) {
    return ok(await get(stack, `/api/auth/challenge?wallet_address=${this.address}`, opts))
  }

  body(message, signature = this.sign(message)) {
    return { wallet_address: this.address, signature: Buffer.from(signature).toString('base64'), message }
  }

  authenticate(stack, message, opts = {}) {
    return post(stack, '/api/auth/authenticate', { body: this.body(message), ...opts })
  }

  async signIn(stack, opts) {
    const c = await this.challenge(stack, opts)
    const r = ok(await this.authenticate(stack, c.message, opts))
    this.token = r.session_token
    return r
  }
}

export { bs58, nacl }
