"use strict";
// What all pages share: elements, numbers, tooltips, lists with search, sort and filters, and sections that fold.
// Everything from data is set as text, never as HTML.
const page = (() => {
  const views = {};
  const narrow = matchMedia("(max-width: 40rem)");

  // The JSON in the page that belongs to a script; each is read once.
  const read = {};
  const data = (script) => (read[script] ??= JSON.parse(document.getElementById(`data-${script}`).textContent));

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== undefined && value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return node;
  }
  const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const space = document.getElementById("blank").namespaceURI;
  const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(space, tag), attributes, children);

  const none = (value) => value === null || value === undefined;
  const number = (digits) => (value) => (none(value) ? "–" : value.toFixed(digits));
  const format = {
    loss: number(5),
    score: number(3),
    count: (value) => (none(value) ? "–" : value.toLocaleString("en")),
    percent: (value) => (none(value) ? "–" : `${(100 * value).toFixed(1)} %`),
    // A probability with two significant digits, however small.
    chance: (value) =>
      none(value) ? "–" : value >= 0.0995 ? value.toFixed(2) : value === 0 ? "0" : value < 1e-4 ? "< 0.0001" : String(Number(value.toPrecision(2))),
  };

  // A tooltip of lines of text, for a pointer and for the keyboard.
  function tip(node, lines) {
    const box = document.getElementById("tip");
    const show = (x, y) => {
      box.textContent = typeof lines === "function" ? lines() : lines;
      box.hidden = false;
      const { width, height } = box.getBoundingClientRect();
      box.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
      box.style.top = `${y + 16 + height > innerHeight ? Math.max(4, y - height - 8) : y + 16}px`;
    };
    const hide = () => (box.hidden = true);
    node.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
    node.addEventListener("pointerleave", hide);
    node.addEventListener("focus", () => {
      const place = node.getBoundingClientRect();
      show(place.left, place.bottom - 12);
    });
    node.addEventListener("blur", hide);
    return node;
  }

  // A plain table; columns are [heading, whether it is a number].
  function table(columns, rows) {
    const cell = (tag, value, numeric) => el(tag, { class: numeric ? "n" : undefined }, value);
    return el("div", { class: "scroll", tabindex: 0 }, el("table", {},
      el("thead", {}, el("tr", {}, columns.map(([name, numeric]) => cell("th", name, numeric)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((value, i) => cell("td", value, columns[i][1])))))));
  }

  function select(label, options, onchange) {
    const node = el("select", { onchange }, options.map(([name, value]) => el("option", { value }, name)));
    return [el("label", {}, label, node), node];
  }

  // A list of items in a table.
  //   items     any objects
  //   noun      what they are, in the plural
  //   columns   {key, label, value(item): for sorting, text(item): string or node, number, wide: hidden on a phone}
  //   words     item => text that is searched
  //   filters   [{label, options: [[name, item => boolean], ...]}]
  //   sort      [key, descending] at first
  //   detail    item => node that is shown below an item
  //   onchange  called with the items that are left
  // Returns {show(item), refresh()}.
  function list(root, { items, noun, columns, words, filters = [], sort, detail, onchange, size = 20 }) {
    let [key, down] = sort;
    let shown = size;
    let opened = null;
    const search = el("input", { type: "search", placeholder: "Search", "aria-label": `Search ${noun}`, oninput: () => change() });
    const haystack = new Map(items.map((item) => [item, words(item).toLowerCase()]));
    const chosen = filters.map((filter) => select(filter.label, filter.options.map(([name], i) => [name, i]), () => change()));
    const [sortLabel, sortBy] = select("Sort by", columns.map((column) => [column.label, column.key]), () => {
      order(sortBy.value, columns.find((column) => column.key === sortBy.value).number);
    });
    const count = el("p", { class: "count", role: "status" });
    const heads = columns.map((column) => {
      const button = el("button", { type: "button", onclick: () => order(column.key, key === column.key ? !down : column.number) }, column.label);
      return el("th", { scope: "col", class: classes(column) }, button);
    });
    const body = el("tbody");
    const more = el("button", { type: "button", class: "more", onclick: () => { shown += 5 * size; draw(); } }, "Show more");
    root.append(
      el("div", { class: "tools" }, el("label", { class: "search" }, "Search", search), chosen.map(([label]) => label), sortLabel),
      count, el("table", { class: "list" }, el("thead", {}, el("tr", {}, heads)), body), more);

    function classes(column, sorted = false) {
      return [column.number ? "n" : "", column.wide ? "wide" : "", sorted ? "sorted" : ""].join(" ").trim();
    }
    function order(name, descending) {
      key = name;
      down = Boolean(descending);
      change();
    }
    function left() {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const phrase = wanted.join(" ");
      const holds = (item) => haystack.get(item).includes(phrase);
      // What holds the words as they stand; where nothing does, what holds each of them anywhere.
      const found = items.some(holds) ? holds : (item) => wanted.every((word) => haystack.get(item).includes(word));
      const tests = chosen.map(([, node], i) => filters[i].options[Number(node.value)][1]);
      const column = columns.find((each) => each.key === key);
      // Items without a value come last, whichever way the others are sorted.
      const compare = (a, b) => {
        const [x, y] = [column.value(a), column.value(b)];
        if (none(x) || none(y)) return none(x) - none(y);
        const by = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
        return down ? -by : by;
      };
      return items
        .filter((item) => found(item) && tests.every((test) => test(item)))
        .sort(compare);
    }
    let found = [];
    function change() {
      shown = size;
      opened = null;
      draw();
    }
    function draw() {
      found = left();
      sortBy.value = key;
      columns.forEach((column, i) => {
        heads[i].className = classes(column, column.key === key);
        heads[i].setAttribute("aria-sort", column.key === key ? (down ? "descending" : "ascending") : "none");
      });
      body.replaceChildren(...found.slice(0, shown).flatMap(row));
      count.textContent = found.length === items.length ? `${format.count(items.length)} ${noun}` : `${format.count(found.length)} of ${format.count(items.length)} ${noun}`;
      more.hidden = found.length <= shown;
      if (onchange) onchange(found);
    }
    function row(item) {
      const cells = columns.map((column, i) => {
        const text = column.text(item);
        const content = i || !detail ? text : el("button", { type: "button", "aria-expanded": String(item === opened) }, text);
        return el("td", { class: `${classes(column, column.key === key)} ${i ? "" : "name"}`.trim() }, content);
      });
      const line = el("tr", { class: "item", onclick: () => { opened = item === opened ? null : item; draw(); } }, cells);
      if (item !== opened) return [line];
      return [line, el("tr", {}, el("td", { class: "open", colspan: columns.length }, detail(item)))];
    }
    draw();
    return {
      refresh: draw,
      show(item) {
        search.value = "";
        chosen.forEach(([, node]) => (node.value = 0));
        opened = item;
        shown = size;
        found = left();
        shown = Math.max(shown, found.indexOf(item) + 1);
        draw();
        const line = body.querySelector("td.open").parentNode.previousElementSibling;
        line.scrollIntoView({ block: "center" });
        line.querySelector("button").focus({ preventScroll: true });
      },
    };
  }

  // Draw again whenever the width changes; a folded part has none, and is drawn when it is opened.
  function drawn(root, draw) {
    let last = 0;
    new ResizeObserver(() => {
      const width = Math.floor(root.clientWidth);
      if (width && width !== last) root.replaceChildren(draw((last = width)));
    }).observe(root);
    return () => last && root.replaceChildren(draw(last));
  }

  function start() {
    const folds = [...document.querySelectorAll("details.fold")];
    if (narrow.matches) folds.slice(1).forEach((fold) => (fold.open = false));
    const unfold = () => {
      const section = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const fold = section && section.querySelector("details.fold");
      if (fold) fold.open = true;
    };
    addEventListener("hashchange", unfold);
    document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", () => setTimeout(unfold)));
    addEventListener("beforeprint", () => folds.forEach((fold) => (fold.open = true)));
    unfold();
    for (const root of document.querySelectorAll(".view")) views[root.dataset.view](root, data(root.dataset.script));
  }

  return { views, el, svg, format, none, tip, table, select, list, drawn, start };
})();
