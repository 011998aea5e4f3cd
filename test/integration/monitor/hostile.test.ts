/** Whoever speaks nonsense on the control socket loses its connection; everybody else is served. */
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { encodeMessage } from "../../../src/runtime/monitor/frames.ts";
import { memoryKiB, MonitorPod, openFiles } from "../../support/monitor.ts";
import { waitFor } from "../../support/wait.ts";

const header = (size: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(size);
  return bytes;
};
const framed = (text: string): Buffer => Buffer.concat([header(Buffer.byteLength(text)), Buffer.from(text)]);
const greeting = encodeMessage({ hello: { protocol: 1 } });

describe("a connection", () => {
  it.each<[string, Buffer]>([
    ["an empty frame", header(0)],
    ["a frame over the cap", header((1 << 20) + 1)],
    ["the largest length there is", header(0xffffffff)],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["no JSON", framed("hello")],
    ["JSON that is no object", framed("[]")],
    ["no hello first", framed('{"id":1,"method":"state","params":{}}')],
    ["a hello without a protocol", framed('{"hello":{}}')],
    ["bytes that are no UTF-8", Buffer.concat([header(4), Buffer.from([0x22, 0xff, 0xfe, 0x22])])],
    ["10,000 levels of brackets", framed("[".repeat(10_000))],
    ["a request without an id", Buffer.concat([greeting, framed('{"method":"state"}')])],
    ["a request whose id is text", Buffer.concat([greeting, framed('{"id":"1","method":"state"}')])],
    [
      "a request whose params are a list",
      Buffer.concat([greeting, framed('{"id":1,"method":"state","params":[]}')]),
    ],
    ["a method of 1 MiB", Buffer.concat([greeting, framed(`{"id":1,"method":"${"m".repeat(1_000_000)}"}`)])],
    ["half a frame and its end", Buffer.concat([greeting, framed("{}").subarray(0, 5)])],
  ])("that sends %s is cut, and others are served", async (name, bytes) => {
    await using pod = await MonitorPod.start();
    const good = await pod.connect();
    const bad = pod.raw();
    bad.socket.write(bytes);
    if (name.startsWith("half")) bad.socket.end();
    await bad.cut();
    expect(await good.request("state")).toMatchObject({ containers: [] });
  });

  it("of another protocol is told so and cut", async () => {
    await using pod = await MonitorPod.start();
    const connection = pod.raw();
    connection.send({ hello: { protocol: 99 } });
    await connection.cut();
    expect(connection.messages).toMatchObject([{ error: { kind: "failed-precondition" } }]);
  });

  it("may send its messages in any pieces, and many at once", async () => {
    await using pod = await MonitorPod.start();
    const connection = pod.raw();
    const bytes = Buffer.concat([
      greeting,
      ...Array.from({ length: 50 }, (_, id) => encodeMessage({ id, method: "state" })),
    ]);
    for (const byte of bytes) connection.socket.write(Buffer.of(byte));
    await waitFor("all answers", () => connection.messages.length === 51);
    connection.socket.write(bytes.subarray(greeting.length));
    await waitFor("all answers", () => connection.messages.length === 101);
  });

  it("that lets its answers pile up is cut, others are not held up", async () => {
    await using pod = await MonitorPod.start();
    const good = await pod.connect();
    const slow = await pod.connect();
    slow.socket.pause();
    const request = encodeMessage({ id: 1, method: "net_stats" });
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => request));
    for (let i = 0; i < 20; i++) slow.socket.write(flood);
    for (let i = 0; i < 50; i++) await good.request("state");
    expect(memoryKiB(pod.pid, "Private_Dirty")).toBeLessThan(5000);
    slow.socket.resume();
    await slow.cut();
    await waitFor("memory to be given back", () => memoryKiB(pod.pid, "Private_Dirty") < 400);
  });

  it("is one of a limited number, and room comes back", async () => {
    await using pod = await MonitorPod.start();
    const good = await pod.connect();
    const before = openFiles(pod.pid);
    const many = Array.from({ length: 2200 }, () => pod.raw());
    const cut = () => many.filter(({ socket }) => socket.destroyed).length;
    await waitFor("those above the limit to be cut", () => cut() >= 2200 - 2047, { timeoutMs: 9_000 });
    // The others have their time for a hello.
    expect(cut()).toBe(2200 - 2047);
    expect(await good.request("state")).toMatchObject({ containers: [] });
    for (const connection of many) connection.close();
    await waitFor("descriptors to be closed", () => openFiles(pod.pid) <= before);
    await (await pod.connect()).request("state");
  });

  it("is for root alone", async () => {
    await using pod = await MonitorPod.start();
    execFileSync("chmod", ["-R", "a+rwX", pod.folder]);
    // Another user from the inside: a checkout in root's home is closed to a Node that starts as nobody.
    const script =
      "process.setgroups([]);process.setgid(65534);process.setuid(65534);" +
      "const c=require('node:net').connect(process.argv[1]);c.on('error',()=>{});c.on('close',()=>console.log('cut'));" +
      "c.on('data',()=>console.log('served'));c.write(Buffer.from(process.argv[2],'hex'))";
    const out = execFileSync(
      process.execPath,
      ["-e", script, `${pod.runDir}/m.sock`, greeting.toString("hex")],
      { encoding: "utf8" },
    );
    expect(out).toBe("cut\n");
  });

  it("that is a stream is cut for a frame that no client may send, and its process dies", async () => {
    await using pod = await MonitorPod.start();
    const control = await pod.connect();
    const id = await pod.shell(control, "sleep 100");
    for (const bytes of [
      Buffer.of(1, 0, 0, 0, 1, 0),
      Buffer.of(0, 255, 255, 255, 255),
      Buffer.of(4, 0, 0, 0, 1, 0),
    ]) {
      const connection = await pod.connect();
      const process = { args: ["/bin/sleep", "1000"], env: [], cwd: "/", user: { uid: 0, gid: 0 } };
      const { pid } = await connection.request("exec", { container: id, process, stdin: true });
      connection.socket.write(bytes);
      await connection.cut();
      const { existsSync } = await import("node:fs");
      await waitFor("end of the exec", () => !existsSync(`/proc/${pid}`));
    }
    expect(await control.request("state")).toMatchObject({ containers: [{ state: "running" }] });
  });

  it("may send requests of random bytes for as long as it likes", async () => {
    await using pod = await MonitorPod.start();
    const good = await pod.connect();
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const samples = [
      "prepare",
      "create",
      "start",
      "kill",
      "exec",
      "attach",
      "update",
      "reopen_log",
      "delete",
    ].map((method) =>
      JSON.stringify({
        id: 1,
        method,
        params: {
          container: "c1",
          bundle: "/x",
          process: { args: ["x"] },
          signal: 9,
          rootfs: { lower: ["/x"] },
        },
      }),
    );
    for (let round = 0; round < 200; round++) {
      const connection = pod.raw();
      connection.socket.write(greeting);
      for (let i = 0; i < 5; i++) {
        const text = Buffer.from(samples[random(samples.length)] ?? "");
        for (let k = random(4); k > 0; k--) text[random(text.length)] = random(256);
        connection.socket.write(Buffer.concat([header(text.length), text]));
      }
      connection.socket.end();
      await connection.ended;
    }
    expect(await good.request("state")).toMatchObject({ containers: expect.any(Array) });
  });
});
