/** Small readers of wire fields: what is missing or unknown is an error that names the field. Pure. */
import { RuntimeError } from "../../errors/runtime-error.ts";

/** @throws RuntimeError `invalid-argument` when the message was not sent. */
export function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw new RuntimeError("invalid-argument", `${field} is missing`);
  return value;
}

/** The name that stands for an enum's number. @throws RuntimeError `invalid-argument` for an unknown number. */
export function enumName<T>(field: string, names: Readonly<Record<number, T>>, value: number): T {
  const name = names[value];
  if (name === undefined) {
    throw new RuntimeError(
      "invalid-argument",
      `${field} ${value} is unknown: known are ${Object.keys(names).join(", ")}`,
    );
  }
  return name;
}

/** A text that becomes a path, argument or variable: no NUL. @throws RuntimeError `invalid-argument`. */
export function noNul(field: string, value: string): string {
  if (value.includes("\0")) throw new RuntimeError("invalid-argument", `${field} holds a NUL byte`);
  return value;
}

/**
 * An id as clients send it, whole or a prefix. Ours are hex; one that merely looks like an id is another runtime's and
 * simply not found, because Stop and Remove of what is not there succeed. @throws RuntimeError `invalid-argument`.
 */
export function idField(field: string, value: string): string {
  if (!/^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$/.test(value)) {
    throw new RuntimeError(
      "invalid-argument",
      `${field} ${JSON.stringify(value.slice(0, 80))} is not an id: expected letters, digits, - and _, at most 128`,
    );
  }
  return value;
}

/** A map as an object without a prototype, so that `__proto__` is a key like any other. */
export function plainMap(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.assign(Object.create(null), map) as Record<string, string>;
}
