// Which view is shown: the part of the address behind the # says it, so that it can be shared.

import { button, cut, failure, h } from "./dom.js";
import { features, onAway, read, signedIn, signIn, signOut, takesCredentials } from "./api.js";
import { document as one, newDocument } from "./document.js";
import { grid } from "./grid.js";
import { load } from "./load.js";
import { reql } from "./reql.js";
import { service } from "./service.js";
import { tables } from "./tables.js";

const main = document.getElementById("main");
const banner = document.getElementById("state");
const user = document.getElementById("who");
let current = new AbortController();
/** Whether what is shown may have something of the user's own in it. */
let isKept = false;

const ROUTES = [
  [/^\/$/, tables, "Tables"],
  [/^\/tables\/([^/]+)$/, grid, "Documents"],
  [/^\/tables\/([^/]+)\/new$/, newDocument, "New document"],
  [/^\/tables\/([^/]+)\/doc$/, one, "Document"],
  [/^\/reql$/, reql, "ReQL"],
  [/^\/service$/, service, "Service"],
  [/^\/load$/, load, "Import"],
];

const show = async () => {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  isKept = false;
  const [path, query = ""] = (location.hash.startsWith("#/") ? location.hash.slice(1) : "/").split(/\?(.*)/s);
  for (const link of document.querySelectorAll("nav a")) {
    const target = link.getAttribute("href").slice(1);
    const isHere = target === path || target === "/" && path.startsWith("/tables/");
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const route = ROUTES.find(([pattern]) => pattern.test(path));
  if (!route) {
    main.replaceChildren(h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "#/" }, "To the tables")));
    return;
  }
  const [pattern, view, title] = route;
  // A view that is there already may go on reading, such as counts.
  const before = main.firstChild;
  const wait = setTimeout(() => {
    if (main.firstChild === before) main.replaceChildren(h("p", { class: "dim" }, "Reading …"));
  }, 300);
  let table = "";
  try {
    table = decodeURIComponent(pattern.exec(path)[1] ?? "");
    document.title = `${table || title} – warp-reql`;
    await view(main, { table, parameters: new URLSearchParams(query), signal });
    if (!signal.aborted) isKept = view !== tables && view !== service;
  } catch (error) {
    if (signal.aborted) return;
    main.replaceChildren(h("h1", {}, table ? [h("a", { href: "#/" }, "Tables"), " / ", cut(table)] : title), failure(error), button("Try again", show));
  } finally { clearTimeout(wait); }
};

const showUser = () => {
  const hadFocus = user.contains(document.activeElement);
  // The view ends before its user does.
  const leave = () => { current.abort(); signOut(); show(); };
  user.replaceChildren(...signedIn() ? [button("Sign out", leave)] : takesCredentials() ? [button("Sign in", signIn)] : []);
  if (hadFocus) user.firstChild?.focus();
};
const learn = () => features().then((able) => {
  document.getElementById("nav-reql").hidden = !able.reql;
  showUser();
}, () => {});

onAway((away) => {
  banner.hidden = !away;
  banner.textContent = away ? "The service can't be reached. The page goes on as soon as it can." : "";
  if (away) {
    // Any answer will do.
    const ask = () => read("openapi.json").catch((error) => { if (error.status === 0) setTimeout(ask, 2000); });
    setTimeout(ask, 2000);
  } else learn();
});
document.addEventListener("signed", showUser);
document.addEventListener("admitted", () => { if (!isKept) show(); });
// What follows the # is the view's, so the content can't be a target there.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => {
  if (location.hash && !location.hash.startsWith("#/")) return;
  show();
  main.focus();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const filter = document.getElementById("filter");
    if (filter) {
      event.preventDefault();
      filter.focus();
    }
  }
});
learn();
show();
