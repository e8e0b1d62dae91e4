"""Les fichiers : écrits à côté puis renommés, scellés, verrouillés ; et les modèles pour d’autres.

Importe : core, ops.

Ordre de lecture : `files`, `named_arrays`, `onnx_file`.

On y vient changer ce qu’un fichier abîmé fait dire (`named_arrays`), comment l’on écrit (`files`),
ou l’export d’une op (`onnx_file`).
"""

from engine.io.onnx_file import write_onnx
