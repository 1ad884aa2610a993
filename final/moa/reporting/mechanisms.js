// The mechanisms of the report: a chart, a list, and what is known of each.
page.views.mechanisms = (root, data) => {
  const { el, svg, format, none, tip, table, select, list, drawn } = page;
  const { mechanisms, predictions, top, compounds } = data;
  const scored = mechanisms.filter((each) => !none(each.auc));
  const measures = { auc: ["ROC-AUC", 0.5, format.score], ap: ["average precision", null, format.score], gain: ["gain", 0, format.percent] };

  const chart = el("div");
  const rest = el("div");
  const [label, measure] = select("Chart", Object.entries(measures).map(([key, [name]]) => [name, key]), () => redraw());
  root.append(el("div", { class: "tools" }, label), chart, rest);
  let left = new Set(mechanisms);

  function overview(width) {
    const [name, level, text] = measures[measure.value];
    const items = scored.filter((each) => !none(each[measure.value]) && each.positives > 0);
    const height = Math.min(300, 0.6 * width + 60);
    const values = items.map((each) => each[measure.value]);
    // A mechanism that is far worse than prevalence would compress the rest: it is drawn at the edge.
    const low = Math.max(Math.min(0, ...values), -0.5);
    const high = measure.value === "gain" ? Math.max(0.1, ...values) : 1;
    const fewest = Math.min(...items.map((each) => each.positives));
    const most = Math.max(2 * fewest, ...items.map((each) => each.positives));
    const x = (value) => 48 + ((width - 66) * Math.log(value / fewest)) / Math.log(most / fewest);
    const y = (value) => 12 + (height - 48) * (1 - (Math.max(value, low) - low) / (high - low));
    const line = (value, kind) => svg("line", { class: kind, x1: 40, x2: width - 8, y1: y(value), y2: y(value) });
    const steps = [low, (low + high) / 2, high];
    const round = [2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
    const between = round.filter((value) => value > 1.4 * fewest && value < most / 1.4);
    const ticks = [fewest, ...between.filter((value, i) => width > 500 || between.length < 4 || i % 3 === 1), most];
    return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${name} by number of positive rows` },
      steps.map((value) => [line(value, "axis"), svg("text", { x: 36, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2))]),
      level === null ? null : line(level, "guide"),
      ticks.map((value) => svg("text", { x: x(value), y: height - 20, "text-anchor": "middle" }, String(value))),
      svg("text", { x: width / 2, y: height - 4, "text-anchor": "middle" }, `positive rows · ${name}`),
      items.map((each) =>
        tip(
          svg("circle", { class: left.has(each) ? "dot" : "dot dim", cx: x(each.positives), cy: y(each[measure.value]), r: 4.5, tabindex: -1, onclick: () => all.show(each) }),
          `${each.name}\n${format.count(each.positives)} positive rows\n${name} ${text(each[measure.value])}`)));
  }
  const redraw = drawn(chart, overview);

  const column = (key, label, text, wide) => ({ key, label, value: (each) => each[key], text: (each) => text(each[key]), number: true, wide });
  const found = (each) => (each.covered ? each.hits[1] / each.covered : null);
  const all = list(rest, {
    items: mechanisms,
    noun: "mechanisms",
    words: (each) => [each.name, ...each.carriers.map(([name]) => name)].join(" "),
    sort: ["positives", true],
    columns: [
      { key: "name", label: "mechanism", value: (each) => each.name, text: (each) => each.name },
      column("positives", "positive rows", format.count),
      column("prevalence", "prevalence", format.percent, true),
      column("log_loss", "log loss", format.loss, true),
      column("gain", "gain", format.percent, true),
      column("auc", "ROC-AUC", format.score),
      column("ap", "average precision", format.score, true),
      { key: "found", label: `in the first ${top}`, value: found, text: (each) => (each.covered ? `${each.hits[1]} of ${each.covered}` : "–"), number: true, wide: true },
    ],
    filters: [
      { label: "Show", options: [
        ["all", () => true],
        ["better than prevalence", (each) => each.gain > 0],
        ["worse than prevalence", (each) => !none(each.gain) && each.gain <= 0],
        [`never in the first ${top}`, (each) => each.covered > 0 && each.hits[1] === 0],
        ["most likely by mistake", (each) => each.false_first > 0],
        ["without a positive row", (each) => each.covered === 0],
      ] },
      { label: "Prevalence", options: [
        ["any", () => true],
        ["over 1 %", (each) => each.prevalence > 0.01],
        ["0.2 – 1 %", (each) => each.prevalence > 0.002 && each.prevalence <= 0.01],
        ["up to 0.2 %", (each) => each.prevalence <= 0.002],
      ] },
    ],
    detail,
    onchange: (items) => {
      left = new Set(items);
      redraw();
    },
  });

  function detail(each) {
    const by = each.by.map(([loss, auc, ap], i) => [predictions[i], format.loss(loss), format.score(auc), format.score(ap)]);
    by.push(["prevalence alone", format.loss(each.baseline), "0.500", format.score(each.prevalence)]);
    const wells = el("div", {}, el("h3", {}, "Found and missed"),
      el("p", {}, each.covered
        ? `Of ${each.covered} rows with this mechanism it is the most likely one in ${each.hits[0]}, and among the first ${top} in ${each.hits[1]}. It is the most likely one of ${each.false_first} rows without it.`
        : "No row with this mechanism has a prediction."),
      rows("Found, the most certain first", each.found, "good"), rows("Missed, the least likely first", each.missed, "bad"),
      rows("Most likely by mistake", each.false, "bad", true));
    return el("div", { class: "detail" },
      el("div", {}, el("h3", {}, "Calibration"), curve(each), el("h3", {}, "Every prediction"),
        table([["prediction"], ["log loss", true], ["ROC-AUC", true], ["AP", true]], by)),
      carriers(each), wells);
  }

  function carriers(each) {
    if (!compounds) return el("div", {}, el("h3", {}, "Compounds"), el("p", {}, "The data do not name them."));
    const lines = each.carriers.map(([name, wells, hits, mean]) => [name, el("span", { class: hits ? "good" : "bad" }, `${hits} of ${wells}`), format.chance(mean)]);
    return el("div", {}, el("h3", {}, `Compounds that carry it: ${each.carriers.length}`),
      el("p", {}, `Rows with it among the first ${top}, and its mean probability.`),
      table([["compound"], ["found", true], ["mean", true]], lines));
  }

  // Rows with their compound, and the mechanism's place among theirs, or the true mechanisms.
  function rows(title, items, kind, truth = false) {
    if (!items.length) return null;
    const lines = items.map(([id, compound, conditions, chance, place, labels, first]) => {
      const what = truth ? labels.join(", ") || "no mechanism" : place > 1 ? `place ${place}; first: ${first}` : "the most likely";
      return [el("span", {}, compound || id, el("small", {}, [compound ? id : "", conditions].filter(Boolean).join(", "))), el("span", { class: kind }, format.chance(chance)), what];
    });
    return el("details", {}, el("summary", {}, `${title} (${items.length})`), table([["row"], ["probability", true], [truth ? "in truth" : "place"]], lines));
  }

  // Observed rate by predicted probability, both logarithmic.
  function curve(each) {
    const [width, height, least] = [300, 230, 1e-4];
    const scale = (value) => 1 + Math.log10(Math.max(value, least)) / 4;
    const x = (value) => 44 + (width - 60) * scale(value);
    const y = (value) => 10 + (height - 50) * (1 - scale(value));
    const marks = [0.0001, 0.001, 0.01, 0.1, 1];
    return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Observed rate by predicted probability", style: "max-width:26rem" },
      marks.map((value) => [
        svg("line", { class: "axis", x1: 44, x2: width - 16, y1: y(value), y2: y(value) }),
        svg("text", { x: 40, y: y(value) + 4, "text-anchor": "end" }, String(value)),
        svg("text", { x: x(value), y: height - 24, "text-anchor": "middle" }, String(value)),
      ]),
      svg("text", { x: width / 2, y: height - 6, "text-anchor": "middle" }, "predicted · observed upwards"),
      svg("line", { class: "guide", x1: x(least), y1: y(least), x2: x(1), y2: y(1) }),
      each.curve.map(([predicted, observed, count, low, high]) => [
        svg("line", { class: "range", x1: x(predicted), x2: x(predicted), y1: y(low), y2: y(high) }),
        tip(svg("circle", { class: "dot", cx: x(predicted), cy: y(observed), r: 4, tabindex: 0 }),
          `given ${format.chance(predicted)} on average: ${format.count(count)} rows\n${format.percent(observed)} have it (${format.percent(low)} to ${format.percent(high)})`),
      ]));
  }
};
