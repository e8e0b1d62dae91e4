// Le placement par couches de `course/viz/layout.py`, refait pour une page sans Python : mêmes noms,
// même ordre, mêmes nombres (tests/browser/test_graph_page.py les compare).

const STRAIGHTNESS = 6;
const SWEEPS = 6;
const WALL = 3;
const RELAYS = 20000;
const STUB = 14;

// sizes : Map nœud -> [largeur, hauteur] ; edges : [source, cible] ; labels : [l, h] ou null.
function layeredLayout(sizes, edges, labels, gap = [22, 30], margin = 10) {
  const halved = labels.some(Boolean);
  const ranks = rankNodes(sizes, edges);
  if (halved) for (const [node, rank] of ranks) ranks.set(node, 2 * rank);
  const layers = makeLayers(sizes, edges, labels, ranks);
  const order = orderRows(layers);
  const x = placeRows(layers, order, gap[0]);
  const { y, reach, height } = rowHeights(layers, order, gap[1], margin, halved);
  let left = Infinity;
  let right = -Infinity;
  for (const [node, at] of x) {
    left = Math.min(left, at - layers.widths.get(node) / 2);
    right = Math.max(right, at + layers.widths.get(node) / 2);
  }
  if (!x.size) left = right = 0;
  left -= margin;
  right += margin;
  const centres = new Map([...x].map(([node, at]) => [node, [at - left, y.get(node)]]));
  const corridors = makeCorridors(layers, order, centres, reach);
  return {
    width: right - left,
    height,
    centres,
    paths: drawPaths(layers, edges, sizes, centres, corridors),
    labelCentres: layers.labelNodes.map((node) => (node === null ? null : centres.get(node))),
  };
}

function rankNodes(sizes, edges) {
  const targets = new Map([...sizes.keys()].map((node) => [node, []]));
  const waiting = new Map([...sizes.keys()].map((node) => [node, 0]));
  for (const [source, target] of edges) {
    targets.get(source).push(target);
    waiting.set(target, waiting.get(target) + 1);
  }
  const sources = [...sizes.keys()].filter((node) => !waiting.get(node));
  const lowest = new Map([...sizes.keys()].map((node) => [node, 0]));
  const ranks = new Map();
  const ready = [...sources];
  const pending = sizes.keys();
  while (ranks.size < sizes.size) {
    let node;
    if (ready.length) node = ready.pop();
    else do node = pending.next().value; while (ranks.has(node)); // un circuit : coupé ici
    if (ranks.has(node)) continue;
    ranks.set(node, lowest.get(node));
    for (const target of targets.get(node)) {
      lowest.set(target, Math.max(lowest.get(target), ranks.get(node) + 1));
      waiting.set(target, waiting.get(target) - 1);
      if (!waiting.get(target) && !ranks.has(target)) ready.push(target);
    }
  }
  for (const node of sources) {
    const below = targets.get(node);
    if (!below.length) continue;
    let nearest = Infinity;
    for (const target of below) nearest = Math.min(nearest, ranks.get(target));
    ranks.set(node, nearest - 1);
  }
  return ranks;
}

function tooLong(edges, ranks) {
  const spans = edges.map(([source, target]) => Math.abs(ranks.get(target) - ranks.get(source)));
  let excess = spans.reduce((a, b) => a + b, 0) - Math.max(RELAYS, 2 * edges.length);
  const cut = new Set();
  if (excess <= 0) return cut;
  for (const number of edges.map((_, i) => i).sort((a, b) => spans[b] - spans[a])) {
    if (excess <= 0) break;
    cut.add(number);
    excess -= spans[number];
  }
  return cut;
}

