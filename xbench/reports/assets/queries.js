"use strict";

(() => {
  const STEP = 20;
  const collator = new Intl.Collator("en", { numeric: true });
  const data = JSON.parse(document.getElementById("queries-data").textContent);
  const root = document.getElementById("browser");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const [search, sideChoice, filterChoice] = ["search", "side", "filter"].map(part);
  const [count, table, more] = ["count", "table", "more"].map(part);
  const two = data.runs.length === 2;
  const start = two ? "lead,descending" : "rank,descending";
  const state = { side: "t2v", search: "", filter: "all", sort: start, rows: STEP };
  const captionOf = (index) => data.captions?.[index] ?? `caption ${index + 1}`;
  const videoOf = (index) => data.videos?.[index] ?? `video ${index + 1}`;
  const captionsOf = new Map();
  data.owners.forEach((video, caption) => {
    if (!captionsOf.has(video)) captionsOf.set(video, []);
    captionsOf.get(video).push(caption);
  });

  function rowsOf(side) {
    const { queries, runs } = data.sides[side];
    return queries.map((query, position) => {
      const video = side === "t2v" ? data.owners[query] : query;
      const caption = side === "t2v" ? captionOf(query) : videoOf(video);
      const texts = side === "t2v" ? [caption] : (captionsOf.get(video) || []).map(captionOf);
      const ranks = runs.map((run) => run.ranks[position]);
      return {
        position, number: side === "t2v" ? query : position, video, caption, ranks,
        words: side === "t2v" ? caption.split(" ").length : texts.length,
        found: `${videoOf(video)} ${texts.join(" ")}`.toLowerCase(),
        rank: ranks[0], second: ranks[1], score: runs[0].scores[position],
        tied: runs.some((run) => run.tied[position] > 0),
        lead: two && ranks[0] !== null && ranks[1] !== null ? ranks[1] - ranks[0] : null,
      };
    });
  }

  const kept = {};
  const rows = () => (kept[state.side] ||= rowsOf(state.side));
  const number = (value) => (value === null ? "none" : value.toLocaleString("en", { maximumFractionDigits: 4 }));
  const signed = (value) => (value > 0 ? `+${number(value)}` : number(value));

  function columns() {
    const t2v = state.side === "t2v";
    return [
      two ? { key: "rank", name: "rank in A", number: true } : { key: "rank", name: "rank", number: true },
      ...(two ? [{ key: "second", name: "rank in B", number: true },
        { key: "lead", name: "A better by", number: true, show: signed }] : []),
      { key: "caption", name: t2v ? "caption" : "video", wide: true },
      { key: "words", name: t2v ? "words" : "captions", number: true },
      ...(two ? [] : [{ key: "score", name: "score", number: true }]),
      ...(t2v ? [{ key: "video", name: "video", show: videoOf }] : []),
    ];
  }

  const FILTERS = two ? {
    all: ["all", () => true],
    a: ["A ranks it better", (row) => row.lead > 0],
    b: ["B ranks it better", (row) => row.lead !== null && row.lead < 0],
    even: ["both the same", (row) => row.lead === 0],
    "only-a": ["first in A only", (row) => row.rank === 1 && row.second !== 1],
    "only-b": ["first in B only", (row) => row.second === 1 && row.rank !== 1],
    neither: ["first in neither", (row) => row.rank !== 1 && row.second !== 1],
  } : {
    all: ["all", () => true],
    first: ["rank 1", (row) => row.rank === 1],
    wrong: ["not rank 1", (row) => row.rank !== 1],
    ten: ["beyond rank 10", (row) => row.rank === null || row.rank > 10],
    tied: ["tied", (row) => row.tied],
  };

  function chosen() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const [, keep] = FILTERS[state.filter];
    const [key, direction] = state.sort.split(",");
    const sign = direction === "ascending" ? 1 : -1;
    const value = (row) => (key === "video" ? videoOf(row.video) : row[key]);
    const compare = (first, second) => {
      const [a, b] = [value(first), value(second)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "number" ? a - b : collator.compare(a, b)) || first.position - second.position;
    };
    return rows().filter((row) => keep(row) && words.every((word) => row.found.includes(word))).sort(compare);
  }

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function heading(column) {
    const [key, direction] = state.sort.split(",");
    const cell = element("th", undefined, { scope: "col", class: column.number ? "number" : "" });
    const button = element("button", column.name, { type: "button" });
    if (key === column.key) cell.setAttribute("aria-sort", direction);
    button.addEventListener("click", () => {
      const first = column.number ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      change({ sort: `${column.key},${key === column.key && direction === first ? other : first}` });
      table.tHead.rows[0].cells[columns().findIndex((each) => each.key === column.key)].firstChild.focus();
    });
    cell.append(button);
    return cell;
  }

  function line(row) {
    const made = element("tr");
    for (const column of columns()) {
      const value = row[column.key];
      const text = column.show ? (value === null ? "none" : column.show(value)) :
        column.number ? number(value) : value;
      const cell = element("td", undefined, {
        "data-label": column.name, class: column.number ? "number" : column.wide ? "wide" : "name",
      });
      if (column.wide) {
        const button = element("button", text, { type: "button", class: "open", "aria-expanded": "false" });
        button.addEventListener("click", () => toggle(made, button, row));
        cell.append(button);
      } else cell.textContent = text;
      made.append(cell);
    }
    return made;
  }

  function toggle(made, button, row) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) made.nextSibling.remove();
    else {
      const cell = element("td", undefined, { colspan: columns().length });
      cell.append(detail(row));
      const added = element("tr", undefined, { class: "detail" });
      added.append(cell);
      made.after(added);
    }
  }

  function detail(row) {
    const box = element("div", undefined, { class: "sides" });
    const side = data.sides[state.side];
    side.runs.forEach((run, index) => {
      const name = two ? `${"AB"[index]}: ${data.runs[index]}` : "Retrieved first";
      const part = element("div");
      part.append(element("h4", `${name}, rank of the right one ${number(run.ranks[row.position])}`));
      part.append(run.items ? retrieved(run, row) :
        element("p", "What it retrieved is told by the similarity matrix.", { class: "soft" }));
      box.append(part);
    });
    if (state.side === "v2t") {
      const own = element("div");
      own.append(element("h4", "Its captions"));
      const list = element("ul");
      for (const caption of (captionsOf.get(row.video) || []).slice(0, 50)) {
        list.append(element("li", captionOf(caption)));
      }
      own.append(list);
      box.append(own);
    }
    if (side.shown.includes(row.number)) {
      const part = element("p");
      part.append(element("a", "Shown with pictures", { href: `#${state.side}-${row.number}` }));
      box.append(part);
    }
    return box;
  }

  function retrieved(run, row) {
    const list = element("ol");
    run.items[row.position].forEach((item, place) => {
      const right = (state.side === "t2v" ? item : data.owners[item]) === row.video;
      const name = state.side === "t2v" ? videoOf(item) : captionOf(item);
      const entry = element("li", `${name} `, { class: right ? "right" : "wrong" });
      const score = number(run.values[row.position][place]);
      entry.append(element("span", `${right ? "right" : "wrong"}, score ${score}`, { class: "soft" }));
      list.append(entry);
    });
    return list;
  }

  function show() {
    const found = chosen();
    const head = element("tr");
    head.append(...columns().map(heading));
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...found.slice(0, state.rows).map(line));
    const total = rows().length.toLocaleString("en");
    count.textContent = `${found.length.toLocaleString("en")} of ${total} queries`;
    more.hidden = found.length <= state.rows;
    [search.value, sideChoice.value, filterChoice.value] = [state.search, state.side, state.filter];
  }

  function change(changes) {
    Object.assign(state, { rows: STEP }, changes);
    show();
    const said = new URLSearchParams();
    const defaults = { side: "t2v", search: "", filter: "all", sort: start };
    for (const [key, value] of Object.entries(defaults)) if (state[key] !== value) said.set(key, state[key]);
    const text = said.toString();
    history.replaceState(null, "", `#queries${text && `?${text}`}`);
  }

  function read() {
    const [anchor, said] = location.hash.split("?");
    if (anchor !== "#queries") return false;
    const given = new URLSearchParams(said || "");
    state.search = given.get("search") || "";
    state.side = given.get("side") in data.sides ? given.get("side") : "t2v";
    state.filter = given.get("filter") in FILTERS ? given.get("filter") : "all";
    const [key, direction] = (given.get("sort") || start).split(",");
    const known = columns().some((column) => column.key === key) && /^(a|de)scending$/.test(direction);
    state.sort = known ? `${key},${direction}` : start;
    return Boolean(said);
  }

  for (const [key, [name]] of Object.entries(FILTERS)) filterChoice.append(element("option", name, { value: key }));
  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ search: search.value }), 80);
  });
  sideChoice.addEventListener("input", () => change({ side: sideChoice.value, sort: start }));
  filterChoice.addEventListener("input", () => change({ filter: filterChoice.value }));
  more.addEventListener("click", () => {
    const before = table.tBodies[0].rows.length;
    const found = chosen();
    table.tBodies[0].append(...found.slice(state.rows, state.rows + STEP).map(line));
    state.rows += STEP;
    more.hidden = found.length <= state.rows;
    table.tBodies[0].rows[before]?.querySelector("button")?.focus();
  });
  window.addEventListener("hashchange", () => { if (read()) show(); });
  const sent = read();
  show();
  root.hidden = false;
  if (sent) document.getElementById("queries").scrollIntoView();
})();
