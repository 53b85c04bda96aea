// A console for ReQL as one writes it in JavaScript.

import { button, copy, failure, fill, h } from "./dom.js";
import { curl, lines, Problem, read, send } from "./api.js";
import { cell, own, pretty, special, tree } from "./json.js";
import { complete } from "./complete.js";
import { editor } from "./editor.js";
import { fieldsOf } from "./grid.js";

const TYPE = "application/vnd.rethinkdb.reql";
/** How the type of a problem document begins. */
const PROBLEM = "urn:warp-reql:problem:";
/** The most rows that are kept; of a changefeed the last ones. */
const ROWS = 1000;
const QUERIES = 50;
/** The most columns of a table. */
const COLUMNS = 40;
const FIRST = "r.tableList()";

const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem("queries")) ?? [];
  } catch { return []; }
};
const keep = (query) => {
  const all = [query, ...kept().filter((one) => one !== query)].slice(0, QUERIES);
  try {
    sessionStorage.setItem("queries", JSON.stringify(all));
  } catch { /* There is no room, or none is given. */ }
};

/** The command whose brackets are open at the end of a text. */
const around = (text) => {
  let closed = 0;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if (")]}".includes(text[at])) closed += 1;
    else if ("([{".includes(text[at])) {
      if (closed === 0 && text[at] === "(") return /(\w+)$/.exec(text.slice(0, at))?.[1];
      closed = Math.max(closed - 1, 0);
    }
  }
  return undefined;
};

