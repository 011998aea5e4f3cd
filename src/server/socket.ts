/**
 * A unix socket that is never open to others, never stolen, never left over.
 *
 * Enters: the path. Leaves: a listening net.Server whose file has mode 0660 from the first moment that it can be
 * seen: it is bound inside a folder of mode 0700 and linked to its name when all is ready.
 * A file left by a server that died is replaced; one that somebody answers on is not, and of several servers that
 * start at the same moment one wins.
 */
import { randomBytes } from "node:crypto";
import { chmod, link, lstat, mkdir, rm, rmdir, unlink } from "node:fs/promises";
import { type Server, connect } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError } from "../errors/runtime-error.ts";

/** sun_path has 108 bytes, one of them for the end (unix(7)). */
const maxPathBytes = 107;
const probeTimeoutMs = 2_000;

export interface BoundSocket {
  /** Where it can be reached before it is published. */
  readonly privatePath: string;
  /** Gives the socket its public name. */
  publish(): Promise<void>;
  /** Takes the name away again when it is still ours. May be called twice. */
  remove(): Promise<void>;
}

/**
 * Binds `server` for `path`. The folder is made (0755 at most, by umask) when it is missing.
 * @throws RuntimeError `failed-precondition` when a live server has the name or the name is not a socket's.
 */
export async function bindSocket(server: Server, path: string): Promise<BoundSocket> {
  const folder = join(dirname(path), `.k${randomBytes(3).toString("hex")}`);
  const privatePath = join(folder, "s");
  for (const p of [path, privatePath])
    if (Buffer.byteLength(p) > maxPathBytes)
      throw new RuntimeError("invalid-argument", `socket path ${p} is longer than ${maxPathBytes} bytes`);
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  // Refused here already, so that a second daemon says so before it does anything else.
  await refuseTaken(path);
  await mkdir(folder, { mode: 0o700 });
  let own: string | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: privatePath, backlog: 512 }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    await chmod(privatePath, 0o660);
    own = await identity(privatePath);
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw new RuntimeError("failed-precondition", `listen on ${path}`, { cause });
  }
  return {
    privatePath,
    async publish() {
      try {
        await publish(privatePath, path);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async remove() {
      await rm(folder, { recursive: true, force: true });
      if (own !== undefined && (await identity(path)) === own) await unlink(path).catch(ignoreMissing);
    },
  };
}

/** How long the name may be fought over. The first turn is ours, and one more try follows each, however slow. */
const publishTimeoutMs = 5_000;
/** A mark of a removal under way that is older belongs to a process that died in it. */
const oldMarkMs = 10_000;

/**
 * Gives the socket its name. link(2) decides between several servers as long as the name is free. The file of a dead
 * one is removed by whoever holds the mark with that file's identity: identities never come back, so nobody can
 * remove what another server has put there meanwhile.
 */
async function publish(from: string, path: string): Promise<void> {
  const end = performance.now() + publishTimeoutMs;
  for (let late = false; ; late = performance.now() >= end) {
    try {
      return await link(from, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    }
    if (late) throw new RuntimeError("unavailable", `socket ${path} is fought over by several servers`);
    const dead = await identity(path);
    await refuseTaken(path);
    // The same before and after: so it is the one that was asked.
    if (dead === undefined || (await identity(path)) !== dead) continue;
    const mark = join(dirname(path), `.k-${dead}`);
    try {
      await mkdir(mark, { mode: 0o700 });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      const made = await lstat(mark).catch(ignoreMissing);
      if (made && Date.now() - made.mtimeMs > oldMarkMs) await rmdir(mark).catch(ignoreMissing);
      await delay(5);
      continue;
    }
    try {
      if ((await identity(path)) === dead) await unlink(path);
    } finally {
      await rmdir(mark);
    }
  }
}

/** Tells one file from every other that ever had the name: inode numbers are used again, with a later time. */
async function identity(path: string): Promise<string | undefined> {
  const stat = await lstat(path, { bigint: true }).catch(ignoreMissing);
  return stat && `${stat.ino}-${stat.mtimeNs}`;
}

async function refuseTaken(path: string): Promise<void> {
  const stat = await lstat(path).catch(ignoreMissing);
  if (!stat) return;
  if (!stat.isSocket())
    throw new RuntimeError(
      "failed-precondition",
      `${path} exists and is not a socket: move it away or set another`,
    );
  if (await answers(path)) throw taken(path);
}

function taken(path: string): RuntimeError {
  return new RuntimeError(
    "failed-precondition",
    `another server answers on ${path}: stop it, or set server.socket`,
  );
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  return undefined;
}

/** Whether someone accepts connections. A server too busy to accept in time counts as alive: it is not to be robbed. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(probeTimeoutMs);
    const done = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", () => done(true));
    socket.once("timeout", () => done(true));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") done(false);
      else if (error.code === "EAGAIN") done(true);
      else reject(new RuntimeError("failed-precondition", `look at the socket ${path}`, { cause: error }));
    });
  });
}
