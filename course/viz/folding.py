"""Replier un graphe pour qu’il reste lisible : des ancêtres sous leur nœud, un groupe en un nœud.

Un pli s’écrit comme un identifiant : celui d’un nœud (ses ancêtres qui ne servent qu’à lui
disparaissent) ou `group_id(nom)` (tous les nœuds du groupe n’en font plus qu’un). Tout part d’un
dictionnaire `{"nodes": [...], "edges": [...]}` tel que le rend `engine.printing.graph_data`.

Noms publics : `group_id`, `groups_of`, `fold`, `default_folds`.
"""

from collections import deque

READABLE = 100  # au-delà, aucun placement ne rend un graphe lisible d’un coup


def group_id(name):
    """Renvoie l’identifiant du nœud qui tient lieu du groupe `name` replié."""
    return f"groupe:{name}"


def groups_of(data):
    """Renvoie les noms des groupes du graphe, dans l’ordre de leur première apparition."""
    return list(dict.fromkeys(node["group"] for node in data["nodes"] if node.get("group")))


def default_folds(data, limit=READABLE):
    """Choisit les plis de départ : aucun sous `limit` nœuds, sinon les groupes, puis le lointain.

    Renvoie
        une liste de plis ; ce qui reste visible en appliquant `fold` tient sous `limit` nœuds dès
        que le graphe n’a pas plus de sorties que cela.
    """
    if len(data["nodes"]) <= limit:
        return []
    folds = [group_id(name) for name in groups_of(data)]
    view = fold(data, folds)
    if len(view["nodes"]) <= limit:
        return folds
    above = _neighbours(view, "target", "source")
    shown = {node["id"] for node in view["nodes"] if node["id"] in _sinks(view)}
    queue, far = deque(sorted(shown)), []
    while queue:
        node = queue.popleft()
        fresh = [n for n in above[node] if n not in shown]
        if fresh and len(shown) + len(fresh) > limit:
            far.append(node)
            continue
        shown.update(fresh)
        queue.extend(fresh)
    return folds + far


def fold(data, folds):
    """Renvoie le graphe visible quand `folds` sont repliés.

    Un nœud replié porte `"hidden"` : le nombre de nœuds qu’il cache. Un pli inconnu ne fait rien.
    """
    folds = set(folds)
    merged = _merge_groups(data, folds)
    above = _neighbours(merged, "target", "source")
    visible, stack = set(), list(_sinks(merged))
    while stack:
        node = stack.pop()
        if node in visible:
            continue
        visible.add(node)
        if node not in folds or node.startswith("groupe:"):
            stack.extend(above[node])
    nodes = []
    for node in merged["nodes"]:
        if node["id"] not in visible:
            continue
        hidden = node.get("hidden", 0)
        if node["id"] in folds and not hidden:
            hidden = _count_hidden(node["id"], above, visible)
        nodes.append({**node, "hidden": hidden, "folded": node["id"] in folds})
    edges = [
        edge
        for edge in merged["edges"]
        if edge["source"] in visible
        and edge["target"] in visible
        and (edge["target"] not in folds or edge["target"].startswith("groupe:"))
    ]
    return {"nodes": nodes, "edges": edges}


def _merge_groups(data, folds):
    place, members = {}, {}
    for node in data["nodes"]:
        name = node.get("group")
        inside = name and group_id(name) in folds
        place[node["id"]] = group_id(name) if inside else node["id"]
        members.setdefault(place[node["id"]], []).append(node)
    _absorb_constants(data, place, members)
    nodes = []
    for identifier, inner in members.items():
        first = inner[0]
        if identifier == first["id"]:
            nodes.append(first)
            continue
        detail = f"{len(inner)} nœuds repliés"
        group = {"id": identifier, "kind": "group", "label": first["group"], "detail": detail}
        nodes.append({**group, "group": first["group"], "hidden": len(inner)})
    edges, seen = [], set()
    for edge in data["edges"]:
        source, target = place[edge["source"]], place[edge["target"]]
        rewired = (source, target) != (edge["source"], edge["target"])
        if source == target or (rewired and (source, target) in seen):
            continue
        seen.add((source, target))
        edges.append({**edge, "source": source, "target": target})
    return {"nodes": nodes, "edges": edges}


def _absorb_constants(data, place, members):
    """Met dans un groupe replié les constantes qui ne servent qu’à lui."""
    uses = {}
    for edge in data["edges"]:
        uses.setdefault(edge["source"], set()).add(place[edge["target"]])
    for node in data["nodes"]:
        name, users = node["id"], uses.get(node["id"], set())
        if node["kind"] == "constant" and place[name] == name and len(users) == 1:
            (user,) = users
            if user.startswith("groupe:"):
                place[name] = user
                members[user].append(members.pop(name)[0])


def _neighbours(data, near, far):
    table = {node["id"]: [] for node in data["nodes"]}
    for edge in data["edges"]:
        table[edge[near]].append(edge[far])
    return table


def _sinks(data):
    """Renvoie les nœuds sans suite et les sorties ; à défaut (un circuit), le dernier nœud."""
    leaving = {edge["source"] for edge in data["edges"]}
    ends = [n["id"] for n in data["nodes"] if n["id"] not in leaving or n["kind"] == "output"]
    return ends or [node["id"] for node in data["nodes"][-1:]]


def _count_hidden(start, above, visible):
    seen, stack = set(), list(above[start])
    while stack:
        node = stack.pop()
        if node in seen or node in visible:
            continue
        seen.add(node)
        stack.extend(above[node])
    return len(seen)
