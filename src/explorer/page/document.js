// One document: an editor, its history while it is open, and what to do when someone else was faster.

import { ask, button, copy, cut, failure, h, tell } from "./dom.js";
import { curl, described, follow, json, send } from "./api.js";
import { brief, idText, own, parse, pretty } from "./json.js";
import { documentPath } from "./grid.js";
import { editor } from "./editor.js";

const crumbs = (table, name) => h("h1", {}, h("a", { href: "#/" }, "Tables"), " / ",
  h("a", { href: `#/tables/${encodeURIComponent(table)}` }, table), " / ", name);

/** Reads an editor's JSON, or shows where it is wrong. */
const value = (from) => {
  try {
    return parse(from.value);
  } catch (error) {
    from.mark(error.place, error.message);
    from.text.focus();
    return undefined;
  }
};

/** Shows a problem with a body, at its place if it has one. */
const show = (error, from, outcome) => {
  const { line, column, detail } = error.problem ?? {};
  if (line) from.mark({ line, column }, detail);
  outcome.replaceChildren(failure(error));
};

/** The most reasons that are listed. */
const REASONS = 100;

/** Those of several documents that aren't saved: `{ document, result }`. What the service has read no further than lacks a result. */
const unsaved = (documents, results) => documents.map((document, at) => ({ document, result: results[at] }))
  .filter(({ result }) => !(result?.status < 300));

/** Says how many documents are saved, and for each other one why not. */
const partly = (all, left) => {
  const saved = all.length - left.length;
  const reasons = left.slice(0, REASONS).map(({ result }) =>
    h("li", {}, [result?.code ?? (result ? `status ${result.status}` : "not read"), result?.detail].filter(Boolean).join(": ")));
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, `${saved} of ${all.length} documents ${saved === 1 ? "is" : "are"} saved. These are not, and still in the editor, in this order:`),
    h("ol", {}, reasons), left.length > REASONS && h("p", {}, `And ${left.length - REASONS} more.`));
};

export const newDocument = async (main, { table, signal }) => {
  const about = await described(table, { signal });
  const outcome = h("div");
  const start = about.primary_key === "id" ? { name: "Bruce Wayne", age: 38 } : { [about.primary_key]: "1", name: "Bruce Wayne" };
  const save = async () => {
    const edited = value(from);
    if (edited === undefined) return;
    try {
      const response = await send("POST", `tables/${encodeURIComponent(table)}/docs`, json(edited));
      const left = Array.isArray(edited) ? unsaved(edited, await response.json()) : [];
      if (left.length > 0) {
        // Saved once more, those that are saved could be there twice.
        from.value = pretty(left.map(({ document }) => document));
        outcome.replaceChildren(partly(edited, left));
        return;
      }
      tell(Array.isArray(edited) && edited.length !== 1 ? `${edited.length} documents are saved.` : "The document is saved.");
      location.hash = `#/tables/${encodeURIComponent(table)}`;
    } catch (error) { show(error, from, outcome); }
  };
  const from = editor({ label: "New document", value: pretty(start), onsubmit: save });
  main.replaceChildren(crumbs(table, "new"), h("p", { class: "dim" },
    `A JSON object, or an array of them. If "${about.primary_key}" is left out, the database makes one up.`),
  from.element, outcome, h("div", { class: "row" }, button("Save", save, { class: "main" }),
    h("a", { class: "button", href: `#/tables/${encodeURIComponent(table)}` }, "Cancel"), h("span", { class: "dim" }, "Ctrl+Enter saves")));
};

/** Two texts in lines, those marked that the other one lacks. */
const compared = (mine, theirs) => {
  const column = (text, other, title) => {
    const there = new Set(other.split("\n").map((line) => line.replace(/,$/, "")));
    return h("section", {}, h("h3", {}, title), h("pre", { class: "code", tabIndex: 0 },
      text.split("\n").map((line) => h(there.has(line.replace(/,$/, "")) ? "span" : "mark", { class: "line" }, `${line}\n`))));
  };
  return h("div", { class: "sides" }, column(mine, theirs, "Yours"), column(theirs, mine, "In the database"));
};

/** What differs between two versions, by the names of fields. */
const differences = (before, after) => {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.filter((name) => JSON.stringify(own(before, name)) !== JSON.stringify(own(after, name)))
    .map((name) => h("div", {}, h("span", { class: "key" }, name), ": ",
      own(before, name) !== undefined ? h("del", {}, brief(before[name]).slice(0, 200)) : "", " ",
      own(after, name) !== undefined ? h("ins", {}, brief(after[name]).slice(0, 200)) : ""));
};

const HISTORY = 200;

