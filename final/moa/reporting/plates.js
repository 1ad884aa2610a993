// The views of the page about new plates: map, samples, mechanisms, replicates, and what is known of one sample.
{
  const { el, svg, format, none, tip, table, select, list, drawn } = page;
  const first = (each) => (each.p ? each.p[0] : null);
  const spread = (each) => (each.high ? each.high[0] - each.low[0] : null);
  const times = (data, target, p) => (data.prevalence && data.prevalence[target] ? p / data.prevalence[target] : null);
  const text = (value) => (none(value) ? "–" : value >= 10 ? format.count(Math.round(value)) : value.toFixed(1));

  // What is known of a sample besides its id; the plate only where there are several.
  const where = (data, each) => {
    const plate = none(each.plate) || data.plates.length < 2 ? null : data.plates[each.plate];
    const time = each.time && (/^[\d.]+$/.test(each.time) ? `${each.time} h` : each.time);
    return [each.compound, each.dose, time, [plate, each.well].filter(Boolean).join(" ")].filter(Boolean).join(" · ");
  };
  // A sample by its compound where that is known, and below what else is known.
  const named = (data, each) =>
    el("span", {}, each.compound ?? each.id, el("small", {}, each.compound ? where(data, { ...each, compound: "" }) || each.id : where(data, each)));
  const title = (data, each) => `${each.id}\n${where(data, each)}`.trim();
  // A mechanism by its name, and below why it is marked.
  const mechanism = (data, target) => data.cautions[target]
    ? el("span", {}, data.targets[target], el("small", { class: "bad" }, `caution: ${data.cautions[target]}`)) : data.targets[target];
  // What is said of a sample or compound that was in training.
  const seen = (each) => (each.trained ? el("small", { class: "bad" }, "in training: out of fold") : null);
  const most = (data, each) => (each.control ? "control" : each.moa ? `${data.targets[each.moa[0]]} ${format.chance(each.p[0])}` : "–");

  // How often such a prediction of a target was right on training rows, in words.
  function before(data, target, p) {
    const known = data.reliability;
    if (!known) return "–";
    const range = known.edges.filter((edge) => p >= edge).length;
    const count = known.counts[target][range];
    return count ? `${known.hits[target][range]} of ${format.count(count)}` : "none so likely";
  }

  // What is known of one sample.
  const well = (data, each) => {
    if (each.control) return el("div", { class: "detail" }, el("p", {}, `${title(data, each)}: a control, predicted 0.`));
    const largest = Math.max(...(each.high ?? each.p));
    const bar = (p, i) => {
      const share = (value) => `${((100 * value) / largest).toFixed(1)}%`;
      const box = el("div", { class: "bar" }, el("i", { }), each.high ? el("b", {}) : null);
      box.firstChild.style.width = share(p);
      if (each.high) {
        box.lastChild.style.left = share(each.low[i]);
        box.lastChild.style.width = share(each.high[i] - each.low[i]);
      }
      return box;
    };
    const ranked = each.moa.map((target, i) => [
      mechanism(data, target), bar(each.p[i], i),
      el("span", {}, format.chance(each.p[i]), each.high ? el("small", {}, `${format.chance(each.low[i])}–${format.chance(each.high[i])}`) : null),
      text(times(data, target, each.p[i])), before(data, target, each.p[i]),
      data.reliability ? format.score(data.reliability.ap[target]) : "–"]);
    const same = none(each.treatment) ? null : data.treatments[each.treatment];
    return el("div", { class: "detail" },
      el("div", { class: "broad" }, el("h3", {}, `${each.id} · ${where(data, each)}`.replace(/ · $/, "")),
        table([["mechanism"], [""], ["probability", true], ["× prevalence", true], ["right before", true], ["AP", true]], ranked),
        el("p", { class: "soft" }, (each.high ? "The line in a bar, and the small numbers: lowest and highest probability among the members. "
          : each.trained ? `This ${each.trained} was in training: these are the predictions of models that were trained without it. ` : "One model, so there is no spread between members. ")
          + (data.reliability ? `Right before: training rows out of fold with a probability in the same range, and how many carried the mechanism; AP is its average precision there (${format.count(data.reliability.rows)} rows${data.reliability.share < 0.995 ? ", each predicted by the members whose fold is trained" : ""}).` : ""))),
      el("div", {},
        each.warning ? el("p", { class: "bad" }, `Warning: ${each.warning}.`) : null,
        none(each.share) ? null : el("p", {}, `Distance from the training data: ${each.distance}; ${format.percent(each.share)} of the training samples are nearer.${none(each.right) ? "" : ` Of training samples about as far away, ${format.percent(each.right)} were right out of fold.`}`),
        each.strongest ? el("p", {}, `Furthest from the training mean: ${each.strongest}.`) : null,
        same ? el("p", {}, `Replicates: ${same.wells} wells of ${same.name}, correlation ${format.score(same.correlation)} (chance ${format.score(same.chance)}); ${format.percent(same.same)} have the same most likely mechanism.`) : null,
        el("h3", {}, "Nearest training compounds"),
        each.near ? table([["compound"], ["cosine", true], ["mechanisms"]], each.near.map((place, i) => {
          const { name, rows, moa } = data.compounds[place];
          const shared = moa.includes(each.moa[0]);
          return [el("span", {}, name, el("small", {}, `${rows} row${rows === 1 ? "" : "s"}`)), format.score(each.cosine[i]),
            el("span", { class: shared ? "good" : undefined }, moa.map((target) => data.targets[target]).join(", ") || "none known")];
        })) : el("p", {}, "Not known to these weights.")));
  };

  page.views.map = (root, data) => {
    const placed = data.wells.filter((each) => !none(each.row));
    const names = [...new Set(placed.map((each) => each.plate ?? -1))];
    const common = new Map();
    placed.forEach((each) => (each.moa ?? []).forEach((target, i) => common.set(target, Math.max(common.get(target) ?? 0, each.p[i]))));
    const colours = [
      ["most likely mechanism: probability", first, format.chance],
      ["… times its prevalence", (each) => (each.p ? Math.log10(1 + (times(data, each.moa[0], each.p[0]) ?? 0)) : null), (value) => text(10 ** value - 1)],
      ["spread between members", spread, format.chance],
      ["share of training data nearer", (each) => each.share ?? null, format.percent],
      ["replicate correlation", (each) => (none(each.treatment) ? null : Math.max(0, data.treatments[each.treatment].correlation)), format.score],
      ...[...common].sort((a, b) => b[1] - a[1]).map(([target]) => [
        data.targets[target],
        (each) => { const i = each.moa ? each.moa.indexOf(target) : -1; return i < 0 ? null : each.p[i]; }, format.chance]),
    ].filter(([, value]) => placed.some((each) => !none(value(each))));
    const chart = el("div");
    const legend = el("p", { class: "legend" });
    const below = el("div");
    const [plateLabel, plate] = select("Plate", names.map((place, i) => [place < 0 ? "plate" : data.plates[place], i]), () => redraw());
    const [colourLabel, colour] = select("Colour", colours.map(([name], i) => [name, i]), () => redraw());
    root.append(el("div", { class: "tools" }, names.length > 1 ? plateLabel : null, colourLabel), legend, chart, below);
    const redraw = drawn(chart, (width) => {
      const wells = placed.filter((each) => (each.plate ?? -1) === names[Number(plate.value)]);
      const [, value, words] = colours[Number(colour.value)];
      const sizes = [[8, 12], [16, 24], [32, 48], [702, 99]];
      const [rows, columns] = sizes.find(([r, c]) => wells.every((each) => each.row < r && each.column < c));
      const side = Math.min(34, (width - 26) / columns);
      const values = placed.map(value).filter((each) => !none(each));
      const [low, high] = [Math.min(...values, 0), Math.max(...values)];
      legend.replaceChildren(words(low), el("i"), words(high), " · grey: controls · framed: far outside the training data");
      const letter = (row) => (row < 26 ? "" : String.fromCharCode(64 + Math.floor(row / 26))) + String.fromCharCode(65 + (row % 26));
      const every = side < 14 ? 4 : side < 20 ? 2 : 1;
      const used = Math.min(rows, rows > 32 ? Math.max(...wells.map((each) => each.row)) + 1 : rows);
      return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${20 + used * side}`, role: "group", "aria-label": "Plate map" },
        Array.from({ length: columns }, (_, i) => (i % every ? null : svg("text", { x: 24 + (i + 0.5) * side, y: 12, "text-anchor": "middle" }, String(i + 1)))),
        Array.from({ length: used }, (_, i) => (i % every ? null : svg("text", { x: 20, y: 18 + (i + 0.5) * side + 4, "text-anchor": "end" }, letter(i)))),
        wells.map((each) => {
          const shown = value(each);
          const kind = ["well", each.control ? "control" : none(shown) ? "none" : "", each.warning ? "far" : ""].join(" ");
          return tip(svg("rect", { class: kind, x: 24 + each.column * side + 1, y: 18 + each.row * side + 1, width: side - 2, height: side - 2, rx: 2, tabindex: 0, role: "button", "aria-label": each.well,
            "fill-opacity": each.control || none(shown) ? undefined : (0.06 + (0.94 * (shown - low)) / (high - low || 1)).toFixed(3),
            onclick: () => below.replaceChildren(well(data, each)),
            onkeydown: (event) => { if (event.key === "Enter") below.replaceChildren(well(data, each)); } }),
          () => `${title(data, each)}\n${most(data, each)}${none(shown) || each.control ? "" : `\n${colours[Number(colour.value)][0]}: ${words(shown)}`}`);
        }));
    });
  };

  page.views.wells = (root, data) => {
    const treated = data.wells.filter((each) => each.moa);
    const counts = new Map();
    treated.forEach((each) => counts.set(each.moa[0], (counts.get(each.moa[0]) ?? 0) + 1));
    const filters = [
      { label: "Most likely", options: [["any mechanism", () => true], ...[...counts].sort((a, b) => b[1] - a[1])
        .map(([target, count]) => [`${data.targets[target]} (${count})`, (each) => Boolean(each.moa) && each.moa[0] === target])] },
      { label: "Show", options: [
        ["all", () => true], ["treated", (each) => !each.control], ["controls", (each) => Boolean(each.control)],
        ["far outside the training data", (each) => Boolean(each.warning)],
        ["new compounds", (each) => Boolean(each.moa) && !each.trained], ["in training: out of fold", (each) => Boolean(each.trained)],
        ["nearest compound agrees", (each) => Boolean(each.near) && data.compounds[each.near[0]].moa.includes(each.moa[0])],
      ] },
    ];
    if (data.plates.length > 1) filters.push({ label: "Plate", options: [["all", () => true], ...data.plates.map((name, i) => [name, (each) => each.plate === i])] });
    const ap = (each) => (each.moa && data.reliability ? data.reliability.ap[each.moa[0]] : null);
    list(root, {
      items: data.wells, noun: "samples", filters, sort: ["p", true], detail: (each) => well(data, each),
      words: (each) => [each.id, where(data, each), ...(each.moa ?? []).slice(0, 3).map((target) => data.targets[target]), each.strongest ?? ""].join(" "),
      columns: [
        { key: "id", label: "sample", value: (each) => each.compound ?? each.id, text: (each) => el("span", {}, named(data, each), seen(each)) },
        { key: "moa", label: "most likely", value: (each) => (each.moa ? data.targets[each.moa[0]] : null), text: (each) => (each.moa ? mechanism(data, each.moa[0]) : each.control ? "control" : "–") },
        { key: "p", label: "probability", value: first, text: (each) => format.chance(first(each)), number: true },
        { key: "times", label: "× prevalence", value: (each) => (each.p ? times(data, each.moa[0], each.p[0]) : null), text: (each) => (each.p ? text(times(data, each.moa[0], each.p[0])) : "–"), number: true, wide: true },
        { key: "spread", label: "members", value: spread, text: (each) => (each.high ? `${format.chance(each.low[0])}–${format.chance(each.high[0])}` : "–"), number: true, wide: true },
        { key: "ap", label: "AP out of fold", value: ap, text: (each) => format.score(ap(each)), number: true, wide: true },
        { key: "cosine", label: "nearest", value: (each) => each.cosine?.[0] ?? null, text: (each) => format.score(each.cosine?.[0]), number: true, wide: true },
        { key: "share", label: "nearer in training", value: (each) => each.share ?? null, text: (each) => format.percent(each.share), number: true, wide: true },
      ],
    });
  };

  page.views.compounds = (root, data) => {
    const { compounds, left_out } = data.answers;
    if (left_out) root.append(el("p", { class: "soft" }, `${format.count(left_out)} compounds with lower probabilities are left to the tables.`));
    list(root, {
      items: compounds, noun: "compounds", sort: ["p", true],
      words: (each) => [each.name, ...each.moa.slice(0, 3).map((target) => data.targets[target])].join(" "),
      filters: [{ label: "Show", options: [["all", () => true], ["new compounds", (each) => !each.trained],
        ["first mechanism without a caution", (each) => !data.cautions[each.moa[0]]]] }],
      columns: [
        { key: "name", label: "compound", value: (each) => each.name, text: (each) => el("span", {}, each.name, seen(each)) },
        { key: "moa", label: "most likely", value: (each) => data.targets[each.moa[0]], text: (each) => mechanism(data, each.moa[0]) },
        { key: "p", label: "probability", value: first, text: (each) => format.chance(first(each)), number: true },
        { key: "agree", label: "wells agree", value: (each) => each.agree, text: (each) => format.percent(each.agree), number: true, wide: true },
        { key: "wells", label: "wells", value: (each) => each.wells, text: (each) => format.count(each.wells), number: true, wide: true },
      ],
      detail: (each) => el("div", { class: "detail" },
        el("div", {}, el("h3", {}, "Mechanisms"), table([["mechanism"], ["probability", true], ["× prevalence", true], ["right before", true]],
          each.moa.map((target, i) => [mechanism(data, target), format.chance(each.p[i]), text(times(data, target, each.p[i])), before(data, target, each.p[i])]))),
        el("div", {}, el("h3", {}, "Doses"), table([["treatment"], ["wells", true], ["most likely"], [`${data.targets[each.moa[0]]}`, true]],
          each.doses.map((dose) => [dose.name, format.count(dose.wells), data.targets[dose.first], format.chance(dose.p)])))),
    });
  };

  page.views.predicted = (root, data) => {
    const by = data.targets.map((name, target) => ({ name, target, wells: [], best: null }));
    for (const each of data.wells) {
      if (!each.moa) continue;
      by[each.moa[0]].wells.push(each);
      each.moa.forEach((target, i) => (by[target].best = Math.max(by[target].best ?? 0, each.p[i])));
    }
    const known = data.reliability;
    const of = (key) => (each) => (known ? known[key][each.target] : null);
    list(root, {
      items: by, noun: "mechanisms", sort: ["wells", true], size: 10,
      words: (each) => each.name,
      filters: [{ label: "Show", options: [["in first place", (each) => each.wells.length > 0], ["all", () => true]] }],
      columns: [
        { key: "name", label: "mechanism", value: (each) => each.name, text: (each) => mechanism(data, each.target) },
        { key: "wells", label: "first place", value: (each) => each.wells.length, text: (each) => format.count(each.wells.length), number: true },
        { key: "best", label: "highest probability", value: (each) => each.best, text: (each) => format.chance(each.best), number: true },
        { key: "positives", label: "training rows with it", value: of("positives"), text: (each) => format.count(of("positives")(each)), number: true, wide: true },
        { key: "auc", label: "ROC-AUC out of fold", value: of("auc"), text: (each) => format.score(of("auc")(each)), number: true, wide: true },
        { key: "ap", label: "AP out of fold", value: of("ap"), text: (each) => format.score(of("ap")(each)), number: true, wide: true },
      ],
      detail: (each) => {
        const likely = [...each.wells].sort((a, b) => b.p[0] - a.p[0]).slice(0, 12);
        const ranges = known && known.counts[each.target].map((count, i) => [
          `${known.edges[i - 1] ?? 0} – ${known.edges[i] ?? 1}`, format.count(count), format.count(known.hits[each.target][i]), count ? format.percent(known.hits[each.target][i] / count) : "–"]);
        const ranked = data.answers && data.answers.mechanisms[each.target].slice(0, 12);
        return el("div", { class: "detail" },
          ranked ? el("div", {}, el("h3", {}, "Compounds"), table([["compound"], ["probability", true], ["expected precision", true]],
            ranked.map(([place, p, precision]) => { const one = data.answers.compounds[place]; return [el("span", {}, one.name, seen(one)), format.chance(p), format.percent(precision)]; }))) : null,
          el("div", {}, el("h3", {}, "Samples with it in first place"), likely.length
            ? table([["sample"], ["probability", true]], likely.map((one) => [named(data, one), format.chance(one.p[0])]))
            : el("p", {}, "None.")),
          el("div", {}, el("h3", {}, "Out of fold, on training rows"), ranges
            ? table([["given a probability"], ["rows", true], ["carried it", true], ["share", true]], ranges)
            : el("p", {}, "Not known to these weights.")));
      },
    });
  };

  page.views.replicates = (root, data) => {
    const alike = (each) => (none(each.chance) ? null : each.correlation > each.chance);
    list(root, {
      items: data.treatments, noun: "treatments", sort: ["correlation", true], size: 10,
      words: (each) => `${each.name} ${data.targets[each.first]}`,
      filters: [{ label: "Show", options: [["all", () => true], ["more alike than chance", (each) => alike(each) === true], ["no more alike than chance", (each) => alike(each) === false]] }],
      columns: [
        { key: "name", label: "compound @ dose", value: (each) => each.name, text: (each) => each.name },
        { key: "wells", label: "wells", value: (each) => each.wells, text: (each) => format.count(each.wells), number: true, wide: true },
        { key: "correlation", label: "correlation", value: (each) => each.correlation, text: (each) => el("span", { class: alike(each) ? "good" : undefined }, format.score(each.correlation)), number: true },
        { key: "chance", label: "chance", value: (each) => each.chance, text: (each) => format.score(each.chance), number: true, wide: true },
        { key: "same", label: "same first mechanism", value: (each) => each.same, text: (each) => format.percent(each.same), number: true },
        { key: "first", label: "which", value: (each) => data.targets[each.first], text: (each) => data.targets[each.first], wide: true },
        { key: "mean", label: "mean probability", value: (each) => each.mean, text: (each) => format.chance(each.mean), number: true, wide: true },
      ],
      detail: (each) => {
        const place = data.treatments.indexOf(each);
        const wells = data.wells.filter((one) => one.treatment === place);
        return el("div", { class: "detail" }, el("div", {}, table([["sample"], ["most likely"], ["probability", true]],
          wells.map((one) => [el("span", {}, one.id, el("small", {}, where(data, { ...one, compound: "", dose: "" }))), data.targets[one.moa[0]], format.chance(one.p[0])]))));
      },
    });
  };
}
