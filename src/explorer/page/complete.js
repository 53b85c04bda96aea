// Completion: a list below a field, by keys and by clicks.

import { h } from "./dom.js";

let count = 0;

/**
 * Completes what is typed into a field. `suggest(text, caret)` returns `{ from, options }`: each option is a text,
 * or `{ text, note, insert }`. Arrows choose, Enter or Tab takes what is chosen, Escape closes, Ctrl+Space opens.
 */
export const complete = (field, suggest) => {
  const id = `options-${++count}`;
  const list = h("ul", { id, class: "options", role: "listbox", hidden: true, "aria-label": "Completions" });
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": id, "aria-expanded": "false" })) {
    // A text area with several lines stays one; its list is told by the active descendant.
    if (field.tagName === "INPUT" || name !== "role" && name !== "aria-expanded") field.setAttribute(name, value);
  }
  let shown = { from: 0, options: [] };
  let chosen = -1;

  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.removeAttribute("aria-activedescendant");
    if (field.tagName === "INPUT") field.setAttribute("aria-expanded", "false");
  };
  const choose = (at) => {
    chosen = (at + shown.options.length) % shown.options.length;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
    field.setAttribute("aria-activedescendant", `${id}-${chosen}`);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  };
  const take = (at) => {
    const option = shown.options[at];
    const insert = option.insert ?? option.text ?? option;
    field.setRangeText(insert, shown.from, field.selectionStart, "end");
    if (insert.endsWith("()")) field.setSelectionRange(field.selectionStart - 1, field.selectionStart - 1);
    close();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  };
  const open = async () => {
    const caret = field.selectionStart;
    const found = await suggest(field.value, caret);
    if (document.activeElement !== field || field.selectionStart !== caret) return;
    const typed = found ? field.value.slice(found.from, caret).toLowerCase() : "";
    const options = (found?.options ?? []).filter((option) => {
      const text = (option.text ?? option).toLowerCase();
      return text.startsWith(typed) && text !== typed;
    }).slice(0, 50);
    if (options.length === 0) return close();
    shown = { from: found.from, options };
    list.replaceChildren(...options.map((option, at) => h("li", {
      id: `${id}-${at}`, role: "option", "aria-selected": "false",
      onmousedown: (event) => { event.preventDefault(); take(at); },
    }, option.text ?? option, option.note && h("span", { class: "dim" }, ` ${option.note}`))));
    list.hidden = false;
    chosen = -1;
    if (field.tagName === "INPUT") field.setAttribute("aria-expanded", "true");
  };
  field.addEventListener("input", open);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      open();
    } else if (!list.hidden) {
      if (event.key === "ArrowDown") choose(chosen + 1);
      else if (event.key === "ArrowUp") choose(chosen < 0 ? -1 : chosen - 1);
      else if (event.key === "Escape") close();
      else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0 && !event.ctrlKey) take(chosen);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }, true);
  return h("div", { class: "completed" }, field, list);
};
