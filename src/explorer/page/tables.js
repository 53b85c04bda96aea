// Tables: a list with counts, and for each its indexes.

import { ask, button, failure, fill, h, labelled, tell } from "./dom.js";
import { json, read, send } from "./api.js";

const number = new Intl.NumberFormat("en").format;
const path = (table) => `tables/${encodeURIComponent(table)}`;

/** Asks for the name of what is to be dropped. */
const sure = async (what, name) => {
  const typed = h("input", { autocomplete: "off", autocapitalize: "off", "aria-describedby": "sure" });
  const drop = h("button", { value: "drop", class: "danger", disabled: true }, `Drop ${what}`);
  typed.addEventListener("input", () => { drop.disabled = typed.value !== name; });
  const answer = await ask(`Drop ${what} ${name}?`, [
    h("p", { id: "sure" }, "This can't be undone. Type the name to go on: ", h("strong", {}, name)),
    labelled("Name", typed),
  ], [drop]);
  return answer === "drop" && typed.value === name;
};

const indexForm = (table, fields, done) => {
  const over = h("input", { required: true, placeholder: "age, address.city", autocapitalize: "off" });
  const name = h("input", { placeholder: "the fields", autocapitalize: "off" });
  const multi = h("input", { type: "checkbox" });
  const geo = h("input", { type: "checkbox" });
  const outcome = h("div");
  return h("form", {
    class: "row", onsubmit: async (event) => {
      event.preventDefault();
      const list = over.value.split(",").map((one) => one.trim()).filter(Boolean);
      const called = name.value.trim() || list.join("_").replaceAll(/[^A-Za-z0-9_-]/g, "_");
      try {
        await send("PUT", `${path(table)}/indexes/${encodeURIComponent(called)}`,
          json({ fields: list, multi: multi.checked, geo: geo.checked }));
        done();
      } catch (error) { outcome.replaceChildren(failure(error)); }
    },
  }, labelled("Fields", over), labelled("Name", name),
  h("label", { class: "check" }, multi, "multi: an entry for each element"),
  h("label", { class: "check" }, geo, "geo"), h("button", {}, "Create index"), outcome);
};

const indexes = (table, signal) => {
  const place = h("div");
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  const load = async () => {
    if (signal.aborted) return;
    clearTimeout(timer);
    try {
      const all = await read(`${path(table)}/indexes`, { signal });
      const rows = all.map((index) => h("tr", {},
        h("th", { scope: "row" }, index.name),
        h("td", {}, index.fields ? index.fields.join(", ") : "a function"),
        h("td", {}, [index.multi && "multi", index.geo && "geo", index.outdated && "outdated"].filter(Boolean).join(", ")),
        h("td", {}, index.ready ? "ready" : h("progress", { max: 1, value: index.progress ?? 0, "aria-label": `Progress of ${index.name}` })),
        h("td", { class: "number" }, button("Drop", async () => {
          if (!await sure("index", index.name)) return;
          try {
            await send("DELETE", `${path(table)}/indexes/${encodeURIComponent(index.name)}`);
            load();
          } catch (error) { place.prepend(failure(error)); }
        }, { "aria-label": `Drop index ${index.name}` }))));
      place.replaceChildren(
        all.length === 0 ? h("p", { class: "dim" }, "No indexes yet. One makes filters and orders over its fields fast.")
          : h("div", { class: "scroll" }, h("table", { class: "wide list" }, h("thead", {}, h("tr", {}, ["Index", "Fields", "Kind", "State", ""].map((text) => h("th", { scope: "col" }, text)))),
            h("tbody", {}, rows))),
        indexForm(table, [], load));
      if (all.some((index) => !index.ready)) timer = setTimeout(load, 1000);
    } catch (error) {
      if (!signal.aborted) place.replaceChildren(failure(error));
    }
  };
  load();
  return place;
};

