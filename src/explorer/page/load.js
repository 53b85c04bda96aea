// Import: a file of JSON, NDJSON or CSV, a batch at a time, with the outcome of each faulty line.

import { button, failure, h, labelled } from "./dom.js";
import { features, json, lines, read, send } from "./api.js";
import { parse } from "./json.js";

/** How many documents are sent at once, and how many bytes of them at most. */
const BATCH = 200;
const BATCH_BYTES = 512 * 1024;
/** The most faulty lines that are shown, and the largest file of JSON, which is read as a whole. */
const FAULTS = 500;
const WHOLE = 64 * 1024 * 1024;

/** Hands out what a file has: `{ line, text }`, or `{ line, fault }`. `read` is told the bytes so far. */
async function* ndjson(file, told) {
  let line = 0;
  let bytes = 0;
  for await (const raw of lines(file.stream())) {
    line += 1;
    bytes += raw.length + 1;
    told(bytes);
    const text = raw.trim();
    if (text === "") continue;
    try {
      JSON.parse(text);
      yield { line, text };
    } catch (error) { yield { line, fault: error.message }; }
  }
}

async function* whole(file, told) {
  if (file.size > WHOLE) throw new Error("A JSON file is read as a whole and may have 64 MiB; NDJSON may have any size.");
  const value = parse(await file.text());
  const all = Array.isArray(value) ? value : [value];
  for (const [at, document] of all.entries()) {
    told((file.size * (at + 1)) / all.length);
    yield { line: at + 1, text: JSON.stringify(document) };
  }
}

/** What separates the cells of CSV, by the name that the service has for it. */
const SEPARATORS = { ",": ",", ";": ";", "|": "|", tab: "\t" };

/**
 * Returns whether the end of a line of CSV is within quotes, by whether its start was. As for the service, a quote
 * opens at the start of a cell only, and is text elsewhere.
 */
const isOpenAfter = (text, wasOpen, separator) => {
  let [at, isOpen] = [0, wasOpen];
  for (;;) {
    if (!isOpen && text[at] === '"') [at, isOpen] = [at + 1, true];
    while (isOpen) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return true;
      // Two of them are one within the cell.
      isOpen = text[quote + 1] === '"';
      at = quote + (isOpen ? 2 : 1);
    }
    at = text.indexOf(separator, at) + 1;
    if (at === 0) return false;
  }
};

/** Hands out the records of CSV as text (RFC 4180): a record may have several lines. */
async function* records(file, told, separator) {
  let [line, first, bytes] = [0, 1, 0];
  let [record, isOpen] = ["", false];
  for await (const raw of lines(file.stream())) {
    line += 1;
    bytes += raw.length + 1;
    told(bytes);
    // A carriage return alone ends a line, too.
    for (const text of `${raw}\n`.match(/[^\r\n]*(?:\r\n|\r|\n)/g)) {
      if (record === "") first = line;
      record += text;
      isOpen = isOpenAfter(text, isOpen, separator);
      if (isOpen) continue;
      if (/[^\r\n]/.test(record)) yield { line: first, text: record };
      record = "";
    }
  }
  if (record) yield { line: first, fault: "A quote isn't closed." };
}

/** What a file is, by its name. */
const kindOf = (file) => (/\.csv$/i.test(file.name) ? "csv" : /\.(ndjson|jsonl)$/i.test(file.name) ? "ndjson" : /\.json$/i.test(file.name) ? "json" : null);

