// The interface's texts in the page's language, as the server gave them.
const catalogue = JSON.parse(document.getElementById("words").textContent);

export const has = (key) => key in catalogue;

// `{n:frame|frames}` is “1 frame”, “2 frames”; khung.web.strings does the same.
export function words(key, values = {}) {
  return catalogue[key].replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) => {
    const value = values[name] ?? "";
    return one === undefined ? value : `${value} ${Number(value) === 1 ? one : many}`;
  });
}

let hiding;
export function toast(text, tone = "") {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.className = `toast ${tone}`;
  place.classList.add("on");
  clearTimeout(hiding);
  hiding = setTimeout(() => place.classList.remove("on"), Math.max(2200, 60 * text.length)); // long enough to be read
}
