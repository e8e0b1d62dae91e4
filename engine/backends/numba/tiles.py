"""La tuile d’une convolution, en instructions vectorielles.

Le texte de `tile_products` est recopié dans chaque noyau de convolution, qui l’appelle avec ses
tailles : la tuile est alors une suite d’instructions sans boucle ni test.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def tile_products(kind, tile, step, width, sx, dx, lanes):
    """L’instruction qui ajoute à `sums`, à partir de a, les produits d’une tuile.

    Paramètres
        kind : "out", "x" ou "w", le tableau où s’accumulent les produits.
        tile, step, width : canaux de la tuile, places du filtre, points du filtre dans la ligne.
        sx, dx : pas et dilatation dans la ligne.
        lanes : images d’un groupe, une par élément de vecteur.
    """
    places = [(k, v, k * sx + v * dx) for k in range(step) for v in range(width)]
    offsets = sorted({offset for *_, offset in places})

    def write(builder, read, spread, add):
        if kind == "x":
            received = [read(0, k) for k in range(step)]
        else:
            seen = {offset: read(0, offset) for offset in offsets}
        for t in range(tile):
            if kind == "w":
                received = [read(1, k * tile + t) for k in range(step)]
                for v in range(width):
                    pairs = [(received[k], seen[k * sx + v * dx]) for k in range(step)]
                    add({v * tile + t: pairs})
                continue
            filters = [spread(v * tile + t) for v in range(width)]
            sums = {}
            for k, v, offset in places:
                if kind == "x":
                    sums.setdefault(offset * tile + t, []).append((filters[v], received[k]))
                else:
                    sums.setdefault(t * step + k, []).append((filters[v], seen[offset]))
            add(sums)

    @intrinsic
    def products(typing_context, vectors, p, others, q, sums, a):
        def generate(context, builder, signature, arguments):
            (first, p, second, q, third, a) = (
                context.make_array(type_)(context, builder, value).data
                if isinstance(type_, types.Array)
                else value
                for type_, value in zip(signature.args, arguments, strict=True)
            )
            bases = [(first, p), (second, q), (third, a)]
            scalar = first.type.pointee
            vector = ir.VectorType(scalar, lanes)
            bytes_ = 64 // lanes

            def place(position, offset):
                base, start = bases[position]
                return builder.gep(base, [builder.add(start, start.type(offset))])

            def vector_place(position, offset):
                return builder.bitcast(place(position, offset * lanes), vector.as_pointer())

            def read(position, offset):
                return builder.load(vector_place(position, offset), align=bytes_)

            def spread(offset):
                value = builder.load(place(1, offset))
                undefined = ir.Constant(vector, ir.Undefined)
                single = builder.insert_element(undefined, value, ir.IntType(32)(0))
                mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                return builder.shuffle_vector(single, undefined, mask)

            def add(sums):
                totals = {offset: read(2, offset) for offset in sums}
                for k in range(max(map(len, sums.values()))):
                    for offset, pairs in sums.items():
                        if k < len(pairs):
                            product = builder.fmul(*pairs[k], flags=("contract",))
                            totals[offset] = builder.fadd(
                                totals[offset], product, flags=("contract",)
                            )
                for offset, total in totals.items():
                    builder.store(total, vector_place(2, offset), align=bytes_)

            write(builder, read, spread, add)
            return context.get_dummy_value()

        return types.void(vectors, p, others, q, sums, a), generate

    return products
