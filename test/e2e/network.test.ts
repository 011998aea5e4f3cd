/** The embedded network: pods reach each other, the host, and are reached by host ports, on both IP families. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { Protocol } from "../../cri-api/index.ts";
import {
  container,
  hostNetwork,
  output,
  pod,
  type RunningPod,
  runPod,
  startContainer,
} from "../support/pods.ts";
import { busyboxEntries } from "../support/busybox.ts";
import { freePort } from "../support/port.ts";
import { program } from "../support/programs.ts";
import { within } from "../support/slowness.ts";
import { useNode } from "../support/use-node.ts";

const node = useNode();

const bracket = (ip: string) => (isIPv6(ip) ? `[${ip}]` : ip);

/** A pod whose container serves `text` over HTTP on port 8080 of all its addresses. */
async function webPod(
  text: string,
  config = pod(node().daemon),
): Promise<RunningPod & { container: string }> {
  const { daemon, image } = node();
  const sandbox = await runPod(daemon, config);
  const id = await startContainer(
    daemon,
    sandbox,
    container(image, {
      command: [
        "/bin/sh",
        "-c",
        `mkdir /www && echo '${text}' > /www/index.html && exec httpd -f -p '[::]:8080' -h /www`,
      ],
    }),
  );
  await output(
    daemon,
    id,
    "for i in 1 2 3 4 5 6 7 8 9; do wget -qO- http://127.0.0.1:8080/ && exit; sleep 0.1; done; exit 1",
  );
  return { ...sandbox, container: id };
}

async function page(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(within(5000)) });
  return (await response.text()).trim();
}

/** An address of the host that is not loopback. */
function hostAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

describe("addresses", () => {
  it("a pod has an IPv4 and an IPv6 address, the first told is the IPv4 one, and both are on eth0", async () => {
    const { daemon } = node();
    const web = await webPod("x");
    expect(web.ips.map((ip) => [isIPv4(ip), isIPv6(ip)])).toEqual([
      [true, false],
      [false, true],
    ]);
    const shown = await output(daemon, web.container, "ip addr show dev eth0");
    for (const ip of web.ips) expect(shown).toContain(`${ip}/`);
    expect(await output(daemon, web.container, "ip addr show dev lo")).toContain("127.0.0.1/8");
  });

  it("no two pods have the same address; one that was given back is free again", async () => {
    const { daemon } = node();
    const pods = await Promise.all(Array.from({ length: 6 }, () => runPod(daemon)));
    expect(new Set(pods.flatMap(({ ips }) => ips)).size).toBe(12);
    await daemon.removeAllPods();
    const rounds = 300; // more than a /24 has
    if (process.env.KOBAKO_SOAK === "1")
      for (let i = 0; i < rounds; i++) {
        const { id } = await runPod(daemon);
        await daemon.client.removePodSandbox({ podSandboxId: id });
      }
  });
});

describe("reachability", () => {
  it.each([0, 1])("host to pod, pod to pod, pod to itself, address %i (IPv4, IPv6)", async (which) => {
    const { daemon } = node();
    const [a, b] = await Promise.all([webPod("page of a"), webPod("page of b")]);
    const [ipA, ipB] = [bracket(a.ips[which] ?? ""), bracket(b.ips[which] ?? "")];
    expect(await page(`http://${ipA}:8080/`)).toBe("page of a");
    expect(await output(daemon, a.container, `timeout 5 wget -qO- http://${ipB}:8080/`)).toBe("page of b");
    expect(await output(daemon, a.container, `timeout 5 wget -qO- http://${ipA}:8080/`)).toBe("page of a");
  });

  it("containers of a pod reach each other on loopback", async () => {
    const { daemon, image } = node();
    const web = await webPod("beside");
    const other = await startContainer(daemon, web, container(image));
    expect(await output(daemon, other, "timeout 5 wget -qO- http://127.0.0.1:8080/")).toBe("beside");
  });

  it("pod to host, by an address of the host and by its gateway", async () => {
    const { daemon } = node();
    const server = createServer((_, response) => response.end("the host")).listen(0, "0.0.0.0");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    try {
      const web = await webPod("x");
      const gateway = await output(
        daemon,
        web.container,
        "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'",
      );
      for (const address of [hostAddress(), gateway])
        if (address)
          expect(await output(daemon, web.container, `timeout 5 wget -qO- http://${address}:${port}/`)).toBe(
            "the host",
          );
    } finally {
      server.close();
    }
  });

  it("a pod on the host's network reaches the others", async () => {
    const { daemon, image } = node();
    const web = await webPod("by a pod of the node");
    const sandbox = await runPod(daemon, pod(daemon, { linux: hostNetwork }));
    const id = await startContainer(daemon, sandbox, container(image));
    expect(await output(daemon, id, `timeout 5 wget -qO- http://${web.ip}:8080/`)).toBe(
      "by a pod of the node",
    );
  });
});

describe("host ports", () => {
  it("are reached on loopback, on the host's address and from another pod, and closed with the pod", async () => {
    const { daemon, image } = node();
    const hostPort = await freePort();
    const config = pod(daemon, { portMappings: [{ protocol: Protocol.TCP, containerPort: 8080, hostPort }] });
    const web = await webPod("by host port", config);
    expect(await page(`http://127.0.0.1:${hostPort}/`)).toBe("by host port");
    const address = hostAddress();
    if (address) {
      expect(await page(`http://${address}:${hostPort}/`)).toBe("by host port");
      const sandbox = await runPod(daemon);
      const id = await startContainer(daemon, sandbox, container(image));
      expect(await output(daemon, id, `timeout 5 wget -qO- http://${address}:${hostPort}/`)).toBe(
        "by host port",
      );
    }
    await daemon.client.stopPodSandbox({ podSandboxId: web.id });
    await expect(page(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow();
  });

  it("hostIP narrows a port to one address", async () => {
    const { daemon } = node();
    const hostPort = await freePort();
    const config = pod(daemon, {
      portMappings: [{ protocol: Protocol.TCP, containerPort: 8080, hostPort, hostIp: "127.0.0.1" }],
    });
    await webPod("only here", config);
    expect(await page(`http://127.0.0.1:${hostPort}/`)).toBe("only here");
    const address = hostAddress();
    if (address) await expect(page(`http://${address}:${hostPort}/`)).rejects.toThrow();
  });

  it("udp, there and back", async () => {
    const { daemon, addImage } = node();
    const image = await addImage("udp", {
      layers: [busyboxEntries(), [{ name: "bin/udp-echo", mode: 0o755, content: program("udp-echo") }]],
    });
    const hostPort = await freePort();
    const sandbox = await runPod(
      daemon,
      pod(daemon, { portMappings: [{ protocol: Protocol.UDP, containerPort: 5353, hostPort }] }),
    );
    await startContainer(daemon, sandbox, container(image, { command: ["/bin/udp-echo", "5353"] }));
    const socket = createSocket("udp4");
    try {
      const answer = once(socket, "message", { signal: AbortSignal.timeout(within(5000)) });
      // A datagram before the program listens is lost: asked again until it answers.
      const asking = setInterval(() => socket.send("datagram", hostPort, "127.0.0.1"), 50);
      const [message] = (await answer.finally(() => clearInterval(asking))) as [Buffer];
      expect(message.toString()).toBe("datagram");
    } finally {
      socket.close();
    }
  });
});
