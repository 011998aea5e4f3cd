/**
 * The door to the wire types: the CRI's messages (`Foo` as decoded, `FooInit` to encode, `Foo.encode`, `Foo.decode`),
 * the enums, and the tables of methods from which servers and clients are built.
 *
 * Shapes: 64-bit integers are bigint and exact, bytes Uint8Array, enums numbers (any number: values of a newer client
 * are kept), maps objects without a prototype; scalars, lists and maps are always there after decoding, messages are
 * undefined when they were not sent. Names are camelCase (`CDI_devices` is `cdiDevices`, `Avg10` is `avg10`).
 */
export * from "./gen/runtime-v1.ts";
export * from "./gen/kobako-v1.ts";
export { DecodeError, defaultMaxItems } from "./wire.ts";
export type { Codec, Method } from "./wire.ts";
