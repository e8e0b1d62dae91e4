// La chasse au NaN : un graphe, une échelle, une étape ; Python calcule et dessine.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const choice = element("select", {
    "aria-label": "Graphe", onchange: (event) => set("graph", event.target.value),
  }, ...model.get("graphs").map(([value, name]) => element("option", { value }, name)));
  const [min, max] = model.get("exponents");
  const scale = slider({
    label: "Échelle des entrées", min, max, step: 0.5, value: model.get("exponent"),
    oninput: (value) => set("exponent", value),
  });
  const step = slider({
    label: "Étape", min: 0, max: model.get("last"), step: 1, value: model.get("step"),
    oninput: (value) => set("step", value),
  });
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" },
      element("label", {}, element("span", {}, "Graphe"), choice), scale.holder, step.holder),
    drawing, status);

  const draw = () => {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("text");
  };
  const follow = () => {
    choice.value = model.get("graph");
    scale.input.value = model.get("exponent");
    scale.show(`× ${decimal(10 ** model.get("exponent"))}`);
    step.input.max = model.get("last");
    step.input.value = model.get("step");
    step.show(`${model.get("step")} sur ${model.get("last")}`);
  };
  model.on("change:svg change:text", draw);
  model.on("change:graph change:exponent change:step change:last", follow);
  draw();
  follow();
}

export default { render };
