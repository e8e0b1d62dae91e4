// La perturbation le long d'une chaîne : tout se calcule ici, Python n'a fait que le dessin.

// La même table que `course.viz.chains.FUNCTIONS` : fonction, dérivée.
const FUNCTIONS = {
  square: [(t) => t * t, (t) => 2 * t],
  cube: [(t) => t ** 3, (t) => 3 * t * t],
  inverse: [(t) => 1 / t, (t) => -1 / (t * t)],
  sin: [Math.sin, Math.cos],
  cos: [Math.cos, (t) => -Math.sin(t)],
  exp: [Math.exp, Math.exp],
  log: [(t) => (t > 0 ? Math.log(t) : NaN), (t) => (t > 0 ? 1 / t : NaN)],
  sqrt: [Math.sqrt, (t) => 0.5 / Math.sqrt(t)],
  tanh: [Math.tanh, (t) => 1 - Math.tanh(t) ** 2],
};
const SMALLEST = -4; // la poussée va de 10⁻⁴ à 1
const TRAVEL = 600; // ms par arête

function propagate(functions, x, dx) {
  const before = [x], after = [x + dx], slopes = [];
  for (const key of functions) {
    const [apply, slope] = FUNCTIONS[key];
    slopes.push(slope(before.at(-1)));
    before.push(apply(before.at(-1)));
    after.push(apply(after.at(-1)));
  }
  const changes = before.map((value, i) => after[i] - value);
  const product = slopes.reduce((all, slope) => all * slope, 1);
  return { values: before, changes, slopes, product, ratio: changes.at(-1) / changes[0] };
}

const scaleOf = (numbers) =>
  Math.max(0, ...numbers.filter(Number.isFinite).map(Math.abs)) || 1;

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const names = model.get("names");
  const [first, last] = [names[0], names.at(-1)];
  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const [low, high] = model.get("span");
  const point = slider({
    label: `Valeur de ${first}`, min: low, max: high, step: 0.01, value: model.get("x"),
    oninput: (value) => set("x", value),
  });
  const push = slider({
    label: `Poussée d${first}`, min: SMALLEST, max: 0, step: 0.05,
    value: Math.log10(Math.abs(model.get("dx")) || 1e-4),
    oninput: (value) => set("dx", Number((10 ** value).toPrecision(2))),
  });
  const button = element("button", { type: "button", onclick: () => travel() }, `Pousser ${first}`);
  const drawing = element("div", { class: "chainage-drawing" });
  drawing.innerHTML = model.get("svg");
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" }, point.holder, push.holder, button),
    drawing, status);

  const slot = Object.fromEntries(
    [...drawing.querySelectorAll("[data-slot]")].map((node) => [node.dataset.slot, node]));
  const stretch = (node, share) => {
    const { centre, room } = node.dataset;
    const length = Math.max(-1, Math.min(1, Number.isNaN(share) ? 0 : share)) * Number(room);
    node.setAttribute("x", Number(centre) + Math.min(length, 0));
    node.setAttribute("width", Math.abs(length));
  };
  let state, frame;

  function update() {
    cancelAnimationFrame(frame);
    slot.dot.setAttribute("visibility", "hidden");
    const x = model.get("x"), dx = model.get("dx");
    state = propagate(model.get("functions"), x, dx);
    const scale = scaleOf(state.changes);
    names.forEach((_, i) => {
      slot[`value-${i}`].textContent = decimal(state.values[i]);
      slot[`change-${i}`].textContent = `Δ = ${signed(state.changes[i])}`;
      stretch(slot[`bar-${i}`], state.changes[i] / scale);
    });
    state.slopes.forEach((slope, i) => { slot[`slope-${i}`].textContent = `= ${decimal(slope)}`; });
    const ends = { product: state.product, ratio: state.ratio };
    for (const [name, value] of Object.entries(ends)) {
      slot[name].textContent = decimal(value, 4);
      stretch(slot[`bar-${name}`], value / scaleOf(Object.values(ends)));
    }
    point.input.value = x;
    point.show(decimal(x));
    push.input.value = Math.log10(Math.abs(dx) || 1e-4);
    push.show(decimal(dx));
    const gap = Math.abs(state.product - state.ratio) / (Math.abs(state.ratio) || 1);
    status.textContent = `Quand ${first} passe de ${decimal(x)} à ${decimal(x + dx, 6)}, ${last} change `
      + `de ${decimal(state.changes.at(-1))}. Le produit des dérivées locales s’écarte du rapport `
      + `mesuré de ${decimal(100 * gap, 2)}\u00a0%.`;
  }

  // Le point part de x, suit chaque arête, et chaque barre pousse à son arrivée.
  function travel() {
    update();
    if (prefersStillness()) return;
    const { changes } = state;
    const scale = scaleOf(changes);
    const half = Number(slot.dot.dataset.half); // le point va d'un bord de boîte à l'autre
    const centres = names.map((_, i) => Number(slot[`bar-${i}`].dataset.centre));
    names.forEach((_, i) => { if (i) stretch(slot[`bar-${i}`], 0); });
    const start = performance.now();
    slot.dot.setAttribute("visibility", "visible");
    const step = (now) => {
      const progress = Math.max(0, now - start) / TRAVEL;
      const edge = Math.min(Math.floor(progress), names.length - 2);
      const share = Math.min(progress - edge, 1);
      const left = centres[edge] + half, right = centres[edge + 1] - half;
      const x = left + share * (right - left);
      const size = Math.abs(changes[edge]) * (1 - share) + Math.abs(changes[edge + 1]) * share;
      slot.dot.setAttribute("cx", x);
      slot.dot.setAttribute("r", 4 + 10 * Math.sqrt((size || 0) / scale));
      for (let i = 1; i <= edge; i += 1) stretch(slot[`bar-${i}`], changes[i] / scale);
      if (progress < names.length - 1) frame = requestAnimationFrame(step);
      else update();
    };
    frame = requestAnimationFrame(step);
  }

  model.on("change:x change:dx", update);
  update();
  return () => cancelAnimationFrame(frame);
}

export default { render };
