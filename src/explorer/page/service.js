// The service: its figures as they go, its live queries, its settings.

import { failure, fill, h, s } from "./dom.js";
import { features, lines, read, send } from "./api.js";
import { tree } from "./json.js";

const EVERY = 2000;
const KEPT = 150;

/** Reads Prometheus' text: a list of `{ name, labels, value }`. */
const figures = (text) => {
  const found = [];
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
    found.push({ name: match[1], labels, value: Number(match[3].replace("Inf", "Infinity")) });
  }
  return found;
};
const sum = (all, name, labels = {}) => all.filter((one) => one.name === name
  && Object.entries(labels).every(([key, value]) => one.labels[key] === value)).reduce((total, one) => total + one.value, 0);

/** The time below which nine of ten requests were answered between two looks, by the buckets of a histogram. */
const ninth = (now, before) => {
  const name = "http_request_duration_seconds_bucket";
  const bounds = [...new Set(now.filter((one) => one.name === name).map((one) => one.labels.le))]
    .sort((one, other) => Number(one.replace("+Inf", "Infinity")) - Number(other.replace("+Inf", "Infinity")));
  const since = (le) => sum(now, name, { le }) - sum(before, name, { le });
  const all = since("+Inf");
  const found = all > 0 ? bounds.find((le) => since(le) >= all * 0.9) : undefined;
  return found === undefined || found === "+Inf" ? null : Number(found) * 1000;
};

const WIDTH = 300;
const HEIGHT = 60;

/** A line that goes on, with its last value. */
const plot = (title, unit) => {
  const values = [];
  const now = h("strong", {}, "–");
  const path = s("polyline", { class: "line" });
  const picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, path);
  const most = h("span", { class: "dim" });
  return {
    element: h("figure", { class: "plot" }, h("figcaption", {}, title, " ", now), picture, most),
    add: (value) => {
      values.push(value);
      if (values.length > KEPT) values.shift();
      const text = (one) => (one === null ? "–" : `${one >= 100 ? Math.round(one) : Math.round(one * 10) / 10}${unit}`);
      const top = Math.max(...values.map((one) => one ?? 0), 1e-9);
      now.textContent = text(value);
      most.textContent = `at most ${text(top < 1e-6 ? 0 : top)}`;
      // The newest is at the right; the first ones have more room.
      const width = Math.max(values.length, 15) - 1;
      path.setAttribute("points", values.map((one, at) => `${WIDTH - ((values.length - 1 - at) * WIDTH) / width},${HEIGHT - 2 - ((one ?? 0) / top) * (HEIGHT - 4)}`).join(" "));
    },
  };
};

const QUERIES = "r.db('rethinkdb').table('jobs').filter({type: 'query'})";

/** The queries that the database runs, if one may know. */
const queries = async (place, signal) => {
  const response = await send("POST", "reql", { body: QUERIES, signal, headers: { "Content-Type": "application/vnd.rethinkdb.reql", Accept: "application/x-ndjson" } });
  const jobs = [];
  for await (const line of lines(response.body)) if (line) jobs.push(JSON.parse(line));
  const feeds = jobs.filter((job) => /\.changes\(/.test(job.info?.query ?? ""));
  place.replaceChildren(feeds.length === 0 ? h("p", { class: "dim" }, "None is open.")
    : h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Live queries" }, h("table", { class: "wide" },
      h("thead", {}, h("tr", {}, ["Query", "User", "For"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, feeds.map((job) => h("tr", {}, h("td", {}, h("code", {}, job.info.query)), h("td", {}, job.info.user ?? ""),
        h("td", {}, `${Math.round(job.duration_sec ?? 0)} s`)))))));
};

export const service = async (main, { signal }) => {
  const able = await features();
  const plots = {
    requests: plot("Requests", "/s"), latency: plot("Mean latency", " ms"), ninth: plot("Nine of ten below", " ms"),
    used: plot("Connections in use", ""), standing: plot("Standing by", ""), waiting: plot("Waiting for one", ""),
    feeds: plot("Live queries", ""), memory: plot("Memory", " MiB"),
  };
  const live = h("div");
  const problem = h("div");
  const settings = h("div");
  fill(main, h("h1", {}, "Service"), problem, h("div", { class: "plots" }, Object.values(plots).map(({ element }) => element)),
    able.reql ? [h("h2", {}, "Live queries that are open"), live] : null, settings);
  if (able.config) {
    read("config", { signal }).then((config) => settings.replaceChildren(h("h2", {}, "Settings in force"), tree(config, 1)))
      .catch((error) => { if (!signal.aborted) settings.replaceChildren(failure(error)); });
  }
  if (!able.metrics) {
    fill(problem, h("p", { class: "dim" }, "The figures have an address of their own here (`admin.address`)."));
    main.querySelector(".plots").remove();
  }
  let before = null;
  let mayAsk = able.reql;
  const look = async () => {
    if (signal.aborted) return;
    if (able.metrics) try {
      const text = await (await send("GET", "metrics", { signal, headers: { Accept: "text/plain" } })).text();
      const now = { at: performance.now(), all: figures(text) };
      if (before) {
        const seconds = (now.at - before.at) / 1000;
        const grown = (name) => sum(now.all, name) - sum(before.all, name);
        const count = grown("http_request_duration_seconds_count");
        plots.requests.add(Math.max(count / seconds, 0));
        plots.latency.add(count > 0 ? (grown("http_request_duration_seconds_sum") / count) * 1000 : null);
        plots.ninth.add(ninth(now.all, before.all));
      }
      plots.used.add(sum(now.all, "warp_reql_db_connections", { state: "in_use" }));
      plots.standing.add(sum(now.all, "warp_reql_db_connections", { state: "standing_by" }));
      plots.waiting.add(sum(now.all, "warp_reql_db_waiting"));
      plots.feeds.add(sum(now.all, "warp_reql_live_queries"));
      plots.memory.add(sum(now.all, "process_resident_memory_bytes") / 2 ** 20);
      before = now;
      problem.replaceChildren();
    } catch (error) {
      if (!signal.aborted) problem.replaceChildren(failure(error));
    }
    if (mayAsk && !document.hidden) {
      await queries(live, signal).catch((error) => {
        if (signal.aborted) return;
        mayAsk = error.status !== 403;
        live.replaceChildren(mayAsk ? failure(error) : h("p", { class: "dim" }, "Which queries run isn't for this user."));
      });
    }
    const timer = setTimeout(look, EVERY);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  };
  look();
};
