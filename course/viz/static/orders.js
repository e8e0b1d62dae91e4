// L'ordre des jacobiennes : trois curseurs ; Python compte, chronomètre et dessine.

const LABELS = ["Entrées", "Milieu", "Sorties"];
const MOVED = [0, 2, 4]; // les longueurs que règlent les curseurs

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const power = (rank) => Math.log2(model.get("sizes")[MOVED[rank]]);
  const sliders = LABELS.map((label, rank) => slider({
    label, min: 0, max: 10, step: 1, value: power(rank),
    oninput: (value) => {
      const sizes = [...model.get("sizes")];
      sizes[MOVED[rank]] = 2 ** value;
      model.set("sizes", sizes);
      model.save_changes();
    },
    onchange: () => {
      model.set("timed", [...model.get("sizes")]);
      model.save_changes();
    },
  }));
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" }, ...sliders.map(({ holder }) => holder)),
    drawing, status);

  const draw = () => {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("text");
  };
  const follow = () => sliders.forEach(({ input, show }, rank) => {
    input.value = power(rank);
    show(String(2 ** power(rank)));
  });
  model.on("change:svg change:text", draw);
  model.on("change:sizes", follow);
  draw();
  follow();
}

export default { render };
