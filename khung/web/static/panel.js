// Looking closer: a frame's page, shown beside the results. Its address is the search's with `frame=` added.
import { setUpAnswering } from "./contest.js";
import { cards, current, setCurrent } from "./grid.js";
import { setUpPlayer, togglePlay } from "./player.js";
import { getPage } from "./server.js";
import { toast, words } from "./words.js";

const WAIT = 130; // ms: holding an arrow key passes over frames without opening each
let timer;
let waiting = null; // the frame that is opened when no other arrow comes
let running;
let swapped = Promise.resolve(); // when the panel holds the frame that was asked for last

const panel = () => document.getElementById("panel");
const desk = () => panel().parentElement;
export const isOpen = () => panel() && !panel().hidden;
export const openedFrame = () => document.getElementById("frame");

export async function openFrame(href, { push = true, play = false } = {}) {
  forgetWaiting();
  running?.abort();
  const mine = (running = new AbortController());
  document.body.classList.add("opening");
  swapped = getPage(href, mine.signal).then((page) => {
    document.body.classList.remove("opening");
    return { player: show(page.getElementById("frame"), push) };
  });
  try {
    await (await swapped).player;
    if (play) togglePlay();
  } catch (error) {
    if (error.name === "AbortError") return; // another frame is on its way
    document.body.classList.remove("opening");
    toast(words("offline"));
  }
}

// The open panel follows the arrow keys.
export function passOver(href) {
  forgetWaiting();
  waiting = href;
  timer = setTimeout(openWaiting, WAIT);
}

function openWaiting() {
  if (waiting && isOpen()) openFrame(waiting);
  forgetWaiting();
}

function forgetWaiting() {
  clearTimeout(timer);
  waiting = null;
}

// Until the panel holds the frame that was asked for last: who answers in haste means that one, not the one still to be seen.
export async function settled() {
  openWaiting();
  let last;
  do {
    last = swapped;
    await last.catch(() => null);
  } while (last !== swapped);
}

export function closePanel() {
  if (!isOpen()) return;
  panel().hidden = true;
  panel().replaceChildren();
  desk().classList.remove("looking");
  remember(null, true);
  (current()?.querySelector(".shot") ?? document.getElementById("main")).focus({ preventScroll: true });
}

export function openFromAddress() {
  const id = new URLSearchParams(location.search).get("frame");
  if (!id || !panel()) return;
  const query = new URLSearchParams(location.search);
  query.delete("frame");
  openFrame(`/frame/${id}?${query}`, { push: false });
}

export async function copyTimecode() {
  const { timecode } = openedFrame().dataset;
  const now = openedFrame().querySelector("[data-now]");
  await copy(now ? now.textContent : timecode);
}

export const copyLink = (button) => copy(new URL(button.dataset.link, location.href).href);

async function copy(text) {
  const done = await (navigator.clipboard?.writeText(text).then(() => true, () => false) ?? copiedByHand(text));
  toast(`${words(done ? "copied" : "copy_yourself")}: ${text}`);
}

// Browsers lend the clipboard only to https and to this machine; a khung in the house is often neither.
function copiedByHand(text) {
  const box = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" });
  const focused = document.activeElement;
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  focused?.focus({ preventScroll: true });
  return done;
}

// Returns the promise of the player, which may be long in coming.
function show(frame, push) {
  if (!frame) return toast(words("problem_title"));
  const firstTime = panel().hidden;
  const within = panel().contains(document.activeElement);
  panel().replaceChildren(document.adoptNode(frame));
  panel().hidden = false;
  panel().scrollTop = 0;
  desk().classList.add("looking");
  remember(frame.dataset.frame, push);
  const card = cards().find((one) => one.dataset.frame === frame.dataset.frame);
  if (card) setCurrent(card, { focus: !within && !innerNarrow() });
  explain(frame, card);
  centreStrip(frame);
  setUpAnswering();
  if (within) frame.querySelector(".strip [aria-current]")?.focus({ preventScroll: true }); // the focus was on what is gone now
  if (firstTime && innerNarrow()) frame.querySelector("[data-do=close-panel]").focus();
  return setUpPlayer(frame);
}

const innerNarrow = () => matchMedia("(max-width: 1000px)").matches;

// The card already carries why it was found.
function explain(frame, card) {
  const why = card?.querySelector(".why");
  const place = frame.querySelector("[data-why-here]");
  if (!why || !place) return;
  place.append(why.cloneNode(true));
  place.hidden = false;
}

export function centreStrip(frame) {
  const link = frame?.querySelector(".strip [aria-current]");
  const strip = link?.closest(".strip");
  if (strip) strip.scrollLeft = link.parentElement.offsetLeft - strip.offsetLeft - (strip.clientWidth - link.clientWidth) / 2;
}

function remember(id, push) {
  const url = new URL(location.href);
  if (id) url.searchParams.set("frame", id);
  else url.searchParams.delete("frame");
  if (url.href === location.href) return;
  const had = new URLSearchParams(location.search).has("frame");
  if (push && !had) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}
