"""Le produit de matrices en instructions vectorielles, pour qu’un noyau n’ait pas à s’arrêter.

La matrice de droite est d’abord rangée en bandes de `WIDTH` colonnes (`pack` dans les noyaux) ; une
tuile de quelques lignes et d’une bande tient alors dans les registres du processeur du début à la
fin de la somme. Le texte de ce fichier est recopié dans les noyaux qui s’en servent.

Référence : K. Goto et R. van de Geijn, « Anatomy of high-performance matrix multiplication »,
ACM TOMS, 2008.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def product_tile(rows, lanes):
    """L’instruction out = c + a b, pour `rows` lignes et une bande de `lanes` colonnes.

    Chaque tableau est donné par ses éléments, le rang du premier et l’écart d’une ligne à la
    suivante ; seules les `columns` premières colonnes de c sont lues (les autres sont nulles), les
    `written` premières de out écrites.
    """
    index, vector_of = ir.IntType(32), ir.VectorType

    def masked(builder, name, result, arguments, lanes_name):
        type_ = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(builder.module, type_, f"{name}.{lanes_name}.p0")
        return builder.call(function, arguments)

    @intrinsic
    def tile(context, a, p, across, b, q, depth, c, r, down, columns, out, s, along, written):
        def generate(context, builder, signature, arguments):
            a, p, across, b, q, depth, c, r, down, columns, out, s, along, written = (
                context.make_array(type_)(context, builder, value).data
                if isinstance(type_, types.Array)
                else value
                for type_, value in zip(signature.args, arguments, strict=True)
            )
            scalar, number = a.type.pointee, p.type
            vector = vector_of(scalar, lanes)
            size = index(64 // lanes)
            lanes_name = f"v{lanes}{'f32' if lanes == 16 else 'f64'}"
            undefined = ir.Constant(vector, ir.Undefined)
            first = ir.Constant(vector_of(index, lanes), [0] * lanes)

            def place(base, start, stride, row):
                return builder.gep(base, [builder.add(start, builder.mul(stride, number(row)))])

            def vector_place(*where):
                return builder.bitcast(place(*where), vector.as_pointer())

            def spread(value, like):
                single = builder.insert_element(like, value, index(0))
                return builder.shuffle_vector(single, like, first)

            def below(count):
                positions = ir.Constant(vector_of(number, lanes), list(range(lanes)))
                like = ir.Constant(vector_of(number, lanes), ir.Undefined)
                return builder.icmp_signed("<", positions, spread(count, like))

            zero = ir.Constant(vector, [0.0] * lanes)
            mask = below(columns)
            begins = [
                masked(builder, "llvm.masked.load", vector,
                       [vector_place(c, r, down, row), size, mask, zero], lanes_name)
                for row in range(rows)
            ]  # fmt: skip
            lines = [place(a, p, across, row) for row in range(rows)]
            entry = builder.basic_block
            loop = builder.append_basic_block("somme")
            after = builder.append_basic_block("suite")
            builder.cbranch(builder.icmp_signed(">", depth, number(0)), loop, after)
            builder.position_at_end(loop)
            k = builder.phi(number)
            sums = [builder.phi(vector) for _ in range(rows)]
            band = builder.load(vector_place(b, q, k, lanes), align=64 // lanes)
            totals = []
            for line, total in zip(lines, sums, strict=True):
                product = builder.fmul(
                    spread(builder.load(builder.gep(line, [k])), undefined), band, ("contract",)
                )
                totals.append(builder.fadd(total, product, ("contract",)))
            following = builder.add(k, number(1))
            k.add_incoming(number(0), entry)
            k.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
            builder.position_at_end(after)
            ends = [builder.phi(vector) for _ in range(rows)]
            for total, begin, new, end in zip(sums, begins, totals, ends, strict=True):
                for phi in (total, end):
                    phi.add_incoming(begin, entry)
                    phi.add_incoming(new, loop)
            mask = below(written)
            for row, end in enumerate(ends):
                masked(builder, "llvm.masked.store", ir.VoidType(),
                       [end, vector_place(out, s, along, row), size, mask], lanes_name)  # fmt: skip
            return context.get_dummy_value()

        arguments = (a, p, across, b, q, depth, c, r, down, columns, out, s, along, written)
        return types.void(*arguments), generate

    return tile


def product_of(lanes):
    """La fonction out[first:last] = c[first:last] + a[first:last] b, b rangée en bandes."""
    return f"""

ROWS = 6


@njit(error_model='numpy', nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def product(a, p, across, b, depth, c, r, down, columns, out, s, along, written, first, last):
    for band in range((written + {lanes - 1}) // {lanes}):
        q, j = band * depth * {lanes}, band * {lanes}
        i = first
        while i + ROWS <= last:
            tile(a, p + i * across, across, b, q, depth, c, r + i * down + j, down, columns - j,
                 out, s + i * along + j, along, written - j)
            i += ROWS
        while i < last:
            line(a, p + i * across, across, b, q, depth, c, r + i * down + j, down, columns - j,
                 out, s + i * along + j, along, written - j)
            i += 1


tile = product_tile(ROWS, {lanes})
line = product_tile(1, {lanes})
"""