const create = async (name, key) => {
  await send("POST", "tables", json({ name, ...(key && { primary_key: key }) }));
  location.hash = `#/tables/${encodeURIComponent(name)}`;
};

const createForm = () => {
  const name = h("input", { required: true, pattern: "[A-Za-z0-9_\\-]{1,128}", title: "Letters, digits, _ and -", autocapitalize: "off" });
  const key = h("input", { placeholder: "id", autocapitalize: "off" });
  const outcome = h("div");
  return h("form", {
    class: "row", onsubmit: (event) => {
      event.preventDefault();
      create(name.value, key.value.trim()).catch((error) => outcome.replaceChildren(failure(error)));
    },
  }, labelled("New table", name), labelled("Primary key", key), h("button", { class: "main" }, "Create table"), outcome);
};

const first = () => {
  const outcome = h("div");
  return h("section", { class: "empty" }, h("h2", {}, "There are no tables yet"),
    h("p", {}, "Documents are kept in tables. Make a first one to play with, or one with a name of your own below."),
    button("Create the table heroes", () => create("heroes").catch((error) => outcome.replaceChildren(failure(error))), { class: "main big" }),
    h("p", {}, "Or ", h("a", { href: "#/load" }, "import a file"), " of JSON, NDJSON or CSV."), outcome);
};

/** For who may see documents, but not which tables there are. */
const byName = (main) => {
  const name = h("input", { required: true, autocapitalize: "off" });
  fill(main, h("h1", {}, "Tables"), h("p", {}, "The list of tables isn't for this user. A table's documents may be."),
    h("form", {
      class: "row", onsubmit: (event) => {
        event.preventDefault();
        location.hash = `#/tables/${encodeURIComponent(name.value)}`;
      },
    }, labelled("Table", name), h("button", { class: "main" }, "Show documents")));
};

export const tables = async (main, { signal }) => {
  let list;
  try {
    list = await read("tables", { signal });
  } catch (error) {
    if (error.status !== 403) throw error;
    return byName(main);
  }
  const counts = new Map();
  const row = (table) => {
    const count = h("td", { class: "number" }, "…");
    counts.set(table.name, count);
    // The indexes get a row of their own, which has room for them on a telephone, too.
    const within = h("tr", { class: "within", hidden: true });
    const more = button(`${table.indexes.length} ▾`, () => {
      within.hidden = !within.hidden;
      more.setAttribute("aria-expanded", String(!within.hidden));
      if (!within.hidden) fill(within, h("td", { colSpan: 5 }, indexes(table.name, signal)));
    }, { "aria-label": `Indexes of ${table.name}`, "aria-expanded": "false" });
    return [h("tr", {},
      h("th", { scope: "row" }, h("a", { href: `#/tables/${encodeURIComponent(table.name)}` }, table.name)),
      count, h("td", { class: "spare" }, table.primary_key), h("td", {}, more),
      h("td", { class: "number" }, button("Drop", async () => {
        if (!await sure("table", table.name)) return;
        try {
          await send("DELETE", path(table.name));
          tell(`${table.name} is dropped.`);
          tables(main, { signal });
        } catch (error) { main.prepend(failure(error)); }
      }, { "aria-label": `Drop table ${table.name}` }))), within];
  };
  main.replaceChildren(h("h1", {}, "Tables"), list.length === 0 ? first()
    : h("div", { class: "scroll" }, h("table", { class: "wide list" },
      h("thead", {}, h("tr", {}, ["Table", "Documents", "Primary key", "Indexes", ""].map((text) => h("th", { scope: "col", class: { Documents: "number", "Primary key": "spare" }[text] }, text)))),
      h("tbody", {}, list.map(row)))), createForm());
  // One after another, since counting a large table takes its time.
  for (const { name } of list) {
    if (signal.aborted) return;
    try {
      counts.get(name).textContent = number((await read(path(name), { signal })).count);
    } catch { counts.get(name).textContent = "?"; }
  }
};
