"use strict";
(() => {
  const form = document.querySelector("form.filter");
  const search = document.querySelector("input[type=search]");

  // A choice takes effect at once; text, with Enter. Fields that say nothing stay out of the address.
  const send = (each) => {
    for (const field of each.elements) if (field.name && field.value === "") field.disabled = true;
    each.submit();
  };
  for (const each of document.querySelectorAll("form[method=get]")) {
    each.addEventListener("submit", (event) => { event.preventDefault(); send(each); });
    each.addEventListener("change", (event) => {
      if (event.target.matches("select, input[type=checkbox]")) send(each);
    });
  }
  if (form) for (const button of form.querySelectorAll("button.go")) button.hidden = true;
  addEventListener("pageshow", () => { // back again: the fields that were left out can be used
    for (const field of document.querySelectorAll("form [disabled]")) field.disabled = false;
  });

  // Arrow keys move between the links of a table: in a row, and to the nearest one of the next row that has any.
  const links = (row) => [...row.querySelectorAll("a")];
  const near = (row, index) => links(row).reduce((best, link) => {
    const distance = (each) => Math.abs(each.closest("td, th").cellIndex - index);
    return distance(link) < distance(best) ? link : best;
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "/" && search && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    if (event.key === "Escape" && event.target === search) { search.blur(); return; }
    const cell = event.target.closest("tbody td, tbody th");
    if (!cell || event.target.tagName !== "A") return;
    const row = cell.parentElement;
    const here = links(row);
    const at = here.indexOf(event.target);
    let next = null;
    if (event.key === "ArrowRight") next = here[at + 1];
    else if (event.key === "ArrowLeft") next = here[at - 1];
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const rows = [...row.parentElement.rows].filter((each) => links(each).length);
      const other = rows[rows.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)];
      if (other) next = near(other, cell.cellIndex);
    } else return;
    event.preventDefault();
    if (next) next.focus();
  });

  // Times stand there absolutely; how long ago that was is said when asked.
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const [unit, size] = units.find(([, each]) => Math.abs(seconds) >= each) ?? units[2];
    time.title = relative.format(Math.round(seconds / size), unit);
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("main details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of closed) each.open = false; });
})();
