import { frameHeader } from "./frame.ts";

/** A frame as clients send it. */
export function clientFrame(
  code: number,
  payload: Buffer,
  fin = true,
  key: Buffer = Buffer.from([1, 2, 3, 4]),
): Buffer {
  const header = frameHeader(code, payload.length);
  header[0] = (fin ? 0x80 : 0) | code;
  header[1] = (header[1] ?? 0) | 0x80;
  const masked = Buffer.from(payload.map((byte, i) => byte ^ (key[i & 3] ?? 0)));
  return Buffer.concat([header, key, masked]);
}