function makeLayers(sizes, edges, labels, ranks) {
  const layers = {
    widths: new Map(), tall: new Map(), real: new Set(sizes.keys()), rows: [],
    above: new Map(), below: new Map(), chains: [], labelNodes: [], cut: tooLong(edges, ranks),
  };
  for (const [node, [width, height]] of sizes) {
    layers.widths.set(node, width);
    layers.tall.set(node, height);
    layers.above.set(node, []);
    layers.below.set(node, []);
    const rank = ranks.get(node);
    while (layers.rows.length <= rank) layers.rows.push([]);
    layers.rows[rank].push(node);
  }
  edges.forEach(([source, target], number) => {
    const start = ranks.get(source);
    const end = ranks.get(target);
    if (layers.cut.has(number)) {
      layers.chains.push([source, target]);
      layers.labelNodes.push(null);
      return;
    }
    const [upper, lower] = start < end ? [source, target] : [target, source];
    const first = Math.min(start, end) + 1;
    const last = Math.max(start, end);
    const middle = first + Math.floor((last - first) / 2);
    const chain = [upper];
    let labelNode = null;
    for (let rank = first; rank < last; rank++) {
      const relay = `relais ${number} ${rank}`;
      layers.widths.set(relay, 8);
      layers.tall.set(relay, 0);
      if (labels[number] && rank === middle) {
        layers.widths.set(relay, labels[number][0]);
        layers.tall.set(relay, labels[number][1]);
        labelNode = relay;
      }
      layers.rows[rank].push(relay);
      layers.above.set(relay, []);
      layers.below.set(relay, []);
      chain.push(relay);
    }
    chain.push(lower);
    for (let i = 1; i < chain.length; i++) {
      layers.below.get(chain[i - 1]).push(chain[i]);
      layers.above.get(chain[i]).push(chain[i - 1]);
    }
    layers.chains.push(upper === source ? chain : chain.reverse());
    layers.labelNodes.push(labelNode);
  });
  return layers;
}

function firstAbove(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

const positions = (row) => new Map(row.map((node, i) => [node, i]));

function countCrossings(layers, order) {
  let total = 0;
  for (let i = 1; i < order.length; i++) {
    const rank = positions(order[i]);
    const seen = [];
    for (const node of order[i - 1]) {
      const ends = layers.below.get(node).map((n) => rank.get(n)).filter((r) => r !== undefined);
      for (const end of ends) total += seen.length - firstAbove(seen, end);
      for (const end of ends) seen.splice(firstAbove(seen, end), 0, end);
    }
  }
  return total;
}

function orderRows(layers) {
  const order = layers.rows.map((row) => [...row]);
  let best = order.map((row) => [...row]);
  let fewest = countCrossings(layers, order);
  for (let sweep = 0; sweep < SWEEPS && fewest; sweep++) {
    const downward = sweep % 2 === 0;
    const neighbours = downward ? layers.above : layers.below;
    for (let step = 1; step < order.length; step++) {
      const i = downward ? step : order.length - 1 - step;
      const other = downward ? order[i - 1] : order[i + 1];
      const rank = positions(other);
      const scale = other.length / Math.max(order[i].length, 1);
      const key = new Map(order[i].map((node, j) => {
        const near = neighbours.get(node).map((n) => rank.get(n)).filter((r) => r !== undefined);
        return [node, near.length ? near.reduce((a, b) => a + b, 0) / near.length : j * scale];
      }));
      order[i].sort((a, b) => key.get(a) - key.get(b));
    }
    const crossings = countCrossings(layers, order);
    if (crossings < fewest) {
      best = order.map((row) => [...row]);
      fewest = crossings;
    }
  }
  return best;
}

function placeRows(layers, order, gap) {
  const x = new Map();
  for (const row of order) {
    let edge = 0;
    for (const node of row) {
      x.set(node, edge + layers.widths.get(node) / 2);
      edge += layers.widths.get(node) + gap;
    }
    for (const node of row) x.set(node, x.get(node) - edge / 2);
  }
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const downward = sweep % 2 === 0;
    for (const row of downward ? order : [...order].reverse()) {
      const wanted = [];
      const weights = [];
      for (const node of row) {
        const above = layers.above.get(node);
        const below = layers.below.get(node);
        let near = [...above, ...below];
        if (layers.real.has(node)) {
          near = downward ? (above.length ? above : below) : (below.length ? below : above);
        }
        const sum = near.reduce((total, n) => total + x.get(n), 0);
        wanted.push(near.length ? sum / near.length : x.get(node));
        weights.push(layers.real.has(node) ? 1 : STRAIGHTNESS);
      }
      spread(layers, row, wanted, weights, gap).forEach((at, i) => x.set(row[i], at));
    }
  }
  return x;
}

function spread(layers, row, wanted, weights, gap) {
  const offsets = [];
  let edge = 0;
  for (const node of row) {
    offsets.push(edge + layers.widths.get(node) / 2);
    edge += layers.widths.get(node) + gap;
  }
  const blocks = [];
  wanted.forEach((want, i) => {
    let block = { mean: want - offsets[i], weight: weights[i], count: 1 };
    while (blocks.length && blocks.at(-1).mean > block.mean) {
      const other = blocks.pop();
      const weight = block.weight + other.weight;
      const mean = (block.mean * block.weight + other.mean * other.weight) / weight;
      block = { mean, weight, count: block.count + other.count };
    }
    blocks.push(block);
  });
  const means = blocks.flatMap((block) => Array(block.count).fill(block.mean));
  return means.map((mean, i) => mean + offsets[i]);
}

