// Two columns of rows with the ellipses of components, or one column with their densities, drawn by plotly.js.
//
//   Mixtura.scatter(element, view)   view: x, y, component, names [x, y], colours, weights, outlines [{x, y}], labels or null (texts, or
//                                    a typed array of the rows' numbers), note;
//                                    also marked, where some rows are to be ringed: {x, y, labels, name}
//   Mixtura.density(element, view)   view: x, component, names [x], colours, weights, curves [{x, y}], note
//   Mixtura.ellipse(mean, covariance, share)   {x, y}, closed: holds this share of a Gaussian of two columns
//   Mixtura.unpacked({dtype, base64})          a typed array of what mixtura.pages.packed packed
//
// Drawing again replaces the picture, keeps what the reader has hidden, and keeps the zoom while the names stay. A key of buttons comes after the element.
const Mixtura = (() => {
  "use strict";
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down"]; // 5 and 7 colours: 35 pairs
  const SHAPES = {
    circle: '<circle cx="5" cy="5" r="4.2"/>', square: '<rect x="1.2" y="1.2" width="7.6" height="7.6"/>',
    diamond: '<path d="M5 0 10 5 5 10 0 5Z"/>', "triangle-up": '<path d="M5 .8 9.6 9H.4Z"/>', "triangle-down": '<path d="M5 9.2.4 1h9.2Z"/>',
  };
  const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };
  const SMALL = 0.9, LONGEST = 48, POINTS = 72;
  const drawn = new Map(); // element -> how to draw it again

  const MANY = 5000; // rows above which points are small: shapes then only tell equal colours apart, as each takes long to prepare
  const symbol = (k, rows) => SYMBOLS[(rows > MANY ? Math.floor(k / 7) : k) % SYMBOLS.length];
  // a name as plotly writes it: no markup, no template
  const plain = (text) => {
    const one = String(text).replace(/\s+/g, " ");
    const short = one.length > LONGEST ? one.slice(0, LONGEST - 1) + "…" : one;
    return short.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%/g, "&#37;");
  };
  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const unpacked = ({ dtype, base64 }) => {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new ARRAYS[dtype](bytes.buffer);
  };

  const ellipse = (mean, covariance, share = 0.9) => {
    const a = Math.sqrt(covariance[0][0]);
    const b = covariance[0][1] / a;
    const c = Math.sqrt(Math.max(0, covariance[1][1] - b * b));
    const radius = Math.sqrt(-2 * Math.log1p(-share));
    const x = [], y = [];
    for (let i = 0; i < POINTS; i++) {
      const angle = (2 * Math.PI * i) / (POINTS - 1);
      const [u, v] = [radius * Math.cos(angle), radius * Math.sin(angle)];
      x.push(mean[0] + a * u);
      y.push(mean[1] + b * u + c * v);
    }
    return { x, y };
  };

  // what all pictures share: quiet axes in the page's own colours
  const axis = (name, more = {}) => ({
    title: { text: plain(name), standoff: 8 }, gridcolor: colour("--line"), linecolor: colour("--quiet"), zeroline: false, automargin: true,
    tickcolor: colour("--quiet"), ...more,
  });
  const layout = (names, more = {}) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--ink") },
    margin: { l: 50, r: 12, t: 28, b: 44 }, showlegend: false, hovermode: "closest", uirevision: names.join("\u0000"),
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--accent") },
    xaxis: axis(names[0]), yaxis: axis(names[1] ?? ""), ...more,
  });
  const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

  // draws now, and again when light turns to dark
  const draw = (element, traces, arranged) => {
    const again = () => Plotly.react(element, traces(), arranged(), CONFIG);
    drawn.set(element, again);
    return again();
  };
  const redraw = () => { for (const again of drawn.values()) again(); };
  document.addEventListener("mixtura:theme", redraw);

  // on paper: light, and as wide as a page
  window.addEventListener("beforeprint", () => {
    for (const element of drawn.keys()) {
      const height = element.clientHeight;
      redrawIn("light");
      Plotly.relayout(element, { autosize: false, width: 660, height: Math.min(height, 440) });
    }
  });
  window.addEventListener("afterprint", () => {
    redraw();
    for (const element of drawn.keys()) Plotly.relayout(element, { autosize: true, width: undefined, height: undefined });
  });
  const redrawIn = (theme) => {
    const root = document.documentElement, before = root.dataset.theme;
    root.dataset.theme = theme;
    redraw();
    if (before === undefined) delete root.dataset.theme; else root.dataset.theme = before;
  };

  // the components that the reader has not hidden
  const hidden = (element) => (element.mixturaHidden ??= new Set());
  // buttons after the element, which show and hide; an item: id, label, and its mark as the inside of an SVG of 10 x 10
  const key = (element, items, note, what) => {
    let place = element.nextElementSibling;
    if (!place || !place.classList.contains("key")) {
      place = document.createElement("div");
      place.className = "key";
      element.after(place);
    }
    const list = document.createElement("ul");
    list.setAttribute("aria-label", `${what}, shown or hidden`);
    for (const { id, label, mark, colour } of items) {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.title = "show or hide";
      button.setAttribute("aria-pressed", String(!hidden(element).has(id)));
      button.innerHTML = `<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">${mark}</svg><span></span>`;
      button.firstChild.style.fill = button.firstChild.style.stroke = colour;
      button.lastChild.textContent = label;
      button.addEventListener("click", () => {
        const set = hidden(element);
        if (!set.delete(id)) set.add(id);
        button.setAttribute("aria-pressed", String(!set.has(id)));
        drawn.get(element)();
      });
      item.append(button);
      list.append(item);
    }
    const said = document.createElement("p");
    said.className = "note";
    said.textContent = note || "";
    place.replaceChildren(list, said);
  };
  const components = (view, mark) =>
    view.weights.map((weight, k) => ({ id: k, label: `component ${k} · ${weight.toFixed(3)}`, mark: mark(k), colour: view.colours[k] }));
  const name = (view, k) => `component ${k} (weight ${view.weights[k].toFixed(3)})`;

  // the numbers of the rows of each component
  const parts = (component, K) => {
    const rows = Array.from({ length: K }, () => []);
    for (let i = 0; i < component.length; i++) rows[component[i]].push(i);
    return rows;
  };
  const taken = (values, rows) => (rows.length ? rows.map((i) => values[i]) : [null]);
  const middle = (values) => {
    const known = values.filter((value) => value !== null);
    return (Math.min(...known) + Math.max(...known)) / 2;
  };

  const scatter = (element, view) => {
    const K = view.weights.length, rows = parts(view.component, K);
    const size = view.x.length > MANY ? 4 : view.x.length > 800 ? 5 : 7;
    const [xname, yname] = view.names.map(plain);
    const said = `${xname} %{x}<br>${yname} %{y}`;
    const numbered = ArrayBuffer.isView(view.labels);
    const labelled = (k) => {
      if (!view.labels) return {};
      return numbered ? { customdata: taken(view.labels, rows[k]) } : { text: rows[k].map((i) => plain(view.labels[i])) };
    };
    const points = (k) => ({
      type: view.webgl === false ? "scatter" : "scattergl", mode: "markers", name: name(view, k), x: taken(view.x, rows[k]), y: taken(view.y, rows[k]), legendgroup: String(k),
      visible: !hidden(element).has(k), meta: { component: k, kind: "points" },
      marker: { color: view.colours[k], symbol: symbol(k, view.x.length), size, opacity: view.x.length > MANY ? 0.55 : 0.75 },
      ...labelled(k),
      hovertemplate: `${!view.labels ? "" : numbered ? "row %{customdata}<br>" : "%{text}<br>"}${said}<extra>component ${k}</extra>`,
    });
    const outline = (k) => ({
      type: "scatter", mode: "lines", name: name(view, k), x: view.outlines[k].x, y: view.outlines[k].y, legendgroup: String(k), showlegend: false,
      visible: !hidden(element).has(k), hoverinfo: "skip", meta: { component: k, kind: "outline" }, line: { color: view.colours[k], width: 2 },
    });
    const rings = () => (view.marked ? [{
      type: "scatter", mode: "markers", name: view.marked.name, x: view.marked.x, y: view.marked.y, text: view.marked.labels.map(plain),
      meta: { kind: "marked" }, hovertemplate: `%{text}<br>${said}<extra>${plain(view.marked.name)}</extra>`,
      marker: { color: "rgba(0,0,0,0)", symbol: "circle", size: 13, line: { color: colour("--ink"), width: 1.3 } },
    }] : []);
    // components told apart without colours: their numbers in their middles
    const number = (k) => ({
      x: middle(view.outlines[k].x), y: middle(view.outlines[k].y), text: String(k), showarrow: false, visible: !hidden(element).has(k),
      font: { size: 13, weight: 700, color: colour("--ink") }, bgcolor: colour("--paper"), bordercolor: view.colours[k], borderwidth: 1.5, borderpad: 2, opacity: SMALL,
    });
    const every = Array.from({ length: K }, (_, k) => k);
    element.setAttribute("role", "figure");
    element.setAttribute("aria-label", `Scatter of ${view.names[1]} against ${view.names[0]}, with an ellipse for each of ${K} components`);
    key(element, components(view, (k) => SHAPES[symbol(k, view.x.length)]), view.note, "components");
    return draw(element, () => [...every.map(points), ...every.map(outline), ...rings()], () => layout(view.names, { annotations: every.map(number) }));
  };

  const density = (element, view) => {
    const K = view.weights.length;
    const total = view.curves[0].x.map((_, i) => view.curves.reduce((sum, curve) => sum + curve.y[i], 0));
    const every = Array.from({ length: K }, (_, k) => k);
    const traces = () => [
      { type: "histogram", histnorm: "probability density", x: Array.from(view.x), nbinsx: 60, name: "rows", hoverinfo: "skip",
        marker: { color: colour("--line") }, meta: { kind: "rows" } },
      { type: "scatter", mode: "lines", name: "mixture", x: view.curves[0].x, y: total, hoverinfo: "skip", meta: { kind: "total" },
        line: { color: colour("--ink"), width: 1.5, dash: "dot" } },
      ...every.map((k) => ({
        type: "scatter", mode: "lines", name: name(view, k), x: view.curves[k].x, y: view.curves[k].y, visible: !hidden(element).has(k),
        meta: { component: k, kind: "curve" }, line: { color: view.colours[k], width: 2.2, dash: k < 7 ? "solid" : k < 14 ? "dash" : "dot" },
        hovertemplate: `${plain(view.names[0])} %{x}<extra>component ${k}</extra>`,
      })),
    ];
    element.setAttribute("role", "figure");
    element.setAttribute("aria-label", `Density of ${view.names[0]}: rows as bars, and a curve for each of ${K} components`);
    key(element, components(view, () => SHAPES.square), view.note, "components");
    return draw(element, traces, () => layout([view.names[0], "density"], { bargap: 0, yaxis: axis("density", { rangemode: "tozero" }) }));
  };

  return { scatter, density, draw, key, hidden, layout, axis, ellipse, unpacked, plain, colour, symbol };
})();
