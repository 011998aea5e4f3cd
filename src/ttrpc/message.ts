/**
 * The door to the messages of a containerd shim (`Foo` as decoded, `FooInit` to encode), made from shim.proto.
 * Shapes as in cri-api/index.ts: 64-bit integers are bigint, bytes Uint8Array, messages undefined when not sent.
 */
import type { Any, AnyInit, Timestamp } from "./gen/shim.ts";

export * from "./gen/shim.ts";
export { DecodeError } from "../../cri-api/wire.ts";
export type { Codec } from "../../cri-api/wire.ts";

/** The services of a shim, and the one that a shim calls. */
export const service = {
  task: (version: 2 | 3) => `containerd.task.v${version}.Task`,
  events: "containerd.services.events.ttrpc.v1.Events",
} as const;

/** Type URLs as shims register them: with or without a host before the name. */
export const typeUrl = {
  process: "types.containerd.io/opencontainers/runtime-spec/1/Process",
  resources: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
  runcOptions: "containerd.runc.v1.Options",
  runcCheckpointOptions: "containerd.runc.v1.CheckpointOptions",
  runtimeOptions: "runtimeoptions.v1.Options",
  metricsV1: "io.containerd.cgroups.v1.Metrics",
  metricsV2: "io.containerd.cgroups.v2.Metrics",
  taskStart: "containerd.events.TaskStart",
  taskExit: "containerd.events.TaskExit",
  taskOom: "containerd.events.TaskOOM",
} as const;

/** What is an OCI structure travels as JSON. */
export function anyJson(url: string, value: unknown): AnyInit {
  return { typeUrl: url, value: Buffer.from(JSON.stringify(value)) };
}

/** Whether `any` holds the message `name`, whatever host its URL begins with. */
export function isAny(any: Any, name: string): boolean {
  return any.typeUrl === name || any.typeUrl.endsWith(`/${name}`);
}

/** Nanoseconds since 1970; 0n for none, and for what is no time after that. */
export function timestampNs(stamp: Timestamp | undefined): bigint {
  if (stamp === undefined || stamp.seconds <= 0n || stamp.nanos < 0 || stamp.nanos > 999_999_999) return 0n;
  const ns = stamp.seconds * 1_000_000_000n + BigInt(stamp.nanos);
  return ns > 0x7fff_ffff_ffff_ffffn ? 0n : ns;
}

export function timestamp(ns: bigint): { seconds: bigint; nanos: number } {
  return { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) };
}
