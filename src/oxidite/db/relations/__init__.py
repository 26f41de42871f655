"""Relations between models: declared on the class, loaded for many objects at once, never in secret.

``declare.py`` is what a class body says, ``definition.py`` the way through the tables, ``relation.py``
the relation on the class, ``handles.py`` and ``linked.py`` those on an object.
"""

from oxidite.db import repeats
from oxidite.db.relations.advice import advice
from oxidite.db.relations.cascade import delete, insert, restore, save
from oxidite.db.relations.declare import BelongsTo, HasMany, HasOne, ManyToMany, rel
from oxidite.db.relations.definition import DeclaredRelation, Definition, Keys, Link
from oxidite.db.relations.handles import Handle, Many, One, OwnedOne
from oxidite.db.relations.install import declare_relations, forget_relations, install_relations
from oxidite.db.relations.linked import Linked, Synced
from oxidite.db.relations.loading import Wanted
from oxidite.db.relations.relation import Relation, ToMany, ToOne

__all__ = [
    "BelongsTo",
    "DeclaredRelation",
    "Definition",
    "Handle",
    "HasMany",
    "HasOne",
    "Keys",
    "Link",
    "Linked",
    "Many",
    "ManyToMany",
    "One",
    "OwnedOne",
    "Relation",
    "Synced",
    "ToMany",
    "ToOne",
    "Wanted",
    "declare_relations",
    "delete",
    "forget_relations",
    "insert",
    "install_relations",
    "rel",
    "restore",
    "save",
]

repeats.advisers.append(advice)
