/**
 * A certificate of our own making, for a streaming server that listens elsewhere than on loopback and was given
 * none. It keeps tokens and streams from those who only listen; kubelets do not check who signed it.
 * Source: RFC 5280 (X.509), RFC 5480 (keys on P-256), X.690 (DER).
 */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

const yearMs = 365 * 24 * 3600_000;
const maxNames = 16;

const tag = { integer: 2, bitString: 3, octetString: 4, oid: 6, utf8: 12, utcTime: 23 } as const;
const sequence = 0x30;
const set = 0x31;

/** Valid for `names` (host names and addresses), from a day ago for ten years; the key is used nowhere else. */
export function selfSignedCertificate(names: readonly string[]): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const algorithm = der(sequence, der(tag.oid, hex("2a8648ce3d040302"))); // ecdsa-with-SHA256
  const name = der(
    sequence,
    der(set, der(sequence, der(tag.oid, hex("550403")), der(tag.utf8, Buffer.from("kobako")))),
  );
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40; // positive, of full length
  const body = der(
    sequence,
    der(0xa0, der(tag.integer, Buffer.from([2]))), // version 3
    der(tag.integer, serial),
    algorithm,
    name,
    der(sequence, time(now - yearMs / 365), time(now + 10 * yearMs)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      der(sequence, extension("551d11", der(sequence, ...names.slice(0, maxNames).map(alternativeName)))),
    ),
  );
  const signature = sign("sha256", body, privateKey);
  const whole = der(sequence, body, algorithm, der(tag.bitString, Buffer.from([0]), signature));
  const lines = whole.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function extension(oid: string, value: Buffer): Buffer {
  return der(sequence, der(tag.oid, hex(oid)), der(tag.octetString, value));
}

/** dNSName [2] or iPAddress [7]. */
function alternativeName(name: string): Buffer {
  return isIP(name) === 0 ? der(0x82, Buffer.from(name, "ascii")) : der(0x87, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes out an IPv4 tail in hexadecimal.
  const [head = "", rest] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const words = (text: string | undefined) => (text ? text.split(":") : []);
  const tail = words(rest);
  const zeros = Array.from({ length: 8 - words(head).length - tail.length }, () => "0");
  const bytes = Buffer.alloc(16);
  [...words(head), ...zeros, ...tail].forEach((word, i) => {
    bytes.writeUInt16BE(Number.parseInt(word, 16), 2 * i);
  });
  return bytes;
}

function time(ms: number): Buffer {
  // YYMMDDhhmmssZ, which RFC 5280 wants until 2049.
  const digits = new Date(ms)
    .toISOString()
    .replace(/\.\d+|[-:T]/g, "")
    .slice(2);
  return der(tag.utcTime, Buffer.from(digits, "ascii"));
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

function der(type: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([type, ...size]), content]);
}
