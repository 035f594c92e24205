"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const matrix = byId("matrix");
  const rows = [...matrix.tBodies[0].rows];
  const filter = byId("filter");
  const selects = { kind: byId("severity"), against: byId("against"), group: byId("group") };
  const findingsOnly = byId("findings-only");
  const columnsOnly = byId("columns-only");
  const dialog = byId("dialog");
  const columns = matrix.tHead.rows[0].cells.length - 1; // the last one only fills the line
  const findings = [...document.querySelectorAll("details.finding")].map((element) => (
    { element, kind: element.dataset.kind, against: element.dataset.against }));
  const placesOf = (cell) => (cell.dataset.f ?? "").split(" ").filter(Boolean).map(Number);
  const hosts = rows.map((row) => ({
    row, name: row.cells[0].firstChild.nextSibling.data.toLowerCase(), places: placesOf(row.cells[0]),
  }));
  // what a finding is found by; not by the names of all the hosts that share it
  const wordsOf = (finding) => finding.words ??= [...finding.element.querySelectorAll(
    "summary b, .msg, .differences, .key, pre, .where:not(.hosts)")].map((each) => each.textContent).join(" ").toLowerCase();

  // Filters. A host is shown for its name or for a finding that has all that is asked for.
  const isChosen = (finding) =>
    (!selects.kind.value || finding.kind === selects.kind.value) &&
    (!selects.against.value || finding.against === selects.against.value);
  const isGrouped = (row) => !selects.group?.value || (row.dataset.groups ?? "").includes(` ${selects.group.value} `);

  const update = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const anyKind = !selects.kind.value && !selects.against.value;
    const found = findings.map((finding) => isChosen(finding) && words.every((word) => wordsOf(finding).includes(word)));
    const ofHosts = findings.map(() => false);
    let count = 0;
    for (const { row, name, places } of hosts) {
      const named = words.every((word) => name.includes(word));
      const kept = places.filter((place) => place < findings.length && isChosen(findings[place]) && (named || found[place]));
      const shown = isGrouped(row) && (kept.length > 0 || (named && anyKind && (!findingsOnly.checked || places.length > 0)));
      if (row.hidden === shown) row.hidden = !shown;
      if (shown) { count++; for (const place of kept) ofHosts[place] = true; }
    }
    const unfiltered = anyKind && !words.length && !selects.group?.value;
    findings.forEach(({ element }, place) => { element.hidden = !unfiltered && !ofHosts[place]; });
    byId("shown").textContent = count === rows.length ? "" : `${count} of ${rows.length} hosts shown`;
    updateColumns();
  };

  let hiddenColumns = "";
  const updateColumns = () => {
    const wanted = Array.from({ length: columns }, () => !columnsOnly.checked);
    wanted[0] = true;
    if (columnsOnly.checked)
      for (const { row } of hosts)
        if (!row.hidden)
          for (const cell of row.cells) if (cell.dataset.f) wanted[cell.cellIndex] = true;
    if (hiddenColumns === wanted.join()) return;
    hiddenColumns = wanted.join();
    for (const row of matrix.rows)
      if (!row.cells[1].classList.contains("whole"))
        for (let column = 1; column < columns && column < row.cells.length - 1; column++)
          row.cells[column].hidden = !wanted[column];
  };

  // Details of a cell, or of a whole host.
  const open = (cell) => {
    const places = placesOf(cell);
    if (!places.length) return;
    const row = cell.parentElement;
    const host = row.cells[0].firstChild.nextSibling.data;
    byId("dialog-title").textContent = host;
    const parts = places.filter((place) => place < findings.length).map((place) => {
      const { element, kind } = findings[place];
      const section = document.createElement("section");
      section.className = `finding ${kind}`;
      const title = document.createElement("h3");
      title.append(...[...element.querySelector("summary").cloneNode(true).childNodes].slice(0, -1));
      section.append(title, element.querySelector("article").cloneNode(true));
      for (const code of section.querySelectorAll("[data-one]"))
        code.textContent = code.dataset.one.replaceAll("@HOST@", row.dataset.quoted ?? host);
      return section;
    });
    if (parts.length < places.length) parts.push(`${places.length - parts.length} more are not on this page.`);
    byId("dialog-body").replaceChildren(...parts);
    history.replaceState(null, "", `#${cell.id}`);
    dialog.showModal();
    byId("dialog-body").scrollTop = 0;
  };
  let active = null;
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", location.pathname + location.search);
    if (active) active.focus();
  });
  byId("dialog-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // The keyboard: one cell of the grid is reached by Tab, arrows move from there.
  const activate = (cell, focus = true) => {
    if (!cell) return;
    if (active) active.tabIndex = -1;
    active = cell;
    cell.tabIndex = 0;
    if (focus) { cell.focus({ preventScroll: true }); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  };
  const shownRows = () => rows.filter((row) => !row.hidden);
  const shownCells = (row) => [...row.cells].slice(0, -1).filter((cell) => !cell.hidden);
  const nearest = (row, column) => shownCells(row).reduce((best, cell) =>
    Math.abs(cell.cellIndex - column) < Math.abs(best.cellIndex - column) ? cell : best);
  const step = (from, by) => {
    const cells = shownRows().flatMap((row) => shownCells(row).slice(1).filter((cell) => cell.dataset.f || cell === from));
    const all = cells.includes(from) ? cells : [from, ...cells];
    return all[all.indexOf(from) + by];
  };
  const target = (cell, event) => {
    const row = cell.parentElement;
    const line = shownCells(row);
    const at = line.indexOf(cell);
    const all = shownRows();
    const other = (index) => nearest(all[Math.max(0, Math.min(all.length - 1, index))], cell.cellIndex);
    const place = all.indexOf(row);
    switch (event.key) {
      case "ArrowRight": return line[at + 1] ?? cell;
      case "ArrowLeft": return line[at - 1] ?? cell;
      case "ArrowDown": return other(place + 1);
      case "ArrowUp": return other(place - 1);
      case "PageDown": return other(place + 10);
      case "PageUp": return other(place - 10);
      case "Home": return event.ctrlKey ? shownCells(all[0])[0] : line[0];
      case "End": return event.ctrlKey ? shownCells(all.at(-1)).at(-1) : line.at(-1);
      case "n": return step(cell, 1) ?? cell;
      case "p": return step(cell, -1) ?? cell;
    }
    return null;
  };
  const cellOf = (event) => {
    const cell = event.target.closest?.("#matrix tbody :is(th, td)");
    return cell && !cell.classList.contains("rest") ? cell : null;
  };
  matrix.addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    if (!cell || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(cell); return; }
    const next = target(cell, event);
    if (next) { event.preventDefault(); activate(next); }
  });
  matrix.addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (cell && getSelection().isCollapsed) { activate(cell); open(cell); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select") && !dialog.open) {
      event.preventDefault();
      filter.focus();
      filter.select();
    }
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); filter.value = ""; update(); }
    if (event.key === "ArrowDown" || event.key === "Enter") {
      const first = shownRows()[0];
      if (first) { event.preventDefault(); activate(shownCells(first).find((cell) => cell.dataset.f) ?? first.cells[0]); }
    }
  });

  // Light or dark.
  const themes = ["auto", "light", "dark"];
  const setTheme = (theme) => {
    document.documentElement.dataset.theme = theme;
    byId("theme-now").textContent = theme;
    try { localStorage.setItem("fleetenv-theme", theme); } catch { /* a page in a file may have no storage */ }
  };
  let stored = null;
  try { stored = localStorage.getItem("fleetenv-theme"); } catch { /* likewise */ }
  if (themes.includes(stored)) setTheme(stored);
  byId("theme").addEventListener("click", () =>
    setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % themes.length]));

  // All that is told is printed.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = findings.map(({ element }) => element).filter((each) => !each.open);
    closed.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => { closed.forEach((each) => { each.open = false; }); });

  const reveal = () => {
    const cell = /^#c\d+-\d+$/.test(location.hash) && byId(location.hash.slice(1));
    if (!cell) return;
    cell.parentElement.hidden = cell.hidden = false;
    if (dialog.open) dialog.close();
    activate(cell);
    open(cell);
  };
  for (const each of [filter, ...Object.values(selects)]) each?.addEventListener("input", update);
  findingsOnly.addEventListener("change", update);
  columnsOnly.addEventListener("change", updateColumns);
  addEventListener("hashchange", reveal);
  update();
  activate(shownRows()[0]?.cells[0], false);
  reveal();
})();
