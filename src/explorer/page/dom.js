// Elements. Whatever is shown goes in as text, never as markup.

const set = (element, name, value) => {
  if (value === undefined || value === null) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.className = value;
  else if (name in element && !name.startsWith("aria") && name !== "list" && name !== "role") element[name] = value;
  else if (value !== false) element.setAttribute(name, value === true ? "" : value);
};

const parts = (children) => children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false);

/** Makes an element of its name, attributes, properties and listeners (`onclick`), and its children. */
export const h = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(element, key, value);
  element.append(...parts(children));
  return element;
};

/** Puts these into an element, in place of what is there. */
export const fill = (element, ...children) => element.replaceChildren(...parts(children));

/** Makes an element of SVG. */
export const s = (name, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** Tells something in passing; screen readers say it. */
export const tell = (text) => {
  const line = h("p", {}, text);
  document.getElementById("told").replaceChildren(line);
  setTimeout(() => line.remove(), 6000);
};

/** Shows a dialog until one of its buttons closes it, and returns that button's value; "" for the way back. */
export const ask = (title, content, buttons, back = "Cancel") => new Promise((answered) => {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" });
  dialog.append(h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), content,
    // The way back is no submit button, which Enter would take.
    h("div", { class: "row end" }, h("button", { type: "button", onclick: () => dialog.close("") }, back), buttons)));
  dialog.addEventListener("cancel", () => { dialog.returnValue = ""; });
  dialog.addEventListener("close", () => {
    dialog.remove();
    answered(dialog.returnValue);
  });
  document.body.append(dialog);
  dialog.showModal();
});

export const button = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, text);

/** Text that is cut where it gets too long for its place; all of it is its title. */
export const cut = (text, most = 60) => h("span", { title: text.length > most ? text : undefined }, text.length > most ? `${text.slice(0, most)}…` : text);

/** A field with its name above. */
export const labelled = (text, field, attributes = {}) => h("label", { class: "field", ...attributes }, h("span", {}, text), field);

/** Copies text, and says so. */
export const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    tell("Copied.");
  } catch {
    await ask("Copy this", h("pre", { class: "code", tabIndex: 0 }, text), [], "Close");
  }
};

/** What went wrong, for whoever reads it. */
export const failure = (error) => {
  const problem = error.problem ?? {};
  const shown = h("div", { class: "problem", role: "alert" },
    h("strong", {}, problem.detail ?? error.message),
    problem.excerpt && h("pre", { class: "code", tabIndex: 0 }, problem.excerpt),
    problem.hint && h("p", {}, problem.hint),
    // The excerpt has its place already.
    problem.cause && !problem.excerpt && h("details", {}, h("summary", {}, "Cause"), h("pre", { class: "code", tabIndex: 0 }, problem.cause)),
    problem.code && h("p", { class: "dim" }, problem.code, problem.request_id ? `, request ${problem.request_id}` : ""),
    error.signIn && button("Sign in", async () => { if (await error.signIn()) shown.remove(); }));
  return shown;
};
