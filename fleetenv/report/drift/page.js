"use strict";
(() => {
  const matrix = document.getElementById("matrix");
  const filter = document.getElementById("filter");
  const findingsOnly = document.getElementById("findings-only");
  const tasksOnly = document.getElementById("tasks-only");
  const shown = document.getElementById("shown");
  const rows = [...matrix.tBodies[0].rows];
  const sections = [...document.querySelectorAll("details.host")];
  const columns = [...matrix.tHead.rows[0].cells].length - 1; // the last one only fills the line
  const troubled = Array.from({ length: columns }, (_, column) =>
    column === 0 || rows.some((row) => row.cells[column].querySelector("a")));

  // Every word must be somewhere in what the page says of a host.
  const matches = (words, text) => words.every((word) => text.includes(word));

  const update = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.dataset.words ?? row.cells[0].textContent.toLowerCase();
      row.hidden = (findingsOnly.checked && "same" in row.dataset) || !matches(words, text);
      count += row.hidden ? 0 : 1;
    }
    for (const section of sections) section.hidden = !matches(words, section.dataset.words);
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} hosts shown`;
  };

  const updateColumns = () => {
    for (const row of matrix.rows)
      for (let column = 1; column < columns; column++)
        row.cells[column].hidden = tasksOnly.checked && !troubled[column];
  };

  // A link into a closed host opens it, and the keyboard goes on from there.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    const host = target.closest("details.host");
    if (host) { host.hidden = false; host.open = true; }
    const row = target.closest("#matrix tr");
    if (row) row.hidden = false;
    target.scrollIntoView({ block: host ? "start" : "center" });
    (target.tagName === "DETAILS" ? target.querySelector("summary") : target).focus({ preventScroll: true });
  };

  const links = (row) => [...row.querySelectorAll("td:not([hidden]) > a")];
  const move = (event) => {
    const cell = event.target.closest("#matrix td");
    if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = cell.parentElement;
    const here = links(row);
    const at = here.indexOf(event.target);
    let next = null;
    if (event.key === "ArrowRight") next = here[at + 1];
    else if (event.key === "ArrowLeft") next = here[at - 1];
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const others = rows.filter((other) => !other.hidden && links(other).length);
      const other = others[others.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)];
      if (other) {
        const distance = (link) => Math.abs(link.parentElement.cellIndex - cell.cellIndex);
        next = links(other).reduce((best, link) => (distance(link) < distance(best) ? link : best));
      }
    } else return;
    event.preventDefault();
    if (next) next.focus();
  };

  filter.addEventListener("input", update);
  findingsOnly.addEventListener("change", update);
  tasksOnly.addEventListener("change", updateColumns);
  matrix.addEventListener("keydown", move);
  addEventListener("hashchange", reveal);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input")) { event.preventDefault(); filter.focus(); }
    if (event.key === "Escape" && event.target === filter) { filter.value = ""; update(); }
  });
  let closed = [];
  addEventListener("beforeprint", () => { closed = sections.filter((each) => !each.open); closed.forEach((each) => { each.open = true; }); });
  addEventListener("afterprint", () => { closed.forEach((each) => { each.open = false; }); });

  update();
  if (location.hash) reveal();
})();
