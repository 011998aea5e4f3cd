/**
 * The run-time half of the generated codecs: one small function per kind of field.
 *
 * Enters: protobuf bytes from outside, or values. Leaves: values with every scalar, list and map present, or bytes.
 * Holds against hostile bytes: lengths are checked, groups are skipped without recursion and only so deep, the
 * number of items in one message is capped (two bytes on the wire can become a hundred in memory), maps have no
 * prototype, text must be UTF-8. Message nesting is bounded by the schema: the generator refuses recursive ones.
 * Never: generates code at run time.
 */
import { isUtf8 } from "node:buffer";
import protobuf from "protobufjs/minimal.js";
import type { Reader, Writer } from "protobufjs/minimal.js";

export type { Reader, Writer };

/** Items (list elements, map entries, messages) that one message may hold unless the caller allows more. */
export const defaultMaxItems = 1 << 18;

/** How deep unknown groups may nest; no CRI client sends any. */
const maxGroupDepth = 64;

/** Bytes that are not the message they should be. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** Turns one message type into bytes and back. */
export interface Codec<T, Init = T> {
  /** The message's name in its .proto. */
  readonly name: string;
  /** @throws RangeError when a number does not fit its field. */
  encode(message: Init): Buffer;
  /** @throws DecodeError */
  decode(bytes: Uint8Array, maxItems?: number): T;
}

/** One method of a service. `path` is its HTTP/2 path. */
export interface Method<Req = unknown, ReqInit = unknown, Res = unknown, ResInit = unknown> {
  readonly path: string;
  readonly serverStreaming: boolean;
  readonly request: Codec<Req, ReqInit>;
  readonly response: Codec<Res, ResInit>;
}

type Write<Init> = (w: Writer, m: Init) => void;
type Read<T> = (r: Reader, end: number, into?: T) => T;

/** Items that the decode under way may still make. Decoding is synchronous, so one counter is enough. */
let itemsLeft = 0;

export function codec<T, Init>(name: string, write: Write<Init>, read: Read<T>): Codec<T, Init> {
  return {
    name,
    encode(message) {
      const w = protobuf.Writer.create();
      write(w, message);
      return w.finish() as Buffer;
    },
    decode(bytes, maxItems = defaultMaxItems) {
      itemsLeft = maxItems;
      // A Buffer, whatever came: its reader decodes text natively.
      const r = protobuf.Reader.create(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      try {
        return read(r, r.len);
      } catch (cause) {
        throw new DecodeError(
          `not a valid ${name}: ${cause instanceof Error ? cause.message : String(cause)}`,
          {
            cause,
          },
        );
      }
    },
  };
}

// Writing: fields at their default are left out, as proto3 has it.

export function wString(w: Writer, tag: number, v: string | undefined): void {
  if (v) w.uint32(tag).string(v);
}

export function wBool(w: Writer, tag: number, v: boolean | undefined): void {
  if (v) w.uint32(tag).bool(true);
}

export function wInt32(w: Writer, tag: number, v: number | undefined): void {
  if (!v) return;
  if (v !== (v | 0)) throw new RangeError(`${v} does not fit an int32`);
  w.uint32(tag).int32(v);
}

export function wUint32(w: Writer, tag: number, v: number | undefined): void {
  if (!v) return;
  if (v !== v >>> 0) throw new RangeError(`${v} does not fit an uint32`);
  w.uint32(tag).uint32(v);
}

export function wInt64(w: Writer, tag: number, v: bigint | undefined): void {
  if (v) long(w.uint32(tag), v, true);
}

export function wUint64(w: Writer, tag: number, v: bigint | undefined): void {
  if (v) long(w.uint32(tag), v, false);
}

export function wDouble(w: Writer, tag: number, v: number | undefined): void {
  if (v !== undefined && !Object.is(v, 0)) w.uint32(tag).double(v);
}

export function wBytes(w: Writer, tag: number, v: Uint8Array | undefined): void {
  if (v !== undefined && v.length > 0) w.uint32(tag).bytes(v);
}

export function wMessage<Init>(w: Writer, tag: number, write: Write<Init>, v: Init | undefined): void {
  if (v === undefined) return;
  write(w.uint32(tag).fork(), v);
  w.ldelim();
}

export function wStrings(w: Writer, tag: number, list: readonly string[] | undefined): void {
  if (list !== undefined) for (const v of list) w.uint32(tag).string(v);
}

export function wMessages<Init>(
  w: Writer,
  tag: number,
  write: Write<Init>,
  list: readonly Init[] | undefined,
): void {
  if (list !== undefined) for (const v of list) wMessage(w, tag, write, v);
}

export function wInt32s(w: Writer, tag: number, list: readonly number[] | undefined): void {
  if (list === undefined || list.length === 0) return;
  w.uint32(tag).fork();
  for (const v of list) {
    if (v !== (v | 0)) throw new RangeError(`${v} does not fit an int32`);
    w.int32(v);
  }
  w.ldelim();
}

export function wInt64s(w: Writer, tag: number, list: readonly bigint[] | undefined): void {
  if (list === undefined || list.length === 0) return;
  w.uint32(tag).fork();
  for (const v of list) long(w, v, true);
  w.ldelim();
}

export function wStringMap(w: Writer, tag: number, map: Readonly<Record<string, string>> | undefined): void {
  if (map === undefined) return;
  for (const key of Object.keys(map)) {
    w.uint32(tag)
      .fork()
      .uint32(10)
      .string(key)
      .uint32(18)
      .string(map[key] ?? "");
    w.ldelim();
  }
}

/** Numbers up to 2^53 go the short way; the rest as two halves, which is what the writer works with inside. */
function long(w: Writer, v: bigint, signed: boolean): void {
  if ((signed ? BigInt.asIntN(64, v) : BigInt.asUintN(64, v)) !== v)
    throw new RangeError(`${v} does not fit ${signed ? "an int64" : "an uint64"}`);
  const n = Number(v);
  if (Number.isSafeInteger(n)) w.int64(n);
  else
    w.int64({
      low: Number(BigInt.asIntN(32, v)),
      high: Number(BigInt.asIntN(32, v >> 32n)),
      unsigned: !signed,
    } as never);
}

// Reading.

/** Must follow every message: a field that ran over the end of its message is an error. */
export function ended<T>(r: Reader, end: number, m: T): T {
  if (r.pos !== end) throw new RangeError("a field is longer than its message");
  return m;
}

function item(): void {
  if (--itemsLeft < 0) throw new RangeError("too many items");
}

/** Reads a length and gives the offset that it ends at. */
function endOf(r: Reader): number {
  const length = r.uint32();
  const end = r.pos + length;
  if (end > r.len) throw new RangeError(`${length} bytes announced, ${r.len - r.pos} left`);
  return end;
}

export function rString(r: Reader): string {
  const end = endOf(r);
  const start = r.pos;
  r.pos = end;
  const text = (r.buf as Buffer).toString("utf8", start, end);
  // Only text with a replacement character can have been broken, so only that is looked at twice.
  if (text.includes("\ufffd") && !isUtf8(r.buf.subarray(start, end)))
    throw new TypeError("text is not valid UTF-8");
  return text;
}

/** A copy: the message it came in can be freed. */
export function rBytes(r: Reader): Uint8Array {
  const end = endOf(r);
  const start = r.pos;
  r.pos = end;
  return new Uint8Array(r.buf.subarray(start, end));
}

export function rInt64(r: Reader): bigint {
  return BigInt.asIntN(64, varint(r));
}

export function rUint64(r: Reader): bigint {
  return BigInt.asUintN(64, varint(r));
}

function varint(r: Reader): bigint {
  const { buf, len } = r;
  let n = 0;
  let scale = 1;
  let high = 0n;
  for (let i = 0; i < 10; i++) {
    if (r.pos >= len) throw new RangeError("a number is cut off");
    const byte = buf[r.pos++] as number;
    // Seven groups of seven bits are exact in a double; only longer numbers need slow arithmetic.
    if (i < 7) {
      n += (byte & 127) * scale;
      scale *= 128;
    } else high |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) return i < 7 ? BigInt(n) : high | BigInt(n);
  }
  throw new RangeError("a number is longer than 64 bits");
}

