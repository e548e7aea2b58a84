// The player at the exact moment: seek, step by frames, timecode and frame number; and what to say when it cannot play.
import { words } from "./words.js";

const PATIENCE = 500; // ms to wait for a first frame, once the seek to it is done, before it is asked for again
const TURNS = 20; // then its time is taken to be 0

let frame, video;
let first = 0; // seconds: the first frame on the browser's clock. khung counts from that frame; browsers count from the
// file's own zero, which lies earlier when sound begins before the picture.
let arrived = false; // until the player has come to the moment, the moment is what counts
let coming; // the promise of that

export async function setUpPlayer(article) {
  frame = article;
  const mine = (video = article?.querySelector("video"));
  [first, arrived] = [0, false];
  if (!mine) return;
  mine.addEventListener("error", () => sayUnplayable(mine));
  for (const kind of ["timeupdate", "seeked", "seeking"]) video.addEventListener(kind, tell);
  if (mine.error) sayUnplayable(mine); // it failed before this ran
  await (coming = come(mine));
}

async function come(mine) {
  const found = await timeOfFirstFrame(mine);
  if (video !== mine) return; // another frame is shown by now, or it cannot play
  first = found;
  const there = once(mine, "seeked");
  seek(Number(frame.dataset.pts) / 1000);
  await there;
  arrived = video === mine;
  tell();
}

// Asked again as long as the browser shows no frame: on a slow machine the first one is late, and a frame that was on
// the screen already is not shown anew. A page in the background shows none at all; it is asked when it comes forward.
async function timeOfFirstFrame(player) {
  if (!player.requestVideoFrameCallback) return 0;
  if (player.readyState < 1) await once(player, "loadedmetadata");
  const shown = shownAtZero(player);
  for (let turn = 0; turn < TURNS && player.isConnected && !player.error; turn++) {
    await visible();
    const there = once(player, "seeked");
    player.currentTime = turn % 2 ? 0.001 : 0; // the address may have asked for a later moment already
    const time = await Promise.race([shown, there.then(pause)]);
    if (time !== undefined) return time;
  }
  return 0;
}

// Also ends on an error, for which nothing else would wake those who wait.
const once = (player, event) =>
  new Promise((go) => [event, "error"].forEach((kind) => player.addEventListener(kind, go, { once: true })));

const visible = async () => {
  while (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
};

const pause = () => new Promise((go) => setTimeout(go, PATIENCE));

// A frame that was on its way before the seek is passed over.
function shownAtZero(player) {
  return new Promise((tell) => {
    const look = (_, { mediaTime }) =>
      player.seeking || player.currentTime > 0.01 ? player.requestVideoFrameCallback(look) : tell(mediaTime);
    player.requestVideoFrameCallback(look);
  });
}

// Milliseconds of khung's clock.
export const now = () => (video && arrived ? Math.max(0, Math.round((video.currentTime - first) * 1000)) : Number(frame.dataset.pts));

export function toMoment() {
  if (!video) return;
  video.pause();
  seek(Number(frame.dataset.pts) / 1000);
}

export async function step(count) {
  const mine = video;
  await coming; // steps count from the moment, also those that are asked for on the way to it
  if (!mine || video !== mine) return; // it cannot play, or another frame is shown by now
  video.pause();
  seek((frameAt(now() / 1000) + count) / fps());
}

export function togglePlay() {
  const mine = video;
  if (!mine) return false;
  if (mine.paused) mine.play().catch((error) => error.name === "NotSupportedError" && sayUnplayable(mine));
  else mine.pause();
  return true;
}

const fps = () => Number(frame.dataset.fps) || 25;
const frameAt = (seconds) => Math.floor(seconds * fps() + 0.01);

// Into the middle of the frame's time: exactly on the edge, rounding may show the frame before.
function seek(seconds) {
  video.currentTime = first + Math.max(0, seconds + 0.5 / fps());
}

function tell() {
  if (!video) return;
  const seconds = now() / 1000;
  const atMoment = Math.abs(seconds - Number(frame.dataset.pts) / 1000) < 0.75 / fps();
  const shown = atMoment ? frame.dataset.timecode : clock(frameAt(seconds) / fps());
  frame.querySelector("[data-now]").textContent = shown;
  const number = atMoment ? frame.dataset.frameIndex : frameAt(seconds);
  frame.querySelector("[data-now-frame]").textContent = words("frame_number", { n: number });
}

function clock(seconds) {
  const ms = Math.round(seconds * 1000);
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  const tail = `${String(s).padStart(2, "0")}.${String(ms % 1000).padStart(3, "0")}`;
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

function sayUnplayable(player) {
  if (video !== player) return; // it was said already, or another frame is shown by now
  const poster = Object.assign(document.createElement("img"), { className: "poster", src: video.poster, alt: "" });
  video.replaceWith(poster);
  frame.querySelector(".unplayable").hidden = false;
  video = null;
}