function rowHeights(layers, order, gap, margin, halved) {
  const y = new Map();
  const reach = new Map();
  const step = halved ? gap / 2 : gap;
  let top = margin;
  for (const row of order) {
    let tall = 0;
    for (const node of row) tall = Math.max(tall, layers.tall.get(node));
    for (const node of row) {
      y.set(node, top + tall / 2);
      reach.set(node, tall / 2);
    }
    top += tall + step;
  }
  return { y, reach, height: order.length ? top - step + margin : 2 * margin };
}

function makeCorridors(layers, order, centres, reach) {
  const left = new Map();
  const right = new Map();
  for (const row of order) {
    let wall = -Infinity;
    for (const node of row) {
      left.set(node, wall);
      if (layers.tall.get(node)) wall = centres.get(node)[0] + layers.widths.get(node) / 2;
    }
    wall = Infinity;
    for (const node of [...row].reverse()) {
      right.set(node, wall);
      if (layers.tall.get(node)) wall = centres.get(node)[0] - layers.widths.get(node) / 2;
    }
  }
  const crossing = (relay, down, slope) => {
    const [x, y] = centres.get(relay);
    const high = reach.get(relay) * down;
    const low = left.get(relay) + WALL;
    const top = right.get(relay) - WALL;
    return [-high, high].map((dy) => [Math.min(Math.max(x + slope * dy, low), top), y + dy]);
  };
  return { reach, crossing };
}

function drawPaths(layers, edges, sizes, centres, corridors) {
  const into = new Map();
  const out = new Map();
  const add = (table, node, entry) => {
    if (!table.has(node)) table.set(node, []);
    table.get(node).push(entry);
  };
  edges.forEach(([source, target], number) => {
    const chain = layers.chains[number];
    add(into, target, [centres.get(chain.at(-2))[0], number]);
    add(out, source, [centres.get(chain[1])[0], number]);
  });
  const portIn = ports(into, sizes);
  const portOut = ports(out, sizes);
  return edges.map(([source, target], number) => {
    const [x1, y1] = centres.get(source);
    const [x2, y2] = centres.get(target);
    const down = y2 >= y1 ? 1 : -1;
    const start = [x1 + portOut.get(number), y1 + (down * sizes.get(source)[1]) / 2];
    const end = [x2 + portIn.get(number), y2 - (down * sizes.get(target)[1]) / 2];
    if (layers.cut.has(number)) {
      const outOf = [start[0], start[1] + down * STUB];
      const intoIt = [end[0], end[1] - down * STUB];
      return `${curve([start, outOf])} ${curve([intoIt, end])}`;
    }
    const relays = layers.chains[number].slice(1, -1);
    const slopes = slopesOf([start, ...relays.map((relay) => centres.get(relay)), end]).slice(1, -1);
    const points = [start, [start[0], y1 + down * corridors.reach.get(source)]];
    relays.forEach((relay, i) => points.push(...corridors.crossing(relay, down, slopes[i])));
    points.push([end[0], y2 - down * corridors.reach.get(target)], end);
    const distinct = new Map(points.map((point) => [point.join(" "), point]));
    return curve([...distinct.values()]);
  });
}

function slopesOf(points) {
  const steps = [];
  for (let i = 1; i < points.length; i++) {
    const [[x1, y1], [x2, y2]] = [points[i - 1], points[i]];
    steps.push(y2 === y1 ? 0 : (x2 - x1) / (y2 - y1));
  }
  const inner = steps.slice(1).map((b, i) => (steps[i] * b > 0 ? 2 / (1 / steps[i] + 1 / b) : 0));
  return [0, ...inner, 0];
}

function curve(points) {
  const slopes = slopesOf(points);
  const write = (...numbers) => numbers.map((number) => number.toFixed(1)).join(",");
  let path = `M${write(...points[0])}`;
  for (let i = 0; i + 1 < points.length; i++) {
    const [[x1, y1], [x2, y2]] = [points[i], points[i + 1]];
    const third = slopes[i] || slopes[i + 1] ? (y2 - y1) / 3 : (y2 - y1) / 2;
    path += ` C${write(x1 + slopes[i] * third, y1 + third)} `
      + `${write(x2 - slopes[i + 1] * third, y2 - third)} ${write(x2, y2)}`;
  }
  return path;
}

function ports(byNode, sizes) {
  const found = new Map();
  for (const [node, entries] of byNode) {
    const step = Math.min(16, (0.5 * sizes.get(node)[0]) / entries.length);
    entries.sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .forEach(([, number], i) => found.set(number, (i - (entries.length - 1) / 2) * step));
  }
  return found;
}