/** A message field. A second occurrence is merged into the first, as protobuf has it. */
export function rMessage<T>(r: Reader, read: Read<T>, into?: T): T {
  item();
  return read(r, endOf(r), into);
}

export function rStringsItem(r: Reader, list: string[]): void {
  item();
  list.push(rString(r));
}

export function rMessagesItem<T>(r: Reader, read: Read<T>, list: T[]): void {
  list.push(rMessage(r, read));
}

/** One element of a list of numbers that came unpacked. */
export function rItem<T>(r: Reader, read: (r: Reader) => T, list: T[]): void {
  item();
  list.push(read(r));
}

/** A packed list of numbers. */
export function rPacked<T>(r: Reader, read: (r: Reader) => T, list: T[]): void {
  const end = endOf(r);
  while (r.pos < end) rItem(r, read, list);
  ended(r, end, list);
}

export function rInt32(r: Reader): number {
  return r.int32();
}

export function rStringMapItem(r: Reader, map: Record<string, string>): void {
  item();
  const end = endOf(r);
  let key = "";
  let value = "";
  while (r.pos < end) {
    const tag = r.tag();
    if (tag === 10) key = rString(r);
    else if (tag === 18) value = rString(r);
    else skip(r, tag);
  }
  map[key] = ended(r, end, value);
}

/** Without a prototype: `__proto__` and `constructor` are keys like any other. */
export function emptyMap(): Record<string, string> {
  return Object.create(null) as Record<string, string>;
}

/** Passes over an unknown field; groups without recursion. */
export function skip(r: Reader, tag: number): void {
  const open: number[] = [];
  for (let t = tag; ; t = r.tag()) {
    const field = t >>> 3;
    if (field === 0) throw new RangeError("field number 0");
    switch (t & 7) {
      case 0:
        varint(r);
        break;
      case 1:
        r.skip(8);
        break;
      case 2:
        r.pos = endOf(r);
        break;
      case 3:
        if (open.push(field) > maxGroupDepth) throw new RangeError("groups nested too deep");
        break;
      case 4:
        if (open.pop() !== field) throw new RangeError("a group ends that was not open");
        break;
      case 5:
        r.skip(4);
        break;
      default:
        throw new RangeError(`wire type ${t & 7}`);
    }
    if (open.length === 0) return;
  }
}