export const load = async (main, { parameters, signal }) => {
  const [able, tables] = await Promise.all([features(), read("tables", { signal }).catch(() => null)]);
  const formats = ["json", "ndjson", ...(able.csv ? ["csv"] : [])];
  const file = h("input", { type: "file", accept: ".json,.ndjson,.jsonl,.csv,application/json,text/csv" });
  const table = h("input", { list: "tables", required: true, value: parameters.get("table") ?? "", autocapitalize: "off", pattern: "[A-Za-z0-9_\\-]{1,128}" });
  const format = h("select", {}, h("option", { value: "" }, "by the file's name"), formats.map((name) => h("option", { value: name }, name.toUpperCase())));
  const separator = h("select", {}, Object.keys(SEPARATORS).map((name) => h("option", { value: name }, name)));
  const same = h("select", {}, [["", "report it"], ["merge-duplicates", "merge into it"], ["replace-duplicates", "replace it"]]
    .map(([value, text]) => h("option", { value }, text)));
  const progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Progress" });
  const told = h("p", { role: "status" });
  const faults = h("tbody");
  const faulted = h("table", { class: "wide", hidden: true },
    h("caption", { class: "dim" }, "What is faulty: the line, or in JSON the document, and why"), faults);
  const outcome = h("div");
  let stop = null;

  const run = async (from) => {
    const kind = format.value || kindOf(from);
    if (!formats.includes(kind)) throw new Error("Choose the file's format: its name doesn't tell.");
    if (tables && !tables.some(({ name }) => name === table.value)) {
      await send("POST", "tables", json({ name: table.value })).catch((error) => { if (error.status !== 409) throw error; });
    }
    const cells = separator.value;
    const path = `tables/${encodeURIComponent(table.value)}/docs${kind === "csv" ? `?separator=${encodeURIComponent(cells)}` : ""}`;
    let [done, wrong, bytes] = [0, 0, 0];
    const faulty = (line, why) => {
      wrong += 1;
      faulted.hidden = false;
      if (wrong <= FAULTS) faults.append(h("tr", {}, h("th", { scope: "row" }, String(line)), h("td", {}, why)));
    };
    const say = (end) => { told.textContent = `${done} documents are written, ${wrong} are faulty.${end}`; };
    let head = null;
    const post = async (batch) => {
      const body = kind === "csv" ? head + batch.map(({ text }) => text).join("") : `[${batch.map(({ text }) => text).join(",")}]`;
      const response = await send("POST", path, {
        signal: stop.signal, body,
        headers: { "Content-Type": kind === "csv" ? "text/csv" : "application/json", ...(same.value && { Prefer: `resolution=${same.value}` }) },
      });
      return response.json();
    };
    /** Sends documents; in halves where the service refuses all because it can't read one. Returns how many it can't. */
    const part = async (batch) => {
      if (batch.length === 0) return 0;
      let results;
      try {
        results = await post(batch);
      } catch (error) {
        if (![400, 413].includes(error.status)) throw error;
        if (batch.length > 1) {
          const half = Math.ceil(batch.length / 2);
          return await part(batch.slice(0, half)) + await part(batch.slice(half));
        }
        faulty(batch[0].line, error.message);
        return 1;
      }
      results.forEach((result, at) => {
        if (result.status < 300) done += 1;
        else faulty(batch[at]?.line ?? "?", result.detail ?? result.error?.detail ?? result.code ?? `status ${result.status}`);
      });
      // The service reads no further than to what it can't read.
      return part(batch.slice(Math.max(results.length, 1)));
    };
    const flush = async (batch) => {
      const unread = await part(batch);
      progress.value = from.size ? Math.min(bytes / from.size, 1) : 1;
      say("");
      if (unread > 1 && unread === batch.length) throw new Error("The service can't read what is in this file.");
    };
    const count = (so) => { bytes = so; };
    const source = kind === "json" ? whole(from, count) : kind === "ndjson" ? ndjson(from, count) : records(from, count, SEPARATORS[cells]);
    let batch = [];
    let size = 0;
    for await (const one of source) {
      if (stop.signal.aborted) break;
      if (one.fault) faulty(one.line, one.fault);
      else if (kind === "csv" && head === null) head = one.text;
      else {
        batch.push(one);
        size += one.text.length;
      }
      if (batch.length >= BATCH || size >= BATCH_BYTES) {
        await flush(batch);
        [batch, size] = [[], 0];
      }
    }
    await flush(batch);
    progress.value = 1;
    say(stop.signal.aborted ? " It was stopped." : " That is all.");
    outcome.replaceChildren(h("a", { class: "button main", href: `#/tables/${encodeURIComponent(table.value)}` }, `See ${table.value}`));
  };
  const begin = async (from) => {
    if (!from || stop) return;
    stop = new AbortController();
    halt.disabled = false;
    faults.replaceChildren();
    faulted.hidden = true;
    outcome.replaceChildren();
    progress.value = 0;
    progress.hidden = false;
    try {
      await run(from);
    } catch (error) {
      outcome.replaceChildren(stop.signal.aborted ? h("p", {}, "It was stopped.") : failure(error));
    }
    stop = null;
    halt.disabled = true;
  };
  signal.addEventListener("abort", () => stop?.abort());
  const halt = button("Stop", () => stop?.abort(), { disabled: true });
  const form = h("form", {
    class: "drop",
    onsubmit: (event) => { event.preventDefault(); begin(file.files[0]); },
    ondragover: (event) => { event.preventDefault(); form.classList.add("over"); },
    ondragleave: () => form.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      form.classList.remove("over");
      if (event.dataTransfer.files.length === 0) return;
      file.files = event.dataTransfer.files;
      if (form.reportValidity()) begin(file.files[0]);
    },
  }, h("p", {}, "Drop a file here, or choose one."), h("div", { class: "row" }, labelled("File", file), labelled("Into table", table),
    labelled("Format", format), able.csv && labelled("Separator of CSV", separator), labelled("If a document exists", same)),
  h("datalist", { id: "tables" }, (tables ?? []).map(({ name }) => h("option", { value: name }))),
  h("div", { class: "row" }, h("button", { class: "main" }, "Import"), halt));
  file.required = true;
  main.replaceChildren(h("h1", {}, "Import"), h("p", { class: "dim" },
    `${formats.map((name) => name.toUpperCase()).join(", ")}: an array of documents, or a document in each line. A table that isn't there is made.`),
  form, progress, told, outcome, faulted);
};
