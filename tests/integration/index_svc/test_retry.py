"""An asset that failed is tried again, once, however often that is asked."""

from __future__ import annotations

import pytest

from index_svc.records import AssetDraft, AssetStatus
from index_svc.store import assets
from mesh.errors import Conflict
from mesh.media import MediaType
from tests.integration.index_svc.test_bulk import Desk, desk
from tests.integration.index_svc.test_store import fingerprint

__all__ = ["desk"]


async def test_retry_that_comes_again_says_how_far_the_first_one_is(desk: Desk) -> None:
    draft = AssetDraft(media_type=MediaType.IMAGE, url="http://a.example/x.jpg", name="", collection="", owner="", metadata={})
    asset, job = await desk.index.accept(desk.project, draft)
    ((number,),) = await desk.ask("SELECT number FROM assets")
    assert isinstance(number, int)
    async with desk.database.transaction() as connection:
        assert await assets.begin_processing(connection, number)
        await assets.fail(connection, number, "fetch_failed", "it was away")
    assert await desk.index.retry(desk.project, asset) == (job, AssetStatus.PENDING)
    assert await desk.index.retry(desk.project, asset) == (job, AssetStatus.PENDING)
    # One piece of work for the first time, one for both retries.
    assert await desk.ask("SELECT count(*) FROM procrastinate_jobs") == [(2,)]
    async with desk.database.transaction() as connection:
        assert await assets.begin_processing(connection, number)
    assert await desk.index.retry(desk.project, asset) == (job, AssetStatus.PROCESSING)
    async with desk.database.transaction() as connection:
        assert await assets.make_ready(connection, number, fingerprint([1, 2, 3]))
    with pytest.raises(Conflict):
        await desk.index.retry(desk.project, asset)
