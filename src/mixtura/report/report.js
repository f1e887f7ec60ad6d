// The pictures of a report: the scatter first, then the curves, from the values that the page carries.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const { unpacked } = Mixtura;
  const at = (id) => document.getElementById(id);

  // columns by two bytes a value, unpacked when they are first wanted
  const { scatter: rows } = data;
  const K = rows.weights.length, D = rows.names.length;
  const [component, numbers, means, deviations, correlations] =
    [rows.component, rows.numbers, rows.means, rows.deviations, rows.correlations].map(unpacked);
  const known = new Map();
  const column = (j) => {
    if (!known.has(j)) {
      const { low, step, steps } = rows.columns[j];
      known.set(j, Float64Array.from(unpacked(steps), (value) => low + step * value));
    }
    return known.get(j);
  };
  const covariance = (k, i, j) => { // the correlations of a component lie below the diagonal, line after line
    if (i === j) return deviations[k * D + i] ** 2;
    const [high, low] = i > j ? [i, j] : [j, i];
    return correlations[(k * D * (D - 1)) / 2 + (high * (high - 1)) / 2 + low] * deviations[k * D + i] * deviations[k * D + j];
  };
  const every = Array.from({ length: K }, (_, k) => k);
  const row = (number) => `row ${number}`;

  const pair = (i, j) => ({
    x: column(i), y: column(j), component, names: [rows.names[i], rows.names[j]], colours: rows.colours, weights: rows.weights,
    outlines: every.map((k) =>
      Mixtura.ellipse([means[k * D + i], means[k * D + j]], [[covariance(k, i, i), covariance(k, i, j)], [covariance(k, i, j), covariance(k, j, j)]])),
    labels: numbers, note: `${rows.note} A ring marks one of the ${rows.least.numbers.length} least likely rows.`,
    marked: {
      name: "least likely", x: rows.least.values.map((one) => one[i]), y: rows.least.values.map((one) => one[j]), labels: rows.least.numbers.map(row),
    },
  });
  const single = (i) => {
    const values = column(i);
    const ends = every.flatMap((k) => [-4, 4].map((z) => means[k * D + i] + z * deviations[k * D + i]));
    const low = Math.min(values.reduce((a, b) => Math.min(a, b), Infinity), ...ends);
    const high = Math.max(values.reduce((a, b) => Math.max(a, b), -Infinity), ...ends);
    const grid = Array.from({ length: 401 }, (_, n) => low + ((high - low) * n) / 400);
    const x = [...new Set([...grid, ...every.flatMap((k) => Array.from({ length: 41 }, (_, n) => means[k * D + i] + (n / 5 - 4) * deviations[k * D + i]))])];
    x.sort((a, b) => a - b); // narrow components have points of their own
    const density = (k) => x.map((value) => {
      const deviation = deviations[k * D + i], away = (value - means[k * D + i]) / deviation;
      return (rows.weights[k] * Math.exp(-(away * away) / 2)) / (deviation * Math.sqrt(2 * Math.PI));
    });
    const note = rows.note.replace(" An ellipse holds 90 % of its component.", "");
    return {
      x: values, component, names: [rows.names[i]], colours: rows.colours, weights: rows.weights, curves: every.map((k) => ({ x, y: density(k) })),
      note: `${note} Bars are rows; a curve is a component, as high as its weight; dots are their sum.`,
    };
  };

  const across = at("x"), up = at("y");
  const show = () => {
    const [i, j] = [Number(across.value), Number(up.value)];
    return i === j ? Mixtura.density(at("scatter"), single(i)) : Mixtura.scatter(at("scatter"), pair(i, j));
  };
  [across.value, up.value] = rows.first.map(String);
  across.addEventListener("change", show);
  up.addEventListener("change", show);
  at("swap").addEventListener("click", () => { [across.value, up.value] = [up.value, across.value]; show(); });

  // the criterion against the number of components, a line a family
  const curve = (element, view) => {
    const { hidden } = Mixtura;
    const seen = (line) => !hidden(element).has(line.name);
    const part = (line, kind) => line.x.flatMap((x, n) => (line.regular[n] === kind ? [[x, line.y[n]]] : []));
    const line = (one) => ({
      type: "scatter", mode: "lines+markers", name: one.name, visible: seen(one), x: part(one, true).map(([x]) => x), y: part(one, true).map(([, y]) => y),
      line: { color: one.colour, dash: one.dash, width: 1.8 }, marker: { size: 5 },
      hovertemplate: `%{x} components, ${Mixtura.plain(one.name)}<br>%{y:,.2f}<extra></extra>`,
    });
    const crosses = (one) => ({
      type: "scatter", mode: "markers", name: one.name, visible: seen(one), x: part(one, false).map(([x]) => x), y: part(one, false).map(([, y]) => y),
      marker: { symbol: "x", size: 7, color: one.colour }, hovertemplate: `%{x} components, ${Mixtura.plain(one.name)}, not regular<br>%{y:,.2f}<extra></extra>`,
    });
    const best = () => (view.best ? [{
      type: "scatter", mode: "markers", name: "best", x: [view.best[0]], y: [view.best[1]], hoverinfo: "skip",
      marker: { symbol: "circle-open", size: 15, color: Mixtura.colour("--ink"), line: { width: 1.6 } },
    }] : []);
    const mark = (one) => `<path d="M0 5H10" fill="none" stroke-width="2.2"${one.dash === "dash" ? ' stroke-dasharray="4 2"' : ""}/>`;
    element.setAttribute("role", "figure");
    element.setAttribute("aria-label", `${view.names[1]} against the number of components, a line for each family`);
    Mixtura.key(element, view.lines.map((one) => ({ id: one.name, label: one.name, mark: mark(one), colour: one.colour })),
      `Larger is better; the best is ringed. Dashed: families whose components have one volume.${view.irregular ? " A cross is an optimum that is not regular." : ""}`, "families");
    return Mixtura.draw(element, () => [...view.lines.map(line), ...view.lines.filter((one) => one.regular.includes(false)).map(crosses), ...best()],
      () => Mixtura.layout(view.names, {
        yaxis: Mixtura.axis(view.names[1], { range: view.range }), xaxis: Mixtura.axis(view.names[0], { tickformat: "d", dtick: steps(view.lines.flatMap((one) => one.x)) }),
      }));
  };
  const steps = (x) => { // whole numbers between ticks, about eight of these
    const wanted = (Math.max(...x) - Math.min(...x)) / 8, power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
    return Math.max(1, [1, 2, 5, 10].map((one) => one * power).find((one) => one >= wanted));
  };

  const climb = (element, view) => {
    element.setAttribute("role", "figure");
    element.setAttribute("aria-label", `${view.names[1]} after each step`);
    return Mixtura.draw(element, () => [{
      type: "scatter", mode: view.x.length > 60 ? "lines" : "lines+markers", x: view.x, y: view.y, line: { color: Mixtura.colour("--accent"), width: 2 },
      marker: { size: 5 }, hovertemplate: "step %{x}<br>%{y:.6f}<extra></extra>",
    }], () => Mixtura.layout(view.names, {
      xaxis: Mixtura.axis(view.names[0], { tickformat: "d", dtick: steps(view.x) }), yaxis: Mixtura.axis(view.names[1], { range: view.range }),
    }));
  };

  // until what was drawn has been painted, which is when the frame after its own has begun; a page that is not seen has no frames
  const painted = () => new Promise((go) => { requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(go))); setTimeout(go, 200); });
  show().then(() => {
    performance.mark("mixtura:drawn");
    document.documentElement.dataset.drawn = "scatter";
    return painted();
  }).then(() => {
    const others = [];
    if (data.curve) others.push(curve(at("curve"), data.curve));
    if (data.history) others.push(climb(at("history"), data.history));
    return Promise.all(others);
  }).then(() => { document.documentElement.dataset.drawn = "all"; });
})();
