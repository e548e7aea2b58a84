// The keyframes: which one is current, moving between them, and their neighbours under the pointer.
import { call } from "./server.js";

const neighbours = new Map(); // address → list of thumbnail addresses

export const cards = () => [...document.querySelectorAll("#main .card")];
export const current = () => document.querySelector("#main .card.current");

export function setUpGrid() {
  cards().forEach((card, i) => (card.querySelector(".shot").tabIndex = i ? -1 : 0));
}

export function setCurrent(card, { focus = true } = {}) {
  if (!card) return;
  const link = card.querySelector(".shot");
  document.querySelectorAll("#main .card.current").forEach((other) => other !== card && other.classList.remove("current"));
  document.querySelectorAll('#main .shot[tabindex="0"]').forEach((other) => other !== link && (other.tabIndex = -1));
  card.classList.add("current");
  link.tabIndex = 0;
  if (focus) link.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

// The card reached from the current one: left and right by order, up and down by place.
export function neighbourCard(key) {
  const all = cards();
  const here = current() ?? document.activeElement?.closest?.(".card");
  if (!here) return all[0];
  const at = all.indexOf(here);
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  return nearestInRow(all, at, key === "ArrowDown" ? 1 : -1);
}

// Looks no further than the next row: there may be a thousand cards.
function nearestInRow(all, at, direction) {
  const box = all[at].getBoundingClientRect();
  let row, best, least;
  for (let i = at + direction; all[i]; i += direction) {
    const other = all[i].getBoundingClientRect();
    const away = (other.top - box.top) * direction;
    if (away <= 8) continue; // the same row
    row ??= away;
    if (away > row + 8) break;
    const aside = Math.abs(other.left - box.left);
    if (best === undefined || aside < least) [best, least] = [all[i], aside];
  }
  return best;
}

document.addEventListener("focusin", (event) => {
  const card = event.target.closest?.("#main .card");
  if (card && event.target.matches(".shot") && !card.classList.contains("current")) setCurrent(card, { focus: false });
});

// Hover: the pointer's place in the thumbnail chooses one of the neighbouring keyframes.
document.addEventListener("pointerenter", (event) => {
  const shot = event.target.closest?.(".shot[data-neighbours]");
  if (shot && event.target === shot && event.pointerType === "mouse") scrub(shot);
}, true);

async function scrub(shot) {
  const image = shot.querySelector("img");
  const own = image.src;
  let inside = true;
  const leave = () => { inside = false; image.src = own; shot.removeEventListener("pointermove", move); };
  const move = (event) => {
    const urls = neighbours.get(shot.dataset.neighbours);
    if (!urls) return;
    const part = (event.clientX - shot.getBoundingClientRect().left) / shot.clientWidth;
    const url = urls[Math.max(0, Math.min(urls.length - 1, Math.floor(part * urls.length)))];
    if (image.getAttribute("src") !== url) image.src = url;
  };
  shot.addEventListener("pointerleave", leave, { once: true });
  await new Promise((resume) => setTimeout(resume, 180)); // a passing pointer asks for nothing
  if (!inside) return;
  await loadNeighbours(shot.dataset.neighbours);
  if (inside) shot.addEventListener("pointermove", move);
}

async function loadNeighbours(url) {
  if (neighbours.has(url)) return;
  const answer = await call("GET", url);
  if (!answer?.ok) return;
  const { before, frame, after } = answer.told;
  const urls = [...before, frame, ...after].map((one) => one.images.thumb);
  await Promise.all(urls.map((src) => Object.assign(new Image(), { src }).decode().catch(() => null)));
  neighbours.set(url, urls);
}
