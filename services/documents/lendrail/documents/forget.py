"""What is left of an application's documents when its person was erased: that they were made, for whom, and who took
their links back.
"""

from __future__ import annotations

from collections.abc import Sequence

from lendrail.documents.files import Files
from lendrail.documents.links import Links
from lendrail.runtime.mongo import Collection
from lendrail.runtime.outbox import emptied


class Forgetter:
    def __init__(self, packages: Collection, files: Files, links: Links, quotas: Collection) -> None:
        self._packages, self._files, self._links, self._quotas = packages, files, links, quotas

    async def forget(self, applications: Sequence[str]) -> None:
        """The bytes go first. What an upload or a rendering writes at the same moment goes when this is done again."""
        for each in applications:
            await self._files.drop(each)
        await self._quotas.delete_many({"_id": {"$in": list(applications)}})
        await self._links.forget(applications)
        change = emptied()
        change["$set"] |= {"files": []}
        await self._packages.update_many({"application": {"$in": list(applications)}}, change)
