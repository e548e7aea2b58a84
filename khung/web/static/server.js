// Every request of the screens to khung: the one place where a session or a key would be added.
// A request that reaches nobody gives null; what is said otherwise is `{ ok, status, told }`, `told` being JSON or a problem.

import { has, words } from "./words.js";

export async function getPage(url, signal) {
  const answer = await fetch(url, { headers: { Accept: "text/html" }, signal });
  if (new URL(answer.url).pathname === "/login") location.reload(); // the key or the session is over
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

export async function call(method, url, body) {
  const json = body !== undefined && !(body instanceof FormData);
  const answer = await fetch(url, {
    method,
    body: json ? JSON.stringify(body) : body,
    headers: { Accept: "application/json", ...(json && { "Content-Type": "application/json" }) },
  }).catch(() => null);
  if (!answer) return null;
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({ detail: answer.statusText, cure: "" }));
  return { ok: answer.ok, status: answer.status, told };
}

// fetch tells nothing of a body on its way, so this one request is made the older way. `progress(sent, total)` in bytes.
export function upload(url, file, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onload = () => resolve({ ok: request.status < 300, status: request.status, told: parsed(request) });
    request.onerror = () => resolve(null);
    request.open("POST", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  });
}

function parsed({ responseText, statusText }) {
  try {
    return JSON.parse(responseText);
  } catch {
    return { detail: statusText, cure: "" };
  }
}

// What a problem says, in the page's language where it has words for the problem's code or kind.
export function complaint({ type, code, values, detail, cure }) {
  const kind = type?.split(":").at(-1).replaceAll("-", "_");
  const named = code?.startsWith("field_") || (inVietnamese && code?.startsWith("reason_"));
  const key = [`told_${code}`, named && code, `told_kind_${kind}`].find((one) => one && has(one));
  return (key ? words(key, values) : `${detail ?? ""} ${cure ?? ""}`).trim();
}

const inVietnamese = document.documentElement.lang === "vi";
