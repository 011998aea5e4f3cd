/** Certificates and tokens of a cluster for tests, made by openssl: an authority of its own, 30 days. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "../run.ts";

const days = "30";
const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export interface Pki {
  readonly folder: string;
  /** PEM of the authority. */
  readonly ca: string;
  /** The paths NAME.crt and NAME.key. */
  certificate(name: string): { readonly cert: string; readonly key: string };
}

interface Subject {
  readonly name: string;
  /** "/O=group/CN=user" */
  readonly subject: string;
  /** "IP:127.0.0.1,DNS:localhost" */
  readonly names: string;
}

/** First address of the service range: the API server's own name inside of pods. */
export const serviceRange = "10.112.0.0/16";
const apiService = "10.112.0.1";

const subjects = (node: string): readonly Subject[] => [
  {
    name: "apiserver",
    subject: "/CN=apiserver",
    names: `IP:127.0.0.1,IP:${apiService},DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc`,
  },
  {
    name: "kubelet",
    subject: `/O=system:nodes/CN=system:node:${node}`,
    names: `IP:127.0.0.1,DNS:${node},DNS:localhost`,
  },
  // Whoever calls the kubelet: the API server, and tests of a kubelet without one.
  { name: "client", subject: "/O=system:masters/CN=kobako-client", names: "DNS:client" },
];

/** Makes in `folder` what is missing. */
export async function makePki(folder: string, node: string): Promise<Pki> {
  const at = (name: string) => join(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if (!existsSync(at("ca.crt")))
    await must([
      ...["openssl", "req", "-x509", ...key, "-days", days, "-subj", "/CN=kobako test authority"],
      ...["-keyout", at("ca.key"), "-out", at("ca.crt")],
    ]);
  for (const { name, subject, names } of subjects(node)) {
    if (existsSync(at(`${name}.crt`))) continue;
    const [request, extensions] = [at(`${name}.csr`), at(`${name}.ext`)];
    await must(["openssl", "req", ...key, "-subj", subject, "-keyout", at(`${name}.key`), "-out", request]);
    await writeFile(extensions, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    await must([
      ...["openssl", "x509", "-req", "-in", request, "-CA", at("ca.crt"), "-CAkey", at("ca.key")],
      ...["-CAcreateserial", "-days", days, "-extfile", extensions, "-out", at(`${name}.crt`)],
    ]);
    for (const file of [request, extensions]) await rm(file);
  }
  return {
    folder,
    ca: at("ca.crt"),
    certificate: (name) => ({ cert: at(`${name}.crt`), key: at(`${name}.key`) }),
  };
}

/** The key pair that signs the tokens of service accounts. Paths. */
export async function serviceAccountKeys(folder: string): Promise<{ private: string; public: string }> {
  const [secret, open] = [join(folder, "sa.key"), join(folder, "sa.pub")];
  if (!existsSync(open)) {
    await must(["openssl", "genrsa", "-out", secret, "2048"]);
    await must(["openssl", "rsa", "-in", secret, "-pubout", "-out", open]);
  }
  return { private: secret, public: open };
}

/** Users known by a token, in the API server's --token-auth-file. */
export interface Tokens {
  readonly file: string;
  readonly admin: string;
  readonly node: string;
}

export async function makeTokens(folder: string, node: string): Promise<Tokens> {
  const file = join(folder, "tokens.csv");
  if (!existsSync(file)) {
    const token = () => randomBytes(16).toString("hex");
    const lines = [
      `${token()},admin,admin,"system:masters"`,
      `${token()},system:node:${node},node,"system:nodes"`,
    ];
    await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  }
  const [admin = "", of = ""] = (await readFile(file, "utf8")).split("\n");
  return { file, admin: admin.split(",")[0] ?? "", node: of.split(",")[0] ?? "" };
}

/** A kubeconfig file with one user. */
export async function writeKubeconfig(
  file: string,
  server: string,
  ca: string,
  token: string,
): Promise<void> {
  await writeFile(
    file,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "kobako", cluster: { server, "certificate-authority": ca } }],
      users: [{ name: "user", user: { token } }],
      contexts: [{ name: "kobako", context: { cluster: "kobako", user: "user" } }],
      "current-context": "kobako",
    }),
    { mode: 0o600 },
  );
}
