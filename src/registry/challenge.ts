/**
 * The WWW-Authenticate header, as a hostile registry may write it. Pure.
 * Source: RFC 9110 11.6.1 (the list of challenges), RFC 6750 and distribution's token specification (Bearer).
 */

export interface Challenge {
  /** Lower case: "bearer", "basic", ... */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const maxHeaderLength = 8192;
const maxChallenges = 8;
const maxParameters = 32;

/**
 * The challenges of `header`, in order. A header that breaks a rule (quoting, a name given twice, the caps) gives
 * none at all: half of an understanding would choose where a password goes.
 */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  if (header === undefined || header.length > maxHeaderLength) return [];
  const scanner = new Scanner(header);
  const challenges: Challenge[] = [];
  scanner.skipSeparators();
  while (!scanner.done) {
    const scheme = scanner.token();
    if (scheme === "" || challenges.length === maxChallenges) return [];
    const parameters = parseParameters(scanner);
    if (!parameters) return [];
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
  return challenges;
}

/** The parameters up to the next scheme or the end; undefined when they are broken. */
function parseParameters(scanner: Scanner): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  scanner.skipSpace();
  if (scanner.takeToken68() || scanner.peek(",")) {
    scanner.skipSeparators();
    return parameters;
  }
  for (;;) {
    const start = scanner.position;
    const name = scanner.token().toLowerCase();
    scanner.skipSpace();
    if (name === "" || !scanner.take("=")) {
      scanner.position = start; // the next scheme, or the end
      return scanner.done || name !== "" ? parameters : undefined;
    }
    scanner.skipSpace();
    const value = scanner.value();
    if (value === undefined || parameters.has(name) || parameters.size === maxParameters) return undefined;
    parameters.set(name, value);
    scanner.skipSpace();
    if (scanner.done) return parameters;
    if (!scanner.take(",")) return undefined;
    scanner.skipSeparators();
  }
}

class Scanner {
  position = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.position >= this.#text.length;
  }

  skipSpace(): void {
    this.#match(/[ \t]*/y);
  }

  skipSeparators(): void {
    this.#match(/[ \t,]*/y);
  }

  peek(character: string): boolean {
    return this.#text[this.position] === character;
  }

  take(character: string): boolean {
    if (!this.peek(character)) return false;
    this.position++;
    return true;
  }

  token(): string {
    return this.#match(/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y) ?? "";
  }

  /** One blob of base64 instead of parameters, as `Negotiate YII=` has it. */
  takeToken68(): boolean {
    return this.#match(/[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y) !== undefined;
  }

  value(): string | undefined {
    if (this.#text[this.position] !== '"') return this.token() || undefined;
    const quoted = this.#match(/"(?:[^"\\\p{Cc}]|\\[\x20-\x7e])*"/uy);
    return quoted?.slice(1, -1).replace(/\\(.)/g, "$1");
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.position += found.length;
    return found;
  }
}
