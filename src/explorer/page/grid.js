// Documents of a table: a page of them as a grid that follows the table.

import { button, copy, cut, failure, fill, h, labelled, tell } from "./dom.js";
import { curl, described, features, follow, read, send } from "./api.js";
import { cell, idText, own, special } from "./json.js";
import { complete } from "./complete.js";

const OPERATORS = ["eq.", "ne.", "lt.", "lte.", "gt.", "gte.", "in.(", "match.", "contains.", "has", "not."];
const PARTS = ["order", "select", "expand", "limit", "cursor", "offset"];
const COLUMNS = 40;
/** The shortest time between two looks at the page, in milliseconds. */
const PACE = 400;

/** What has been seen in each table: its fields, for completion. */
const seen = new Map();
export const fieldsOf = (table) => [...(seen.get(table) ?? [])];
const learn = (table, documents) => {
  const fields = seen.get(table) ?? new Set();
  const walk = (value, path, levels) => {
    if (levels < 0 || fields.size > 500 || !value || typeof value !== "object" || Array.isArray(value) || special(value) !== undefined) return;
    for (const [name, inner] of Object.entries(value)) {
      const own = [...path, /^[A-Za-z_][\w-]*$/.test(name) ? name : JSON.stringify(name)];
      fields.add(own.join("."));
      walk(inner, own, levels - 1);
    }
  };
  documents.slice(0, 50).forEach((document) => walk(document, [], 2));
  seen.set(table, fields);
};

/** The signs that end a name or a value are escaped within one. In a name in quotes they needn't be. */
const escaped = (text) => text.replaceAll("%", "%25").replaceAll("&", "%26");
const unescaped = (text) => text.replaceAll(/%(?:25|26|3D)/g, decodeURIComponent);
/** Conditions as one writes them, from parameters and back. */
const written = (parameters) => [...parameters].filter(([name]) => !PARTS.includes(name)).map(([name, value]) =>
  `${escaped(name).replaceAll(/"(?:[^"\\]|\\.)*"|=/g, (part) => (part === "=" ? "%3D" : part))}=${escaped(value)}`).join("&");
