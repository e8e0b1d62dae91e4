// Les plis de `course/viz/folding.py`, refaits pour une page sans Python (mêmes noms, mêmes règles).
// `groupOf(node)` dit à quel groupe un nœud appartient : sa couche, ou la ligne qui l'a écrit.

const READABLE = 100;
const GROUP = "groupe:";
const isGroup = (id) => id.startsWith(GROUP);

function groupsOf(data, groupOf) {
  return [...new Set(data.nodes.map(groupOf).filter(Boolean))];
}

function defaultFolds(data, groupOf, limit = READABLE) {
  if (data.nodes.length <= limit) return [];
  const folds = groupsOf(data, groupOf).map((name) => GROUP + name);
  const view = foldGraph(data, new Set(folds), groupOf);
  if (view.nodes.length <= limit) return folds;
  const above = neighbours(view, "target", "source");
  const ends = sinks(view);
  const shown = new Set(view.nodes.map((node) => node.id).filter((id) => ends.has(id)));
  const queue = [...shown];
  const far = [];
  for (let i = 0; i < queue.length; i++) {
    const fresh = above.get(queue[i]).filter((id) => !shown.has(id));
    if (fresh.length && shown.size + fresh.length > limit) far.push(queue[i]);
    else for (const id of new Set(fresh)) { shown.add(id); queue.push(id); }
  }
  return [...folds, ...far];
}

function foldGraph(data, folds, groupOf) {
  const merged = mergeGroups(data, folds, groupOf);
  const above = neighbours(merged, "target", "source");
  const visible = new Set();
  const stack = [...sinks(merged)];
  while (stack.length) {
    const id = stack.pop();
    if (visible.has(id)) continue;
    visible.add(id);
    if (!folds.has(id) || isGroup(id)) stack.push(...above.get(id));
  }
  const nodes = merged.nodes.filter((node) => visible.has(node.id)).map((node) => {
    const closed = folds.has(node.id) && !node.hidden;
    return { ...node, hidden: closed ? countHidden(node.id, above, visible) : node.hidden || 0 };
  });
  const open = (id) => !folds.has(id) || isGroup(id);
  const edges = merged.edges.filter((edge) =>
    visible.has(edge.source) && visible.has(edge.target) && open(edge.target));
  return { nodes, edges };
}

function mergeGroups(data, folds, groupOf) {
  const place = new Map();
  const members = new Map();
  for (const node of data.nodes) {
    const name = groupOf(node);
    const at = name && folds.has(GROUP + name) ? GROUP + name : node.id;
    place.set(node.id, at);
    if (!members.has(at)) members.set(at, []);
    members.get(at).push(node);
  }
  absorbConstants(data, place, members);
  const nodes = [...members].map(([id, inner]) => {
    if (id === inner[0].id) return inner[0];
    const label = groupOf(inner[0]);
    const share = inner.reduce((total, node) => total + (node.share || 0), 0);
    const lit = inner.some((node) => node.lit);
    return {
      id, kind: "group", label, detail: `${inner.length} nœuds repliés`, hidden: inner.length,
      group: label, lit, share: inner.some((node) => node.share !== undefined) ? share : undefined,
    };
  });
  const seen = new Set();
  const edges = [];
  for (const edge of data.edges) {
    const [source, target] = [place.get(edge.source), place.get(edge.target)];
    const rewired = source !== edge.source || target !== edge.target;
    const key = `${source} ${target}`;
    if (source === target || (rewired && seen.has(key))) continue;
    seen.add(key);
    edges.push({ ...edge, source, target });
  }
  return { nodes, edges };
}

function absorbConstants(data, place, members) {
  const uses = new Map();
  for (const edge of data.edges) {
    if (!uses.has(edge.source)) uses.set(edge.source, new Set());
    uses.get(edge.source).add(place.get(edge.target));
  }
  for (const node of data.nodes) {
    const users = [...(uses.get(node.id) || [])];
    if (node.kind !== "constant" || place.get(node.id) !== node.id || users.length !== 1) continue;
    if (!isGroup(users[0])) continue;
    place.set(node.id, users[0]);
    members.get(users[0]).push(node);
    members.delete(node.id);
  }
}

function neighbours(data, near, far) {
  const table = new Map(data.nodes.map((node) => [node.id, []]));
  for (const edge of data.edges) table.get(edge[near]).push(edge[far]);
  return table;
}

function sinks(data) {
  const leaving = new Set(data.edges.map((edge) => edge.source));
  const ends = data.nodes.filter((node) => !leaving.has(node.id) || node.kind === "output");
  return new Set((ends.length ? ends : data.nodes.slice(-1)).map((node) => node.id));
}

function countHidden(start, above, visible) {
  const seen = new Set();
  const stack = [...above.get(start)];
  while (stack.length) {
    const id = stack.pop();
    if (seen.has(id) || visible.has(id)) continue;
    seen.add(id);
    stack.push(...above.get(id));
  }
  return seen.size;
}
