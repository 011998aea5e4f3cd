/** Sizes of a terminal, as clients send them: JSON objects one after the other, cut anywhere. */
import { setTimeout as delay } from "node:timers/promises";
import type { Inbox } from "../inbox.ts";

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** `{"Width":65535,"Height":65535}` and some spaces. */
const maxObjectBytes = 256;
/** A process hears of at most so many sizes in a second; the last one is never lost. */
const minIntervalMs = 20;

export class TerminalSizeParser {
  #text = "";

  /** The sizes that are whole now. What is no size is left out: it is no reason to end a session. */
  feed(bytes: Buffer): TerminalSize[] {
    const sizes: TerminalSize[] = [];
    const parts = bytes.toString("latin1").split("}");
    parts.forEach((part, i) => {
      this.#text = (this.#text + part).slice(0, maxObjectBytes);
      if (i === parts.length - 1) return;
      const size = parseSize(`${this.#text}}`);
      if (size !== undefined) sizes.push(size);
      this.#text = "";
    });
    return sizes;
  }
}

/** Names are compared as Go does: in any case. */
function parseSize(text: string): TerminalSize | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = new Map(
    Object.entries(value).map(([name, field]) => [name.toLowerCase(), field as unknown]),
  );
  const width = fields.get("width");
  const height = fields.get("height");
  if (!isCharacters(width) || !isCharacters(height)) return undefined;
  return { width, height };
}

function isCharacters(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff;
}

/** Hands the sizes on until their stream ends; when they come faster than a process can follow, the latest. */
export async function applySizes(sizes: Inbox, apply: (size: TerminalSize) => void): Promise<void> {
  const parser = new TerminalSizeParser();
  let latest: TerminalSize | undefined;
  let pause: Promise<void> | undefined;
  for await (const piece of sizes) {
    latest = parser.feed(piece).at(-1) ?? latest;
    if (latest === undefined || pause !== undefined) continue;
    apply(latest);
    latest = undefined;
    pause = delay(minIntervalMs).then(() => {
      pause = undefined;
      if (latest !== undefined) apply(latest);
      latest = undefined;
    });
  }
}
