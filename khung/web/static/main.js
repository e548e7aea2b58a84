// The start: one listener a kind of event, each handed to the module that knows. Nothing here knows what a result is.
import { CONTEST, setUpAnswering, setUpContest } from "./contest.js";
import { addStep, removeStep, setUpForm } from "./form.js";
import { setUpGrid } from "./grid.js";
import { closeHistory, forget, showHistory } from "./history.js";
import { onKey } from "./keys.js";
import { setUpLibrary } from "./library.js";
import { setUpMore } from "./more.js";
import { intercept, onPage } from "./navigate.js";
import { centreStrip, closePanel, copyLink, copyTimecode, openFromAddress, openFrame } from "./panel.js";
import { setUpPlayer, step, toMoment } from "./player.js";
import { setUpPictures } from "./pictures.js";
import { toggleTheme } from "./theme.js";

const help = document.getElementById("help");

const DO = {
  "theme": toggleTheme,
  "help": () => help.showModal(),
  "close-help": () => help.close(),
  "add-step": addStep,
  "remove-step": removeStep,
  "history": showHistory,
  "close-history": closeHistory,
  "forget": forget,
  "close-panel": closePanel,
  "copy-timecode": copyTimecode,
  "copy-link": copyLink,
  "step-back": () => step(-1),
  "step-forward": () => step(1),
  "moment": toMoment,
  ...CONTEST,
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) return DO[button.dataset.do]?.(button);
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const frame = event.target.closest("a[data-open]");
  if (frame && document.getElementById("panel")) {
    event.preventDefault();
    return openFrame(frame.href);
  }
  intercept(event);
});
document.addEventListener("submit", intercept);
document.addEventListener("keydown", onKey);

const header = document.querySelector(".top");
new ResizeObserver(() => document.documentElement.style.setProperty("--top", `${header.offsetHeight}px`)).observe(header);

onPage(() => {
  setUpForm();
  setUpGrid();
  setUpMore();
  setUpPlayer(document.getElementById("frame"));
  setUpAnswering();
  centreStrip(document.getElementById("frame"));
  openFromAddress();
});
setUpPictures();
setUpContest();
setUpLibrary();
