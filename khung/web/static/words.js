// The interface's texts in the page's language, as the server gave them.
const catalogue = JSON.parse(document.getElementById("words").textContent);

export function words(key, values = {}) {
  return catalogue[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

let hiding;
export function toast(text, tone = "") {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.className = `toast ${tone}`;
  place.classList.add("on");
  clearTimeout(hiding);
  hiding = setTimeout(() => place.classList.remove("on"), 2200);
}
