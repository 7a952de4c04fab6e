// What pages do better with JavaScript. Without it every form and link works all the same.
"use strict";

// Filters apply as soon as a choice is made.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    // Empty fields would only make the address longer.
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
    setTimeout(() => { for (const field of form.elements) field.disabled = false; });
  });
}

// Asking for a run: the key goes in a header, and a refusal is shown without losing what was typed.
for (const form of document.querySelectorAll("form[data-ask]")) {
  const problem = form.querySelector(".problem");
  const button = form.querySelector("button");
  form.addEventListener("input", () => { problem.hidden = true; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    const typed = Object.fromEntries(new FormData(form));
    const body = { driver: typed.driver, kind: typed.kind };
    if (typed.slice_size.trim()) body.slice_size = Number(typed.slice_size);
    if (typed.priority.trim()) body.priority = Number(typed.priority);
    try {
      const answer = await fetch(form.dataset.ask, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${typed.key.trim()}` },
        body: JSON.stringify(body),
      });
      const said = await answer.json();
      if (answer.ok) {
        form.elements.key.value = "";
        location.assign(`/reproductions/${said.id}`);
        return;
      }
      // By the names that stand at the fields.
      const name = (field) => form.elements[field]?.labels?.[0]?.firstChild.textContent.trim() ?? field;
      const fields = (said.errors ?? []).map((one) => `${name(one.field.replace(/^body\./, ""))}: ${one.detail}`);
      problem.textContent = `${said.title}. ${fields.length ? fields.join("; ") : said.detail}`;
    } catch {
      problem.textContent = "The service did not answer. Nothing may have been asked for; try again.";
    }
    problem.hidden = false;
    button.disabled = false;
  });
}
