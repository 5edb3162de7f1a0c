(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const state = { network: Object.keys(data.networks)[0], photograph: Object.keys(data.photographs)[0], tab: 0 };
  const images = new Map(); // decoded once each
  let playing = 0; // the timer of a run that is played

  const network = () => data.networks[state.network];
  const shot = () => network().shots[state.photograph];
  const say = (text) => { if (at("status").textContent !== text) at("status").textContent = text; };

  function halt() {
    clearInterval(playing);
    playing = 0;
  }

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function decoded(sheet) {
    if (!images.has(sheet)) {
      const image = new Image();
      image.src = sheet;
      images.set(sheet, image.decode().then(() => image));
    }
    return images.get(sheet);
  }

  // A canvas with one cell of a sheet: frame `row`, tile `column`. `paint(row)` shows another frame.
  function cell(view, label, column = 0, row = 0, properties = {}) {
    const canvas = make("canvas", { width: view.width, height: view.height, ...properties });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    canvas.paint = (wanted) => {
      canvas.wanted = wanted;
      return decoded(view.sheet).then((image) => {
        if (canvas.wanted !== wanted) return; // a later frame was asked for meanwhile
        canvas.getContext("2d", {willReadFrequently: true}).drawImage(image, column * view.width, wanted * view.height, view.width, view.height,
          0, 0, view.width, view.height);
      });
    };
    canvas.paint(row);
    return canvas;
  }

  // Buttons and a slider that go through the frames of a run; `show(frame)` draws one, `name(frame)` says which it is.
  function player(frames, show, name) {
    const slider = make("input", { type: "range", min: 0, max: frames - 1, value: frames - 1 });
    const shown = make("output");
    const button = make("button", { type: "button", textContent: "Start" });
    slider.setAttribute("aria-label", "Frame of the run");
    const go = (frame) => {
      slider.value = frame;
      slider.setAttribute("aria-valuetext", name(frame));
      shown.textContent = name(frame);
      show(frame);
    };
    const stop = () => {
      halt();
      button.textContent = "Start";
    };
    button.addEventListener("click", () => {
      if (playing) return stop();
      let frame = 0;
      go(frame);
      button.textContent = "Stop";
      playing = setInterval(() => {
        frame += 1;
        go(frame);
        if (frame >= frames - 1) stop();
      }, 350);
    });
    slider.addEventListener("input", () => {
      stop();
      go(Number(slider.value));
    });
    go(frames - 1);
    return make("div", { className: "player" }, button, slider, shown);
  }

  // Buttons side by side, one stop for the Tab key; arrow keys move among them.
  function grid(buttons, className) {
    const box = make("div", { className });
    box.setAttribute("role", "group");
    box.append(...buttons);
    buttons.forEach((button, index) => {
      button.tabIndex = index ? -1 : 0;
      button.addEventListener("focus", () => buttons.forEach((one) => { one.tabIndex = one === button ? 0 : -1; }));
    });
    box.addEventListener("keydown", (event) => {
      const now = buttons.indexOf(document.activeElement);
      const row = buttons.filter((one) => one.offsetTop === buttons[0].offsetTop).length;
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -now, End: buttons.length - 1 - now };
      if (now < 0 || !(event.key in by) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const wanted = buttons[now + by[event.key]];
      if (wanted) wanted.focus();
    });
    return box;
  }

  function tile(canvas, words, said, open) {
    const button = make("button", { type: "button" }, canvas, make("span", { textContent: words }));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => say(said()));
    button.addEventListener("click", open);
    return button;
  }

  // A picture whose numbers are read by pointer or arrow keys: `read(row, column)` for cells of a grid.
  function readable(canvas, cells, read) {
    const rows = cells.length, columns = cells[0].length;
    let row = Math.floor(rows / 2), column = Math.floor(columns / 2);
    canvas.tabIndex = 0;
    const tell = () => say(read(cells[row][column], row, column));
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      row = Math.min(rows - 1, Math.max(0, Math.floor(rows * (event.clientY - box.top) / box.height)));
      column = Math.min(columns - 1, Math.max(0, Math.floor(columns * (event.clientX - box.left) / box.width)));
      tell();
    });
    canvas.addEventListener("focus", tell);
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!by) return;
      event.preventDefault();
      row = Math.min(rows - 1, Math.max(0, row + by[0]));
      column = Math.min(columns - 1, Math.max(0, column + by[1]));
      tell();
    });
    return canvas;
  }

  const photo = (name, properties) => cell(data.photographs[name], `The photograph ${name}`, 0, 0, properties);
  const steps = (view) => (frame) => `step ${view.steps[frame]} of ${view.steps[view.frames - 1]}`;

  function gallery(view, className, said, open) {
    const canvases = view.names.map((name, index) => cell(view, name, index, view.frames - 1));
    const buttons = canvases.map((canvas, index) => tile(canvas, view.names[index], () => said(index), () => open(index)));
    const show = (frame) => canvases.forEach((canvas) => canvas.paint(frame));
    return [player(view.frames, show, steps(view)), grid(buttons, className)];
  }

  function filters() {
    const view = network().filters;
    const said = (i) => `${network().layer}, ${view.names[i]}: activation ${view.values[i]}${view.notes[i] ? `, ${view.notes[i]}` : ""}`;
    return [
      make("p", { textContent: `Pictures that maximize ${view.names.length} units of the layer ${network().layer}, from noise. Start plays the run; a click opens a unit.` }),
      ...gallery(view, "tiles", said, openUnit),
    ];
  }

  function featureMaps() {
    const view = shot().maps, units = network().filters.names;
    const canvases = units.map((name, i) => readable(
      cell(view, `${name} on the photograph; arrow keys read its numbers`, i), view.cells[i],
      (value, row, column) => `${name}, row ${row}, column ${column}: activation ${value}`));
    const figures = canvases.map((canvas, i) => make("figure", {}, canvas, make("figcaption", { textContent: units[i] })));
    return [
      make("p", { textContent: `Where the same units of ${network().layer} are active in the photograph. Point at a cell, or use the arrow keys, to read its activation.` }),
      make("div", { className: "columns" },
        make("figure", {}, photo(state.photograph, { className: "wide" })),
        make("div", {}, make("div", { className: "tiles maps" }, ...figures))),
    ];
  }

  function predictions() {
    const body = make("tbody");
    for (const [name, share] of shot().predictions) {
      const head = make("th", { textContent: name });
      head.scope = "row";
      body.append(make("tr", {}, head, make("td", { textContent: share > 0 && share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%` })));
    }
    return make("table", {}, make("caption", { textContent: "The most probable classes" }), body);
  }

  function whereItLooks() {
    const figures = shot().heat.map((view) => {
      const told = [];
      for (const [metric, [area, chance]] of Object.entries(view.areas)) told.push(`${metric} area ${area} (random ${chance})`);
      const canvas = readable(
        cell(view, `${view.name} over the photograph; arrow keys read its numbers`, 0, 0, { className: "wide" }), view.cells,
        (value, row, column) => `${view.name}, ${Math.round(100 * (column + 0.5) / view.cells[0].length)}% from the left, ` +
          `${Math.round(100 * (row + 0.5) / view.cells.length)}% from the top: ${Math.round(100 * value)}% of the largest evidence`);
      return make("figure", {}, canvas, make("figcaption", {}, make("b", { textContent: view.name }), `: ${told.join(", ")}. ${view.note}`));
    });
    return [
      make("p", { textContent: `Which parts of the photograph count for "${shot().about}", by three methods. Deletion: a good map has a smaller area than a random order of the pixels; insertion: a larger one.` }),
      make("div", { className: "columns" }, make("div", {}, predictions()), ...figures),
    ];
  }

  function whichUnits() {
    const view = shot().which;
    const items = view.units.map((unit, i) => {
      const words = `unit ${unit}: ${view.shares[i]}`;
      const button = make("button", { type: "button" },
        cell(view.portraits, `What unit ${unit} responds to`, 0, i),
        cell(view.evidence, `Where unit ${unit} counts`, 0, i), make("span", { textContent: words }));
      const side = view.shares[i].startsWith("-") ? "against" : "for";
      button.addEventListener("click", () => openStrong(i));
      for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => say(`${view.layer}, ${words}, ${side} "${shot().about}"`));
      return button;
    });
    return [
      make("p", { textContent: `The units of ${view.layer} with the largest shares of "${shot().about}": each unit's activation times the gradient of the class. Red is evidence for the class, blue against it.` }),
      grid(items, "rows"),
    ];
  }

  function run(view, about) {
    const canvas = cell(view, about, 0, view.frames - 1, { className: "wide" });
    const show = (frame) => {
      canvas.paint(frame);
      canvas.setAttribute("aria-label", `${about}, ${view.names[frame]}`);
    };
    return [
      player(view.frames, show, (frame) => view.names[frame]),
      make("div", { className: "columns" },
        make("figure", {}, canvas), make("figure", {}, photo(state.photograph, { className: "wide" }),
          make("figcaption", { textContent: "The photograph" }))),
    ];
  }

  function dream() {
    return [
      make("p", { textContent: "DeepDream: what the network sees in the photograph is amplified, from small to large." }),
      ...run(shot().dream, "DeepDream"),
    ];
  }

  function classes() {
    const view = network().classes;
    return [
      make("p", { textContent: "Pictures that maximize a class's logit, from noise." }),
      ...gallery(view, "tiles large", (i) => `${view.names[i]}: logit ${view.values[i]}`, (i) => say(`${view.names[i]}: logit ${view.values[i]}`)),
    ];
  }

  function fool() {
    const view = shot().fool;
    return [
      make("p", { textContent: `The photograph is perturbed until the network sees a ${view.target}. No color changes by more than two of 256 levels.` }),
      ...run(view, "Adversarial example"),
    ];
  }

  const TABS = [
    ["Filters", filters], ["Feature maps", featureMaps], ["Where it looks", whereItLooks], ["Which units", whichUnits],
    ["DeepDream", dream], ["Classes", classes], ["Fool it", fool],
  ];

  // The dialog with one of several units; `open(index)` shows another one.
  let unit = 0, open = null;
  function showUnit(index, count, title, ...content) {
    unit = index;
    at("unit-title").textContent = title;
    at("unit-page").replaceChildren(...content);
    at("before").disabled = index === 0;
    at("after").disabled = index === count - 1;
    if (!at("unit").open) at("unit").showModal();
  }

  function figure(canvas, words) {
    return make("figure", {}, canvas, make("figcaption", { textContent: words }));
  }

  // A unit of the gallery: its picture, and its maps on both photographs.
  function openUnit(index) {
    open = openUnit;
    const view = network().filters, name = view.names[index];
    const canvas = cell(view, `${name} of ${network().layer}`, index, view.frames - 1, { className: "wide" });
    const maps = Object.keys(network().shots).map((which) => figure(
      cell(network().shots[which].maps, `${name} on ${which}`, index, 0, { className: "wide pixel" }),
      `Where it is active in ${which}: at most ${largest(which, index)}`));
    halt();
    showUnit(index, view.names.length, `${network().layer}, ${name}`,
      player(view.frames, (frame) => canvas.paint(frame), steps(view)),
      make("div", { className: "columns" }, figure(canvas, "What it responds to"), ...maps),
      make("p", { className: "quiet", textContent: `Activation ${view.values[index]} in this picture. It sees ${view.field} × ${view.field} pixels of the input.${view.notes[index] ? ` ${view.notes[index]}` : ""}` }));
  }

  // A unit that carried the decision: its picture, and where it counts.
  function openStrong(index) {
    open = openStrong;
    const view = shot().which, number = view.units[index];
    showUnit(index, view.units.length, `${view.layer}, unit ${number}`,
      make("div", { className: "columns" },
        figure(cell(view.portraits, `What unit ${number} responds to`, 0, index, { className: "wide" }), "What it responds to"),
        figure(cell(view.evidence, `Where unit ${number} counts`, 0, index, { className: "wide" }), "Where it counts in the photograph")),
      make("p", { className: "quiet", textContent: `Its share of "${shot().about}": ${view.shares[index]}.` }));
  }

  const largest = (which, index) => Math.max(...network().shots[which].maps.cells[index].flat());

  function draw() {
    halt();
    say("");
    [...at("tabs").children].forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === state.tab));
      button.tabIndex = index === state.tab ? 0 : -1;
    });
    at("view").setAttribute("aria-labelledby", `tab-${state.tab}`);
    at("view").replaceChildren(...TABS[state.tab][1]());
  }

  function radios(box, name, every, label) {
    every.forEach((value) => {
      const input = make("input", { type: "radio", name, value, checked: state[name] === value });
      input.addEventListener("change", () => {
        state[name] = value;
        draw();
      });
      box.append(make("label", {}, input, ...label(value)));
    });
  }

  TABS.forEach(([name], index) => {
    const button = make("button", { type: "button", id: `tab-${index}`, textContent: name });
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", "view");
    button.addEventListener("click", () => {
      state.tab = index;
      draw();
    });
    at("tabs").append(button);
  });
  at("tabs").addEventListener("keydown", (event) => {
    const last = TABS.length - 1;
    const wanted = { ArrowRight: state.tab === last ? 0 : state.tab + 1, ArrowLeft: state.tab === 0 ? last : state.tab - 1, Home: 0, End: last }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    state.tab = wanted;
    draw();
    at("tabs").children[wanted].focus();
  });
  radios(at("networks"), "network", Object.keys(data.networks), (name) => [data.networks[name].title]);
  radios(at("photographs"), "photograph", Object.keys(data.photographs), (name) => [photo(name), name]);
  at("choices").addEventListener("submit", (event) => event.preventDefault());
  at("before").addEventListener("click", () => open(unit - 1));
  at("after").addEventListener("click", () => open(unit + 1));
  at("close").addEventListener("click", () => at("unit").close());
  at("unit").addEventListener("click", (event) => event.target === at("unit") && at("unit").close());
  at("unit").addEventListener("close", () => {
    halt();
    const opened = at("view").querySelectorAll("[role=group] button")[unit];
    if (opened) opened.focus();
  });
  draw();
})();
