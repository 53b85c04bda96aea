// JSON: where it is wrong, how it is shown.

import { h } from "./dom.js";

const TOKEN = /\s*(?:([[\]{},:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y;

/** Returns the offset at which a text stops being JSON, and what was expected there. */
const fault = (text) => {
  const open = [];
  let expected = "value";
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (!match) break;
    const [whole, sign, string, scalar] = match;
    const ends = sign === "]" || sign === "}";
    const fits = ends ? open.at(-1) === (sign === "]" ? "[" : "{") && ["comma", sign === "]" ? "value or ]" : "key or }"].includes(expected)
      : sign === "[" || sign === "{" ? expected.startsWith("value")
        : sign === "," ? expected === "comma" : sign === ":" ? expected === "colon"
          : string ? expected.startsWith("value") || expected.startsWith("key") : scalar && expected.startsWith("value");
    if (!fits) break;
    at += whole.length;
    if (sign === "[" || sign === "{") {
      open.push(sign);
      expected = sign === "[" ? "value or ]" : "key or }";
      continue;
    }
    if (ends) open.pop();
    if (sign === ",") expected = open.at(-1) === "{" ? "key" : "value";
    else if (sign === ":") expected = "value";
    else if (string && expected.startsWith("key")) expected = "colon";
    else if (open.length === 0) {
      expected = "the end";
      break;
    } else expected = "comma";
  }
  at += /^\s*/.exec(text.slice(at))[0].length;
  const words = { comma: `a comma or ${open.at(-1) === "[" ? "]" : "}"}`, colon: "a colon", value: "a value", key: "a key in double quotes" };
  return { at, expected: words[expected] ?? expected };
};

/** Where an offset is: line and column from 1, in characters. */
export const position = (text, at) => {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: Array.from(before.at(-1)).length + 1 };
};

/** Reads JSON. Throws an error with the `place` of what is wrong. */
export const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    const { at, expected } = fault(text);
    const { line, column } = position(text, at);
    const error = new Error(`Line ${line}, column ${column}: expected ${expected}.`);
    const rest = text.slice(at).split(/[\s,:\]}]/)[0].length || 1;
    error.place = { line, column, end_line: line, end_column: column + rest };
    throw error;
  }
};

const TYPE = "$reql_type$";
const number = new Intl.NumberFormat("en").format;

const time = (value) => {
  const date = new Date(value.epoch_time * 1000);
  if (Number.isNaN(date.getTime())) return "time out of range";
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(value.timezone ?? "") ?? [, "+", 0, 0];
  const shift = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  const local = new Date(date.getTime() + shift * 60000).toISOString();
  return `${local.slice(0, 10)} ${local.slice(11, value.epoch_time % 1 ? 23 : 19)} ${value.timezone === "+00:00" ? "UTC" : value.timezone}`;
};

const points = (coordinates) => (typeof coordinates?.[0] === "number" ? 1 : (coordinates ?? []).reduce((sum, one) => sum + points(one), 0));

/** Returns the text of one of ReQL's own types; nothing for other values. */
export const special = (value) => {
  switch (value?.[TYPE]) {
    case "TIME": return time(value);
    case "BINARY": return `${number(Math.floor((value.data?.length ?? 0) * 3 / 4) - (/=*$/.exec(value.data ?? "")[0].length))} bytes`;
    case "GEOMETRY": return value.type === "Point" ? `point ${value.coordinates?.join(", ")}` : `${value.type} of ${points(value.coordinates)} points`;
    default: return undefined;
  }
};

/** Returns the value of a field; nothing for what every object has, such as `constructor`. */
export const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);

/** Returns a value in a line. */
export const brief = (value) => {
  if (value === undefined) return "";
  if (value === null || typeof value !== "object") return typeof value === "string" ? value : JSON.stringify(value);
  return special(value) ?? (Array.isArray(value) ? `[${value.length}]` : `{${Object.keys(value).length}}`);
};

/** Returns an id in a line, as what it is: two arrays of one length are two ids. */
export const idText = (id) => (id === "" ? '""' : id !== null && typeof id === "object" ? special(id) ?? JSON.stringify(id) : brief(id));

/** The longest text that a tree shows at once. */
const LONG = 2000;
const leaf = (value) => {
  const text = special(value) ?? JSON.stringify(value) ?? "";
  const shown = h("span", { class: `v-${value === null ? "null" : typeof value}` }, text.slice(0, LONG));
  if (text.length <= LONG) return shown;
  const more = h("button", { type: "button", class: "link", onclick: () => { shown.textContent = text; more.remove(); } },
    `… all ${number(text.length)} characters`);
  return [shown, more];
};
const MANY = 200;

/** Shows a value as a tree whose branches open when they are asked for. */
export const tree = (value, open = 1, name) => {
  const label = name === undefined ? [] : [h("span", { class: "key" }, String(name)), ": "];
  if (value === null || typeof value !== "object" || special(value) !== undefined) {
    return h("div", { class: "leaf", title: special(value) === undefined ? undefined : JSON.stringify(value) }, label, leaf(value));
  }
  const entries = Object.entries(value);
  const summary = h("summary", {}, label, Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`);
  const details = h("details", { class: "tree" }, summary);
  const fill = (from) => {
    details.append(...entries.slice(from, from + MANY).map(([key, one]) => tree(one, open - 1, key)));
    if (entries.length > from + MANY) {
      const more = h("button", { type: "button", onclick: () => { more.remove(); fill(from + MANY); } }, `${entries.length - from - MANY} more`);
      details.append(more);
    }
  };
  details.addEventListener("toggle", () => { if (details.open && details.childElementCount === 1) fill(0); });
  if (open > 0) details.open = true;
  return details;
};

/** A cell of a grid: short text, and what is nested folded. */
export const cell = (value) => {
  if (value === undefined) return "";
  if (value === null || typeof value !== "object" || special(value) !== undefined) {
    const text = brief(value);
    return h("span", { class: `v-${value === null ? "null" : typeof value}`, title: text.length > 60 ? text.slice(0, 2000) : undefined },
      text.length > 200 ? `${text.slice(0, 200)}…` : text);
  }
  return tree(value, 0);
};

export const pretty = (value) => JSON.stringify(value, null, 2);
