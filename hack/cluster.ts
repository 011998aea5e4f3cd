/** hack/cluster: see there. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ProxyMode } from "./kubernetes/control-plane.ts";
import { testCluster } from "./kubernetes/feature-tests.ts";
import { Node } from "./kubernetes/node.ts";
import { programs } from "./kubernetes/programs.ts";

const usage = `usage: hack/cluster up [--root DIR] [--config FILE] [--port N] [--proxy nftables|iptables] [--evented]
       hack/cluster down [--root DIR]
       hack/cluster test [-- VITEST-ARGUMENT...]`;

interface UpOptions {
  readonly config?: string;
  readonly port?: number;
  readonly proxy?: ProxyMode;
  readonly evented: boolean;
}

async function up(root: string, o: UpOptions): Promise<void> {
  const [kubectl = ""] = await programs(["kubectl"]);
  const node = await Node.up(root, {
    config: o.config,
    port: o.port,
    proxy: o.proxy,
    controlPlane: true,
    agnhost: true,
    featureGates: o.evented ? { EventedPLEG: true } : {},
  });
  console.error(`look at it: KUBECONFIG=${node.adminConfig} ${kubectl} get pods -A`);
  console.error(`images:     registry.kobako.test/busybox:1, registry.kobako.test/agnhost:1`);
  console.error(`logs:       ${node.folder}/log, ${node.kobakoFolder}/kobako.log`);
  console.log(node.adminConfig);
}

function proxyMode(text: string | undefined): ProxyMode | undefined {
  if (text === undefined || text === "nftables" || text === "iptables") return text;
  throw new TypeError(`--proxy ${text}: neither nftables nor iptables`);
}

function portOf(text: string | undefined): number | undefined {
  const port = text === undefined ? undefined : Number(text);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_526))
    throw new TypeError(`--port ${text}: a number from 1 to 65525 is needed, ten ports from there are used`);
  return port;
}

async function main(): Promise<number> {
  const split = process.argv.indexOf("--");
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2, split < 0 ? undefined : split),
    options: {
      root: { type: "string", default: "/var/lib/kobako-cluster" },
      config: { type: "string" },
      port: { type: "string" },
      proxy: { type: "string" },
      evented: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const root = resolve(values.root);
  const [verb, ...rest] = positionals;
  if (rest.length > 0) throw new TypeError(`"${rest.join(" ")}" is not understood`);
  const [port, proxy] = [portOf(values.port), proxyMode(values.proxy)];
  if (verb === "up")
    await up(root, {
      evented: values.evented,
      ...(values.config === undefined ? {} : { config: values.config }),
      ...(port === undefined ? {} : { port }),
      ...(proxy === undefined ? {} : { proxy }),
    });
  else if (verb === "down")
    if (existsSync(root)) await (await Node.at(root)).down();
    else console.error(`cluster: nothing at ${root}`);
  else if (verb === "test") return await testCluster(split < 0 ? [] : process.argv.slice(split + 1));
  else throw new TypeError(`"${verb ?? ""}" is none of up, down and test`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof TypeError) console.error(`cluster: ${error.message}\n${usage}`);
  else console.error(`cluster: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
process.exit();
