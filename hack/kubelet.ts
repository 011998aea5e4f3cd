/** hack/kubelet: see there. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Node } from "./kubernetes/node.ts";

const usage = "usage: hack/kubelet up|down [--root DIR] [--config FILE] [--port N] [--evented]";

async function up(root: string, o: { config?: string; port?: number; evented: boolean }): Promise<void> {
  const node = await Node.up(root, {
    config: o.config,
    port: o.port,
    featureGates: o.evented ? { EventedPLEG: true } : {},
  });
  const { cert, key } = node.pki.certificate("client");
  console.error(`static pods:  put manifests into ${node.folders.manifests}`);
  console.error(
    `look at them: curl --cacert ${node.pki.ca} --cert ${cert} --key ${key} https://127.0.0.1:${node.ports.kubelet}/pods`,
  );
  console.error(`              crictl --runtime-endpoint unix://${node.socket} pods`);
  console.error(`logs:         ${node.processes.logFile("kubelet")}, ${node.kobakoFolder}/kobako.log`);
  console.log(`https://127.0.0.1:${node.ports.kubelet}`);
}

try {
  const { values, positionals } = parseArgs({
    options: {
      root: { type: "string", default: "/var/lib/kobako-kubelet" },
      config: { type: "string" },
      port: { type: "string" },
      evented: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const root = resolve(values.root);
  const [verb, ...rest] = positionals;
  if (rest.length > 0 || (verb !== "up" && verb !== "down"))
    throw new TypeError(`"${positionals.join(" ")}" is neither up nor down`);
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_526))
    throw new TypeError(
      `--port ${values.port}: a number from 1 to 65525 is needed, ten ports from there are used`,
    );
  if (verb === "up")
    await up(root, {
      evented: values.evented,
      ...(values.config === undefined ? {} : { config: values.config }),
      ...(port === undefined ? {} : { port }),
    });
  else if (existsSync(root)) await (await Node.at(root)).down();
  else console.error(`kubelet: nothing at ${root}`);
} catch (error) {
  if (error instanceof TypeError) console.error(`kubelet: ${error.message}\n${usage}`);
  else console.error(`kubelet: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
process.exit();