const conditions = (text) => [...text.matchAll(/((?:"(?:[^"\\]|\\.)*"|[^=&])*)(?:=([^&]*))?(?:&|$)/g)]
  .filter(([part]) => /[^\s&]/.test(part)).map(([, name, value = ""]) => [unescaped(name.trim()), unescaped(value.trimEnd())]);

/** Where these signs stand outside of names and values in quotes. */
const places = (text, signs) => [...text.matchAll(/(?<=^|[&(,.=:[{\s])"(?:[^"\\]|\\.)*"?|[^]/g)]
  .filter(([part]) => signs.includes(part)).map(({ index }) => index);
const afterSign = (text, caret, signs) => (places(text.slice(0, caret), signs).at(-1) ?? -1) + 1;
const suggestCondition = (table) => (text, caret) => {
  const from = afterSign(text, caret, "&(,");
  const part = text.slice(from, caret);
  const [equals] = places(part, "=");
  if (equals === undefined) return { from, options: fieldsOf(table).map((name) => ({ text: name, insert: `${escaped(name)}=` })) };
  const value = part.slice(equals + 1).replace(/^not\./, "");
  return value.includes(".") ? null : { from: caret - value.length, options: OPERATORS };
};
const suggestOrder = (table) => (text, caret) => {
  const from = afterSign(text, caret, ", ");
  return { from, options: fieldsOf(table).flatMap((name) => [name, `${name}.desc`]) };
};
const suggestField = (table) => (text, caret) => ({ from: afterSign(text, caret, ", "), options: fieldsOf(table) });

/** The path of a document. Clients take dots out of paths, and some undo escapes, so such ids stand there as JSON. */
export const documentPath = (table, id) => {
  const plain = typeof id === "string" && id !== "" && !/[/\\%?#;.\u0000-\u001f]/.test(id) && !looksLikeJson(id);
  const text = plain ? id : JSON.stringify(id).replaceAll("/", "\\u002f");
  return `tables/${encodeURIComponent(table)}/docs/${encodeURIComponent(text)}`;
};
const looksLikeJson = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch { return false; }
};
const viewPath = (table, id) => `#/tables/${encodeURIComponent(table)}/doc?id=${encodeURIComponent(JSON.stringify(id))}`;

export const grid = async (main, { table, parameters, signal }) => {
  const base = `tables/${encodeURIComponent(table)}`;
  const able = await features();
  let key = (await described(table, { signal })).primary_key;
  const query = () => parameters.toString().replaceAll("+", "%20");
  const url = () => `${base}/docs${query() ? `?${query()}` : ""}`;
  const go = (next) => {
    const text = next.toString();
    location.hash = `#/tables/${encodeURIComponent(table)}${text ? `?${text}` : ""}`;
  };

  const input = (name, value, attributes) => h("input", { name, value, autocomplete: "off", autocapitalize: "off", spellcheck: false, ...attributes });
  const filter = input("filter", written(parameters), { placeholder: "age=gte.18&name=match.^B" });
  const order = input("order", parameters.get("order") ?? "", { placeholder: "age.desc,name" });
  const select = input("select", parameters.get("select") ?? "", { placeholder: "name,address.city" });
  const expand = input("expand", parameters.get("expand") ?? "", { placeholder: "author" });
  const limit = input("limit", parameters.get("limit") ?? "", { type: "number", min: 1, placeholder: "100" });
  const form = h("form", {
    class: "query", role: "search", onsubmit: (event) => {
      event.preventDefault();
      const next = new URLSearchParams(conditions(filter.value));
      for (const field of [order, select, expand, limit]) if (field.value.trim()) next.set(field.name, field.value.trim());
      go(next);
    },
  },
  h("div", { class: "field grow" }, h("label", { htmlFor: "filter" }, "Filter"), complete(Object.assign(filter, { id: "filter" }), suggestCondition(table))),
  h("div", { class: "field" }, h("label", { htmlFor: "order" }, "Order"), complete(Object.assign(order, { id: "order" }), suggestOrder(table))),
  h("div", { class: "field" }, h("label", { htmlFor: "select" }, "Select"), complete(Object.assign(select, { id: "select" }), suggestField(table))),
  able.expand && labelled("Expand", expand),
  labelled("Limit", limit, { class: "field narrow" }),
  h("button", { class: "main" }, "Show"));

  const live = h("input", { type: "checkbox", checked: true, id: "live" });
  const state = h("span", { class: "live", role: "status" }, "…");
  const explained = h("div");
  const problem = h("div");
  const place = h("div", { class: "scroll grid", tabIndex: 0, role: "region", "aria-label": `Documents of ${table}` });
  const pages = h("div", { class: "row" });

  const explain = async () => {
    if (explained.childElementCount > 0) return explained.replaceChildren();
    try {
      const plan = await read(url(), { signal, headers: { Prefer: "explain" } });
      explained.replaceChildren(h("section", { class: "panel" }, h("h2", {}, "What the database is asked"),
        h("p", {}, "Index: ", h("strong", {}, plan.index ?? "none")), h("pre", { class: "code", tabIndex: 0 }, plan.reql)));
    } catch (error) { explained.replaceChildren(failure(error)); }
  };
  const exported = async () => {
    const all = new URLSearchParams(parameters);
    ["cursor", "offset", "limit"].forEach((name) => all.delete(name));
    tell("The export begins.");
    const text = all.toString().replaceAll("+", "%20");
    const response = await send("GET", `${base}/docs${text ? `?${text}` : ""}`, { signal, headers: { Accept: "application/x-ndjson" } });
    const address = URL.createObjectURL(await response.blob());
    h("a", { href: address, download: `${table}.ndjson` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };
  const bar = h("div", { class: "row" },
    h("a", { class: "button main", href: `#/tables/${encodeURIComponent(table)}/new` }, "Add a document"),
    h("label", { class: "check", htmlFor: "live" }, live, "Live"), state,
    h("span", { class: "grow" }),
    button("Explain", explain), button("Copy as curl", () => copy(curl("GET", url()))),
    button("Export", () => exported().catch((error) => { if (!signal.aborted) problem.replaceChildren(failure(error)); })),
    h("a", { class: "button", href: `#/load?table=${encodeURIComponent(table)}` }, "Import"));
  fill(main, h("h1", {}, h("a", { href: "#/" }, "Tables"), " / ", table), form, bar, explained, problem, place, pages);

  // The rows that are shown, by id: one that stays the same keeps what is unfolded in it, and the focus.
  let known = null;
  let knownColumns = "";
  let body = null;
  let omitted = 0;
  const draw = (documents) => {
    learn(table, documents);
    omitted = 0;
    if (documents.length === 0) {
      const isAll = query() === "";
      place.replaceChildren(h("section", { class: "empty" },
        h("h2", {}, isAll ? "This table has no documents yet" : "Nothing fits"),
        isAll ? [h("p", {}, "Add the first one here, import a file, or send one:"),
          h("pre", { class: "code", tabIndex: 0 }, curl("POST", `${base}/docs`, { "Content-Type": "application/json" }, '{"name": "Bruce"}')),
          h("a", { class: "button main big", href: `#/tables/${encodeURIComponent(table)}/new` }, "Add the first document")]
          : h("p", {}, "No document of this table is let through by the filter.")));
      known = new Map();
      knownColumns = "";
      return;
    }
    const names = new Set([key]);
    for (const document of documents) for (const name of Object.keys(document)) names.add(name);
    const columns = [...names].filter((name) => documents.some((document) => Object.hasOwn(document, name)));
    const shown = columns.slice(0, COLUMNS);
    omitted = columns.length - shown.length;
    const next = new Map();
    const same = knownColumns === shown.join("\n");
    const rows = documents.map((document, at) => {
      const id = JSON.stringify(document[key] ?? at);
      const text = JSON.stringify(document);
      const before = known?.get(id);
      const row = same && before?.text === text ? before.row
        : h("tr", { class: known !== null && before?.text !== text ? "flash" : "" }, shown.map((name) => name !== key || document[key] === undefined
          ? h("td", {}, cell(own(document, name)))
          : h("th", { scope: "row" }, h("a", { href: viewPath(table, document[key]), title: JSON.stringify(document[key]) }, idText(document[key])))));
      next.set(id, { text, row });
      return row;
    });
    known = next;
    if (same && place.contains(body)) return arrange(rows);
    knownColumns = shown.join("\n");
    body = h("tbody", {}, rows);
    fill(place, h("table", { class: "wide" }, h("thead", {}, h("tr", {}, shown.map((name) => h("th", { scope: "col" }, cut(name, 40))))), body));
  };
  // Only what differs is touched, so that a change costs no more than its row.
  const arrange = (rows) => {
    const wanted = new Set(rows);
    rows.forEach((row, at) => {
      const there = body.children[at];
      if (there === row) return;
      if (there && !wanted.has(there)) there.replaceWith(row);
      else body.insertBefore(row, there ?? null);
    });
    while (body.children.length > rows.length) body.lastElementChild.remove();
  };

  // One reason may keep both the list and its changes from being read; it is told once.
  let [unread, unfollowed] = [null, null];
  const tellState = () => {
    if (!unfollowed) return;
    const isTold = unread?.message === unfollowed.message;
    state.textContent = isTold ? "not following" : `not following: ${unfollowed.message}`;
    state.className = "live";
  };
  const complain = (error) => {
    unread = error;
    fill(problem, error && failure(error));
    tellState();
  };

  const load = async () => {
    const response = await send("GET", url(), { signal });
    const documents = await response.json();
    draw(documents);
    complain(null);
    const link = /<[^>]*\?([^>]*)>;\s*rel="?next"?/.exec(response.headers.get("Link") ?? "");
    const further = link && new URLSearchParams(link[1]);
    const isFirst = !parameters.has("cursor") && !parameters.has("offset");
    fill(pages, h("span", { class: "dim" }, documents.length === 1 ? "1 document" : `${documents.length} documents`, isFirst ? "" : " of a later page"),
      omitted > 0 && h("span", { class: "dim" }, `${omitted} more fields aren't shown: select those to see, or open a document.`),
      h("span", { class: "grow" }),
      [
        !isFirst && button("First page", () => {
          const start = new URLSearchParams(parameters);
          start.delete("cursor");
          start.delete("offset");
          go(start);
        }),
        further && button("Next page", () => go(further)),
      ]);
  };
  let due = false;
  let busy = false;
  const refresh = async () => {
    due = true;
    if (busy) return;
    busy = true;
    while (due && !signal.aborted) {
      due = false;
      try {
        await load();
      } catch (error) {
        if (!signal.aborted) complain(error);
      }
      await new Promise((done) => setTimeout(done, PACE));
    }
    busy = false;
  };

  let feed = null;
  const watch = () => {
    feed?.abort();
    feed = null;
    unfollowed = null;
    if (!live.checked) {
      state.textContent = "held still";
      state.className = "live";
      return;
    }
    feed = new AbortController();
    signal.addEventListener("abort", () => feed?.abort());
    // A feed has no order and no pages: whatever changes, the page is asked for again.
    const filters = new URLSearchParams([...parameters].filter(([name]) => !PARTS.includes(name)));
    filters.set("initial", "false");
    follow(`${base}/changes?${filters.toString().replaceAll("+", "%20")}`, {
      signal: feed.signal,
      event: ({ type }) => { if (type !== "ready" && type !== "initial") refresh(); },
      state: (now, error) => {
        unfollowed = error?.problem ? error : null;
        const isLive = now === "live";
        if (isLive && state.textContent !== "following" && state.textContent !== "…") refresh();
        state.textContent = isLive ? "following" : now;
        state.className = isLive ? "live on" : "live";
        tellState();
      },
    });
  };
  live.addEventListener("change", () => {
    if (live.checked) refresh();
    watch();
  });
  document.addEventListener("signed", async () => {
    key = (await described(table, { signal })).primary_key;
    refresh();
    watch();
  }, { signal });
  refresh();
  watch();
};
