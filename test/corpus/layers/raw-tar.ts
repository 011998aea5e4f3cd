/** Tar archives byte by byte, for headers that no honest library writes. */

export interface RawHeader {
  readonly name?: string | Uint8Array;
  readonly type?: string;
  readonly size?: number;
  readonly link?: string;
  readonly mode?: number;
  readonly prefix?: string;
  /** "ustar\0" + "00" unless given. */
  readonly magic?: string;
  /** Written over the header before the checksum: offset and bytes. */
  readonly patch?: readonly (readonly [number, Uint8Array])[];
  /** Added to the right checksum. */
  readonly checksumError?: number;
}

const blockBytes = 512;
const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, "0")}\0`;

/** One header and its content, padded. */
export function rawEntry(header: RawHeader, content: string | Uint8Array = ""): Buffer {
  const body = Buffer.from(content);
  const block = Buffer.alloc(blockBytes);
  block.set(Buffer.from(header.name ?? ""), 0);
  block.write(octal(header.mode ?? 0o644, 8), 100, "latin1");
  block.write(octal(0, 8), 108, "latin1");
  block.write(octal(0, 8), 116, "latin1");
  block.write(octal(header.size ?? body.length, 12), 124, "latin1");
  block.write(octal(1_700_000_000, 12), 136, "latin1");
  block.write(header.type ?? "0", 156, "latin1");
  block.write(header.link ?? "", 157, "latin1");
  block.write(header.magic ?? "ustar\x0000", 257, "latin1");
  block.write(header.prefix ?? "", 345, "latin1");
  for (const [offset, bytes] of header.patch ?? []) block.set(bytes, offset);
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0) + (header.checksumError ?? 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([block, body, Buffer.alloc(-body.length & (blockBytes - 1))]);
}

/** A PAX header for the next entry. */
export function rawPax(records: Readonly<Record<string, string | Uint8Array>>, type = "x"): Buffer {
  const lines = Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value)));
  return rawEntry({ name: "pax", type }, Buffer.concat(lines));
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** The archive of these entries. */
export function rawTar(...entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(2 * blockBytes)]);
}

/** `value` in GNU's base 256. */
export function base256(value: bigint, width: number): Buffer {
  const bytes = Buffer.alloc(width);
  let rest = value;
  for (let i = width - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return bytes;
}