const suggest = (commands, tables) => (text, caret) => {
  const before = text.slice(0, caret);
  const [, typed] = /(\w*)$/.exec(before);
  const from = caret - typed.length;
  const left = before.slice(0, from);
  if (/\.\s*$/.test(left)) {
    const root = /(^|[^\w.)\]])r\s*\.\s*$/.test(left);
    const fit = commands.filter((command) => root ? command.root : command.value);
    return { from, options: fit.map((command) => ({ text: command.name, insert: command.constant ? command.name : `${command.name}()` })) };
  }
  if (/\btable\(\s*["']$/.test(left)) return { from, options: tables };
  if (/\(\s*["']$/.test(left) || /,\s*["']$/.test(left)) {
    return { from, options: [...new Set(tables.flatMap(fieldsOf))].filter((name) => /^\w+$/.test(name)) };
  }
  if (/[{,]\s*$/.test(left) && typed) {
    const command = commands.find(({ name }) => name === around(left));
    return { from, options: (command?.options ?? []).map((name) => ({ text: name, insert: `${name}: ` })) };
  }
  return null;
};

const asTable = (rows) => {
  const isDocument = (row) => row && typeof row === "object" && !Array.isArray(row) && special(row) === undefined;
  const all = [...new Set(rows.flatMap((row) => (isDocument(row) ? Object.keys(row) : ["value"])))];
  const columns = all.slice(0, COLUMNS);
  const table = h("table", { class: "wide" }, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((name) => h("td", {},
      cell(isDocument(row) ? own(row, name) : name === "value" ? row : undefined)))))));
  return [all.length > COLUMNS && h("p", { class: "dim" }, `${all.length - COLUMNS} more fields aren't shown here.`), table];
};

export const reql = async (main, { parameters, signal }) => {
  const [commands, tables] = await Promise.all([read("explorer/commands.json", { signal }),
    read("tables", { signal }).then((all) => all.map(({ name }) => name)).catch(() => [])]);
  const names = tables;
  let running = null;
  let answer = { rows: [], kind: null, count: 0 };
  const figures = h("span", { class: "dim", role: "status" });
  const problem = h("div");
  const result = h("div", { class: "scroll result", tabIndex: 0, role: "region", "aria-label": "Result" });
  const shape = h("select", { "aria-label": "Show as", onchange: () => draw() },
    ["tree", "table", "raw"].map((name) => h("option", { value: name }, name)));

  let due;
  let drawn = -1;
  const draw = () => {
    clearTimeout(due);
    due = undefined;
    drawn = answer.kind === null ? -1 : answer.count;
    const { rows, kind, count } = answer;
    if (kind === null) return result.replaceChildren();
    const whole = kind === "value" ? rows[0] : rows;
    const left = count - rows.length;
    if (kind !== "value" && rows.length === 0) return result.replaceChildren(h("p", { class: "dim" }, "No rows."));
    const shown = shape.value === "raw" ? h("pre", { class: "code" }, pretty(whole))
      : shape.value === "table" ? asTable(Array.isArray(whole) ? whole : [whole]) : tree(whole, 2);
    fill(result, left > 0 && h("p", { class: "dim" }, `${left} further rows aren't kept here.`), shown);
  };
  // Drawn once more, it would lose what has been unfolded in it.
  const drawLast = () => { if (drawn !== answer.count) draw(); };

  /** Returns why an answer broke off. Its last line tells, unless the service itself is gone. */
  const broken = (last) => {
    if (!String(last?.type).startsWith(PROBLEM)) return new Error("The answer broke off before its end.");
    answer.count -= 1;
    if (answer.rows.at(-1) === last) answer.rows.pop();
    return new Problem(last, last.status);
  };
  const run = async () => {
    running?.abort();
    const query = from.value;
    const stop = new AbortController();
    running = stop;
    const began = performance.now();
    const tellFigures = (end) => {
      const time = Math.round(performance.now() - began);
      figures.textContent = `${answer.count === 1 ? "1 row" : `${answer.count} rows`}, ${time} ms${end}`;
    };
    keep(query);
    list();
    history.replaceState(null, "", `#/reql?q=${encodeURIComponent(query)}`);
    from.mark(null);
    problem.replaceChildren();
    answer = { rows: [], kind: null, count: 0 };
    let last = null;
    stopButton.disabled = false;
    figures.textContent = "running …";
    draw();
    try {
      const response = await send("POST", "reql", {
        body: query, signal: stop.signal, headers: { "Content-Type": TYPE, Accept: "application/x-ndjson" },
      });
      answer.kind = response.headers.get("ReQL-Answer") ?? "rows";
      for await (const line of lines(response.body)) {
        if (!line) continue;
        const row = JSON.parse(line);
        last = row;
        answer.count += 1;
        answer.rows.push(row);
        if (answer.rows.length > ROWS) {
          if (answer.kind === "feed") answer.rows.shift();
          else answer.rows.pop();
        }
        // Told with each row, it would take longer than the rows.
        due ??= setTimeout(() => {
          tellFigures(answer.kind === "feed" ? ", following" : " …");
          draw();
        }, 100);
      }
      clearTimeout(due);
      due = undefined;
      tellFigures("");
      drawLast();
    } catch (error) {
      clearTimeout(due);
      due = undefined;
      if (stop.signal.aborted) {
        draw();
        tellFigures(", stopped");
      } else {
        let told = error;
        if (answer.kind === null) figures.textContent = "";
        else {
          told = broken(last);
          tellFigures(", then it broke off");
        }
        if (told.problem?.line) from.mark(told.problem);
        problem.replaceChildren(failure(told));
        draw();
      }
    }
    if (running === stop) {
      running = null;
      stopButton.disabled = true;
    }
  };
  signal.addEventListener("abort", () => running?.abort());
  const from = editor({ label: "Query", value: parameters.get("q") ?? kept()[0] ?? FIRST, rows: 8, onsubmit: run });
  const stopButton = button("Stop", () => running?.abort(), { disabled: true });
  const completed = complete(from.text, suggest(commands, names));
  from.element.querySelector(".layers").append(completed);
  const recent = h("ol", { class: "history" });
  const list = () => recent.replaceChildren(...kept().map((query) => h("li", {}, button(query, () => {
    from.value = query;
    from.text.focus();
  }, { class: "link mono" }))));
  list();
  main.replaceChildren(h("h1", {}, "ReQL"),
    h("p", { class: "dim" }, "As RethinkDB's JavaScript API has it. Ctrl+Enter runs, Ctrl+Space completes."),
    from.element,
    h("div", { class: "row" }, button("Run", run, { class: "main" }), stopButton, figures, h("span", { class: "grow" }), shape,
      button("Copy result", () => copy(pretty(answer.kind === "value" ? answer.rows[0] : answer.rows))),
      button("Copy as curl", () => copy(curl("POST", "reql", { "Content-Type": TYPE }, from.value)))),
    problem, result, h("details", {}, h("summary", {}, "The last queries of this tab"), recent));
};
