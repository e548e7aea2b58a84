// The question: "then" boxes, and filters folded away where the screen is small.
import { remember } from "./history.js";

export function setUpForm() {
  const facets = document.querySelector("#facets > details");
  if (facets) facets.open = !matchMedia("(max-width: 1000px)").matches; // results come first on a small screen
  if (facets) facets.dataset.set = "yes";
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
