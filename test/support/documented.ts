/** Settings of engines as docs/oci-runtime.md gives them: what users are told is what the tests run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";

const page = join(import.meta.dirname, "../../docs/oci-runtime.md");
/** Where the page takes kobako-oci to be. */
const installed = "/usr/local/bin/kobako-oci";

export interface EngineSettings {
  "/etc/containers/containers.conf": {
    readonly engine: {
      readonly runtime: string;
      readonly runtimes: Readonly<Record<string, readonly string[]>>;
    };
  };
  "/etc/docker/daemon.json": {
    readonly runtimes: Readonly<Record<string, { readonly path: string }>>;
    readonly "default-runtime": string;
  };
  "/etc/containerd/config.toml": {
    readonly version: number;
    readonly plugins: {
      readonly "io.containerd.cri.v1.runtime": {
        readonly containerd: {
          readonly default_runtime_name: string;
          readonly runtimes: Readonly<
            Record<
              string,
              { readonly runtime_type: string; readonly options: { readonly BinaryName: string } }
            >
          >;
        };
      };
    };
  };
}

/** The block for this file, with `program` where the page has the installed one. @throws when there is none. */
export function engineSettings<F extends keyof EngineSettings>(file: F, program: string): EngineSettings[F] {
  const [, text] = readFileSync(page, "utf8").split(`in \`${file}\`:`);
  const block = text === undefined ? null : /^\s*```(toml|json)\n([\s\S]*?)```/.exec(text);
  if (block?.[2] === undefined || !block[2].includes(installed))
    throw new Error(`${page} has no settings for ${file} that name ${installed}`);
  const given = block[2].replaceAll(installed, program);
  return (block[1] === "json" ? JSON.parse(given) : parse(given)) as EngineSettings[F];
}
