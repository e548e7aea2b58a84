// Moving between addresses without a reload: the server always sends whole pages, and the parts that changed are put in place.
import { getPage } from "./server.js";
import { toast, words } from "./words.js";

const setUps = [];
let running; // the AbortController of the visit under way

export function onPage(setUp) {
  setUps.push(setUp);
  setUp();
}

export function intercept(event) {
  const form = event.type === "submit" && event.target.closest("form[data-nav]");
  const link = event.type === "click" && event.target.closest("a[data-nav]");
  if (!document.getElementById("desk") || (!form && !link)) return;
  event.preventDefault();
  visit(form ? addressOf(form) : link.href);
}

export function addressOf(form) {
  const fields = [...new FormData(form)].filter(([, value]) => typeof value === "string" && value.trim());
  return form.action.split("?")[0] + (fields.length ? "?" + new URLSearchParams(fields) : "");
}

export async function visit(url, { push = true } = {}) {
  running?.abort();
  const mine = (running = new AbortController());
  document.body.classList.add("busy");
  try {
    const page = await getPage(url, mine.signal);
    if (push) history.pushState(null, "", url);
    show(page);
  } catch (error) {
    if (error.name === "AbortError") return;
    toast(words("offline"));
  }
  if (running === mine) document.body.classList.remove("busy");
}

function show(page) {
  const desk = page.getElementById("desk");
  if (!desk) return location.reload(); // a problem, or another kind of page: let the browser show it
  document.title = page.title;
  const refocus = placeOfFocus();
  for (const part of ["#desk", "#ask", ".bar"])
    document.querySelector(part).replaceWith(document.adoptNode(page.querySelector(part)));
  document.querySelector("dialog[open]")?.close();
  scrollTo(0, 0);
  setUps.forEach((setUp) => setUp());
  refocus();
  announce();
}

// What had the focus may be gone with the old page: a filter keeps it, from anywhere else it goes to the results.
function placeOfFocus() {
  const filter = document.activeElement?.closest(".facets a")?.firstElementChild.textContent;
  return () => {
    if (document.activeElement && document.activeElement !== document.body) return;
    const same = filter && [...document.querySelectorAll(".facets a")].find((one) => one.firstElementChild.textContent === filter);
    (same || document.getElementById("main")).focus({ preventScroll: true });
  };
}

function announce() {
  const count = document.getElementById("count");
  if (count) toast(words("n_results_announced", { n: count.dataset.count }));
}

addEventListener("popstate", () => (document.getElementById("desk") ? visit(location.href, { push: false }) : location.reload()));
