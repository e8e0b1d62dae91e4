// Le filtre qui parcourt l'image : Python calcule et dessine, ce fichier règle et montre.

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function render({ model, el }) {
  const root = rootOf(el, model.get("title"), false);
  const [rows, columns] = model.get("shape");
  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const place = () => [Math.floor(model.get("position") / columns), model.get("position") % columns];
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  const move = (row, column) => set("position", within(row, rows) * columns + within(column, columns));

  const position = slider({
    label: "Position", min: 0, max: rows * columns - 1, step: 1, value: model.get("position"),
    oninput: (value) => set("position", value),
  });
  const select = element("select", {
    "aria-label": "Filtre", onchange: () => set("filter", Number(select.value)),
  }, ...model.get("names").map((name, value) => element("option", { value }, name)));
  const flip = element("input", { type: "checkbox", onchange: () => set("flipped", flip.checked) });
  const drawing = element("div", {
    class: "chainage-drawing chainage-moving", tabindex: 0, role: "application",
    "aria-label": "Image et carte\u00a0: les flèches déplacent le filtre",
  });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" },
      position.holder,
      element("label", {}, element("span", {}, "Filtre"), select),
      element("label", {}, flip, element("span", {}, "retourner le filtre"))),
    drawing, status,
    element("p", { class: "chainage-help" },
      "Glissez sur l’image ou sur la carte, ou prenez les flèches du clavier."));

  drawing.addEventListener("keydown", (event) => {
    if (!ARROWS[event.key]) return;
    event.preventDefault();
    const [row, column] = place();
    move(row + ARROWS[event.key][0], column + ARROWS[event.key][1]);
  });
  // La souris vise le milieu de la fenêtre sur l'image, le pixel même sur la carte.
  let aimed;
  const aim = (event) => {
    const target = drawing.querySelector(`[data-slot="${aimed}"]`);
    const frame = target.getBoundingClientRect();
    const [high, wide] = target.dataset.shape.split(" ").map(Number);
    const row = Math.floor((event.clientY - frame.top) / frame.height * high);
    const column = Math.floor((event.clientX - frame.left) / frame.width * wide);
    move(row - Math.floor((high - rows) / 2), column - Math.floor((wide - columns) / 2));
  };
  drawing.addEventListener("pointerdown", (event) => {
    aimed = event.target.dataset.slot;
    if (!aimed || event.button !== 0) return;
    drawing.setPointerCapture(event.pointerId);
    aim(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (drawing.hasPointerCapture(event.pointerId)) aim(event);
  });

  const draw = () => {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("text");
  };
  const settle = () => {
    const [row, column] = place();
    position.input.value = model.get("position");
    position.show(`ligne ${row}, colonne ${column}`);
    select.value = model.get("filter");
    flip.checked = model.get("flipped");
  };
  model.on("change:svg change:text", draw);
  model.on("change:position change:filter change:flipped", settle);
  draw();
  settle();
}

export default { render };
