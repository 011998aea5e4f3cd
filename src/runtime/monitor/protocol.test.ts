import { describe, expect, it } from "vitest";
import { errorOf, parseEvent, parseHello, parseStartAnswer, parseStatus, parseUser } from "./protocol.ts";
import { parseInterfaces } from "../net-dev.ts";

describe("answers of a monitor", () => {
  it("gives pid and start time of a monitor that is set up", () => {
    expect(
      parseStartAnswer(
        '{"ok":true,"protocol":1,"version":"0.1.0","pid":7,"start_time":"99","pause_pid":null}',
      ),
    ).toEqual({
      pid: 7,
      startTime: "99",
    });
  });

  it("tells why a monitor could not set itself up", () => {
    expect(() =>
      parseStartAnswer('{"ok":false,"error":{"code":28,"message":"pin: No space left on device"}}'),
    ).toThrow(
      expect.objectContaining({ kind: "resource-exhausted", message: "pin: No space left on device" }),
    );
  });

  it.each([
    ["no JSON", () => parseStartAnswer("x")],
    ["an array", () => parseStartAnswer("[]")],
    ["no pid", () => parseStartAnswer('{"ok":true,"start_time":"1"}')],
    ["a fractional pid", () => parseStartAnswer('{"ok":true,"pid":1.5,"start_time":"1"}')],
    [
      "a group that is no number",
      () => parseUser({ uid: 0, gid: 0, additional_gids: ["0"], home: "/", username: "" }),
    ],
    [
      "a stamp that is no number",
      () =>
        parseEvent({
          event: "exit",
          params: { container: "a", exit_code: 0, signal: 0, finished_at_ns: "1e9" },
        }),
    ],
    ["an unknown state", () => parseStatus({ pod: {}, containers: [{ id: "a", state: "dead" }] })],
    ["no hello", () => parseHello({})],
  ])("refuses an answer with %s", (_, parse) => {
    expect(parse).toThrow(expect.objectContaining({ kind: "internal" }));
  });

  it("keeps nanoseconds exact", () => {
    const event = parseEvent({
      event: "exit",
      params: {
        container: "a",
        exit_code: 137,
        signal: 9,
        oom_killed: true,
        started_at_ns: "1790000000123456789",
        finished_at_ns: "1790000000123456790",
      },
    });
    expect(event).toEqual({
      type: "exit",
      containerId: "a",
      exitCode: 137,
      signal: 9,
      oomKilled: true,
      startedAtNs: 1790000000123456789n,
      finishedAtNs: 1790000000123456790n,
    });
  });

  it("reads a container that has not started, with null for what is not known", () => {
    const status = parseStatus({
      pod: { pid_mode: "container", pause_pid: null },
      containers: [
        {
          id: "a",
          state: "prepared",
          pid: null,
          start_time: null,
          started_at_ns: null,
          finished_at_ns: null,
          exit_code: null,
          signal: null,
          oom_killed: false,
          cgroup: null,
        },
      ],
    });
    expect(status).toEqual({
      pausePid: undefined,
      containers: [
        {
          id: "a",
          phase: "prepared",
          pid: undefined,
          startTime: undefined,
          startedAtNs: undefined,
          finishedAtNs: undefined,
          exitCode: undefined,
          signal: 0,
          oomKilled: false,
          cgroup: "",
        },
      ],
    });
  });

  it("skips events of a later release", () => {
    expect(parseEvent({ event: "frozen", params: {} })).toBeUndefined();
  });

  it("takes a kind that it knows, and tells the errno by name", () => {
    expect(errorOf({ code: 2, kind: "not-found", message: "m" }, "kill")).toMatchObject({
      kind: "not-found",
      subject: { errno: "ENOENT" },
    });
    expect(errorOf({ code: 99999, kind: "no-such-kind", message: "m" }, "kill")).toMatchObject({
      kind: "internal",
    });
    expect(errorOf({ code: -1 }, "kill")).toMatchObject({ kind: "internal", message: "no message" });
  });
});

describe("parseInterfaces", () => {
  it("reads counters as 64-bit numbers and leaves loopback out", () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth0:18446744073709551615 5 1 0 0 0 0 0 77 4 2 0 0 0 0 0
`;
    expect(parseInterfaces(text)).toEqual([
      { name: "eth0", rxBytes: 18446744073709551615n, rxErrors: 1n, txBytes: 77n, txErrors: 2n },
    ]);
  });
});
