"""Ce que le texte d’un noyau emploie et que numba-cuda n’a pas, pour le compilateur.

`simulated` en donne le jumeau, de mêmes noms, pour le simulateur. Un texte s’en sert sans import :
les deux machines les lui apportent.

    load4(a, i)                 quatre éléments voisins, d’un seul accès ; i est un multiple de 4
    store4(a, i, u, v, w, x)    les écrit de même
    load2, store2               de même pour deux éléments
    load8, store8               de même pour huit éléments de 8 ou 16 bits, en mémoire globale
    pointer(shared)             l’adresse d’un tableau en mémoire partagée : indices sans contrôle
    shuffle_xor(x, d)           la valeur que tient le fil de rang t ^ d du même warp
    from_half(x), to_half(x)    d’un float16 rangé en mémoire à un float32, et retour, arrondi
    from_brain(x), to_brain(x)  de même pour un bfloat16
    add_at(a, i, x)             l’ajout atomique ; max_at(a, i, x), le maximum, d’entiers
    rounding_floor(x)…          les arrondis d’un nombre seul

Ce fichier et `cubins` sont les seuls à toucher à l’intérieur de numba-cuda.
"""

import functools
import importlib
import re
import types


@functools.cache
def compiled_functions():
    """Les fonctions, par nom ; demande numba-cuda."""
    return {
        **_memory_functions(),
        **_half_functions(),
        **_warp(),
    }


def _numba():
    """Ce qui sert à dire à numba-cuda comment traduire une fonction."""
    return (
        importlib.import_module("numba.cuda.extending"),
        importlib.import_module("numba.cuda.types"),
        importlib.import_module("llvmlite.ir"),
    )


def _memory_functions():
    extending, kinds, ir = _numba()
    declare = importlib.import_module("numba.cuda.nvvmutils")
    tuples = importlib.import_module("numba.cuda.cgutils")

    def element(context, builder, pointer, place, kind):
        return builder.gep(pointer, [context.cast(builder, place, kind, kinds.intp)])

    @extending.intrinsic
    def add_at(context, pointer, place, value):
        kind = pointer.dtype

        def emit(context, builder, signature, values):
            at = element(context, builder, values[0], values[1], place)
            amount = context.cast(builder, values[2], value, kind)
            if kind in kinds.integer_domain:
                return builder.atomic_rmw("add", at, amount, "monotonic")
            add = getattr(declare, f"declare_atomic_add_{kind}")
            return builder.call(add(builder.module), [at, amount])

        return kind(pointer, place, value), emit

    @extending.intrinsic
    def max_at(context, pointer, place, value):
        kind = pointer.dtype

        def emit(context, builder, signature, values):
            at = element(context, builder, values[0], values[1], place)
            amount = context.cast(builder, values[2], value, kind)
            return builder.atomic_rmw("max" if kind.signed else "umax", at, amount, "monotonic")

        return kind(pointer, place, value), emit

    index, word = ir.IntType(32), ir.IntType(32)

    def packing(context, kind, count):
        """L’élément ; combien tiennent dans un mot de 32 bits ; combien de mots, ou d’éléments s’il
        n’en tient qu’un, fait l’accès ; l’alignement.

        Huit éléments courts passent par des mots : LLVM couperait leur vecteur en deux.
        """
        item = context.get_data_type(kind)
        size = context.get_abi_sizeof(item)
        each = 4 // size if size < 4 and count == 8 else 1
        return item, each, count // each, min(count * size, 16)

    def loading(count):
        @extending.intrinsic
        def load(context, pointer, place):
            def emit(context, builder, signature, values):
                item, each, parts, alignment = packing(context, pointer.dtype, count)
                at = element(context, builder, *values, place)
                if each == 1:
                    source = builder.bitcast(at, ir.VectorType(item, count).as_pointer())
                    whole = builder.load(source, align=alignment)
                    items = [builder.extract_element(whole, index(k)) for k in range(count)]
                    return tuples.pack_array(builder, items)
                names = ", ".join(f"${k}" for k in range(parts))
                text = f"ld.global.v{parts}.u32 {{{names}}}, [${parts}];"
                result = ir.LiteralStructType([word] * parts)
                shape = ir.FunctionType(result, [at.type])
                constraints = ",".join(["=r"] * parts + ["l", "~{memory}"])
                read = ir.InlineAsm(shape, text, constraints, side_effect=True)
                whole, items = builder.call(read, [at]), []
                for part in range(parts):
                    bits = builder.extract_value(whole, part)
                    for k in range(each):
                        shifted = builder.lshr(bits, word(k * item.width))
                        items.append(builder.trunc(shifted, item))
                return tuples.pack_array(builder, items)

            return kinds.UniTuple(pointer.dtype, count)(pointer, place), emit

        return load

    def store(context, pointer, place, *items):
        def emit(context, builder, signature, values):
            item, each, parts, alignment = packing(context, pointer.dtype, len(items))
            at = element(context, builder, values[0], values[1], place)
            stored = [
                context.cast(builder, value, kind, pointer.dtype)
                for value, kind in zip(values[2:], items, strict=True)
            ]
            if each > 1:
                words = [builder.zext(value, word) for value in stored]
                stored = []
                for part in range(parts):
                    bits = words[part * each]
                    for k in range(1, each):
                        more = builder.shl(words[part * each + k], word(k * item.width))
                        bits = builder.or_(bits, more)
                    stored.append(bits)
            vector = ir.VectorType(stored[0].type, parts)
            whole = vector(ir.Undefined)
            for k, value in enumerate(stored):
                whole = builder.insert_element(whole, value, index(k))
            builder.store(whole, builder.bitcast(at, vector.as_pointer()), align=alignment)
            return context.get_dummy_value()

        return kinds.void(pointer, place, *items), emit

    @extending.intrinsic
    def store2(context, pointer, place, a, b):
        return store(context, pointer, place, a, b)

    @extending.intrinsic
    def store4(context, pointer, place, a, b, c, d):
        return store(context, pointer, place, a, b, c, d)

    @extending.intrinsic
    def store8(context, pointer, place, a, b, c, d, e, f, g, h):
        return store(context, pointer, place, a, b, c, d, e, f, g, h)

    @extending.intrinsic
    def pointer(context, array):
        def emit(context, builder, signature, values):
            return context.make_array(array)(context, builder, value=values[0]).data

        return kinds.CPointer(array.dtype)(array), emit

    return {
        "add_at": add_at, "max_at": max_at, "pointer": pointer,
        "load2": loading(2), "load4": loading(4), "load8": loading(8),
        "store2": store2, "store4": store4, "store8": store8,
    }  # fmt: skip


