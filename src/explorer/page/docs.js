// The API described, for people: out of openapi.json.

import { h } from "./dom.js";

const code = (text) => h("code", {}, text);
const rows = (entries) => h("div", { class: "scroll", tabIndex: 0 }, h("table", { class: "wide" }, h("tbody", {},
  entries.map((cells) => h("tr", {}, cells.map((one) => h("td", {}, one ?? "")))))));

/** A schema in a line: what it refers to by name, or its type. */
const brief = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(brief).join(" or ");
  if (schema.type === "array") return `list of ${brief(schema.items) || "values"}`;
  const type = [schema.type ?? "any value"].flat().join(", ");
  const range = [schema.minimum, schema.maximum].some((bound) => bound !== undefined)
    ? ` ${schema.minimum ?? ""}..${schema.maximum ?? ""}` : "";
  return type + range + (schema.enum ? `: ${schema.enum.join(", ")}` : "");
};
const contents = (content) => Object.entries(content ?? {}).map(([type, { schema }]) => `${type}: ${brief(schema)}`).join("; ");

const operation = (path, method, { summary, parameters = [], requestBody, responses }) => h("details", { class: "operation" },
  h("summary", {}, h("span", { class: "method" }, method.toUpperCase()), code(path), " ", h("span", { class: "dim" }, summary)),
  parameters.length > 0 && [h("h3", {}, "Parameters"), rows(parameters.map((one) => [code(one.name), `${one.in}, ${brief(one.schema)}`, one.description]))],
  requestBody && [h("h3", {}, "Body"), h("p", {}, contents(requestBody.content))],
  h("h3", {}, "Answers"), rows(Object.entries(responses).map(([status, one]) => [code(status), one.description, contents(one.content)])));

const show = (api) => {
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  if (api.paths["/"]) document.getElementById("nav").prepend(h("a", { href: "./" }, "Explorer"));
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      // Beside the methods, a path has its servers and parameters.
      if (!one.responses) continue;
      const tag = one.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(path, method, one)]);
    }
  }
  const place = document.getElementById("operations");
  for (const [tag, operations] of groups) place.append(h("h2", { class: "group" }, tag === "reql" ? "ReQL" : tag), ...operations);
  place.append(h("h2", {}, "Schemas"), ...Object.entries(api.components.schemas).map(([name, schema]) =>
    h("details", { class: "operation" }, h("summary", {}, code(name), " ", h("span", { class: "dim" }, schema.description ?? "")),
      h("pre", { class: "code", tabIndex: 0 }, JSON.stringify(schema, null, 2)))));
};

fetch("openapi.json", { credentials: "omit" }).then((response) => response.json()).then(show)
  .catch((error) => { document.getElementById("about").textContent = `openapi.json can't be read: ${error.message}`; });
