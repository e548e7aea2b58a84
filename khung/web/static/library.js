// The library page: sending files with their progress, and the table kept up to date while work goes on.
import { complaint, getPage, upload } from "./server.js";
import { words } from "./words.js";

const LOOK_AGAIN = 3000; // ms
const REST = 10; // times as long as a look took: one at 25,000 videos costs the service a quarter of a second of CPU

let onTheirWay = 0; // files that end with the page

export function setUpLibrary() {
  const zone = document.querySelector("[data-drop-videos]");
  if (!zone) return;
  zone.querySelector("input[type=file]").addEventListener("change", sendChosen);
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop") sendAll(event.dataTransfer.files);
    });
  addEventListener("beforeunload", (event) => onTheirWay && event.preventDefault()); // the browser asks first
  keepLooking(0);
}

async function sendChosen({ target }) {
  const files = [...target.files];
  target.value = ""; // the same file may be chosen again
  await sendAll(files);
}

async function sendAll(files) {
  onTheirWay += files.length;
  for (const file of files) {
    await send(file);
    onTheirWay--;
  }
}

async function send(file) {
  const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
  const [name, told, bar] = row.children;
  name.textContent = file.name;
  document.getElementById("uploads").append(row);
  const answer = await upload("/v1/uploads?" + new URLSearchParams({ name: file.name }), file, (sent, total) => {
    bar.value = sent / total;
    told.textContent = `${Math.round((100 * sent) / total)} %`;
  });
  bar.hidden = true;
  if (answer?.ok) told.textContent = words("upload_done");
  else told.textContent = answer ? words("upload_failed", { reason: complaint(answer.told) }) : words("offline");
  told.className = answer?.ok ? "soft" : "failed";
  lookAgain();
}

function keepLooking(took) {
  setTimeout(
    async () => {
      const began = performance.now();
      await lookAgain();
      keepLooking(performance.now() - began);
    },
    Math.max(LOOK_AGAIN, REST * took),
  );
}

async function lookAgain() {
  if (document.hidden) return;
  const page = await getPage(location.href).catch(() => null);
  for (const id of ["states", "videos"]) {
    const fresh = page?.getElementById(id);
    const shown = document.getElementById(id);
    if (fresh && fresh.innerHTML !== shown.innerHTML && !shown.contains(document.activeElement)) shown.replaceWith(document.adoptNode(fresh));
  }
}
