"""Le GPU : ce que le compilateur lui confie (`compiling/`), et ses noyaux (`kernels/`).

Importe : core, ops, loops, backends.

Ordre de lecture : `compiling/` (`transfers`, `placement`, `sections`, `notes`), `program` (ce que
cela change au programme émis), puis `kernels/`, par `kernels/readable/`, les noyaux de la leçon 10.

On y vient ajouter un noyau (`@device_kernel(Op)` dans un fichier de `kernels/`), changer ce qui est
placé (`placement`), ou fondre deux ops (`device_fusion`).
"""
