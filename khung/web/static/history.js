// The last questions asked in this browser, newest first: offered while typing, and listed in a dialog. They never leave it.
import { words } from "./words.js";

const KEPT = 30;
const SCREEN_ONLY = ["frame", "page", "size", "group", "ui"]; // not part of a question
const dialog = () => document.getElementById("asked");

export function remember() {
  const query = new URLSearchParams(location.search);
  SCREEN_ONLY.forEach((name) => query.delete(name));
  const asked = location.pathname === "/" && document.getElementById("count") ? query.toString() : "";
  const kept = asked ? [asked, ...read().filter((one) => one !== asked)].slice(0, KEPT) : read();
  if (asked) write(kept);
  const texts = [...new Set(kept.map((one) => new URLSearchParams(one).get("q")).filter(Boolean))];
  document.getElementById("history")?.replaceChildren(...texts.map((value) => Object.assign(document.createElement("option"), { value })));
  const button = document.querySelector("[data-do=history]");
  if (button) button.hidden = false; // without scripts there is no history
}

export function showHistory() {
  const list = dialog().querySelector("ol");
  const kept = read();
  list.replaceChildren(...kept.map((one) => row(one, list.dataset.then)));
  if (!kept.length) list.append(Object.assign(document.createElement("li"), { className: "soft", textContent: words("history_none") }));
  dialog().querySelector("[data-do=forget]").hidden = !kept.length;
  dialog().showModal();
  list.querySelector("a")?.focus();
}

export const closeHistory = () => dialog().close();

export function forget() {
  write([]);
  document.getElementById("history")?.replaceChildren();
  dialog().close();
}

function row(asked, then) {
  const query = new URLSearchParams(asked);
  const link = document.createElement("a");
  link.href = `/?${asked}`;
  link.dataset.nav = "";
  link.append([query.get("q"), ...query.getAll("then")].filter(Boolean).join(` ${then} `));
  const others = [...query].filter(([name]) => name !== "q" && name !== "then").map(([name, value]) => (name === "image" ? words("image_query") : value));
  if (others.length) link.append(Object.assign(document.createElement("span"), { className: "soft small", textContent: others.join(" · ") }));
  const item = document.createElement("li");
  item.append(link);
  return item;
}

// Storage may be off, or hold what another version wrote: then there is no history, and nothing else is lost.
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem("questions") ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

function write(kept) {
  try {
    localStorage.setItem("questions", JSON.stringify(kept));
  } catch {
    // as above
  }
}
