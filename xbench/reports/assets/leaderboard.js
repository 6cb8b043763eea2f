"use strict";

function compareCells(index, ascending) {
  const key = (row) => {
    const cell = row.cells[index];
    return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
  };
  const absent = (value) => value === "" || Number.isNaN(value);
  return (first, second) => {
    const [a, b] = [key(first), key(second)];
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return ascending ? order : -order;
  };
}

function sortBy(header) {
  const table = header.closest("table");
  const first = header.dataset.first || "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = header.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const rows = [...table.tBodies[0].rows];
  rows.sort(compareCells(header.cellIndex, direction === "ascending"));
  table.tBodies[0].append(...rows);
}

function filter() {
  const value = (id) => document.getElementById(id).value;
  const words = value("search").toLowerCase().split(/\s+/).filter(Boolean);
  const [protocol, direction, kind] = [value("protocol"), value("direction"), value("kind")];
  const comparableOnly = document.getElementById("comparable").checked;
  const processed = document.getElementById("processed").checked;
  let shown = 0;
  for (const section of document.querySelectorAll("section.board")) {
    const data = section.dataset;
    const wanted = (!protocol || data.protocol === protocol) && (!direction || data.direction === direction) &&
      (processed || data.processed === "no");
    let inside = 0;
    for (const row of section.querySelectorAll("tbody tr")) {
      const text = row.querySelector("td.model").textContent.toLowerCase();
      const keep = words.every((word) => text.includes(word)) && (!kind || row.dataset.kind === kind) &&
        (!comparableOnly || row.dataset.comparable === "yes");
      row.hidden = !keep;
      inside += keep;
    }
    section.hidden = !wanted || inside === 0;
    if (!section.hidden) shown += inside;
  }
  document.getElementById("count").textContent = shown === 1 ? "1 row" : `${shown} rows`;
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}
for (const control of document.querySelectorAll(".controls input, .controls select")) {
  control.addEventListener("input", filter);
}
document.querySelector(".controls").hidden = false;
filter();
