/**
 * How a shim's program is started, and what it answers. Pure.
 * Source: containerd runtime v2 README.md, "Commands"; api/runtime/bootstrap/v1.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { BootstrapParams, BootstrapResult, type AnyInit } from "../../ttrpc/message.ts";
import { version as ownVersion } from "../../config/version.ts";
import { searchPath } from "../../process/tool.ts";

export interface ShimIdentity {
  /** Of the sandbox. */
  readonly id: string;
  /** Where containerd keeps the containers of different clients apart; ours have one of their own. */
  readonly namespace: string;
  /** The events socket, which stands for containerd itself. */
  readonly eventsSocket: string;
  /** kobako-monitor: what a shim may run to publish an event. */
  readonly publishBinary: string;
}

/** Where a started shim serves its task API. */
export interface ShimAddress {
  readonly version: 2 | 3;
  /** A path, or "\0name" for an abstract socket. */
  readonly path: string;
}

export function shimArguments(shim: ShimIdentity, action: "start" | "delete", bundle?: string): string[] {
  return [
    "-namespace",
    shim.namespace,
    "-address",
    shim.eventsSocket,
    "-publish-binary",
    shim.publishBinary,
    "-id",
    shim.id,
    ...(bundle === undefined ? [] : ["-bundle", bundle]),
    action,
  ];
}

export function shimEnvironment(shim: ShimIdentity): Record<string, string> {
  return {
    PATH: searchPath,
    GOMAXPROCS: "2",
    MAX_SHIM_VERSION: "3",
    TTRPC_ADDRESS: shim.eventsSocket,
    GRPC_ADDRESS: shim.eventsSocket,
    NAMESPACE: shim.namespace,
  };
}

/** A shim's socket has a name of 64 digits in its folder, and 106 bytes in all. Source: containerd pkg/shim, util_unix.go. */
const maxSocketDirBytes = 106 - 65;

/** Standard input of `start`: shims since 2.3 take their parameters there, older ones ignore them. */
export function bootstrapInput(shim: ShimIdentity, socketDir: string, options: AnyInit | undefined): Buffer {
  return BootstrapParams.encode({
    instanceId: shim.id,
    namespace: shim.namespace,
    containerdVersion: ownVersion,
    containerdTtrpcAddress: shim.eventsSocket,
    containerdGrpcAddress: shim.eventsSocket,
    containerdBinary: shim.publishBinary,
    extensions: options === undefined ? [] : [{ value: options }],
    // Else where they put it by themselves.
    socketDir: Buffer.byteLength(socketDir) <= maxSocketDirBytes ? socketDir : "",
  });
}

/**
 * The answer of `start`: an address as text (the first version), JSON, or a BootstrapResult.
 * @throws RuntimeError `failed-precondition` for anything else, and for what this daemon does not speak.
 */
export function parseBootstrap(output: Buffer): ShimAddress {
  const text = output.toString("utf8").trim();
  let answer: { version: number; address: string; protocol: string };
  if (/^[\x20-\x7e]+$/.test(text) && !text.startsWith("{")) {
    answer = { version: 2, address: text, protocol: "ttrpc" };
  } else {
    try {
      answer = text.startsWith("{") ? parseJson(text) : BootstrapResult.decode(output);
    } catch (cause) {
      throw new RuntimeError("failed-precondition", `the shim's answer is no address: ${shown(output)}`, {
        cause,
      });
    }
  }
  if (answer.version !== 2 && answer.version !== 3) {
    throw new RuntimeError(
      "failed-precondition",
      `the shim speaks version ${answer.version} of the task API, this daemon 2 and 3`,
    );
  }
  if (answer.protocol !== "ttrpc") {
    throw new RuntimeError(
      "failed-precondition",
      `the shim speaks ${JSON.stringify(answer.protocol.slice(0, 40))}, this daemon ttrpc`,
    );
  }
  return { version: answer.version, path: socketPath(answer.address) };
}

function parseJson(text: string): { version: number; address: string; protocol: string } {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("not an object");
  const { version, address, protocol } = value as Record<string, unknown>;
  if (typeof version !== "number" || typeof address !== "string" || typeof protocol !== "string")
    throw new Error("version, address or protocol is missing");
  return { version, address, protocol };
}

function socketPath(address: string): string {
  const url = /^([a-z+]+):\/\/(.+)$/s.exec(address);
  const path = url ? (url[2] ?? "") : address;
  if (url && url[1] !== "unix") {
    throw new RuntimeError(
      "failed-precondition",
      `the shim serves at ${JSON.stringify(address.slice(0, 120))}: only unix sockets are spoken to`,
    );
  }
  // Without a scheme it is the name of an abstract socket, as the first shims had them.
  const abstract = !url && !path.startsWith("/");
  if (path.includes("\0") || path.length > 4000 || (!abstract && !path.startsWith("/")) || / /.test(path)) {
    throw new RuntimeError(
      "failed-precondition",
      `the shim's answer is no address: ${JSON.stringify(address.slice(0, 120))}`,
    );
  }
  return abstract ? `\0${path}` : path;
}

/** What a program said, for an error: printable, not long. */
export function shown(output: Buffer): string {
  const text = output.subarray(0, 400).toString("utf8").trim();
  return text === "" ? "nothing" : JSON.stringify(text);
}