def _half_functions():
    extending, kinds, ir = _numba()
    word, real = ir.IntType(16), ir.FloatType()

    def assembly(text, result, argument, constraints):
        """Une fonction d’une instruction de la machine."""

        def make(kind_in, kind_out):
            @extending.intrinsic
            def function(context, x):
                def emit(context, builder, signature, values):
                    value = context.cast(builder, values[0], x, kind_in)
                    shape = ir.FunctionType(result, [argument])
                    return builder.call(ir.InlineAsm(shape, text, constraints), [value])

                return kind_out(x), emit

            return function

        return make

    from_half = assembly("cvt.f32.f16 $0, $1;", real, word, "=f,h")(kinds.uint16, kinds.float32)
    to_half = assembly("cvt.rn.f16.f32 $0, $1;", word, real, "=h,f")(kinds.float32, kinds.uint16)

    return {
        "from_half": from_half, "to_half": to_half,
    }  # fmt: skip


def _warp():
    cuda = importlib.import_module("numba.cuda")

    @cuda.jit(device=True, inline="always")
    def shuffle_xor(x, d):
        return cuda.shfl_xor_sync(0xFFFFFFFF, x, d)

    return {"shuffle_xor": shuffle_xor}


def asks_intrinsics(request):
    """Ce texte est-il d’avant le dialecte commun ?"""
    names = "load|store|pointer|shuffle_xor|from_half|to_half"
    return any("*" in word for word in request.signature) or re.search(
        rf"\b({names})\w*\(", request.text
    )


@functools.cache
def _compiler(capability):
    compiler = importlib.import_module("numba.cuda.compiler")
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    present = types.SimpleNamespace(compute_capability=capability[:2])
    dispatcher.get_current_device = lambda: present
    return compiler, importlib.import_module("numba.cuda.types")


def compiled_with_intrinsics(request, capability):
    """Le cubin, par l’intérieur de numba-cuda."""
    compiler, kinds = _compiler(capability)
    scope = dict(compiled_functions())
    text = re.sub(r"\bcuda\.atomic\.(add|max)\(", r"\1_at(", request.text)
    text = re.sub(r"cuda\.shared\.array\(([^()]+)\)", r"cuda.shared.array(\1, alignment=16)", text)
    exec(compile(text, f"<{request.name}>", "exec"), scope)
    halves = {"float16": "uint16"} if "_half(" in request.text else {}
    stored = {"bool": "uint8", "bfloat16": "uint16", **halves}

    def kind(word):
        dtype, axes, _ = word.partition("[")
        if axes:
            held = getattr(kinds, stored.get(dtype, dtype))
            return kinds.Array(held, word.count(",") + 1, "C" if "::1" in word else "A")
        if word.endswith("*"):
            return kinds.CPointer(getattr(kinds, stored.get(word[:-1], word[:-1])))
        return getattr(kinds, word.replace("bool", "boolean"))

    library, _ = compiler._compile_pyfunc_with_fixup(
        scope["kernel"], tuple(map(kind, request.signature)), device=False, abi="numba",
        cc=capability, lto=True, launch_bounds=(request.block, scope.get("RESIDENTS", 1)),
    )  # fmt: skip
    library._lto = True
    library._nvvm_options.pop("gen-lto", None)
    code = library.get_cubin(cc=capability).code
    return library._entry_name.encode() + b"\0" + code
