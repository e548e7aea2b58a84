// The player at the exact moment: seek, step by frames, timecode and frame number; and what to say when it cannot play.
import { words } from "./words.js";

let frame, video;

export function setUpPlayer(article) {
  frame = article;
  video = article?.querySelector("video");
  if (!video) return;
  video.addEventListener("loadedmetadata", toMoment, { once: true });
  video.addEventListener("error", sayUnplayable);
  for (const kind of ["timeupdate", "seeked", "seeking"]) video.addEventListener(kind, tell);
  if (video.error) sayUnplayable(); // it failed before this ran
  else if (video.readyState >= 1) toMoment();
}

export function toMoment() {
  if (!video) return;
  video.pause();
  seek(Number(frame.dataset.pts) / 1000);
}

export function step(count) {
  if (!video) return;
  video.pause();
  seek(frameAt(video.currentTime) / fps() + count / fps());
}

export function togglePlay() {
  if (!video) return false;
  if (video.paused) video.play().catch((error) => error.name === "NotSupportedError" && sayUnplayable());
  else video.pause();
  return true;
}

const fps = () => Number(frame.dataset.fps) || 25;
const frameAt = (seconds) => Math.floor(seconds * fps() + 0.01);

// Into the middle of the frame's time: exactly on the edge, rounding may show the frame before.
function seek(seconds) {
  video.currentTime = Math.max(0, seconds + 0.5 / fps());
}

function tell() {
  if (!video) return;
  const seconds = Math.max(0, video.currentTime);
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

function sayUnplayable() {
  if (!video.isConnected || video.dataset.failed) return;
  video.dataset.failed = "yes";
  const poster = Object.assign(document.createElement("img"), { className: "poster", src: video.poster, alt: "" });
  video.replaceWith(poster);
  frame.querySelector(".unplayable").hidden = false;
  video = null;
}
