"use strict";

const one = (id) => document.getElementById(id);
const SELECTS = ["benchmark", "protocol", "direction", "kind", "year", "backbone", "setting", "made"];
const FIRST_MEASURE = one("measure").options.length ? one("measure").options[0].value : "";
const text = (row, column) => {
  const cell = row.querySelector(`[data-column="${column}"]`);
  return cell ? (cell.firstElementChild || cell).textContent.trim() : "";
};

/* What filters and downloads know of a row, read from the page once. */
const sections = [...document.querySelectorAll("section.board")].map((element) => {
  const body = element.querySelector("tbody");
  const shared = { benchmark: element.dataset.benchmark, protocol: element.dataset.protocol,
    direction: element.dataset.direction, setting: element.dataset.setting };
  const rows = [...body.rows].map((row) => ({
    ...shared, element: row, kind: row.dataset.kind, year: row.dataset.year || "-", made: row.dataset.made,
    backbone: row.querySelector('[data-column="backbone"]').textContent, comparable: row.dataset.comparable === "yes",
    numbers: new Map([...row.querySelectorAll("td.number:not(.absent)")].map((cell) => [cell.dataset.column, cell])),
    said: [...row.querySelectorAll("td:not(.number)")].map((cell) => cell.textContent).join(" ").toLowerCase(),
    kept: true,
  }));
  for (const row of rows) row.element.row = row;
  return { element, body, rows, item: document.querySelector(`li[data-section="${CSS.escape(element.id)}"]`) };
});
const byId = new Map(sections.flatMap((section) => section.rows.map((row) => [row.element.id, { row, section }])));
const models = [...document.querySelectorAll("#overview tbody tr:not(.heading)")].map((element) => ({
  element, cells: [...element.querySelectorAll("td.number")].map((cell) => ({
    cell, entries: [...cell.querySelectorAll("a[data-side]")].map((link) => (
      { link, side: link.dataset.side, row: byId.get(decodeURIComponent(link.hash.slice(1))).row })),
  })),
}));
const original = new Map([...document.querySelectorAll("tbody")].map((body) => [body, [...body.rows]]));
const hidden = document.head.appendChild(document.createElement("style"));  // the columns that are not shown
const unfolded = new Set();
const sorts = new Map();  // the name of a table: its column and direction
let aimed = "";

const tableName = (table) => table.closest("section").id;
const foldName = (body) => {
  const section = body.closest("section");
  return section.id === "overview" ? `overview.${[...section.querySelectorAll("tbody")].indexOf(body)}` : section.id;
};

/* Show the first rows of those that are kept, and a button for the others. */
function fold(body, kept) {
  const limit = unfolded.has(foldName(body)) ? Infinity : Number(body.dataset.fold);
  let shown = 0;
  for (const row of body.rows) {
    if (row.classList.contains("heading")) continue;
    const hide = !kept(row) || shown >= limit;
    if (row.hidden !== hide) row.hidden = hide;
    shown += !hide;
  }
  return shown;
}

function offerMore(body, shown, total) {
  let button = body.more;
  if (!button && total > shown) {
    button = body.more = document.createElement("button");
    button.type = "button";
    button.className = "more";
    button.addEventListener("click", () => { unfolded.add(foldName(body)); update(); });
    const group = body.closest("#overview") && body.querySelector(".heading th");
    if (group) group.append(" ", button); else body.closest(".scroll").after(button);
  }
  if (!button) return;
  button.hidden = total <= shown;
  button.textContent = `Show all ${total} rows`;
}

