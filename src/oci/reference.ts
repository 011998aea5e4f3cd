/**
 * Image references, read and normalised as Docker does: `busybox` is docker.io/library/busybox:latest.
 * Source: the grammar of github.com/distribution/reference (regexp.go, normalize.go).
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import { findDigest } from "./digest.ts";

export interface Reference {
  /** Host and port as written; docker.io when none was. */
  readonly registry: string;
  /** Path inside the registry; official images get their `library/`. */
  readonly repository: string;
  /** undefined exactly when `digest` is given: a digest wins over a tag. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const maxReferenceLength = 2048;
const maxRepositoryLength = 255;

const hostLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `(?:${hostLabel}(?:\\.${hostLabel})*|\\[[a-fA-F0-9:]+\\])`;
const registryPattern = new RegExp(`^${host}(?::[0-9]+)?$`);
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * @throws RuntimeError `invalid-argument` saying which part is wrong. A name of 64 hex digits is refused: it would be
 * taken for an image id; so is `sha256:` and 64 hex digits, which the grammar would take for a name and a tag.
 */
export function parseReference(text: string): Reference {
  if (text === "") throw invalid(text, "it is empty");
  if (text.length > maxReferenceLength)
    throw invalid(text, `it is longer than ${maxReferenceLength} characters`);
  if (/^[a-f0-9]{64}$/.test(text) || findDigest(text)) throw invalid(text, "it is an image id");

  const { rest: beforeDigest, digest } = splitDigest(text);
  const { registry, rest } = splitRegistry(beforeDigest);
  const { rest: path, tag } = splitTag(rest, text);
  if (!registryPattern.test(registry) || !portInRange(registry)) {
    throw invalid(text, `${JSON.stringify(registry)} is not a registry host`);
  }
  const repository = registry === dockerHub && !path.includes("/") ? `library/${path}` : path;
  checkRepository(text, repository);
  return { registry, repository, tag: digest ? undefined : (tag ?? "latest"), digest };
}

const dockerHub = "docker.io";

function splitDigest(text: string): { rest: string; digest: string | undefined } {
  const at = text.indexOf("@");
  if (at < 0) return { rest: text, digest: undefined };
  const digest = text.slice(at + 1);
  if (!findDigest(digest)) throw invalid(text, "after @ comes sha256 or sha512 in lower-case hex");
  return { rest: text.slice(0, at), digest };
}

/** The first part names a registry when it could not be a repository: it has a dot, a port, or upper case, or is localhost. */
function splitRegistry(name: string): { registry: string; rest: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (slash < 0 || !isHost) return { registry: dockerHub, rest: name };
  return { registry: first === "index.docker.io" ? dockerHub : first, rest: name.slice(slash + 1) };
}

function splitTag(rest: string, text: string): { rest: string; tag: string | undefined } {
  const colon = rest.indexOf(":");
  if (colon < 0) return { rest, tag: undefined };
  const tag = rest.slice(colon + 1);
  if (!tagPattern.test(tag)) throw invalid(text, `${JSON.stringify(tag.slice(0, 140))} is not a tag`);
  return { rest: rest.slice(0, colon), tag };
}

function checkRepository(text: string, repository: string): void {
  if (repository.length > maxRepositoryLength) {
    throw invalid(text, `its name is longer than ${maxRepositoryLength} characters`);
  }
  if (repository !== repository.toLowerCase()) throw invalid(text, "a repository name is lower case");
  for (const component of repository.split("/")) {
    if (!componentPattern.test(component)) {
      throw invalid(text, `${JSON.stringify(component.slice(0, 140))} is not a part of a repository name`);
    }
  }
}

function portInRange(registry: string): boolean {
  const port = /:(\d+)$/.exec(registry)?.[1];
  return port === undefined || registry.endsWith("]") || (Number(port) > 0 && Number(port) < 65536);
}

function invalid(text: string, why: string): RuntimeError {
  const shown = text.length > 300 ? `${text.slice(0, 300)}...` : text;
  return new RuntimeError(
    "invalid-argument",
    `image reference ${JSON.stringify(shown)} is not valid: ${why}`,
  );
}

/** `registry/repository`. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The one written form: with the tag, or with the digest when there is one. */
export function formatReference(reference: Reference): string {
  const name = repositoryName(reference);
  return reference.digest ? `${name}@${reference.digest}` : `${name}:${reference.tag}`;
}
