"use strict";
// One page of pictures is one mosaic, decoded when it is looked at; every name is set as text, never as markup.
(() => {
  const at = (id) => document.getElementById(id);
  const atlas = JSON.parse(at("atlas").textContent);
  const { layers, page: PAGE, columns: COLUMNS } = atlas;
  const [height, width] = atlas.tile;
  let layer = 0;
  let page = 0;
  let shown = []; // the units of the page, as places in the layer's lists
  let chosen = 0; // which of them is large, or has the focus
  let mosaic = null;
  let patches = null; // the same of the strongest patches, where the atlas has them
  let asked = 0; // counts page turns: a mosaic that is decoded too late is not drawn

  const place = (index) => [(index % COLUMNS) * width, Math.floor(index / COLUMNS) * height];
  const unitOf = (index) => layers[layer].units[page * PAGE + index];
  const valueOf = (index) => layers[layer].values[page * PAGE + index];
  const noteOf = (index) => layers[layer].notes[unitOf(index)] || "";
  const words = (index) => {
    const note = noteOf(index);
    return `${layers[layer].path}, unit ${unitOf(index)}, value ${valueOf(index)}${note ? `: ${note}` : ""}`;
  };
  const pages = () => Math.max(1, Math.ceil(layers[layer].units.length / PAGE));

  function draw(canvas, index, side) {
    const [left, top] = place(index);
    canvas.width = Math.round(side * Math.min(1, width / height));
    canvas.height = Math.round(side * Math.min(1, height / width));
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(mosaic, left, top, width, height, 0, 0, canvas.width, canvas.height);
  }

  function tile(index) {
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    const caption = document.createElement("b");
    const value = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-label", words(index));
    button.title = noteOf(index);
    button.tabIndex = index === chosen ? 0 : -1;
    button.classList.toggle("noted", noteOf(index) !== "");
    canvas.width = width;
    canvas.height = height;
    caption.textContent = unitOf(index);
    value.textContent = noteOf(index).split(":")[0] || valueOf(index);
    value.className = "value";
    button.append(canvas, caption, value);
    button.addEventListener("click", () => enlarge(index));
    return button;
  }

  function tell() {
    const { units } = layers[layer];
    at("page").textContent = units.length
      ? `${unitOf(0)} to ${unitOf(shown.length - 1)} of ${layers[layer].count}`
      : "no picture yet";
    at("previous").disabled = page === 0;
    at("next").disabled = page >= pages() - 1;
    at("unit").max = layers[layer].count - 1;
  }

  function show(newLayer, newPage, focus = null) {
    layer = newLayer;
    page = newPage;
    const count = Math.min(PAGE, Math.max(0, layers[layer].units.length - page * PAGE));
    shown = Array.from({ length: count }, (_, index) => index);
    chosen = Math.min(focus ?? 0, Math.max(0, count - 1));
    at("layer").textContent = layers[layer].path;
    at("grid").replaceChildren(...shown.map(tile));
    tell();
    at("layers").querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-current", String(Number(button.dataset.layer) === layer));
    });
    if (focus !== null && count) at("grid").children[chosen].focus();
    const ask = ++asked;
    mosaic = null;
    patches = null;
    const data = at(`m-${layer}-${page}`);
    if (!data) return Promise.resolve();
    return Promise.all([data, at(`p-${layer}-${page}`)].map(decoded)).then(([image, examples]) => {
      if (ask !== asked) return;
      mosaic = image;
      patches = examples;
      shown.forEach((index) => draw(at("grid").children[index].firstChild, index, Math.max(width, height)));
      if (at("large").open) fill();
    });
  }

  function decoded(data) {
    if (!data) return Promise.resolve(null);
    const image = new Image();
    image.src = data.textContent;
    return image.decode().then(() => image);
  }

  // The strongest patches of the reader's own pictures, and how many pictures get which response.
  function fillExamples() {
    const [low, high, ...counts] = (layers[layer].histograms || [])[page * PAGE + chosen] || [];
    at("examples").hidden = !patches || !counts.length;
    if (at("examples").hidden) return;
    const side = atlas.patches;
    const canvas = at("patches");
    const shown = layers[layer].patches[page * PAGE + chosen];
    const one = side / 3;
    [canvas.width, canvas.height] = [side, one * Math.ceil(shown / 3)];
    const [left, top] = [(chosen % COLUMNS) * side, Math.floor(chosen / COLUMNS) * side];
    const brush = canvas.getContext("2d");
    for (let rank = 0; rank < shown; rank++) {
      const [x, y] = [(rank % 3) * one, Math.floor(rank / 3) * one];
      brush.drawImage(patches, left + x, top + y, one, one, x, y, one, one);
    }
    canvas.setAttribute("aria-label", `strongest patches for unit ${unitOf(chosen)}`);
    const total = counts.reduce((sum, count) => sum + count, 0);
    at("examplesof").textContent = `Strongest patches of ${total} pictures, and their responses, ${low} to ${high}`;
    at("bars").setAttribute("aria-label", `responses from ${low} to ${high}: ${counts.join(", ")} pictures`);
    const bars = at("bars");
    [bars.width, bars.height] = [640, 112];
    const wide = bars.width / counts.length;
    const pen = bars.getContext("2d");
    pen.fillStyle = getComputedStyle(bars).color;
    counts.forEach((count, index) => {
      const tall = count ? Math.max(2, (bars.height * count) / Math.max(...counts)) : 0;
      pen.fillRect(index * wide, bars.height - tall, wide - 4, tall);
    });
  }

  function fill() {
    at("caption").textContent = `${layers[layer].path} · ${unitOf(chosen)}`;
    at("note").textContent = noteOf(chosen) || `value ${valueOf(chosen)}`;
    at("picture").setAttribute("aria-label", words(chosen));
    // Not `disabled`: a button that has the focus when it is disabled swallows the keys.
    at("before").setAttribute("aria-disabled", String(page === 0 && chosen === 0));
    at("after").setAttribute("aria-disabled", String(page >= pages() - 1 && chosen >= shown.length - 1));
    if (mosaic) draw(at("picture"), chosen, 1024);
    fillExamples();
  }

  function enlarge(index) {
    focusOn(index);
    fill();
    at("large").showModal();
  }

  function focusOn(index) {
    const tiles = at("grid").children;
    tiles[chosen].tabIndex = -1;
    chosen = index;
    tiles[chosen].tabIndex = 0;
    tiles[chosen].focus();
  }

  // Moves by so many units, over the edges of the page too; calls `then` when the pictures are there.
  function move(by, then = () => {}) {
    const index = chosen + by;
    if (index >= 0 && index < shown.length) {
      if (!at("large").open) focusOn(index);
      else chosen = index;
      then();
    } else if (index < 0 && page > 0) show(layer, page - 1, PAGE - 1).then(then);
    else if (index >= shown.length && page < pages() - 1) show(layer, page + 1, 0).then(then);
  }

  function turn(by, focus = null) {
    const wanted = Math.min(Math.max(0, page + by), pages() - 1);
    if (wanted !== page) show(layer, wanted, focus);
  }

  function tilesInARow() {
    const tiles = [...at("grid").children];
    const top = tiles[0].offsetTop;
    return Math.max(1, tiles.findIndex((one) => one.offsetTop !== top) === -1
      ? tiles.length
      : tiles.findIndex((one) => one.offsetTop !== top));
  }

  const KEYS = {
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    ArrowDown: () => move(Math.min(tilesInARow(), Math.max(1, shown.length - 1 - chosen))),
    ArrowUp: () => move(-Math.min(tilesInARow(), Math.max(1, chosen))),
    Home: () => focusOn(0),
    End: () => focusOn(shown.length - 1),
    PageDown: () => turn(1, 0),
    PageUp: () => turn(-1, 0),
  };

  function listed() {
    const wanted = at("search").value.trim().toLowerCase();
    let found = 0;
    at("layers").querySelectorAll("li").forEach((item, index) => {
      item.hidden = !layers[index].path.toLowerCase().includes(wanted);
      found += item.hidden ? 0 : 1;
    });
    at("found").textContent = wanted ? `${found} of ${layers.length} layers` : `${layers.length} layers`;
  }

  function item(one, index) {
    const entry = document.createElement("li");
    const button = document.createElement("button");
    const name = document.createElement("span");
    const count = document.createElement("span");
    button.type = "button";
    button.dataset.layer = index;
    name.textContent = one.path;
    name.className = "name";
    count.textContent = one.units.length;
    count.className = "count";
    button.append(name, count);
    button.addEventListener("click", () => show(index, 0));
    entry.append(button);
    return entry;
  }

  function goTo() {
    const wanted = Number(at("unit").value);
    const index = layers[layer].units.findIndex((unit) => unit >= wanted);
    if (at("unit").value !== "" && index >= 0) show(layer, Math.floor(index / PAGE), index % PAGE);
  }

  at("layers").append(...layers.map(item));
  at("search").addEventListener("input", listed);
  at("previous").addEventListener("click", () => turn(-1));
  at("next").addEventListener("click", () => turn(1));
  at("unit").addEventListener("change", goTo);
  at("grid").addEventListener("keydown", (event) => {
    if (KEYS[event.key] && shown.length && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      KEYS[event.key]();
    }
  });
  at("large").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      move(by, fill);
    }
  });
  at("large").addEventListener("close", () => shown.length && focusOn(chosen));
  at("large").addEventListener("click", (event) => event.target === at("large") && at("large").close());
  at("before").addEventListener("click", () => move(-1, fill));
  at("after").addEventListener("click", () => move(1, fill));
  at("close").addEventListener("click", () => at("large").close());
  listed();
  if (layers.length) show(0, 0);
})();
