// An authenticator app (RFC 6238), which never shows a code twice.

import { createHmac } from "node:crypto";
import { setTimeout } from "node:timers/promises";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const STEP = 30_000;

function decoded(secret) {
  let bits = "";
  for (const letter of secret.replace(/=+$/, "")) bits += ALPHABET.indexOf(letter).toString(2).padStart(5, "0");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

export class Authenticator {
  constructor(secret) {
    this.key = decoded(secret);
    this.last = 0;
  }

  at(step) {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const digest = createHmac("sha1", this.key).update(counter).digest();
    const offset = digest[19] & 15;
    return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
  }

  // A code that was not given before. Issuers accept codes whose clock is a step off, so there are up to three of them
  // at any time; after these it takes until the next step.
  async nextCode() {
    const now = () => Math.floor(Date.now() / STEP);
    const step = Math.max(this.last + 1, now());
    while (step > now() + 1) await setTimeout(200);
    this.last = step;
    return this.at(step);
  }

  // A code that no step around now has.
  wrongCode() {
    const now = Math.floor(Date.now() / STEP);
    const right = [-2, -1, 0, 1, 2].map((offset) => this.at(now + offset));
    return ["000000", "111111", "222222", "333333", "444444", "555555"].find((code) => !right.includes(code));
  }
}
