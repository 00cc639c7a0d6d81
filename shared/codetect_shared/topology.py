"""What stands in the broker. Every process declares all of it before it publishes or consumes anything.

Otherwise an event sent before its consumer's first start is gone, and `mandatory` does not notice: the stream takes
everything. Event queues have no maximum length (a full one makes a publish fail after other queues stored it).
"""

from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange
from pamqp.common import FieldTable

from codetect_shared.events import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisQueued,
    AnalysisStarted,
    AuditRecorded,
    Event,
    FacilityOpened,
    FacilityReactivated,
    FacilitySuspended,
    FeedbackAdjudicated,
    FeedbackGiven,
    FeedbackReopened,
    ModelDrifted,
    SettingsChanged,
    StudyErased,
    StudyReceived,
    UploadCompleted,
    UploadImported,
    UploadRefused,
)

EXCHANGE = "codetect.events"
DEAD_LETTERS = "codetect.dead-letters"
LOG = "codetect.log"
LOG_DAYS = 30
ERRORS = "codetect.errors"  # a stream of its own: no event, no facility's data (troubles.py)


@dataclass(frozen=True)
class EventQueue:
    """A durable quorum queue of one consuming service and purpose; ordered: one consumer at a time.

    direct: its events are for this consumer alone, so they go neither through the exchange nor into the stream.
    """

    name: str
    types: tuple[type[Event], ...]
    ordered: bool = False
    direct: bool = False


STUDIES = EventQueue("inference.studies", (StudyReceived, StudyErased), ordered=True)
FACILITIES = EventQueue("ingest.facilities", (FacilityOpened, FacilitySuspended, FacilityReactivated))
RESULTS = EventQueue("ingest.results", (AnalysisCompleted,))
AUDIT = EventQueue("auth.audit", (AuditRecorded,), ordered=True, direct=True)
FACTS = EventQueue("auth.facts", (SettingsChanged, AnalysisCompleted))
ENDED = EventQueue("auth.results", (AnalysisCompleted, AnalysisFailed), ordered=True)
WEBHOOKS = EventQueue(
    "auth.webhooks",
    (
        UploadCompleted,
        UploadImported,
        UploadRefused,
        StudyReceived,
        StudyErased,
        AnalysisQueued,
        AnalysisStarted,
        AnalysisCompleted,
        AnalysisFailed,
        AnalysisCancelled,
        FeedbackGiven,
        FeedbackAdjudicated,
        FeedbackReopened,
        ModelDrifted,
    ),
    ordered=True,
)
EVENT_QUEUES = (STUDIES, FACILITIES, RESULTS, FACTS, ENDED, WEBHOOKS, AUDIT)

UPLOADS_TO_READ = "ingest.reading"
UPLOADS_TO_IMPORT = "ingest.uploads"
STUDIES_TO_ASSEMBLE = "ingest.studies"
RESULTS_TO_DELIVER = "ingest.deliveries"
ANALYSES_TO_RUN = "inference.analyses"
MAILS_TO_SEND = "auth.mails"
WEBHOOKS_TO_DELIVER = "auth.deliveries"
JOB_QUEUES = (
    UPLOADS_TO_READ,
    UPLOADS_TO_IMPORT,
    STUDIES_TO_ASSEMBLE,
    RESULTS_TO_DELIVER,
    ANALYSES_TO_RUN,
    MAILS_TO_SEND,
    WEBHOOKS_TO_DELIVER,
)


async def declare(channel: AbstractChannel) -> AbstractExchange:
    """Declare everything (idempotent) and return the exchange for events."""
    exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    log_arguments: FieldTable = {"x-queue-type": "stream", "x-max-age": f"{LOG_DAYS}D"}
    log = await channel.declare_queue(LOG, durable=True, arguments=log_arguments)
    await log.bind(exchange, "#")
    error_arguments: FieldTable = {
        "x-queue-type": "stream",
        "x-max-age": "7D",
        "x-max-length-bytes": 16 * 2**20,
        "x-stream-max-segment-size-bytes": 2**20,
    }
    await channel.declare_queue(ERRORS, durable=True, arguments=error_arguments)
    await channel.declare_queue(DEAD_LETTERS, durable=True, arguments={"x-queue-type": "quorum"})
    for queue in EVENT_QUEUES:
        arguments: FieldTable = {
            "x-queue-type": "quorum",
            "x-delivery-limit": 100,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": DEAD_LETTERS,
            "x-single-active-consumer": queue.ordered,
        }
        declared = await channel.declare_queue(queue.name, durable=True, arguments=arguments)
        for event in () if queue.direct else queue.types:
            await declared.bind(exchange, event.type)
    for name in JOB_QUEUES:
        await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
    return exchange
