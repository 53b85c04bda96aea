// Requests to the service. Credentials are in this module's memory and nowhere else.

import { ask, h, labelled } from "./dom.js";

let authorization = null;
/** The user who was given last, so that only the password has to be typed again. */
let named = "";
let asking = null;
/** How the service takes credentials, by its own description: "basic" or "bearer". */
let scheme = null;
let away = false;
const listeners = new Set();

/** A problem document (RFC 9457). */
export class Problem extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.problem = problem;
    this.status = status;
  }
}

/** Calls back with `true` when the service can't be reached, and with `false` when it can again. */
export const onAway = (listener) => listeners.add(listener);
const setAway = (is) => {
  if (is === away) return;
  away = is;
  for (const listener of listeners) listener(is);
};

export const signedIn = () => authorization !== null;
/** Whether the service takes credentials at all, as far as it is known. */
export const takesCredentials = () => scheme !== null;
export const signOut = () => {
  authorization = null;
  named = "";
  document.dispatchEvent(new Event("signed"));
};

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Asks for credentials; `refused` says why those before weren't taken. */
const askWho = (bearer, refused) => {
  asking ??= (async () => {
    const name = h("input", { name: "user", value: named, autocomplete: "username", required: !bearer, autocapitalize: "off" });
    const secret = h("input", { name: "secret", type: "password", autofocus: named !== "", autocomplete: bearer ? "off" : "current-password" });
    const answer = await ask("Sign in", [
      refused && h("p", { class: "problem", role: "alert" }, refused),
      h("p", {}, bearer ? "This service asks for a token. It is forgotten with this page."
        : "This service asks for a database user. The password is forgotten with this page."),
      bearer ? labelled("Token", secret) : [labelled("User", name), labelled("Password", secret)],
    ], [h("button", { value: "in", class: "main" }, "Sign in")]);
    asking = null;
    if (answer !== "in") return false;
    named = name.value;
    authorization = bearer ? `Bearer ${secret.value.trim()}` : `Basic ${base64(`${name.value}:${secret.value}`)}`;
    document.dispatchEvent(new Event("signed"));
    return true;
  })();
  return asking;
};

/** Asks for credentials that no answer has asked for, and tries them. Returns whether there are some then. */
export const signIn = async () => {
  if (!await askWho(scheme === "bearer")) return false;
  try {
    // Wrong ones are told of here, by a request that changes nothing.
    await read("tables");
  } catch (error) {
    if (error.status === 401) {
      signOut();
      return false;
    }
  }
  document.dispatchEvent(new Event("admitted"));
  return true;
};

/** Sends a request and returns the response, or throws its problem. Asks for credentials where they are needed, unless `quiet`. */
export const send = async (method, path, { headers = {}, body, signal, quiet = false } = {}) => {
  for (;;) {
    const used = authorization;
    let response;
    try {
      response = await fetch(path, {
        method, body, signal, cache: "no-store", credentials: "omit",
        headers: { Accept: "application/json", ...headers, ...(used && { Authorization: used }) },
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      setAway(true);
      throw new Problem({ detail: "The service can't be reached." }, 0);
    }
    setAway(false);
    if (response.ok) return response;
    const text = await response.text();
    let problem = {};
    try { problem = JSON.parse(text); } catch { /* It is from something in between. */ }
    if (response.status === 401 && !quiet) {
      const bearer = /^\s*bearer/i.test(response.headers.get("WWW-Authenticate") ?? "");
      if (used !== authorization || await askWho(bearer, used && (problem.detail ?? "These credentials are refused."))) continue;
    }
    const error = new Problem(problem, response.status);
    // Where one may do something without credentials, nothing else asks for them.
    if (problem.code === "forbidden" && !used && takesCredentials()) error.signIn = signIn;
    throw error;
  }
};

/** Reads a JSON answer. */
export const read = async (path, options) => (await send("GET", path, options)).json();

/** Describes a table, or guesses where one may see its documents and not the table. */
export const described = (table, options) => read(`tables/${encodeURIComponent(table)}`, { ...options, quiet: true }).catch((error) => {
  if ([401, 403].includes(error.status)) return { name: table, primary_key: "id", indexes: [] };
  throw error;
});

export const json = (value) => ({ headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });

/** Hands out the lines of a body as they come. Nothing stands between: what waits in a pipe is lost when a body breaks off. */
export async function* lines(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + decoder.decode(value, { stream: !done })).split("\n");
    if (done) {
      rest = parts.join("\n");
      break;
    }
    rest = parts.pop();
    yield* parts;
  }
  if (rest) yield rest;
}

/** Hands out server-sent events as they come: `{ type, data }`. */
async function* events(body) {
  let event = { type: "message", data: "" };
  for await (const line of lines(body)) {
    const [, name, value] = /^([^:]*):? ?(.*?)\r?$/.exec(line) ?? [];
    if (line.trim() === "") {
      if (event.data) yield { type: event.type, data: JSON.parse(event.data) };
      event = { type: "message", data: "" };
    } else if (name === "event") event.type = value;
    else if (name === "data") event.data += value;
  }
}

const pause = (time, signal) => new Promise((done) => {
  const timer = setTimeout(done, time);
  signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});

/** Follows a live query until `signal` ends it; comes again by itself. `state` is told "live" or why not. */
export const follow = async (path, { signal, event, state }) => {
  let wait = 500;
  while (!signal.aborted) {
    try {
      const response = await send("GET", path, { signal, headers: { Accept: "text/event-stream" } });
      for await (const one of events(response.body)) {
        if (one.type === "error") throw new Problem(one.data, one.data.status);
        if (one.type === "ready") { wait = 500; state("live"); }
        event(one);
      }
      state("interrupted");
    } catch (error) {
      if (signal.aborted) return;
      state(error.message, error);
      if ([400, 401, 403, 404].includes(error.status)) return;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, 10000);
  }
};

/** What this service can do, by its own description. */
let known = null;
export const features = () => {
  known ??= read("openapi.json").then((api) => {
    scheme = Object.values(api.components?.securitySchemes ?? {}).find(({ type }) => type === "http")?.scheme ?? null;
    const list = api.paths["/tables/{table}/docs"] ?? api.paths["/tables/{t}/docs"] ?? {};
    return {
      reql: Boolean(api.paths["/reql"]),
      expand: (list.get?.parameters ?? []).some((parameter) => parameter.name === "expand"),
      csv: Boolean(list.post?.requestBody?.content?.["text/csv"]),
      config: Boolean(api.paths["/config"]),
      metrics: Boolean(api.paths["/metrics"]),
    };
  }).catch((error) => { known = null; throw error; });
  return known;
};

/** A command for a shell that does the same. */
export const curl = (method, path, headers = {}, body) => {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", ...(method === "GET" ? [] : ["-X", method]), quoted(new URL(path, location.href).href)];
  for (const [name, value] of Object.entries(headers)) parts.push("-H", quoted(`${name}: ${value}`));
  if (body !== undefined) parts.push("-d", quoted(body));
  return parts.join(" ");
};
