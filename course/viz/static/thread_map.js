// Qui lit, qui écrit : Python a tracé et dessine ; ce fichier tient le noyau, le fil et l'accès.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const set = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const select = element("select", {
    "aria-label": "Noyau", onchange: () => set("kernel", select.value),
  }, ...model.get("kernels").map((name) => element("option", { value: name }, name)));
  const chosen = element("label", {}, element("span", {}, "Noyau"), select);
  const thread = slider({
    label: "Fil", min: 0, max: model.get("threads") - 1, step: 1, value: model.get("thread"),
    oninput: (value) => set("thread", value),
  });
  const step = slider({
    label: "Accès", min: 0, max: model.get("steps"), step: 1, value: model.get("step"),
    oninput: (value) => set("step", value),
  });
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" }, chosen, thread.holder, step.holder),
    drawing, status);

  function draw() {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("text");
  }
  function follow() {
    select.value = model.get("kernel");
    for (const [{ input, show }, value, most] of [
      [thread, model.get("thread"), model.get("threads") - 1],
      [step, model.get("step"), model.get("steps")],
    ]) {
      input.max = most;
      input.value = value;
      show(`${value} sur ${most}`);
    }
  }
  model.on("change:svg change:text", draw);
  model.on("change:kernel change:threads change:thread change:steps change:step", follow);
  draw();
  follow();
}

export default { render };
