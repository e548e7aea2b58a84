// More results: when the end of a page comes near, the next one is put behind it. Without scripts its link stays a link.
import { getPage } from "./server.js";
import { words } from "./words.js";

const AHEAD = "1500px 0px"; // before its end is seen
let watcher, running;

export function setUpMore() {
  watcher?.disconnect();
  running?.abort();
  watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && load(), { rootMargin: AHEAD });
  watch();
}

const next = () => document.querySelector("#main a[data-more]");

function watch() {
  if (next()) watcher.observe(next());
}

async function load() {
  const link = next();
  watcher.disconnect();
  const mine = (running = new AbortController());
  link.setAttribute("aria-busy", "true");
  const page = await getPage(link.href, mine.signal).catch(() => null);
  if (mine.signal.aborted) return;
  link.removeAttribute("aria-busy");
  if (!page?.getElementById("count")) return; // the link is still there to be pressed
  append(page);
  watch();
}

function append(page) {
  const pages = document.querySelector("#main .pages");
  const before = document.querySelectorAll("#main .card").length;
  const grids = [...document.querySelectorAll("#main > .grid")];
  for (const part of page.querySelectorAll("#main > .group, #main > .grid")) {
    part.querySelectorAll(".shot").forEach((shot) => (shot.tabIndex = -1));
    const same = part.matches(".grid") && !part.hasAttribute("aria-label") && grids.at(-1);
    if (same) same.append(...part.children);
    else pages.before(part);
  }
  if (next() === document.activeElement) document.querySelectorAll("#main .card .shot")[before]?.focus({ preventScroll: true });
  const following = page.querySelector("#main a[data-more]");
  if (following) next().replaceWith(following);
  else next().remove();
  if (!pages.childElementCount) pages.remove();
  count();
}

function count() {
  const shown = [...document.querySelectorAll("#main > .grid > .card")];
  const heading = document.getElementById("count");
  const videos = new Set(shown.map((card) => card.dataset.video)).size;
  heading.dataset.count = shown.length;
  heading.firstChild.textContent = words("results_count", { frames: shown.length, videos });
}
