"""Where Stripe tells what becomes of subscriptions: ``POST /webhooks/stripe``."""

from __future__ import annotations

import logging
import time

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mula_platform import payments, stripe
from mula_platform.service import Platform

LOG = logging.getLogger("mula_platform")
ROUTER = APIRouter()


@ROUTER.post("/webhooks/stripe")
async def stripe_event(request: Request) -> Response:
    """An event. 200 once it is written down, whether or not anybody here has the subscription; 400 if it is none.

    Whatever else is answered (503 during maintenance, or without the database), Stripe sends it again for days.
    """
    platform: Platform = request.app.state.platform
    try:
        # the signature is over the bytes as they came
        payload = await request.body()
    except ClientDisconnect:
        return PlainTextResponse("not all of it came\n", 400)
    return await run_in_threadpool(_take, platform, payload, request.headers.get("stripe-signature", ""))


def _take(platform: Platform, payload: bytes, header: str) -> Response:
    events = platform.metrics.stripe_events
    try:
        source = stripe.source_of(payload, header, platform.settings.stripe_secrets, time.time())
    except stripe.UnsignedError as error:
        events.labels("unknown", "refused").inc()
        LOG.info("event refused: %s", error.reason)
        return PlainTextResponse(f"not signed: {error.reason}\n", 400)
    try:
        fact = stripe.read(payload)
    except stripe.MalformedError as error:
        events.labels(source, "malformed").inc()
        LOG.warning("%s: an event cannot be read: %s", source, error.reason)
        return PlainTextResponse(f"not an event: {error.reason}\n", 400)
    became = payments.take(platform.database, source, fact)
    events.labels(source, became).inc()
    return PlainTextResponse(f"{became}\n")
