/** The keys that leave a session and let what runs in it go on. Pure. */
import { CliError, exitCode } from "../cli-error.ts";

export const defaultDetachKeys = "ctrl-p,ctrl-q";

/** "ctrl-p,ctrl-q" or "a,ctrl-]" as bytes; "" is none. @throws CliError */
export function parseDetachKeys(text: string): Buffer {
  if (text === "") return Buffer.alloc(0);
  const bytes = text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (/^[!-~]$/.test(key)) return key.charCodeAt(0);
    throw new CliError(
      `--detach-keys ${text} must be keys with commas between, such as ${defaultDetachKeys}`,
      exitCode.usage,
    );
  });
  return Buffer.from(bytes);
}

/** Looks for the keys in what is typed, piece by piece. */
export class DetachKeys {
  readonly #keys: Buffer;
  /** How many of the keys were typed in a row; they are held until it is clear what they are. */
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What of `input`, and of what was held before, is not the keys; what stands behind them is dropped. */
  feed(input: Buffer): { readonly bytes: Buffer; readonly detached: boolean } {
    if (this.#keys.length === 0) return { bytes: input, detached: false };
    const out: number[] = [];
    for (const byte of input) {
      while (this.#matched > 0 && byte !== this.#keys[this.#matched]) {
        // The longest end of what was typed that may yet be the beginning of the keys stays held.
        const shorter = this.#shorter();
        out.push(...this.#keys.subarray(0, this.#matched - shorter));
        this.#matched = shorter;
      }
      if (byte !== this.#keys[this.#matched]) out.push(byte);
      else if (++this.#matched === this.#keys.length) return { bytes: Buffer.from(out), detached: true };
    }
    return { bytes: Buffer.from(out), detached: false };
  }

  #shorter(): number {
    for (let length = this.#matched - 1; length > 0; length--) {
      const end = this.#keys.subarray(this.#matched - length, this.#matched);
      if (end.equals(this.#keys.subarray(0, length))) return length;
    }
    return 0;
  }
}
