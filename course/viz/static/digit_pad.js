// La feuille à dessiner : l'encre part vers Python, qui répond par l'image lue et les cartes.

const SIDE = 140; // pixels de l'encre, cinq par pixel de l'image lue
const PEN = 13;
const STEP = 4; // un pas de flèche
const WAIT = 80; // ms entre deux envois
const LOST = 1500; // ms sans réponse avant d'envoyer quand même
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GREYS = Array.from({ length: 256 }, (_, level) => Array(3).fill(255 - level));

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const colours = ramp(model.get("colours"));
  const lifted = { x: SIDE / 2, y: SIDE / 4, down: false };
  const pen = { ...lifted };

  const sheet = element("canvas", {
    width: SIDE, height: SIDE, tabindex: 0, role: "application", class: "chainage-sheet",
    "aria-label": "Feuille\u00a0: les flèches déplacent la plume, espace la pose ou la lève",
  });
  const ink = sheet.getContext("2d", { willReadFrequently: true });
  Object.assign(ink, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  const nib = element("span", { class: "chainage-nib", "aria-hidden": "true" });
  const penState = element("span", { "aria-live": "polite" }, "Plume levée");
  const examples = element("select", {
    "aria-label": "Exemple", onchange: () => examples.value && ask({ sample: Number(examples.value) }),
  }, element("option", { value: "" }, "votre dessin"), ...model.get("samples").map((name, value) => element("option", { value }, name)));
  const clear = element("button", { type: "button", onclick: erase }, "Effacer");

  const seen = element("canvas", {
    width: 28, height: 28, role: "img", "aria-label": "L’image lue, 28 pixels sur 28",
    class: "chainage-seen",
  });
  const bars = element("div", { class: "chainage-bars" });
  const layers = element("div", { class: "chainage-layers" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  const part = (title, ...content) =>
    element("figure", {}, element("figcaption", {}, title), ...content);
  root.append(
    element("div", { class: "chainage-controls" },
      element("label", {}, element("span", {}, "Exemple"), examples), clear),
    element("div", { class: "chainage-pad" },
      part("Votre feuille", element("div", { class: "chainage-paper" }, sheet, nib)),
      element("div", {}, part("Ce que lit le réseau", seen), part("Probabilités", bars)),
      layers),
    status,
    element("p", { class: "chainage-help" },
      "Tracez à la souris, au doigt ou au stylet. Au clavier, les flèches déplacent la plume, ",
      "espace la pose ou la lève. ", penState, ". Cartes\u00a0: bleu, négatif\u202f; clair, nul\u202f; orangé, positif."));

  // Une question à la fois : la suivante attend la réponse, puis emporte l'encre d'alors.
  let waiting = false, changed = false, asked = 0, timer, lost;

  function ask(content, buffers) {
    changed = false;
    waiting = true;
    clearTimeout(timer);
    timer = undefined;
    clearTimeout(lost);
    lost = setTimeout(free, LOST);
    asked += 1;
    model.send({ ...content, asked }, undefined, buffers);
  }

  function free() {
    waiting = false;
    if (changed) sendSoon();
  }

  function sendSoon() {
    changed = true;
    if (!waiting && timer === undefined) timer = setTimeout(sendInk, WAIT);
  }

  function sendInk() {
    const { data } = ink.getImageData(0, 0, SIDE, SIDE);
    ask({ side: SIDE }, [Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3]).buffer]);
  }

  // L'encre.
  function blank() {
    ink.clearRect(0, 0, SIDE, SIDE);
    Object.assign(pen, lifted);
    placeNib();
  }

  function erase() {
    blank();
    sendSoon();
  }

  function stroke(x, y) {
    ink.beginPath();
    ink.moveTo(pen.x, pen.y);
    ink.lineTo(x, y);
    ink.stroke();
    Object.assign(pen, { x, y });
    placeNib();
    sendSoon();
  }

  function place(image) { // un exemple remplace le dessin
    blank();
    const small = new OffscreenCanvas(28, 28).getContext("2d");
    const pixels = small.createImageData(28, 28);
    image.forEach((level, i) => { pixels.data[4 * i + 3] = level; });
    small.putImageData(pixels, 0, 0);
    ink.drawImage(small.canvas, 0, 0, SIDE, SIDE);
  }

  // La plume.
  function placeNib() {
    nib.style.left = `${100 * pen.x / SIDE}%`;
    nib.style.top = `${100 * pen.y / SIDE}%`;
    nib.classList.toggle("chainage-down", pen.down);
    penState.textContent = pen.down ? "Plume posée" : "Plume levée";
  }

  const point = (event) => {
    const frame = sheet.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top].map((d) => d * SIDE / frame.width);
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    sheet.setPointerCapture(event.pointerId);
    const [x, y] = point(event);
    Object.assign(pen, { x, y, down: false });
    stroke(x, y);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!sheet.hasPointerCapture(event.pointerId)) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) stroke(...point(each));
  });
  sheet.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== " ") return;
    event.preventDefault();
    const [x, y] = [pen.x, pen.y].map((at, axis) =>
      Math.max(0, Math.min(SIDE, at + STEP * (arrow ? arrow[axis] : 0))));
    if (!arrow) pen.down = !pen.down;
    if (pen.down) stroke(x, y);
    else Object.assign(pen, { x, y });
    placeNib();
  });

  // La réponse.
  const rows = model.get("answer").probabilities.map((_, digit) => {
    const bar = element("span", { class: "chainage-bar" }), share = element("span");
    const row = element("div", {}, element("span", {}, String(digit)),
      element("span", { class: "chainage-rail" }, bar), share);
    bars.append(row);
    return { row, bar, share };
  });
  let tiles = [];

  function layOut(maps) {
    tiles = maps.map(({ name, shape: [count, height, width] }) => {
      const canvases = Array.from({ length: count }, () => element("canvas", { width, height }));
      const size = `${Math.max(30, 3 * width)}px`;
      for (const canvas of canvases) canvas.style.width = size;
      const caption = `${name}\u00a0: ${count} carte${count > 1 ? "s" : ""} de ${height} × ${width}`;
      const shown = element("div", { role: "img", "aria-label": caption, class: "chainage-maps" }, ...canvases);
      layers.append(part(caption, shown));
      return canvases;
    });
  }

  function show() {
    const { image, maps, probabilities, text, sample } = model.get("answer");
    paint(seen, bytes(image), GREYS);
    maps.forEach(({ shape: [, height, width], pixels }, layer) => {
      const all = bytes(pixels);
      tiles[layer].forEach((canvas, k) => paint(canvas, all.subarray(k * height * width), colours));
    });
    const best = Math.max(...probabilities);
    rows.forEach(({ row, bar, share }, digit) => {
      const percent = 100 * probabilities[digit];
      row.classList.toggle("chainage-best", probabilities[digit] === best);
      bar.style.width = `${percent}%`;
      share.textContent = `${percent.toFixed(1).replace(".", ",")}\u00a0%`;
    });
    status.textContent = text;
    if (sample !== undefined) place(bytes(image));
    examples.value = sample ?? "";
    clearTimeout(lost);
    free();
  }

  layOut(model.get("answer").maps);
  model.on("change:answer", show);
  show();
  if (model.get("answer").sample === undefined) place(bytes(model.get("answer").image));
  return () => { clearTimeout(timer); clearTimeout(lost); model.off("change:answer", show); };
}

export default { render };
