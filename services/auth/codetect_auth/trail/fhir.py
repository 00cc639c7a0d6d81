"""Audit rows as FHIR R4 AuditEvent, in the form of IHE's Basic Audit Log Patterns (BALP 1.1).

A pattern is named in `meta.profile` only where a row has all that the pattern asks for. The patterns for patients
aren't: rows hold no patient, not even under a pseudonym; the study leads to one. Nor those for queries: what somebody
searched for can be a name, so it is written down nowhere.
"""

import json
from typing import Any
from uuid import UUID

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
REQUEST_ID = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem/"
REST = {"system": f"{HL7}audit-event-type", "code": "rest", "display": "Restful Operation"}
INTERACTION = "http://hl7.org/fhir/restful-interaction"
OUTCOME = {"success": "0", "refused": "4", "failure": "8"}
SOURCE, DESTINATION = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
# By the verb at an action's end: FHIR's action code, the REST interaction, BALP's pattern.
CREATE, READ = ("C", "create", "Create"), ("R", "read", "Read")
UPDATE, DELETE, SEARCH = ("U", "update", "Update"), ("D", "delete", "Delete"), ("E", "search", "")
VERBS = (
    dict.fromkeys(("open", "add", "create", "register", "ask", "store"), CREATE)
    | dict.fromkeys(("read", "export"), READ)
    | dict.fromkeys(("remove", "erase", "delete", "revoke", "forget", "end"), DELETE)
    | dict.fromkeys(("search",), SEARCH)
)
# Actions that DICOM has a name for (PS3.16, CID 400 and 401).
NAMED = {
    "login": (("110114", "User Authentication"), ("110122", "Login")),
    "login.password": (("110114", "User Authentication"), ("110122", "Login")),
    "login.factor": (("110114", "User Authentication"), ("110122", "Login")),
    "client.token": (("110114", "User Authentication"), ("110122", "Login")),
    "logout": (("110114", "User Authentication"), ("110123", "Logout")),
    "session.end": (("110114", "User Authentication"), ("110123", "Logout")),
    "access.refused": (("110113", "Security Alert"), ("110132", "Use of Restricted Function")),
    "audit.gap": (("110113", "Security Alert"), None),
    "audit.read": (("110101", "Audit Log Used"), None),
    "audit.export": (("110101", "Audit Log Used"), None),
}
TYPES = {"study": "ImagingStudy", "analysis": "DiagnosticReport", "person": "Person", "client": "Device"}


def audit_event(number: int, event_id: UUID, record: dict[str, Any], row_hash: bytes, host: str) -> dict[str, Any]:
    """One row; `host` is the facility's host name."""
    action, verb = record["action"], record["action"].rpartition(".")[2]
    code, interaction, pattern = VERBS.get(verb, UPDATE)
    event: dict[str, Any] = {"resourceType": "AuditEvent", "id": str(event_id)}
    if action in NAMED:
        kind, subtype = NAMED[action]
        event |= {"type": _dcm(*kind), "subtype": [_dcm(*subtype)] if subtype else None}
        event["action"] = "R" if verb in ("read", "export") else "E"
        pattern = ""
    else:
        event |= {"type": REST, "subtype": [{"system": INTERACTION, "code": interaction, "display": interaction}]}
        event["action"] = code
        if verb == "export":
            event["subtype"].append(_dcm("110106", "Export"))
    if pattern and record["outcome"] == "success" and record["address"] and record["target"]:
        event["meta"] = {"profile": [BALP + pattern]}
    event |= {
        "recorded": record["at"],
        "outcome": OUTCOME[record["outcome"]],
        "agent": _agents(record, host, reads=code == "R"),
        "source": {
            "site": host,
            "observer": {"display": f"CoDetect {record['service']}"},
            "type": [{"system": f"{HL7}security-source-type", "code": "4", "display": "Application Server"}],
        },
        "entity": _entities(number, record, row_hash),
    }
    return {name: value for name, value in event.items() if value is not None}


def _agents(record: dict[str, Any], host: str, *, reads: bool) -> list[dict[str, Any]]:
    """Client, server and user; where data flow to the client, it is the destination."""
    of_client, of_server = (DESTINATION, SOURCE) if reads else (SOURCE, DESTINATION)
    program = record["role"] == "api_client"
    known = {"value": record["subject"], "system": "urn:codetect:client"} if program else None
    if record["session_id"]:
        known = {"value": record["session_id"], "system": "urn:codetect:session"}
    client: dict[str, Any] = {
        "type": {"coding": [_dcm(*of_client)]},
        "who": {"identifier": known} if known else {"display": "not known"},
        "requestor": program,
    }
    if record["address"]:
        client["network"] = {"address": record["address"], "type": "2"}
    server = {
        "type": {"coding": [_dcm(*of_server)]},
        "who": {"display": f"CoDetect {record['service']}"},
        "requestor": False,
        "network": {"address": f"https://{host}", "type": "5"},
    }
    if program:
        return [client, server]
    recipient = {"system": f"{HL7}v3-ParticipationType", "code": "IRCP", "display": "information recipient"}
    user = {
        "type": {"coding": [recipient]},
        "who": {"identifier": {"system": "urn:codetect:person", "value": record["subject"]}},
        "requestor": True,
        "role": [{"coding": [{"system": "urn:codetect:role", "code": record["role"]}]}],
    }
    return [client, server, user]


def _entities(number: int, record: dict[str, Any], row_hash: bytes) -> list[dict[str, Any]]:
    """What it was done to; the request; and the row itself, so that it can be found, and held against the chain."""
    entities: list[dict[str, Any]] = []
    if record["target"]:
        kind, _, value = record["target"].partition("/")
        what: dict[str, Any] = {"identifier": {"system": f"urn:codetect:{kind}", "value": value}}
        if kind in TYPES:
            what["type"] = TYPES[kind]
        entities.append({"what": what, "type": _entity("2", "System Object"), "role": _role("4", "Domain Resource")})
    if record["study_id"] and record["target"] != f"study/{record['study_id']}":
        study = {"identifier": {"system": "urn:codetect:study", "value": record["study_id"]}, "type": "ImagingStudy"}
        entities.append({"what": study, "type": _entity("4", "Other"), "role": _role("3", "Report")})
    if record["request_id"]:
        kind_of = {"system": REQUEST_ID, "code": "XrequestId", "display": "Transaction identifier"}
        entities.append({"what": {"identifier": {"value": record["request_id"]}}, "type": kind_of})
    facts = {
        "action": record["action"],
        "number": number,
        "hash": row_hash.hex(),
        "service-number": record["number"],
    } | record["detail"]
    detail = [{"type": name, "valueString": _text(value)} for name, value in facts.items()]
    entities.append({"name": "Audit row", "type": _entity("4", "Other"), "detail": detail})
    return entities


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _dcm(code: str, display: str) -> dict[str, str]:
    return {"system": DCM, "code": code, "display": display}


def _entity(code: str, display: str) -> dict[str, str]:
    return {"system": f"{HL7}audit-entity-type", "code": code, "display": display}


def _role(code: str, display: str) -> dict[str, str]:
    return {"system": f"{HL7}object-role", "code": code, "display": display}
