// Search by an image of one's own: chosen or dropped anywhere. The server keeps a small copy; the address carries its id.
import { visit } from "./navigate.js";
import { call, complaint } from "./server.js";
import { toast, words } from "./words.js";

const dropZone = () => document.querySelector("[data-drop-videos]");

export function setUpPictures() {
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-query-image]") && event.target.files[0]) search(event.target.files[0]);
  });
  if (dropZone()) return; // the library takes dropped videos instead
  document.body.dataset.drop = words("image_drop");
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    search(event.dataTransfer.files[0]);
  });
}

async function search(file) {
  const form = new FormData();
  form.append("image", file);
  const answer = await call("POST", "/v1/query-images", form);
  if (!answer) return toast(words("offline"));
  const { ok, told } = answer;
  if (!ok) return toast(complaint(told));
  const typed = document.querySelector("#ask input[name=q]")?.value.trim();
  visit("/?" + new URLSearchParams({ image: told.image, ...(typed && { q: typed }) }));
}
