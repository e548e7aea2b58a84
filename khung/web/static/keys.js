// The keyboard, from query to answer. A key means nothing while someone types, and nothing with Ctrl, Alt or Meta.
import { check, dismiss, pick } from "./contest.js";
import { addStep } from "./form.js";
import { current, neighbourCard, setCurrent } from "./grid.js";
import { showHistory } from "./history.js";
import { visit } from "./navigate.js";
import { closePanel, copyTimecode, openedFrame, openFrame, passOver, settled } from "./panel.js";
import { step, togglePlay } from "./player.js";

const KEYS = {
  "/": () => focusQuery(),
  "?": () => document.getElementById("help").showModal(),
  "t": () => addStep(),
  "h": () => showHistory(),
  "s": meant(() => act("similar")),
  "x": meant(() => act("exclude")),
  "+": meant(() => act("more")),
  "=": meant(() => act("more")),
  "-": meant(() => act("less")),
  "c": meant(() => openedFrame() && copyTimecode()),
  "p": pick,
  "[": meant(() => step(-1)),
  "]": meant(() => step(1)),
  " ": () => play(),
};

export function onKey(event) {
  if (event.key === "Escape") return escape(event);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) return leaveByArrow(event);
  const done = event.key.startsWith("Arrow") ? move(event.key) : press(event);
  if (done !== false) event.preventDefault();
}

function press(event) {
  if (event.key === "S" && event.shiftKey) return check();
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (event.key === " " && event.target.closest("button, summary, video"))) return false;
  return action();
}

const typing = (target) => target.closest?.("input:not([type=file]), textarea, select") != null;

// Down from the query box: into the results.
function leaveByArrow(event) {
  if (event.key !== "ArrowDown" || !event.target.closest("#ask") || !neighbourCard("ArrowRight")) return;
  event.preventDefault();
  setCurrent(current() ?? neighbourCard("ArrowRight"));
}

function escape(event) {
  if (document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    event.preventDefault(); // a search box would lose what was typed
    event.target.blur();
  }
  else if (!dismiss() && !closeWhy()) closePanel();
}

function closeWhy() {
  const box = document.querySelector("#main .why-box[open]");
  if (!box) return false;
  if (box.contains(document.activeElement)) box.querySelector("summary").focus();
  box.open = false;
  return true;
}

function move(key) {
  const card = neighbourCard(key);
  if (!card) return document.querySelector("#main .card") ? undefined : false;
  setCurrent(card);
  passOver(card.querySelector(".shot").href);
}

// What is done in haste is meant for the frame that is on its way.
function meant(action) {
  return async () => {
    await settled();
    action();
  };
}

function play() {
  if (openedFrame()?.querySelector("video")) return meant(togglePlay)();
  const link = current()?.querySelector(".shot");
  if (!link) return false;
  openFrame(link.href, { play: true });
}

function act(name) {
  const link = openedFrame()?.querySelector(`[data-act=${name}]`);
  if (link) return void visit(link.href);
  const [similar, exclude] = current()?.querySelectorAll(".quick a") ?? [];
  const quick = { similar, exclude }[name];
  if (!quick) return false;
  visit(quick.href);
}

function focusQuery() {
  const box = document.querySelector("#ask input[name=q], .shelf-bar input[type=search]");
  if (!box) return false;
  box.focus();
  box.select();
}
