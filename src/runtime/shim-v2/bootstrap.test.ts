import { describe, expect, it } from "vitest";
import { BootstrapParams, BootstrapResult } from "../../ttrpc/message.ts";
import { bootstrapInput, parseBootstrap, shimArguments, shown } from "./bootstrap.ts";

const shim = { id: "pod", namespace: "kobako", eventsSocket: "/run/e.sock", publishBinary: "/bin/monitor" };

describe("the answer of a shim's start", () => {
  it.each([
    ["unix:///run/shim.sock\n", { version: 2, path: "/run/shim.sock" }],
    ["/run/shim.sock", { version: 2, path: "/run/shim.sock" }],
    ["containerd-shim/abc.sock", { version: 2, path: "\0containerd-shim/abc.sock" }],
    ['{"version":3,"address":"unix:///a","protocol":"ttrpc","metadata":{}}', { version: 3, path: "/a" }],
    [
      BootstrapResult.encode({ version: 3, address: "unix:///a", protocol: "ttrpc" }),
      { version: 3, path: "/a" },
    ],
  ] as const)("%s is an address", (answer, expected) => {
    expect(parseBootstrap(Buffer.from(answer))).toEqual(expected);
  });

  it.each([
    ["", /no address|version 0/],
    ["\n", /no address|version/],
    ["some words of a usage text", /no address/],
    ["{}", /no address: "\{\}"/],
    ['{"version":"3","address":"unix:///a","protocol":"ttrpc"}', /no address/],
    ['{"version":9,"address":"unix:///a","protocol":"ttrpc"}', /version 9/],
    ['{"version":3,"address":"unix:///a","protocol":"grpc"}', /speaks "grpc"/],
    ["vsock://3:1024", /only unix sockets/],
    ["unix://relative", /no address/],
    [Buffer.from([0xff, 0xff, 0xff]), /no address/],
    [Buffer.alloc(65536, 0x0a), /no address|version/],
  ] as const)("%j is refused", (answer, message) => {
    expect(() => parseBootstrap(Buffer.from(answer))).toThrow(message);
  });

  it("of random bytes is an address or refused, and an error shows little of it", () => {
    let x = 7;
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(
        Array.from({ length: round % 40 }, () => {
          x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
          return x >>> 24;
        }),
      );
      try {
        expect(parseBootstrap(bytes).path).not.toBe("");
      } catch (error) {
        expect((error as Error).message.length).toBeLessThan(3000);
      }
    }
  });
});

describe("what a shim is started with", () => {
  it("is the published command line", () => {
    expect(shimArguments(shim, "delete", "/b").join(" ")).toBe(
      "-namespace kobako -address /run/e.sock -publish-binary /bin/monitor -id pod -bundle /b delete",
    );
  });

  it("names a folder for its socket only where the path of one fits there", () => {
    const dir = (folder: string) => BootstrapParams.decode(bootstrapInput(shim, folder, undefined)).socketDir;
    expect(dir("/run/kobako/pods/0123456789abcdef")).toBe("/run/kobako/pods/0123456789abcdef");
    expect(dir(`/tmp/${"x".repeat(60)}`)).toBe("");
  });
});

it("shows what a program said as one short line", () => {
  expect(shown(Buffer.from(""))).toBe("nothing");
  expect(shown(Buffer.from("a\nb"))).toBe('"a\\nb"');
  expect(shown(Buffer.alloc(10_000, 0x61)).length).toBeLessThan(500);
});
