// An editor: a text field with line numbers, and a layer below it that underlines what is wrong.

import { h } from "./dom.js";

let count = 0;

/** Makes an editor. `onsubmit` is called for Ctrl+Enter, `oninput` for each change. */
export const editor = ({ label, value = "", rows = 12, onsubmit, oninput, readOnly = false }) => {
  const id = `editor-${++count}`;
  const numbers = h("pre", { class: "numbers", "aria-hidden": "true" });
  const layer = h("pre", { class: "layer", "aria-hidden": "true" });
  const message = h("p", { class: "editor-message", id: `${id}-message`, role: "status" });
  const text = h("textarea", {
    id, value, rows, readOnly, spellcheck: false, autocapitalize: "off", wrap: "off",
    "aria-label": label, "aria-describedby": `${id}-message`,
  });
  let marked = null;

  const draw = () => {
    const lines = text.value.split("\n");
    numbers.textContent = lines.map((_, at) => at + 1).join("\n");
    if (!marked) {
      layer.replaceChildren();
      return;
    }
    const offset = (line, column) => {
      const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
      return before + Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
    };
    const start = offset(marked.line, marked.column);
    const end = Math.max(offset(marked.end_line ?? marked.line, marked.end_column ?? marked.column + 1), start + 1);
    layer.replaceChildren(text.value.slice(0, start), h("mark", {}, text.value.slice(start, end) || " "), text.value.slice(end));
  };
  const scroll = () => {
    numbers.scrollTop = text.scrollTop;
    layer.scrollTop = text.scrollTop;
    layer.scrollLeft = text.scrollLeft;
  };
  const mark = (place, why = "") => {
    marked = place ?? null;
    message.textContent = why;
    text.setAttribute("aria-invalid", String(marked !== null || why !== ""));
    draw();
    scroll();
  };
  text.addEventListener("input", () => {
    mark(null);
    oninput?.(text.value);
  });
  text.addEventListener("scroll", scroll);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onsubmit?.();
    } else if (event.key === "Enter" && !event.defaultPrevented && !event.isComposing) {
      // A new line begins where the one before did.
      const before = text.value.slice(0, text.selectionStart);
      const indent = /(?:^|\n)([ ]*)[^\n]*$/.exec(before)[1];
      if (indent) {
        event.preventDefault();
        text.setRangeText(`\n${indent}`, text.selectionStart, text.selectionEnd, "end");
        text.dispatchEvent(new Event("input"));
      }
    }
  });
  draw();
  return {
    element: h("div", { class: "editor" }, h("div", { class: "editor-area" }, numbers, h("div", { class: "layers" }, layer, text)), message),
    text,
    get value() { return text.value; },
    set value(next) {
      text.value = next;
      mark(null);
    },
    mark,
  };
};
