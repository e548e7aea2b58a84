// The library page: sending files with their progress, and the table kept up to date while work goes on.
import { fetchPage } from "./navigate.js";
import { toast, words } from "./words.js";

const LOOK_AGAIN = 3000; // ms

export function setUpLibrary() {
  const zone = document.querySelector("[data-drop-videos]");
  if (!zone) return;
  zone.querySelector("input[type=file]").addEventListener("change", (event) => sendAll(event.target.files));
  zone.querySelector("button").hidden = true; // choosing is sending
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop") sendAll(event.dataTransfer.files);
    });
  setInterval(lookAgain, LOOK_AGAIN);
}

async function sendAll(files) {
  for (const file of files) await send(file).catch((reason) => toast(words("upload_failed", { reason })));
}

function send(file) {
  const row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
  const [name, told, bar] = row.children;
  name.textContent = file.name;
  document.getElementById("uploads").append(row);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => { bar.value = loaded / total; told.textContent = `${Math.round((100 * loaded) / total)} %`; };
    request.onload = () => {
      if (request.status === 201) { told.textContent = words("upload_done"); bar.hidden = true; return resolve(); }
      const problem = JSON.parse(request.responseText);
      told.textContent = words("upload_failed", { reason: `${problem.detail} ${problem.cure}` });
      bar.hidden = true;
      resolve();
    };
    request.onerror = () => { told.textContent = words("offline"); bar.hidden = true; reject(words("offline")); };
    request.open("POST", "/v1/uploads?" + new URLSearchParams({ name: file.name }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  });
}

async function lookAgain() {
  if (document.hidden) return;
  const page = await fetchPage(location.href).catch(() => null);
  const fresh = page?.getElementById("videos");
  const shown = document.getElementById("videos");
  if (fresh && fresh.innerHTML !== shown.innerHTML && !shown.contains(document.activeElement)) shown.replaceWith(document.adoptNode(fresh));
}
