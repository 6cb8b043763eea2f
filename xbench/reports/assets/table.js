"use strict";

/* Tables that sort: a header `<th data-first="descending"><button>` by the `data-value` of its cells (numbers), else
   by their text. What is absent stays last. Each body of a table is sorted for itself. */

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

function sortTable(header, direction) {
  const table = header.closest("table");
  for (const each of table.tHead.rows[0].cells) if (each.dataset.first) each.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", direction);
  const compare = compareCells(header.cellIndex, direction === "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
    body.append(...rows.sort(compare));
  }
}

function nextDirection(header) {
  const other = header.dataset.first === "ascending" ? "descending" : "ascending";
  return header.getAttribute("aria-sort") === header.dataset.first ? other : header.dataset.first;
}

/* Call `sorted(header, direction)` after each click on a header. */
function sortOnClick(sorted) {
  for (const header of document.querySelectorAll("th[data-first]")) {
    header.querySelector("button").addEventListener("click", () => {
      const direction = nextDirection(header);
      sortTable(header, direction);
      sorted(header, direction);
    });
  }
}
