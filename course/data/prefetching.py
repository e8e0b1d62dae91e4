"""Préparer les lots suivants pendant que l’on calcule sur celui-ci : `Prefetched`."""

import queue
import threading

from engine.core.errors import EngineError


class Prefetched:
    """Un flux dont les lots sont préparés d’avance, dans un fil d’exécution à part.

    Le fil vit le temps d’un parcours : une boucle que l’on quitte (`break`, une erreur) l’arrête,
    et les lots préparés pour rien sont rendus au flux. Une erreur survenue en préparant un lot est
    levée dans la boucle, à la place de ce lot.

    Paramètres
        stream : le flux ; il ne doit pas être parcouru ailleurs en même temps.
        size : nombre de lots prêts d’avance, au plus (un de plus est en préparation).

    Lève
        EngineError : `size` n’est pas un entier positif ; un parcours commence quand un autre n’est
            pas fini.

    Source
        Fuel, 2015 (`MultiProcessing`).

    Exemple
        >>> from course.data import Batches
        >>> stream = Prefetched(Batches("abcd", size=3), size=1)
        >>> list(stream), stream.epoch
        ([(['a', 'b', 'c'],), (['d'],)], 1)
    """

    def __init__(self, stream, size=2):
        if not isinstance(size, int) or size < 1:
            raise EngineError(
                "Prefetched : size ne convient pas",
                expected="un entier d'au moins 1",
                received=repr(size),
                hint="2 suffit presque toujours",
            )
        self.stream, self.size = stream, size
        self._thread = None
        self._given = stream.epoch, stream.state()  # où en est celui qui parcourt

    @property
    def epoch(self):
        """Nombre d’époques données en entier."""
        return self._given[0]

    def __len__(self):
        return len(self.stream)

    def state(self):
        """Rend l’état du parcours, les lots d’avance non comptés ; voir `Batches.state`."""
        return self._given[1]

    def restore(self, state):
        """Remet le parcours où `state()` l’avait trouvé ; voir `Batches.restore`.

        Lève
            EngineError : un parcours est en cours, ou l’état ne convient pas.
        """
        self._refuse_if_running()
        self.stream.restore(state)
        self._given = self.stream.epoch, self.stream.state()

    def __iter__(self):
        self._refuse_if_running()
        ready, stop = queue.Queue(self.size), threading.Event()
        self._thread = threading.Thread(
            target=_prepare, args=(self.stream, ready, stop), daemon=True
        )
        self._thread.start()
        try:
            while True:
                batch, given, error = ready.get()
                if error is not None:
                    raise error
                if given is None:
                    return
                self._given = given
                yield batch
        finally:
            stop.set()
            while not ready.empty():  # le fil, s’il attend une place, en trouve une et s’arrête
                ready.get_nowait()
            self._thread.join()
            self._thread = None
            self.stream.restore(self._given[1])

    def _refuse_if_running(self):
        if self._thread is not None:
            raise EngineError(
                "ce flux est en cours de parcours",
                expected="un parcours à la fois",
                hint="finissez la boucle, ou fermez l'itérateur : iterateur.close()",
            )


def _prepare(stream, ready, stop):
    """Le travail du fil : des (lot, (époque, état) d’après, erreur), puis une fin."""
    last = (None, None, None)
    try:
        for batch in stream:
            if stop.is_set():
                return
            ready.put((batch, (stream.epoch, stream.state()), None))
            if stop.is_set():
                return
    except BaseException as error:  # elle est levée dans l’autre fil
        last = (None, None, error)
    ready.put(last)
