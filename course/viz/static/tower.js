// La tour des outils : un bouton par étage ; Python fait calculer l'étage et dit ce qu'il rend.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const floors = model.get("floors");
  const choose = (rank) => {
    if (rank === model.get("selected")) return;
    status.textContent = `${floors[rank].name}\u00a0: calcul en cours…`;
    model.set("selected", rank);
    model.save_changes();
  };
  const results = floors.map(() => element("span", { class: "chainage-floor-result" }));
  const buttons = floors.map((floor, rank) => element("button", {
    type: "button",
    class: "chainage-floor",
    style: `width: ${64 + (36 * (rank + 1)) / floors.length}%`,
    onclick: () => choose(rank),
    onkeydown: (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const next = buttons[rank + step];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    },
  }, element("span", {}, floor.name), results[rank]));
  const heading = element("p", { class: "chainage-title" });
  const role = element("p", { class: "chainage-help" });
  const code = element("code");
  const listing = element("pre", {
    class: "chainage-code", tabindex: 0, role: "region", "aria-label": "Texte de l’étage",
  }, code);
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  const tower = element("div", {
    class: "chainage-tower", role: "group", "aria-label": "Étages, de haut en bas",
  }, ...buttons);
  root.append(
    element("div", { class: "chainage-two" }, tower,
      element("div", { class: "chainage-floor-open" }, heading, role, listing)),
    status);

  const open = () => {
    const rank = model.get("selected");
    const floor = floors[rank];
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === rank)));
    heading.textContent = floor.name;
    role.textContent = floor.role + (floor.lesson ? ` · leçon ${floor.lesson}` : "");
    code.textContent = floor.code;
  };
  const report = () => {
    model.get("results").forEach((result, rank) => {
      results[rank].textContent = result;
    });
    status.textContent = model.get("text");
  };
  model.on("change:selected", open);
  model.on("change:results change:text", report);
  open();
  report();
}

export default { render };