function keepsOf() {
  const words = one("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = SELECTS.map((id) => [id, one(id).value]).filter(([, value]) => value);
  const comparableOnly = one("comparable").checked;
  return (row) => wanted.every(([id, value]) => row[id] === value) && (!comparableOnly || row.comparable) &&
    words.every((word) => row.said.includes(word));
}

function filter() {
  const keeps = keepsOf();
  let total = 0;
  for (const section of sections) {
    let inside = 0;
    for (const row of section.rows) inside += (row.kept = keeps(row));
    const shown = inside ? fold(section.body, (element) => element.row.kept) : 0;
    section.element.hidden = section.item.hidden = inside === 0;
    offerMore(section.body, shown, inside);
    total += inside;
  }
  one("count").textContent = total === 1 ? "1 row" : `${total} rows`;
}

function overview() {
  const measure = one("measure").value;
  one("shows").textContent = measure;
  const used = new Set();
  const kept = new Set();
  for (const { element, cells } of models) {
    for (const { cell, entries } of cells) {
      let value = NaN;
      for (const { link, row } of entries) {
        const number = row.kept && row.numbers.get(measure);
        const hide = !number;
        if (link.parentElement.hidden !== hide) link.parentElement.hidden = hide;
        if (hide) continue;
        if (link.dataset.shows !== measure) {
          link.replaceChildren(...number.firstElementChild.cloneNode(true).childNodes);
          link.dataset.shows = measure;
        }
        if (Number.isNaN(value)) value = Number(number.dataset.value);
      }
      if (cell.dataset.value !== String(value)) {
        cell.dataset.value = value;
        cell.classList.toggle("absent", Number.isNaN(value));
      }
      if (!Number.isNaN(value)) { used.add(cell.dataset.column); kept.add(element); }
    }
  }
  for (const body of document.querySelectorAll("#overview tbody")) {
    const total = [...body.rows].filter((row) => kept.has(row)).length;
    offerMore(body, fold(body, (row) => kept.has(row)), total);
    body.hidden = total === 0;
  }
  one("overview").hidden = kept.size === 0;
  return used;
}

function columns(used) {
  const off = [...document.querySelectorAll("[name=column]:not(:checked)")].map((box) => box.value);
  const rules = off.map((name) => name === "interval" ? "section.board td small { display: none }"
    : `section.board [data-column="${CSS.escape(name)}"] { display: none }`);
  for (const header of document.querySelectorAll("#overview th[data-column]")) {
    const name = header.dataset.column;
    if (header.cellIndex && !used.has(name)) {
      rules.push(`#overview [data-column="${CSS.escape(name)}"] { display: none }`);
    }
  }
  const style = rules.join("\n");
  if (hidden.textContent !== style) hidden.textContent = style;  // a change costs a new layout of everything
}

/* The state of the page, to its address and back. */

function toAddress() {
  const state = new URLSearchParams();
  if (one("search").value) state.set("q", one("search").value);
  for (const id of SELECTS) if (one(id).value) state.set(id, one(id).value);
  if (one("measure").value !== FIRST_MEASURE) state.set("measure", one("measure").value);
  if (one("comparable").checked) state.set("comparable", "yes");
  const off = [...document.querySelectorAll("[name=column]:not(:checked)")].map((box) => box.value);
  if (off.length) state.set("without", off.join(","));
  for (const [table, { column, direction }] of sorts) state.append("sort", `${table}:${direction}:${column}`);
  for (const name of unfolded) state.append("all", name);
  if (aimed) state.set("at", aimed);
  writeState(state);
}

function fromAddress() {
  const state = readState();
  one("search").value = state.get("q") || "";
  for (const id of SELECTS) one(id).value = choice(one(id), state.get(id), "");
  one("measure").value = choice(one("measure"), state.get("measure"), FIRST_MEASURE);
  one("comparable").checked = state.get("comparable") === "yes";
  const off = (state.get("without") || "").split(",");
  for (const box of document.querySelectorAll("[name=column]")) box.checked = !off.includes(box.value);
  unfolded.clear();
  for (const name of state.getAll("all")) unfolded.add(name);
  aimed = state.get("at") || "";
  const found = byId.get(aimed);
  if (found && [...found.section.body.rows].indexOf(found.row.element) >= Number(found.section.body.dataset.fold)) {
    unfolded.add(found.section.element.id);
  }
  update({ silent: true });
  unsort();
  for (const each of state.getAll("sort")) sortAsSaid(...each.split(":", 2), each.split(":").slice(2).join(":"));
  if (sorts.size) update({ silent: true });
  aim();
}

const choice = (select, value, other) => [...select.options].some((each) => each.value === value) ? value : other;

function sortAsSaid(table, direction, column) {
  const section = one(table);
  const header = section && section.querySelector(`th[data-first][data-column="${CSS.escape(column)}"]`);
  if (!header || !["ascending", "descending"].includes(direction)) return;
  sortTable(header, direction);
  sorts.set(table, { column, direction });
}

function unsort() {
  sorts.clear();
  for (const [body, rows] of original) body.append(...rows);
  for (const header of document.querySelectorAll("th[data-first]")) header.setAttribute("aria-sort", "none");
}

function aim() {
  for (const row of document.querySelectorAll("tr.aimed")) row.classList.remove("aimed");
  const target = aimed && one(aimed);
  if (!target) return;
  if (target.matches("tr")) target.classList.add("aimed");
  target.scrollIntoView({ block: target.matches("tr") ? "center" : "start" });
}

function update({ silent = false } = {}) {
  filter();
  columns(overview());
  if (!silent) toAddress();
}

/* Downloads: the rows that pass the filters, folded or not, and the columns that are chosen. */

function shownRows() {
  const on = new Set([...document.querySelectorAll("[name=column]:checked")].map((box) => box.value));
  const found = [];
  for (const section of sections) {
    for (const element of section.body.rows) {
      const { row } = element;
      if (row.kept) found.push(asValues(row, on));
    }
  }
  return found;
}

function asValues(row, on) {
  const { element } = row;
  const from = element.querySelector(".from");
  const numbers = {};
  for (const [name, { dataset: { value, low, high } }] of row.numbers) {
    if (!on.has(name)) continue;
    const interval = low !== undefined && on.has("interval") ? { low: Number(low), high: Number(high) } : {};
    numbers[name] = { value: Number(value), ...interval };
  }
  return {
    protocol: row.protocol, direction: row.direction, place: text(element, "place"), mark: element.dataset.mark,
    model: text(element, "model"), backbone: row.backbone,
    setting: element.querySelector('[data-column="setting"]').textContent,
    post_processing: element.dataset.post, kind: row.kind, date: element.dataset.date,
    comparable: row.comparable ? "yes" : "no", metrics: numbers, source: from.textContent,
    source_url: from.getAttribute("href") || "",
    remarks: [...element.querySelectorAll(".source .remark")].map((each) => each.textContent).join("; "),
  };
}

/* An apostrophe goes before what a spreadsheet would take for a formula, as in `--format csv`. */
function cell(value) {
  const plain = String(value);
  const seen = plain.replace(/^[\s\p{C}\p{Z}]+/u, "").slice(0, 1).normalize("NFKC").replace("\u2212", "-");
  const safe = /^[=+\-@]/.test(seen) || /^[\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function asCsv(rows) {
  const names = [...one("measure").options].map((each) => each.value).filter((name) => rows.some((row) => name in row.metrics));
  const parts = names.flatMap((name) => [[name, "value"], [name, "low"], [name, "high"]]);
  const head = ["protocol", "direction", "place", "mark", "model", "backbone", "setting", "post_processing", "kind",
    "date", "comparable"];
  const tail = ["source", "source_url", "remarks"];
  const title = parts.map(([name, part]) => part === "value" ? name : `${name} ${part}`);
  const lines = rows.map((row) => [...head.map((name) => cell(row[name])),
    ...parts.map(([name, part]) => row.metrics[name]?.[part] ?? ""), ...tail.map((name) => cell(row[name]))]);
  return [[...head, ...title, ...tail], ...lines].map((line) => line.join(",")).join("\n") + "\n";
}

sortOnClick((header, direction) => {
  sorts.set(tableName(header.closest("table")), { column: header.dataset.column, direction });
  update();
});
for (const control of document.querySelectorAll(".controls input, .controls select")) {
  control.addEventListener("input", () => update());
}
one("csv").addEventListener("click", () => download("leaderboard.csv", "text/csv", asCsv(shownRows())));
one("json").addEventListener("click", () => download("leaderboard.json", "application/json",
  JSON.stringify(shownRows(), null, 1)));
one("reset").addEventListener("click", () => { writeState(new URLSearchParams()); fromAddress(); });
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link) return;
  event.preventDefault();
  aimed = decodeURIComponent(link.hash.slice(1));
  const found = byId.get(aimed);
  if (found && found.row.element.hidden) { unfolded.add(found.section.element.id); }
  update();
  aim();
});
addEventListener("hashchange", fromAddress);
document.querySelector(".controls").hidden = false;
fromAddress();
