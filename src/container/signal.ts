import { constants } from "node:os";
import { RuntimeError } from "../errors/runtime-error.ts";

const firstRealtime = 34; // as glibc and musl give it to programs
const lastRealtime = 64;

/**
 * Number of a signal as images and pods write it: "SIGTERM", "TERM", "15", "SIGRTMIN+3".
 * @throws RuntimeError `invalid-argument`.
 */
export function signalNumber(text: string): number {
  if (/^[0-9]{1,2}$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= lastRealtime) return number;
  }
  const name = text.toUpperCase().replace(/^(SIG)?/, "SIG");
  const known = (constants.signals as Readonly<Record<string, number>>)[name];
  if (known !== undefined && Object.hasOwn(constants.signals, name)) return known;
  const realtime = /^SIGRTM(IN|AX)(?:([+-])([0-9]{1,2}))?$/.exec(name);
  if (realtime !== null) {
    const offset = realtime[3] === undefined ? 0 : Number(`${realtime[2]}${realtime[3]}`);
    const number = (realtime[1] === "IN" ? firstRealtime : lastRealtime) + offset;
    if (number >= firstRealtime && number <= lastRealtime) return number;
  }
  throw new RuntimeError(
    "invalid-argument",
    `${JSON.stringify(text.slice(0, 40))} is not a signal: expected a name like SIGTERM or a number from 1 to ${lastRealtime}`,
  );
}
