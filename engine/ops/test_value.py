"""La valeur d’essai d’une variable (`v.tag.test_value`), comme dans Theano."""

from engine.core.errors import EngineError
from engine.core.graph import Constant
from engine.core.sharedvalue import SharedVariable


def get_test_value(variable):
    """La valeur d’essai d’une variable (celle d’une constante ou d’une partagée), ou None."""
    if isinstance(variable, Constant):
        return variable.data
    if isinstance(variable, SharedVariable):
        return variable.get_value(borrow=True)
    value = getattr(variable.tag, "test_value", None)
    if value is None or variable.owner is not None:
        return value
    try:
        return variable.type.filter(value, allow_downcast=True)
    except EngineError as error:
        error.summary = f"{variable}.tag.test_value : {error.summary}"
        raise
