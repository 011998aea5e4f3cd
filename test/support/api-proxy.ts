/**
 * What an API server and a kubelet do between a client and a runtime: for each upgrade a URL is asked for, and
 * bytes are passed to it, with the Host that the client called.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";

/** A request of @kubernetes/client-node, as its query has it. */
export interface StreamRequest {
  readonly kind: "exec" | "attach" | "portforward";
  readonly pod: string;
  readonly container: string;
  readonly command: string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly ports: number[];
}

export interface ApiProxy extends AsyncDisposable {
  /** For the client's classes. */
  readonly config: KubeConfig;
}

/** `urlOf` asks the runtime. */
export async function apiProxy(urlOf: (request: StreamRequest) => Promise<string>): Promise<ApiProxy> {
  const proxy = createServer();
  proxy.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {});
    const { pathname, searchParams } = new URL(request.url ?? "", "http://proxy");
    const [, pod = "", kind = ""] = /\/pods\/([^/]+)\/(exec|attach|portforward)$/.exec(pathname) ?? [];
    const flag = (name: string) => searchParams.get(name) === "true";
    const wanted: StreamRequest = {
      kind: kind as StreamRequest["kind"],
      pod,
      container: searchParams.get("container") ?? "",
      command: searchParams.getAll("command"),
      stdin: flag("stdin"),
      stdout: flag("stdout"),
      stderr: flag("stderr") && !flag("tty"),
      tty: flag("tty"),
      ports: searchParams.getAll("ports").map(Number),
    };
    urlOf(wanted).then(
      (url) => {
        const { port, hostname, pathname: path } = new URL(url);
        const upstream = connect(Number(port), hostname);
        upstream.on("error", () => {});
        const { rawHeaders } = request;
        const lines = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []));
        upstream.write(`${request.method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
        socket.on("close", () => upstream.destroy());
        upstream.on("close", () => socket.destroy());
      },
      () => socket.destroy(),
    );
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: "u" },
  );
  return {
    config,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      await new Promise<void>((resolve) => proxy.close(() => resolve()));
    },
  };
}
