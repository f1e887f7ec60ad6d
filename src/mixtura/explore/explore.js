// The page of `mixtura explore`: what is moved is asked at once, the newest answer is drawn.
(() => {
  "use strict";
  // ms after an answer before all rows are asked for: a newer move ends that fit at its next step, which takes the longer the more values there are
  const rest = () => Math.min(500, 150 + (about.rows * state.columns.length) / 10000);
  const SLOW = 400; // ms after which the page says that it waits
  const SOON = 100, LOOK = 1000, ALIVE = 4000; // ms until the first look at a fit to all rows, between two of them, and between two at the server
  const GONE = "The server is gone: start mixtura explore again, and use the address that it prints.";
  const $ = (id) => document.getElementById(id);
  const made = (tag, text, more = {}) => Object.assign(document.createElement(tag), text === undefined ? {} : { textContent: text }, more);
  const count = (n) => n.toLocaleString("en");

  let about; // the data
  let state; // what is asked: components, family, columns, seed, x, y
  let last, done; // the answer that is drawn, and the last one that was not on its way
  let asked = 0, waiting, pause, moved, wide;
  const values = new Map(); // number of a column -> its values in the rows that are shown
  const seen = new Map(); // what was fitted -> its figures

  // ------------------------------------------------------------------ talking to the server
  const answered = async (path, body, signal) => {
    let response;
    try {
      response = await fetch(path, body === undefined ? { signal } : {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error(GONE);
    }
    if (response.status === 409) throw new DOMException("something newer was asked", "AbortError");
    if (!response.ok) {
      const told = await response.json().catch(() => ({}));
      throw new Error(told.error || `the server answered ${response.status}`);
    }
    return response;
  };
  const trouble = (text) => {
    $("trouble").hidden = !text;
    $("trouble").textContent = text || "";
    if (text) {
      document.body.classList.add("stale");
      $("save").disabled = true;
      $("status").textContent = "";
    }
  };
  const column = async (j) => {
    if (!values.has(j)) values.set(j, new Float64Array(await (await answered(`columns/${j}`)).arrayBuffer()));
    return values.get(j);
  };

  // ------------------------------------------------------------------ asking
  const question = (more = {}) => ({ ...state, ...more });
  const ask = async (event) => {
    const number = ++asked, begun = performance.now();
    moved = event ? event.timeStamp : begun;
    clearTimeout(pause);
    waiting?.abort();
    waiting = new AbortController();
    const signal = waiting.signal;
    $("saved").hidden = true;
    const slow = setTimeout(() => { if (number === asked) $("status").textContent = "Fitting …"; }, SLOW);
    try {
      const [response] = await Promise.all([answered("fit", question(), signal), column(state.x), state.y === null ? null : column(state.y)]);
      const answer = await response.json();
      if (number !== asked) return;
      const got = performance.now();
      clearTimeout(slow);
      await show(answer);
      painted("mixtura:move", number, answer, begun, got);
      if (answer.figures.rows < answer.of && $("all").checked) pause = setTimeout(() => askAll(number, signal), rest());
    } catch (error) {
      if (number === asked && error.name !== "AbortError") trouble(error.message);
    } finally {
      clearTimeout(slow);
    }
  };
  // how long it took from the move to the picture, as benchmarks/pages.py reads it
  const painted = (name, number, answer, begun, got) => {
    requestAnimationFrame(() => requestAnimationFrame(() => { // the second one comes when the first has been painted
      if (number !== asked) return;
      const end = performance.now();
      const detail = { server: answer.milliseconds, request: got - begun, draw: end - got, known: answer.known, components: answer.weights.length, steps: answer.steps };
      performance.measure(name, { start: moved, end, detail });
    }));
  };
  // the fit to all rows, and on its way there what it has come to
  const askAll = async (number, signal) => {
    const begun = performance.now(), all = question({ all_rows: true });
    const drawn = async (name, answer) => {
      const got = performance.now();
      await show(answer);
      painted(name, number, answer, begun, got);
    };
    let timer, arrived = false;
    const look = async () => {
      const answer = await (await answered("progress", all, signal)).json();
      if (number !== asked || arrived) return;
      if (answer) await drawn("mixtura:underway", answer);
      if (!arrived) timer = setTimeout(looks, LOOK);
    };
    const looks = () => look().catch(() => {}); // the fit itself tells what is wrong
    $("status").textContent += ` · now all ${count(about.rows)} …`;
    timer = setTimeout(looks, SOON);
    try {
      const answer = await (await answered("fit", all, signal)).json();
      arrived = true;
      if (number === asked) await drawn("mixtura:all", answer);
    } catch (error) {
      if (number === asked && error.name !== "AbortError") trouble(error.message);
    } finally {
      arrived = true;
      clearTimeout(timer);
    }
  };
  const save = async () => {
    const button = $("save");
    clearTimeout(pause);
    button.disabled = true;
    button.textContent = "Saving …";
    const number = asked;
    try {
      const { output, answer } = await (await answered("save", question())).json();
      if (number === asked) await show(answer);
      $("saved").hidden = false;
      $("saved").textContent = `Saved ${answer.weights.length} components, ${answer.figures.family} (${answer.figures.code}), fitted to all ${count(answer.of)} rows: ${output}/model.safetensors and summary.json.`;
      $("saved").scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.name !== "AbortError") trouble(error.message);
    } finally {
      button.textContent = "Save this model";
      button.disabled = !last;
    }
  };

  // ------------------------------------------------------------------ showing
  const figure = (value, digits = 2) => (value === null ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const meanAndDeviation = (mean, deviation) => {
    const digits = Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(deviation) || 1))));
    const large = Math.abs(mean) >= 1e7 || (deviation < 1e-6 && deviation > 0);
    return large ? `${mean.toPrecision(6)} ± ${deviation.toPrecision(3)}` : `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
  };
  const show = async (answer) => {
    last = answer;
    trouble("");
    document.body.classList.remove("stale");
    $("save").disabled = false;
    const underway = "steps" in answer;
    if (!underway) note(done = answer);
    await paint();
    if (answer !== last) return; // another came while this was drawn
    tell(answer);
    if (!underway) curve();
  };
  const note = ({ figures, weights, of }) => {
    seen.set([state.columns, state.seed, weights.length, figures.family, figures.rows].join("|"), {
      columns: String(state.columns), rows: figures.rows, of, components: weights.length, seed: state.seed, ...figures,
    });
  };
  const tell = ({ figures, weights, means, deviations, names, of, notes, milliseconds, known, steps, command, python }) => {
    const K = weights.length, part = figures.rows < of;
    const time = milliseconds === undefined || known ? "" : ` in ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
    const fitted = steps !== undefined ? `on its way to all ${count(of)} rows: step ${steps}`
      : part ? `fitted to ${count(figures.rows)} of ${count(of)} rows, drawn at random` : `fitted to all ${count(of)} rows`;
    $("status").textContent = [`${K} component${K === 1 ? "" : "s"}, ${figures.family} (${figures.code})`, fitted + time, ...notes].join(" · ");
    const numbers = {
      BIC: figure(figures.bic), ICL: figure(figures.icl), AIC: figure(figures.aic), "log-likelihood": figure(figures.log_likelihood),
      parameters: count(figures.n_parameters), status: steps === undefined ? figures.status : "on its way",
    };
    $("numbers").replaceChildren(...Object.entries(numbers).map(([name, value]) => {
      const item = made("div");
      item.append(made("dt", name), made("dd", value));
      return item;
    }));
    const head = made("tr"), body = made("tbody");
    head.append(made("th", "component"), made("th", "weight"), ...names.map((name) => made("th", name)));
    weights.forEach((weight, k) => {
      const line = made("tr"), label = made("th", String(k), { scope: "row" }), swatch = made("span", "", { className: "swatch" });
      swatch.style.background = answerColour(k);
      label.prepend(swatch, " ");
      line.append(label, made("td", weight.toFixed(4)), ...means[k].map((mean, j) => made("td", meanAndDeviation(mean, deviations[k][j]))));
      body.append(line);
    });
    const top = made("thead");
    top.append(head);
    $("table").replaceChildren(made("caption", "mean ± standard deviation of each column"), top, body);
    $("command").textContent = command;
    $("python").textContent = python;
  };
  const answerColour = (k) => last.colours[k];

  // ------------------------------------------------------------------ the picture
  const paint = async () => {
    const { x, y } = state, element = $("picture"), byComponent = document.querySelector("[name=colour]:checked").value === "component";
    const shown = about.shown < about.rows ? `${count(about.shown)} of ${count(about.rows)} rows, drawn at random` : "";
    const unfitted = [x, y].filter((j) => j !== null && !state.columns.includes(j)).map((j) => about.columns[j]);
    const unseen = unfitted.length ? `${unfitted.join(", ")}: shown, not fitted, so there is nothing to draw of the components` : "";
    const view = {
      x: await column(x), y: y === null ? null : await column(y), component: Mixtura.unpacked(last.component), colours: last.colours, weights: last.weights,
      names: [about.columns[x], y === null ? "" : about.columns[y]], outlines: last.outlines, curves: last.curves, labels: null, webgl: about.webgl,
      note: [shown, unseen].filter(Boolean).join("; "),
    };
    if (y === null && view.curves) return Mixtura.density(element, { ...view, names: [view.names[0]] });
    if (byComponent && view.outlines) return Mixtura.scatter(element, view);
    return plain(element, view, byComponent);
  };
  // rows by uncertainty, or in columns where no ellipse is known
  const plain = (element, view, byComponent) => {
    const K = view.weights.length, unsure = Mixtura.unpacked(last.uncertainty), size = view.x.length > 5000 ? 4 : view.x.length > 800 ? 5 : 7;
    const y = view.y ?? Float64Array.from(view.x, (_, i) => ((i * 0.618034) % 1)); // rows spread out where there is nothing to go up by
    const said = `${Mixtura.plain(view.names[0])} %{x}` + (view.y ? `<br>${Mixtura.plain(view.names[1])} %{y}` : "");
    const points = (rows, marker, name, more = {}) => ({
      type: view.webgl ? "scattergl" : "scatter", mode: "markers", x: rows ? rows.map((i) => view.x[i]) : view.x, y: rows ? rows.map((i) => y[i]) : y, name, showlegend: false,
      marker: { size, opacity: 0.75, ...marker }, hovertemplate: `${said}<extra>${name}</extra>`, ...more,
    });
    const traces = () => {
      const lines = (view.outlines || []).map((line, k) => ({ type: "scatter", mode: "lines", x: line.x, y: line.y, hoverinfo: "skip", line: { color: view.colours[k], width: 2 } }));
      if (byComponent) {
        const rows = view.colours.map(() => []);
        view.component.forEach((k, i) => rows[k].push(i));
        return [...rows.map((own, k) => points(own.length ? own : [-1], { color: view.colours[k], symbol: Mixtura.symbol(k) }, `component ${k}`)), ...lines];
      }
      const scale = [[0, Mixtura.colour("--quiet")], [0.25, "#e69f00"], [1, "#d55e00"]];
      const shades = Array.from(unsure, (byte) => byte / 255);
      const colorbar = { title: { text: "uncertainty", side: "right" }, thickness: 12, outlinewidth: 0, tickformat: ".1f" };
      const most = Math.max(0.5, 1 - 1 / K);
      return [points(null, { color: shades, colorscale: scale, cmin: 0, cmax: most, colorbar, opacity: 0.9 }, "", { hovertemplate: `${said}<br>uncertainty %{marker.color:.2f}<extra></extra>` }), ...lines];
    };
    const key = element.nextElementSibling;
    if (key?.classList.contains("key")) key.replaceChildren(made("p", view.note, { className: "note" }));
    element.setAttribute("role", "figure");
    element.setAttribute("aria-label", `Scatter of ${view.names[1] || "rows"} against ${view.names[0]}, by ${byComponent ? "component" : "uncertainty"}`);
    return Mixtura.draw(element, traces, () => Mixtura.layout(view.names, view.y ? {} : { yaxis: { visible: false } }));
  };

  // ------------------------------------------------------------------ the curve of what was seen
  const svg = (tag, attributes, text) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    if (text !== undefined) one.textContent = text;
    return one;
  };
  const regular = (one) => one.status !== "spurious";
  const ticks = (low, high) => {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
    return Array.from({ length: 12 }, (_, i) => (Math.ceil(low / step) + i) * step).filter((at) => at <= high);
  };
  const go = ({ components, family, seed }) => (event) => {
    Object.assign(state, { components, family, seed });
    reflect();
    ask(event);
  };
  const curve = () => {
    const criterion = $("criterion").value, title = criterion.toUpperCase();
    const alike = [...seen.values()].filter((one) => one.columns === String(state.columns) && one.rows === done.figures.rows && one[criterion] !== null);
    const good = alike.filter(regular);
    const best = good.reduce((a, b) => (a && a[criterion] >= b[criterion] ? a : b), undefined);
    const named = (one) => `${one.components} component${one.components === 1 ? "" : "s"}, ${one.family} (${one.code})`;
    const jump = best && made("button", named(best), { type: "button" });
    if (best) jump.addEventListener("click", go(best));
    const where = done.figures.rows < done.of ? ` of fits to ${count(done.figures.rows)} rows` : "";
    $("best").replaceChildren(...(best ? [`Highest ${title}${where} so far: `, jump, `, ${figure(best[criterion])}. Larger is better.`] : [`No ${title} to compare yet.`]));
    const width = (wide ||= $("curve").clientWidth || 600), height = 208, left = 78, right = 14, top = 10, bottom = 34;
    const figures = (good.length ? good : alike).map((one) => one[criterion]);
    let low = Math.min(...figures), high = Math.max(...figures);
    if (!(high > low)) [low, high] = [low - 1, high + 1];
    const room = (high - low) * 0.06;
    [low, high] = [low - room, high + room];
    const across = (K) => left + ((K - 1) / (about.most - 1)) * (width - left - right);
    const up = (value) => top + (1 - (Math.max(low, Math.min(high, value)) - low) / (high - low)) * (height - top - bottom);
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${title} against the number of components` });
    for (const at of ticks(low, high)) {
      drawing.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: up(at), y2: up(at) }));
      drawing.append(svg("text", { x: left - 8, y: up(at) + 4, "text-anchor": "end" }, at.toLocaleString("en", { maximumFractionDigits: 4 })));
    }
    const step = width < 480 ? 3 : 1;
    for (let K = 1; K <= about.most; K += step) drawing.append(svg("text", { x: across(K), y: height - bottom + 18, "text-anchor": "middle" }, String(K)));
    drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, "components"));
    const families = about.families.map((one) => one.name).filter((name) => alike.some((one) => one.family === name));
    families.sort((a, b) => (a === state.family) - (b === state.family)); // its own on top
    for (const family of families) {
      const group = svg("g", { class: family === state.family ? "own" : "other" });
      const own = alike.filter((one) => one.family === family).sort((a, b) => a.components - b.components || a[criterion] - b[criterion]);
      const highest = [...new Map(own.filter(regular).map((one) => [one.components, one])).values()];
      group.append(svg("polyline", { class: "line", points: highest.map((one) => `${across(one.components)},${up(one[criterion])}`).join(" ") }));
      for (const one of own) {
        const [x, y] = [across(one.components), up(one[criterion])];
        const now = one.components === done.weights.length && family === done.figures.family && one.seed === done.seed;
        const mark = regular(one)
          ? svg("circle", { class: `dot${now ? " now" : ""}${one === best ? " highest" : ""}`, cx: x, cy: y, r: one === best ? 5.5 : 4.5 })
          : svg("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m-8 0l8-8` });
        mark.setAttribute("tabindex", "0");
        mark.setAttribute("role", "button");
        mark.setAttribute("aria-label", `${named(one)}, ${title} ${figure(one[criterion])}, ${one.status}`);
        mark.append(svg("title", {}, `${named(one)}: ${title} ${figure(one[criterion])}, ${one.status}`));
        mark.addEventListener("click", go(one));
        mark.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(one)(event); } });
        group.append(mark);
      }
      drawing.append(group);
    }
    $("curve").replaceChildren(drawing);
  };

  // ------------------------------------------------------------------ controls
  const reflect = () => {
    $("components").value = $("components-number").value = state.components;
    $("components").setAttribute("aria-valuetext", `${state.components} component${state.components === 1 ? "" : "s"}`);
    $("family").value = state.family;
    $("seed").value = state.seed;
    $("x").value = state.x;
    $("y").value = state.y ?? "";
    for (const box of document.querySelectorAll("#columns input")) box.checked = state.columns.includes(Number(box.value));
    $("family-note").textContent = state.columns.length === 1 ? "One column has no shape: families differ in whether components share a variance." : "";
  };
  const whole = (input, least, most) => {
    const value = Number(input.value);
    return input.value !== "" && Number.isInteger(value) && value >= least && value <= most ? value : null;
  };
  const change = (more) => (event) => {
    Object.assign(state, more());
    reflect();
    ask(event);
  };
  const listen = () => {
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    $("components").addEventListener("input", change(() => ({ components: Number($("components").value) })));
    $("components-number").addEventListener("input", (event) => {
      const K = whole($("components-number"), 1, about.most);
      if (K !== null && K !== state.components) change(() => ({ components: K }))(event);
    });
    $("components-number").addEventListener("change", reflect);
    $("family").addEventListener("input", change(() => ({ family: $("family").value })));
    $("columns").addEventListener("input", (event) => {
      const columns = [...document.querySelectorAll("#columns input:checked")].map((box) => Number(box.value));
      if (columns.length) change(() => ({ columns }))(event);
      else trouble("No columns to fit: got none, expected at least one; try ticking a column.");
    });
    $("x").addEventListener("input", change(() => ({ x: Number($("x").value) })));
    $("y").addEventListener("input", change(() => ({ y: $("y").value === "" ? null : Number($("y").value) })));
    $("seed").addEventListener("change", (event) => {
      const seed = whole($("seed"), 0, 2 ** 32 - 1);
      if (seed === null) reflect();
      else if (seed !== state.seed) change(() => ({ seed }))(event);
    });
    $("another").addEventListener("click", change(() => ({ seed: (state.seed + 1) % 2 ** 32 })));
    $("all").addEventListener("input", (event) => ask(event));
    for (const radio of document.querySelectorAll("[name=colour]")) radio.addEventListener("input", () => last && paint());
    $("criterion").addEventListener("input", () => done && curve());
    $("save").addEventListener("click", save);
    window.addEventListener("resize", () => { wide = 0; if (done) curve(); });
  };
  const fill = () => {
    const file = about.data.split(/[\\/]/).filter(Boolean).pop() || about.data;
    document.title = `${file} · Mixtura`;
    $("title").textContent = file;
    const D = about.columns.length, seenFirst = about.rows > about.at_once;
    $("about").textContent = [
      `${count(about.rows)} rows, ${D} column${D === 1 ? "" : "s"}`,
      ...(about.weight ? [`weighed by ${about.weight}`] : []),
      ...(about.skipped.length ? [`not numbers: ${about.skipped.join(", ")}`] : []),
      ...(seenFirst ? [`a move fits ${count(about.at_once)} rows, drawn at random, and then all of them`] : []),
    ].join(" · ");
    $("all-field").hidden = !seenFirst;
    $("components").max = $("components-number").max = about.most;
    $("family").replaceChildren(...about.families.map(({ name, code }) => made("option", name === code.toLowerCase() ? code : `${name} (${code})`, { value: name })));
    $("columns").replaceChildren(...about.columns.map((name, j) => {
      const label = made("label", undefined, { className: "choice" });
      label.append(made("input", undefined, { type: "checkbox", value: String(j) }), made("span", name));
      return label;
    }));
    const options = () => about.columns.map((name, j) => made("option", name, { value: String(j) }));
    $("x").replaceChildren(...options());
    $("y").replaceChildren(...options(), made("option", "(density)", { value: "" }));
    for (const id of ["components", "family", "x", "y"]) $(id).disabled = false;
  };
  const watch = () => setInterval(async () => {
    try {
      await answered("about");
      if ($("trouble").textContent === GONE) ask();
    } catch (error) {
      if (error.message === GONE) trouble(GONE);
    }
  }, ALIVE);
  const open = async () => {
    try {
      about = await (await answered("about")).json();
      state = { ...about.first, x: 0, y: about.columns.length > 1 ? 1 : null };
      fill();
      reflect();
      listen();
      watch();
      await ask();
    } catch (error) {
      trouble(error.message);
    }
  };
  open();
})();
