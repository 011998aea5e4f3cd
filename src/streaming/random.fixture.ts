/** Damaged conversations of one fuzz test; a thousand take about a tenth of a second. */
export const fuzzRounds = process.env.KOBAKO_SOAK === "1" ? 1_000_000 : 10_000;
export const fuzzLimitMs = 60_000 + fuzzRounds;

/** Random numbers that a seed repeats, for fuzzing. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to `below` - 1. */
  number(below: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.number(list.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) bytes[i] = this.number(256);
    return bytes;
  }

  /** `bytes` in pieces of 1 to `most`. */
  *cut(bytes: Buffer, most: number): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + this.number(most);
      yield bytes.subarray(at, end);
      at = end;
    }
  }

  /** A copy with a few bytes changed, left out, or doubled. */
  damage(bytes: Buffer): Buffer {
    let copy = Buffer.from(bytes);
    for (let i = 1 + this.number(4); i > 0 && copy.length > 0; i--) {
      const at = this.number(copy.length);
      switch (this.number(4)) {
        case 0:
          copy[at] = this.number(256);
          break;
        case 1:
          copy[at] = this.pick([0, 1, 0x7f, 0x80, 0xff]);
          break;
        case 2:
          copy = Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + this.number(8))]);
          break;
        default:
          copy = Buffer.concat([copy.subarray(0, at), copy.subarray(at, at + 16), copy.subarray(at)]);
      }
    }
    return copy;
  }
}
