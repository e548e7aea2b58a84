// The question: "then" boxes, and the last questions asked in this browser.
const KEPT = 20;

export function setUpForm() {
  const facets = document.querySelector("#facets > details");
  if (facets && matchMedia("(max-width: 1000px)").matches) facets.open = false; // results come first on a small screen
  remember();
}

export function addStep() {
  const next = document.querySelector("#steps .step.empty");
  if (!next) return;
  next.classList.remove("empty");
  next.querySelector("input").focus();
}

export function removeStep(button) {
  const step = button.closest(".step");
  step.querySelector("input").value = "";
  step.classList.add("empty");
  document.querySelector("#ask input[name=q]").focus();
}

function remember() {
  const asked = new URLSearchParams(location.search).get("q")?.trim();
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem("asked") ?? "[]").filter((text) => typeof text === "string");
    if (asked) kept = [asked, ...kept.filter((text) => text !== asked)].slice(0, KEPT);
    localStorage.setItem("asked", JSON.stringify(kept));
  } catch {
    // storage is off: no history, nothing else is lost
  }
  const list = document.getElementById("history");
  list?.replaceChildren(...kept.map((text) => Object.assign(document.createElement("option"), { value: text })));
}