export const document = async (main, { table, parameters, signal }) => {
  const id = JSON.parse(parameters.get("id") ?? "null");
  const path = documentPath(table, id);
  const outcome = h("div");
  const history = h("ol", { class: "history", "aria-label": "What changed while this was open" });
  const state = h("span", { class: "live", role: "status" });
  let saved = "";
  let tag = null;

  // The document as the service has told it last, which the editor may be behind.
  let known = null;

  const load = async () => {
    const response = await send("GET", path, { signal });
    return [pretty(await response.json()), response.headers.get("ETag")];
  };
  const leave = (why) => {
    tell(why);
    location.hash = `#/tables/${encodeURIComponent(table)}`;
  };
  const take = (text, its) => {
    saved = text;
    tag = its;
    from.value = text;
    outcome.replaceChildren();
  };
  const conflict = async (body) => {
    let theirs;
    try {
      [theirs, tag] = await load();
    } catch (error) {
      if (error.status !== 404) return outcome.replaceChildren(failure(error));
      tag = null;
      outcome.replaceChildren(h("section", { class: "panel", role: "alert" }, h("h2", {}, "Someone else deleted it meanwhile"),
        button("Save it anew", () => put(body, { "If-None-Match": "*" }))));
      return;
    }
    outcome.replaceChildren(h("section", { class: "panel", role: "alert" }, h("h2", {}, "Someone else changed it meanwhile"),
      compared(pretty(JSON.parse(body)), theirs), h("div", { class: "row" },
        button("Keep mine", () => put(body, { "If-Match": tag }), { class: "main" }),
        button("Take theirs", () => take(theirs, tag)))));
    outcome.querySelector("button").focus();
  };
  // With nothing of one's own in it, the editor may follow what changes.
  let [behind, reading] = [false, false];
  const catchUp = async () => {
    if (reading) return;
    reading = true;
    while (behind && from.value === saved && !signal.aborted) {
      behind = false;
      try {
        const [text, its] = await load();
        if (from.value === saved) take(text, its);
        else behind = true;
      } catch { /* The next change, or a save, tells. */ }
    }
    reading = false;
  };
  const put = async (body, condition) => {
    try {
      const response = await send("PUT", path, { headers: { "Content-Type": "application/json", ...condition }, body });
      const text = await response.text();
      // As it is now, whoever has saved it may not read it.
      if (text === "") return leave("The document is saved, and no longer one that you may read.");
      take(pretty(JSON.parse(text)), response.headers.get("ETag"));
      tell("The document is saved.");
      // Someone may have changed it once more, while this was on its way.
      catchUp();
    } catch (error) {
      if (error.status === 412) return conflict(body);
      show(error, from, outcome);
    }
  };
  const save = () => {
    const edited = value(from);
    if (edited !== undefined) return put(JSON.stringify(edited), tag ? { "If-Match": tag } : { "If-None-Match": "*" });
  };
  const remove = async () => {
    const answer = await ask("Delete this document?", h("p", {}, cut(idText(id), 200)),
      [h("button", { value: "delete", class: "danger" }, "Delete")]);
    if (answer !== "delete") return;
    try {
      await send("DELETE", path, { headers: tag ? { "If-Match": tag } : {} });
      leave("The document is deleted.");
    } catch (error) {
      if (error.status !== 412) return outcome.replaceChildren(failure(error));
      try {
        take(...await load());
        tell("Someone changed it meanwhile. This is how it is now.");
      } catch (gone) { outcome.replaceChildren(failure(gone)); }
    }
  };
  const from = editor({ label: `Document ${idText(id)}`, onsubmit: save, rows: 20 });
  take(...await load());
  known = JSON.parse(saved);
  main.replaceChildren(crumbs(table, cut(idText(id))),
    h("div", { class: "row" }, button("Save", save, { class: "main" }), button("Delete", remove, { class: "danger" }),
      button("Undo my changes", () => { take(saved, tag); catchUp(); }), button("Copy as curl", () => copy(curl("GET", path))),
      h("span", { class: "dim" }, "Ctrl+Enter saves"), h("span", { class: "grow" }), state),
    outcome, from.element, h("h2", {}, "While this was open"), history);

  const none = h("li", { class: "dim" }, "Nothing has changed yet.");
  history.append(none);
  // A stream has the document at its beginning, and after a `reset`: that tells what was missed before.
  const changed = ({ type, data }) => {
    if (!["initial", "add", "change", "remove"].includes(type)) return;
    const before = type === "initial" ? known : data.old;
    const told = differences(before, data.new);
    known = data.new;
    if (told.length === 0) return;
    none.remove();
    const kind = data.new === null ? "remove" : before === null ? "add" : "change";
    history.prepend(h("li", {}, h("time", {}, new Date().toLocaleTimeString()), ` ${kind} `, told));
    if (history.childElementCount > HISTORY) history.lastElementChild.remove();
    behind = Boolean(data.new);
    catchUp();
  };
  let feed = null;
  const watch = () => {
    feed?.abort();
    feed = new AbortController();
    follow(path, {
      signal: feed.signal, event: changed,
      state: (now) => {
        state.textContent = now === "live" ? "following" : now;
        state.className = now === "live" ? "live on" : "live";
      },
    });
  };
  signal.addEventListener("abort", () => feed?.abort());
  // Here, `document` is another one.
  window.document.addEventListener("signed", watch, { signal });
  watch();
};
