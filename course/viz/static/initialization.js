// L'échelle des poids de départ : Python calcule et dessine, ce fichier règle et montre.

const WIDEST = 2; // le gain va de 2⁻² à 2²

function render({ model, el }) {
  const root = rootOf(el, model.get("title"), false);
  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const gain = slider({
    label: "Écart type des poids, fois √n", min: -WIDEST, max: WIDEST, step: 0.05,
    value: Math.log2(model.get("gain")),
    oninput: (value) => set("gain", Number((2 ** value).toPrecision(3))),
  });
  const select = element("select", {
    "aria-label": "Activation", onchange: () => set("activation", select.value),
  }, ...model.get("choices").map(([key, label]) => element("option", { value: key }, label)));
  const chosen = element("label", {}, element("span", {}, "Activation"), select);
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" }, gain.holder, chosen), drawing, status);

  const draw = () => {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("text");
  };
  const settle = () => {
    gain.input.value = Math.log2(model.get("gain"));
    gain.show(decimal(model.get("gain")));
    select.value = model.get("activation");
  };
  model.on("change:svg change:text", draw);
  model.on("change:gain change:activation", settle);
  draw();
  settle();
}

export default { render };
