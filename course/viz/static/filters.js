// Les filtres qui se forment : chaque message est une époque, un octet par poids.

const PLAY = 160; // ms par époque rejouée

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const [height, width] = model.get("shape");
  const colours = ramp(model.get("colours"));
  const frames = new Map();
  let following = true;
  let timer;

  const replay = slider({
    label: "Époque montrée", min: 0, max: 0, step: 1, value: 0,
    oninput: (value) => { stop(); show(value); },
  });
  const button = element("button", { type: "button", onclick: play }, "Rejouer");
  const grid = element("div", { class: "chainage-filters" });
  const canvases = model.get("titles").map((title) => {
    const canvas = element("canvas", { width, height, role: "img", "aria-label": `Filtre ${title}` });
    grid.append(element("figure", {}, element("figcaption", {}, title), canvas));
    return canvas;
  });
  const [low, middle, high] = model.get("colours");
  const limits = [element("span"), element("span")];
  const bar = element("span", {
    role: "img", "aria-label": "Échelle\u00a0: bleu négatif, clair nul, orangé positif",
    style: `background: linear-gradient(to right, ${low}, ${middle}, ${high})`,
  });
  const scale = element("div", { class: "chainage-scale" }, limits[0], bar, limits[1], "valeur du poids");
  root.append(element("div", { class: "chainage-controls" }, replay.holder, button), grid, scale);

  const epochs = () => [...frames.keys()].sort((a, b) => a - b);

  function show(position) {
    const list = epochs();
    if (!list.length) return;
    const index = Math.min(position, list.length - 1);
    following = index === list.length - 1;
    const { pixels, limit } = frames.get(list[index]);
    replay.input.max = list.length - 1;
    replay.input.value = index;
    replay.show(String(list[index]));
    limits[0].textContent = decimal(-limit, 2);
    limits[1].textContent = `+${decimal(limit, 2)}`;
    canvases.forEach((canvas, k) => paint(canvas, pixels.subarray(k * width * height), colours));
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "Rejouer";
  }

  function play() {
    if (timer) return stop();
    let position = 0;
    button.textContent = "Arrêter";
    show(position);
    timer = setInterval(() => {
      position += 1;
      show(position);
      if (position >= epochs().length - 1) stop();
    }, PLAY);
    return undefined;
  }

  function receive(message, buffers) {
    const pixels = bytes(buffers[0]);
    frames.set(message.epoch, { pixels, limit: message.limit });
    const kept = new Set(model.get("epochs"));
    for (const epoch of frames.keys()) if (!kept.has(epoch) && epoch !== message.epoch) frames.delete(epoch);
    if (following && !timer) show(frames.size - 1);
    else replay.input.max = frames.size - 1;
  }

  for (const canvas of canvases) paint(canvas, new Uint8Array(width * height).fill(128), colours);
  limits[0].textContent = "−";
  limits[1].textContent = "+";
  replay.show("aucune");
  model.on("msg:custom", receive);
  model.send("all");
  return () => { stop(); model.off("msg:custom", receive); };
}

export default { render };
